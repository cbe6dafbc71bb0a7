/** The processes that the keeper starts: session daemon and consumer. Not for users; `weft sessiond` is. */
import { directoriesOf } from '../actors/paths.ts';
import { runSessionDaemon } from '../actors/sessiond-main.ts';
import type { External } from '../transport/nats-context.ts';
import { parseOptions } from './options.ts';

const OPTIONS = [
  { long: 'group', value: 'GROUP', help: '' },
  { long: 'host', value: 'NAME', help: '' },
  { long: 'bus-url', value: 'URL', help: '' },
  { long: 'bus-context', value: 'NAME', help: '' },
] as const;

const externalOf = (url: string | undefined, context: string | undefined): External | undefined => {
  if (url !== undefined) return { url };
  return context === undefined ? undefined : { context };
};

export const sessiond = async (argv: readonly string[]): Promise<void> => {
  const { parsed } = parseOptions(OPTIONS, argv);
  const { runtime, state, traces } = directoriesOf(process.getuid?.() ?? 0);
  process.exit(
    await runSessionDaemon({
      runtime,
      state,
      traces: process.env.WEFT_HOME === undefined ? null : traces,
      group: parsed.get('group') ?? 'tracing',
      host: parsed.get('host'),
      external: externalOf(parsed.get('bus-url'), parsed.get('bus-context')),
      arguments: [...process.execArgv, ...process.argv.slice(1)],
    }),
  );
};

export const consumerd = async (): Promise<void> => {
  const { runConsumer } = await import('../actors/consumerd-main.ts');
  process.exit(await runConsumer());
};
