/** What the keeper starts: `weft sessiond-run` and `weft consumerd`. Nobody types these. */
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { directoriesOf } from '../actors/paths.ts';
import type { External } from '../transport/nats-context.ts';
import { type OptionSpec, type Parsed, parseOptions } from './options.ts';
import { autoDirectories } from './session-file/places.ts';

const OPTIONS: readonly OptionSpec[] = [
  { long: 'group', value: 'GROUP', help: 'Group that may command root’s daemon' },
  { long: 'host', value: 'NAME', help: 'Name of this host on the bus' },
  { long: 'fleet', value: 'FILE', help: 'The fleet to join' },
  { long: 'label', value: 'KEY=VALUE', repeat: true, help: 'A label of this host' },
  { long: 'bus-url', value: 'URL', help: 'A NATS server' },
  { long: 'bus-context', value: 'NAME', help: 'A NATS context' },
  { long: 'load', value: 'PATH', help: 'Saved sessions' },
];

const externalOf = (options: Parsed): External | undefined => {
  const [url, context] = [options.get('bus-url'), options.get('bus-context')];
  if (url !== undefined) return { url };
  return context === undefined ? undefined : { context };
};

/** The words of the command that loads what is to be there from the start; null: there is nothing. */
const loaderWords = (options: Parsed): readonly string[] | null => {
  const path = options.get('load');
  if (path !== undefined) return ['autoload', '--load', path];
  return autoDirectories(process.env).length > 0 ? ['autoload'] : null;
};

export const sessiond = async (argv: readonly string[]): Promise<never> => {
  const { parsed } = parseOptions(OPTIONS, argv);
  const directories = directoriesOf(process.getuid?.() ?? 0);
  // The keeper passes no NODE_* on. Without the cache the daemon strips types itself, which costs 25 MB for its whole life; consumers
  // of the same user inherit it.
  process.env.NODE_COMPILE_CACHE = join(directories.state, 'compile-cache');
  enableCompileCache(process.env.NODE_COMPILE_CACHE);
  const { runSessionDaemon } = await import('../actors/sessiond-main.ts');
  const status = await runSessionDaemon({
    runtime: directories.runtime,
    state: directories.state,
    traces: process.env.WEFT_HOME ? directories.traces : null,
    group: parsed.get('group') ?? 'tracing',
    host: parsed.get('host'),
    fleet: parsed.get('fleet'),
    labels: parsed.all('label'),
    external: externalOf(parsed),
    loader: loaderWords(parsed),
    arguments: [...process.execArgv, ...process.argv.slice(1)],
  });
  process.exit(status);
};

export const consumerd = async (): Promise<never> => {
  const { runConsumer } = await import('../actors/consumerd-main.ts');
  process.exit(await runConsumer());
};
