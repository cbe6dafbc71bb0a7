/** What the documents point to is there. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { parse, stringify } from 'yaml';
import { readYaml } from '../../cli/session-file/yaml.ts';
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

/** The C files of a document, each named by the comment that it begins with, and the lines that compile them. */
const samplesIn = (text: string) => {
  const blocks = [...text.matchAll(/^```(c|sh)\n([\s\S]*?)^```/gm)].map((match) => ({ kind: match[1]!, body: match[2]! }));
  const files = blocks.flatMap(({ kind, body }) => {
    const name = /^\/\* ([\w-]+\.[ch])\b/.exec(body)?.[1];
    return kind === 'c' && name !== undefined ? [{ name, body }] : [];
  });
  const compilations = blocks.flatMap(({ kind, body }) =>
    kind === 'sh' ? body.split('\n').filter((line) => line.startsWith('cc ')) : [],
  );
  return { files, compilations };
};

test('docs: every sample of instrumenting.md compiles without a warning as it is shown, and runs without a daemon', () => {
  const { files, compilations } = samplesIn(readFileSync(join(ROOT, 'docs/instrumenting.md'), 'utf8'));
  assert.ok(files.length >= 8 && compilations.length >= 4);
  const cwd = mkdtempSync(join(tmpdir(), 'weft-docs-'));
  const env = { ...process.env, WEFT: ROOT, WEFT_HOME: cwd, LD_LIBRARY_PATH: join(ROOT, 'native/build') };
  try {
    for (const { name, body } of files) writeFileSync(join(cwd, name), body);
    for (const line of compilations) {
      execFileSync('sh', ['-c', line.replace('cc ', 'cc -Wall -Wextra -Wpedantic -Werror ')], { cwd, env });
      const out = / -o (\S+)$/.exec(line)![1]!;
      if (!out.endsWith('.so')) execFileSync(join(cwd, out), { cwd, env });
    }
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
});

test('a session file that a document shows can be loaded, or applied to a fleet', () => {
  const documents = projectFiles().filter(({ path }) => path.endsWith('.md'));
  const shown = documents.flatMap(({ path, text }) =>
    [...text.matchAll(/^```yaml\n([\s\S]*?)^```/gm)]
      .map((match) => ({ path, block: match[1]! }))
      .filter(({ block }) => /^weft: /m.test(block)),
  );
  assert.ok(shown.length > 0);
  for (const { path, block } of shown) {
    const { selector: _selector, ...file } = parse(block) as Record<string, unknown>;
    const { sessions } = readYaml(stringify(file)).file;
    assert.equal(sessions.length, 1, path);
  }
});
