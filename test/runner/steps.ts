/** The kinds of things a tier consists of. Each gives the outcomes of the tests in it. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { type Ended, type Limits, runLimited, tail } from './limited.ts';
import { failed, type Outcome, passed } from './outcome.ts';

export interface Step {
  readonly name: string;
  run(limits: Limits): Promise<Outcome[]>;
}

/** A program that as a whole passes or fails: a compiler, a linter. */
export const commandStep = (name: string, command: string, args: readonly string[]): Step => ({
  name,
  run: async (limits) => {
    const ended = await runLimited(command, args, limits);
    return [ended.complaint ? failed(name, `${ended.complaint}\n${tail(ended.output)}`) : passed(name)];
  },
});

const TEST_LINE = /^(not )?ok\b[ \d]*-? ?(.*?)(?: +# SKIP\b ?(.*))?$/;

/** `ok - name`, `not ok - name`, `ok - name # SKIP reason`; lines before a `not ok` that begin with `#` say what was wrong. */
export const readTestLines = (output: string): Outcome[] => {
  const outcomes: Outcome[] = [];
  let notes: string[] = [];
  for (const line of output.split('\n')) {
    if (line.startsWith('#')) notes.push(line);
    const match = TEST_LINE.exec(line);
    if (!match) continue;
    const [, not, name = '', skip] = match;
    if (not) outcomes.push(failed(name, notes.join('\n')));
    else outcomes.push(skip === undefined ? passed(name) : { name, status: 'skipped', text: skip });
    notes = [];
  }
  return outcomes;
};

/** Its end must fit what it said: dying half-way, or failing without a failed test, is a failure of its own. */
const judgeEnd = (name: string, ended: Ended, outcomes: Outcome[]): Outcome[] => {
  if (ended.complaint && !outcomes.some((outcome) => outcome.status === 'failed'))
    return [...outcomes, failed(name, `${ended.complaint}\n${tail(ended.output)}`)];
  return outcomes.length === 0 ? [failed(name, `it ran no test\n${tail(ended.output)}`)] : outcomes;
};

/** A native test program. */
export const nativeStep = (program: string): Step => ({
  name: program,
  run: async (limits) => {
    const ended = await runLimited(program, [], limits);
    return judgeEnd(program, ended, readTestLines(ended.output));
  },
});

const REPORTER = join(import.meta.dirname, 'reporter.ts');

const readReport = (path: string): Outcome[] => {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line.endsWith('}'))
      .map((line) => JSON.parse(line) as Outcome);
  } catch {
    return []; // it ended before it could report: judgeEnd() says so
  }
};

/** A node:test file, in a process of its own. */
export const nodeTestStep = (file: string, root: string): Step => ({
  name: relative(root, file),
  run: async (limits) => {
    const scratch = mkdtempSync(join(tmpdir(), 'weft-report-'));
    const report = join(scratch, 'report');
    const reporter = [`--test-reporter=${REPORTER}`, `--test-reporter-destination=${report}`];
    const { NODE_TEST_CONTEXT: _ours, ...env } = limits.env; // else, in a test of the runner, it would report to our parent
    const ended = await runLimited(process.execPath, [...reporter, file], { ...limits, env });
    const outcomes = readReport(report);
    rmSync(scratch, { recursive: true, force: true });
    return judgeEnd(relative(root, file), ended, outcomes);
  },
});

/** The test files of folders that may not exist yet. */
export const testFiles = (root: string, folders: readonly string[]): string[] =>
  folders
    .flatMap((folder) => {
      try {
        return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(root, folder, name));
      } catch {
        return [];
      }
    })
    .filter((path) => path.endsWith('.test.ts'))
    .sort();
