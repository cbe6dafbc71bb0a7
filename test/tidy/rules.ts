/**
 * The style that a program can check. Each rule names what to do instead, and has a red sample: tidy.test.ts fails when a rule no
 * longer finds its own sample.
 */
import { dirname, join } from 'node:path/posix';
import type { SourceFile } from './files.ts';

export interface Rule {
  readonly name: string;
  readonly instead: string;
  readonly applies: (path: string) => boolean;
  /** The complaints about one file; empty: fine. */
  readonly check: (file: SourceFile) => string[];
  readonly red: SourceFile;
}

const LINES_MAX = 500;
const code = /\.(ts|c|h|cc|S|sh)$/;
const native = /\.(c|h|cc)$/;
const inFolder =
  (...folders: string[]) =>
  (path: string): boolean =>
    folders.some((folder) => path.startsWith(`${folder}/`)) && code.test(path);

/** Without comments, for rules about code; line numbers stay. */
const withoutComments = (text: string): string =>
  text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' ')).replace(/(^|[^:'"`])\/\/[^\n]*/g, '$1');

/** Complains about each line that matches. */
const banned =
  (pattern: RegExp, prepare: (text: string) => string = withoutComments) =>
  ({ path, text }: SourceFile): string[] =>
    prepare(text)
      .split('\n')
      .flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : []));

const asIs = (text: string): string => text;

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s[^;'"]*?from\s*['"]([^'"]+)['"]|import\s*\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)import\s*['"]([^'"]+)['"]/g;

export const importsOf = (text: string): string[] =>
  [...withoutComments(text).matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? match[3] ?? '');

const complainAboutImports =
  (wrong: (target: string, path: string) => boolean) =>
  ({ path, text }: SourceFile): string[] =>
    importsOf(text)
      .filter((target) => wrong(target, path))
      .map((target) => `${path}: imports ${target}`);

/** The top folder that a relative import leads to; null: a package. */
const folderOf = (target: string, path: string): string | null =>
  target.startsWith('.') ? (join(dirname(path), target).split('/')[0] ?? '') : null;

/** Dependencies point downwards only; machines, which import nothing, are the bottom. Tests, benches and deployment may look at anything. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  machines: ['machines'],
  transport: ['transport', 'machines'],
  ctf: ['ctf', 'machines'],
  rules: ['rules', 'machines'],
  native: ['native'],
  actors: ['actors', 'machines', 'transport', 'ctf', 'rules', 'native'],
  inspect: ['inspect', 'actors', 'machines', 'transport', 'ctf', 'rules', 'native'],
  cli: ['cli', 'inspect', 'actors', 'machines', 'transport', 'ctf', 'rules', 'native'],
};
const LAYERS = Object.keys(MAY_IMPORT);

const pointsUpwards = (target: string, path: string): boolean => {
  const folder = folderOf(target, path);
  const allowed = MAY_IMPORT[path.split('/')[0] ?? ''];
  return folder !== null && allowed !== undefined && !allowed.includes(folder);
};

/** Split so that this file does not contain the words it bans. */
const words = (...halves: readonly (readonly [string, string])[]): string => halves.map((pair) => pair.join('')).join('|');
const MACHINE_WORDS = new RegExp(
  words(
    ['/wo', 'rk/'],
    ['/ro', 'ot/'],
    ['/home/', '[a-z]+/'],
    ['cla', 'ude'],
    ['anthro', 'pic'],
    ['chat', 'gpt'],
    ['co', 'pilot'],
  ),
  'i',
);

export const RULES: readonly Rule[] = [
  {
    name: 'machines import only xstate and machines',
    instead: 'declare an actor or action in the machine and provide it in actors/',
    applies: inFolder('machines'),
    check: complainAboutImports((target, path) => !/^xstate(\/|$)/.test(target) && folderOf(target, path) !== 'machines'),
    red: { path: 'machines/red.ts', text: "import { readFileSync } from 'node:fs';\nimport { x } from '../transport/bus.ts';" },
  },
  {
    name: 'machines have no clock, no random, no process',
    instead: 'take times and ids from events or input; name a delay and provide it in actors/',
    applies: inFolder('machines'),
    check: banned(/\b(Date\.now|new Date|Math\.random|setTimeout|setInterval|setImmediate|performance\.|process\.|crypto\.)/),
    red: { path: 'machines/red.ts', text: 'const at = Date.now();' },
  },
  {
    name: 'dependencies point downwards',
    instead: 'move what both need to the lower folder (see CONTRIBUTING.md)',
    applies: inFolder(...LAYERS),
    check: complainAboutImports(pointsUpwards),
    red: { path: 'transport/red.ts', text: "import { create } from '../cli/create.ts';" },
  },
  {
    name: 'relative imports end in .ts',
    instead: 'write the file name as it is: Node runs the sources',
    applies: (path) => path.endsWith('.ts'),
    check: complainAboutImports((target) => target.startsWith('.') && !/\.(ts|json|node)$/.test(target)),
    red: { path: 'cli/red.ts', text: "import { create } from './create';" },
  },
  {
    name: 'nothing is any',
    instead: 'unknown and a check, or a type parameter',
    applies: (path) => path.endsWith('.ts') && path !== 'test/tidy/rules.ts',
    check: banned(/(:|\bas|<|\|) *any\b(?! [a-z])/),
    red: { path: 'cli/red.ts', text: 'const read = (x: any) => x as string;' },
  },
  {
    name: 'the engine does not know Node',
    instead: 'put what needs napi.h into native/addon',
    applies: (path) => native.test(path) && /^native\/(ring|ust|keeper|helpers|include)\//.test(path),
    check: banned(/#\s*include\s*[<"](napi|node_api|node|uv)\.h/),
    red: { path: 'native/ring/red.cc', text: '#include <napi.h>' },
  },
  {
    name: 'files stay short',
    instead: `at most ${LINES_MAX} lines: split by subject`,
    applies: (path) => code.test(path),
    check: ({ path, text }) => {
      const lines = text.trimEnd().split('\n').length;
      return lines > LINES_MAX ? [`${path}: ${lines} lines`] : [];
    },
    red: { path: 'cli/red.ts', text: 'x;\n'.repeat(LINES_MAX + 1) },
  },
  {
    name: 'only the command line speaks to the terminal',
    instead: 'log with pino, or return what the caller shall print',
    applies: (path) => inFolder(...LAYERS)(path) && path.endsWith('.ts') && !path.startsWith('cli/'),
    check: banned(/\bconsole\./),
    red: { path: 'actors/red.ts', text: "console.log('here');" },
  },
  {
    name: 'no machine of ours, no tool of ours',
    instead: 'paths relative to the root, or from the environment',
    applies: () => true,
    check: banned(MACHINE_WORDS, asIs),
    red: { path: 'docs/red.md', text: ['see /wo', 'rk/main/README.md'].join('') },
  },
  {
    name: 'nothing is left to do in a comment',
    instead: 'do it, or file an issue and say what the code does today',
    applies: (path) => code.test(path) && path !== 'test/tidy/rules.ts',
    check: banned(/\b(TODO|FIXME|XXX)\b(?!["'-])/, asIs),
    red: { path: 'cli/red.ts', text: '// TODO: the rest' },
  },
  {
    name: 'no test is left out in silence',
    instead: 'skip with the reason as a string; only() is for your own screen',
    applies: (path) => path.endsWith('.test.ts') && path !== 'test/unit/runner.test.ts',
    check: banned(/\b(test|it|describe)\.(only|skip|todo)\(|\b(skip|only|todo): true/),
    red: { path: 'test/unit/red.test.ts', text: "test.only('x', () => {});" },
  },
  {
    name: 'the licence is MIT all over',
    instead: 'write it yourself: facts and names are free, code is not',
    applies: (path) => code.test(path) && path !== 'test/tidy/rules.ts',
    check: banned(/SPDX-License-Identifier:(?!\s*MIT)|GNU (Lesser )?General Public/i, asIs),
    red: { path: 'native/ust/red.h', text: '/* SPDX-License-Identifier: LGPL-2.1-only */' },
  },
  {
    name: 'text is clean',
    instead: 'no tabs for indentation in TypeScript, no blanks at line ends, one newline at the end',
    applies: (path) => code.test(path),
    check: ({ path, text }) => [
      ...banned(/[ \t]+$/, asIs)({ path, text }),
      ...(text === '' || (text.endsWith('\n') && !text.endsWith('\n\n')) ? [] : [`${path}: does not end with one newline`]),
    ],
    red: { path: 'native/ring/red.c', text: 'int x; \n' },
  },
];
