/** What the keeper starts: `weft sessiond-run` and `weft consumerd`. Nobody types these. */
import { readFileSync, statSync } from 'node:fs';
import { flushCompileCache, getCompileCacheDir } from 'node:module';
import { directoriesOf } from '../actors/paths.ts';
import type { External } from '../transport/nats-context.ts';
import { LIMIT_OPTIONS, limitsOf } from './limit-options.ts';
import { type OptionSpec, type Parsed, parseOptions } from './options.ts';
import { autoDirectories } from './session-file/places.ts';

const OPTIONS: readonly OptionSpec[] = [
  { long: 'group', value: 'GROUP', help: 'Group that may command root’s daemon' },
  { long: 'host', value: 'NAME', help: 'Name of this host on the bus' },
  { long: 'fleet', value: 'FILE', help: 'The fleet to join' },
  { long: 'fleet-user', value: 'USER', help: 'As whom root’s daemon acts for the fleet' },
  { long: 'label', value: 'KEY=VALUE', repeat: true, help: 'A label of this host' },
  { long: 'bus-url', value: 'URL', help: 'A NATS server' },
  { long: 'bus-url-file', value: 'FILE', help: 'The URL of a NATS server that is not for all to read' },
  { long: 'bus-context', value: 'NAME', help: 'A NATS context' },
  { long: 'load', value: 'PATH', help: 'Saved sessions' },
  ...LIMIT_OPTIONS,
  { long: 'for-command', help: 'A command started it' },
];

const externalOf = (options: Parsed): External | undefined => {
  const [file, context] = [options.get('bus-url-file'), options.get('bus-context')];
  const url = file === undefined ? options.get('bus-url') : readFileSync(file, 'utf8');
  if (url !== undefined) return { url };
  return context === undefined ? undefined : { context };
};

/** The words of the command that loads what is to be there from the start; null: there is nothing. */
const loaderWords = (options: Parsed): readonly string[] | null => {
  const path = options.get('load');
  if (path !== undefined) return ['autoload', '--load', path];
  return autoDirectories(process.env).length > 0 ? ['autoload'] : null;
};

/** Set in a process that has begun again: it does not do so twice. */
const COMPILED = 'WEFT_COMPILED';

/**
 * The first start of an installation strips the types of every file and compiles it, and a process never gives back the 15 MB that
 * this takes. So what was compiled is kept, a consumer's files with it, and the same process begins again from there: 0.2 s more
 * until the daemon serves, and 0.3 s less until its consumer does.
 */
const beginCompiled = async (): Promise<void> => {
  const cache = getCompileCacheDir();
  const again = process.env[COMPILED] !== undefined;
  delete process.env[COMPILED];
  if (cache === undefined || again || process.execve === undefined) return;
  const before = statSync(cache).mtimeMs;
  flushCompileCache();
  if (statSync(cache).mtimeMs === before) return;
  await import('../actors/consumerd-main.ts');
  flushCompileCache();
  const words = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  process.execve(process.execPath, words, { ...process.env, [COMPILED]: '1' });
};

export const sessiond = async (argv: readonly string[]): Promise<never> => {
  const { parsed } = parseOptions(OPTIONS, argv);
  const directories = directoriesOf(process.getuid?.() ?? 0);
  const { runSessionDaemon } = await import('../actors/sessiond-main.ts');
  await beginCompiled();
  const status = await runSessionDaemon({
    runtime: directories.runtime,
    state: directories.state,
    traces: process.env.WEFT_HOME ? directories.traces : null,
    group: parsed.get('group') ?? 'tracing',
    host: parsed.get('host'),
    fleet: parsed.get('fleet'),
    fleetUser: parsed.get('fleet-user') ?? process.env.WEFT_FLEET_USER,
    labels: parsed.all('label'),
    external: externalOf(parsed),
    limits: limitsOf(parsed),
    forCommand: parsed.has('for-command'),
    loader: loaderWords(parsed),
    arguments: [...process.execArgv, ...process.argv.slice(1)],
  });
  process.exit(status);
};

export const consumerd = async (): Promise<never> => {
  const { runConsumer } = await import('../actors/consumerd-main.ts');
  process.exit(await runConsumer());
};
