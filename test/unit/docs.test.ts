/** What the documents point to is there. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { projectFiles, ROOT } from '../tidy/files.ts';

interface Document {
  readonly path: string;
  readonly text: string;
}

const LINK = /\[[^\]]*\]\(([^()\s]+)\)/g;
const withoutCode = (text: string): string => text.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');

/** Links into the project, as written. */
const linksIn = (text: string): string[] =>
  [...withoutCode(text).matchAll(LINK)].map((match) => match[1]!).filter((target) => !/^[a-z]+:/.test(target));

/** As headings become anchors on the usual forges. */
const anchorsIn = (text: string): string[] =>
  [...text.matchAll(/^#+ (.+)$/gm)].map((match) =>
    match[1]!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );

const brokenLinks = (documents: readonly Document[], exists: (path: string) => boolean): string[] =>
  documents.flatMap(({ path, text }) =>
    linksIn(text).flatMap((target) => {
      const [file, anchor] = target.split('#') as [string, string?];
      const place = file === '' ? path : join(dirname(path), file);
      if (!exists(place)) return [`${path}: ${target}`];
      const there = documents.find((other) => other.path === place);
      return anchor === undefined || !there || anchorsIn(there.text).includes(anchor) ? [] : [`${path}: ${target}`];
    }),
  );

test('docs: every relative link in the documents leads to a file, and every anchor to a heading', () => {
  const documents = projectFiles().filter(({ path }) => path.endsWith('.md'));
  const links = documents.flatMap(({ text }) => linksIn(text));
  assert.ok(links.length > 20, `only ${links.length} links seen`);
  assert.deepEqual(
    brokenLinks(documents, (path) => existsSync(join(ROOT, path))),
    [],
  );
});

test('docs: a link to a file or heading that is not there is found, one inside a code sample is none', () => {
  const red = {
    path: 'docs/a.md',
    text: '# The words\n[x](gone.md) [y](#no) [z](#the-words) `[c](c.md)`\n```\n[d](d.md)\n```\n',
  };
  const found = brokenLinks([red], (path) => path === 'docs/a.md');
  assert.deepEqual(found, ['docs/a.md: gone.md', 'docs/a.md: #no']);
});
