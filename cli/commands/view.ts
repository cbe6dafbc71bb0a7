import { spawnSync } from 'node:child_process';
import type { Command, Environment, Outcome } from '../command.ts';
import { UsageError } from '../options.ts';
import { HELP, noMoreWords } from './shared.ts';

const onPath = (name: string): boolean => spawnSync('sh', ['-c', 'command -v "$0"', name], { stdio: 'ignore' }).status === 0;

export const viewer = (given: string | undefined): string[] => {
  if (given !== undefined) return given.split(/\s+/).filter((word) => word !== '');
  const found = ['babeltrace2', 'babeltrace'].find(onPath);
  if (found === undefined) throw new UsageError('No viewer found: install babeltrace2, or name one with --viewer');
  return [found];
};

const traceOf = async (environment: Environment): Promise<string> => {
  const given = environment.options.get('trace-path');
  if (given !== undefined) return given;
  const session = environment.options.words[0] ?? environment.currentSession();
  const answer = await environment.request('session.show', { session });
  if (answer.session.active) throw new UsageError(`Session ${session} is running: stop it before viewing its trace`);
  if (answer.session.output === '') {
    throw new UsageError(`Session ${session} writes no trace: view one of its snapshots with --trace-path`);
  }
  return answer.session.output;
};

const run = async (environment: Environment): Promise<Outcome> => {
  noMoreWords(environment, 1);
  const [command, ...words] = viewer(environment.options.get('viewer'));
  const path = await traceOf(environment);
  if (environment.json) return { lines: [], json: { trace: path, viewer: [command, ...words] } };
  process.stderr.write(`Trace directory: ${path}\n`);
  const ran = spawnSync(command!, [...words, path], { stdio: 'inherit' });
  if (ran.error) throw new UsageError(`Viewer ${command} cannot be run: ${ran.error.message}`);
  return { lines: [], json: null, status: ran.status ?? 1 };
};

export const view: Command = {
  name: 'view',
  summary: 'Show the trace of a session with a CTF viewer (babeltrace2)',
  usage: 'view [SESSION | --trace-path=DIR] [--viewer=COMMAND]',
  textOnly: true,
  options: [
    ...HELP,
    { long: 'viewer', short: 'e', value: 'COMMAND', help: 'The viewer and its arguments' },
    { long: 'trace-path', short: 't', value: 'DIR', help: 'A trace of no session' },
  ],
  run,
};
