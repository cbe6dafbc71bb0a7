/** list and status: sessions, one session whole, or the instrumentation points of running applications. */
import type { SessionSummary } from '../../transport/messages.ts';
import type { Command, Environment, Outcome } from '../command.ts';
import { MEMORY_FORMS, type MemoryForm, memoryForm } from '../list-memory.ts';
import { pointsText, sessionsText, sessionText } from '../list-text.ts';
import type { TreeForm } from '../list-tree.ts';
import { type OptionSpec, UsageError } from '../options.ts';
import type { Style } from '../style.ts';
import { CHANNEL, DOMAINS, HELP, NO_KERNEL, noMoreWords, refused } from './shared.ts';

const STYLES: readonly TreeForm[] = ['breathe', 'compact'];

const STYLE: readonly OptionSpec[] = [
  { long: 'mem-usage', value: 'FORM', optional: true, help: `Memory of ring buffers: ${MEMORY_FORMS.join(', ')}` },
  { long: 'style', value: 'STYLE', help: `A tree: ${STYLES.join(' or ')} (default: the plain layout)` },
  { long: 'no-truncate', help: 'Do not cut lines of the tree at the width of the terminal' },
];

interface Layout {
  readonly memory: MemoryForm | undefined;
  /** Null: the plain layout. */
  readonly tree: (Style & { form: TreeForm; memory: MemoryForm; current: string | null }) | null;
}

const layoutOf = (environment: Environment): Layout => {
  const { options, env, colour } = environment;
  const memory = memoryForm(options.get('mem-usage'));
  const style = options.get('style');
  if (style === undefined) return { memory, tree: null };
  const form = STYLES.find((one) => one === style);
  if (!form) throw new UsageError(`Style \`${style}\` is none of: ${STYLES.join(', ')}`);
  const width = options.has('no-truncate') || !process.stdout.isTTY ? null : process.stdout.columns;
  const look = { colour, utf8: env.WEFT_NO_UTF_8 !== '1', width };
  return { memory, tree: { ...look, form, memory: memory ?? 'total', current: environment.knownCurrentSession() } };
};

/** Below it what no session shows: it waits for a relay, and nobody records into it (any more). */
const withWaiting = async (environment: Environment, outcome: Outcome): Promise<Outcome> => {
  // Of a fleet each host shows its own.
  if (environment.inFleet) return outcome;
  const { parcels } = await environment.request('daemon.status', {});
  if (parcels.length === 0) return outcome;
  const each = parcels.map(({ what, bytes, cause }) => `  ${what}: ${bytes} bytes${cause === null ? '' : ` (${cause})`}`);
  return {
    ...outcome,
    lines: [...outcome.lines, '', `Waiting for a relay: ${parcels.length}`, ...each, '  See: weft parcels'],
    json: { ...(outcome.json as object), parcels },
  };
};

const listSessions = async (environment: Environment, sessions: readonly SessionSummary[]): Promise<Outcome> => {
  const { tree } = layoutOf(environment);
  const mi = async () => (await import('../mi/sessions.ts')).sessionList(sessions);
  if (sessions.length === 0) return { lines: ['Currently no available recording session'], json: { sessions }, mi };
  const lines = tree ? (await import('../list-tree.ts')).sessionsTree(tree, sessions) : sessionsText(environment, sessions);
  return { lines, json: { sessions }, mi };
};

const show = async (environment: Environment, session: string): Promise<Outcome> => {
  const channel = environment.options.get('channel');
  const answer = await environment.request('session.show', { session, ...(channel === undefined ? {} : { channel }) });
  const mapName = environment.options.get('map-channel');
  if (mapName !== undefined) {
    const map = answer.session.mapChannels.find(({ name }) => name === mapName);
    if (!map) throw new UsageError(`Recording session \`${session}\` has no map channel \`${mapName}\``);
    return { lines: (await import('../map-table.ts')).mapText(map), json: { mapChannel: map } };
  }
  if (environment.options.has('domain')) {
    const { channels, mapChannels } = answer.session;
    const domains = channels.length + mapChannels.length > 0 ? ['ust'] : [];
    return {
      lines: ['Domains:', '-------------', ...(domains.length > 0 ? [' - UST global'] : [' None'])],
      json: { domains },
      mi: async () => (await import('../mi/sessions.ts')).sessionShown(answer.session, true),
    };
  }
  const layout = layoutOf(environment);
  return {
    lines: layout.tree
      ? (await import('../list-tree.ts')).sessionTree(layout.tree, answer.session)
      : sessionText(environment, answer.session, layout.memory),
    json: { session: answer.session },
    mi: async () => (await import('../mi/sessions.ts')).sessionShown(answer.session, false),
  };
};

export const list: Command = {
  name: 'list',
  summary: 'List sessions, what a session holds, or instrumentation points',
  usage: 'list [SESSION [--channel=CHANNEL] [--domain] [--mem-usage[=FORM]]] [--style=STYLE] | list --userspace [--fields]',
  options: [
    ...HELP,
    ...DOMAINS,
    CHANNEL,
    { long: 'fields', short: 'f', help: 'With --userspace: the fields of each point' },
    { long: 'domain', short: 'd', help: 'The domains of SESSION' },
    refused('syscall', 'System calls', NO_KERNEL, { short: 'S' }),
    ...STYLE,
    { long: 'map-channel', value: 'CHANNEL', help: 'One map channel of SESSION' },
  ],
  async run(environment) {
    noMoreWords(environment, 1);
    const { options } = environment;
    const [session] = options.words;
    if (session !== undefined) return show(environment, session);
    for (const long of ['channel', 'map-channel', 'domain'])
      if (options.has(long)) throw new UsageError(`--${long} needs a session`);
    if (options.has('fields') && !options.has('userspace')) throw new UsageError('--fields needs --userspace');
    if (options.has('userspace')) {
      const fields = options.has('fields');
      const { applications } = await environment.request('point.list', { fields });
      const mi = async () => (await import('../mi/channels.ts')).pointsListed(applications, fields);
      return { lines: pointsText(applications, fields), json: { applications }, mi };
    }
    const { sessions } = await environment.request('session.list', {});
    return withWaiting(environment, await listSessions(environment, sessions));
  },
};

export const status: Command = {
  name: 'status',
  summary: 'Show the current session',
  usage: 'status',
  options: [...HELP, ...STYLE],
  async run(environment) {
    if (environment.options.words.length > 0) throw new UsageError('This command does not accept positional arguments.');
    return withWaiting(environment, await show(environment, environment.currentSession()));
  },
};
