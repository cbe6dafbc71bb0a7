/** The options of `create` that send a session's traces to a relay, and what is shown of the way there. */
import { type Destination, destinationUrl, isNetworkUrl, parseDestination, parsePair } from '../transport/destination.ts';
import type { LinkView } from '../transport/messages.ts';
import { localPath } from './commands/shared.ts';
import { parseSize, parseTime } from './numbers.ts';
import { type Parsed, UsageError } from './options.ts';

const LIVE_US = 1_000_000;
const LIVE_MAX_US = 0xffff_ffff;

/** Of a URL that is no directory. */
export const destinationOf = (url: string): Destination => {
  const parsed = parseDestination(url);
  if (!parsed.ok) throw new UsageError(`Destination ${url} is wrong: ${parsed.cause}`);
  return parsed.destination;
};

/** Of `--ctrl-url` and `--data-url`; undefined: neither is there. */
export const destinationOfPair = (options: Parsed): Destination | undefined => {
  const [ctrl, data] = [options.get('ctrl-url'), options.get('data-url')];
  if (ctrl === undefined && data === undefined) return undefined;
  if (ctrl === undefined || data === undefined)
    throw new UsageError(`--${ctrl === undefined ? 'ctrl' : 'data'}-url is missing: both URLs are needed`);
  const parsed = parsePair(ctrl, data);
  if (!parsed.ok) throw new UsageError(`Destination ${ctrl}, ${data} is wrong: ${parsed.cause}`);
  return parsed.destination;
};

/** Whatever way it is said; undefined: the traces stay here. `url`: of `--set-url`, or the one word that says where. */
export const wantedDestination = (options: Parsed, url: string | undefined): Destination | undefined =>
  destinationOfPair(options) ?? (url !== undefined && isNetworkUrl(url) ? destinationOf(url) : undefined);

/** Where snapshots go: an absolute path, or the URL of a relay; undefined: nobody said. */
export const placeOfSnapshots = (options: Parsed, word: string | undefined): string | undefined => {
  const destination = wantedDestination(options, word);
  if (destination && word !== undefined && !isNetworkUrl(word))
    throw new UsageError(`Destination ${word} and a pair of URLs exclude each other`);
  if (destination) return destinationUrl(destination);
  return word === undefined ? undefined : localPath(word);
};

const liveTimer = (text: string | undefined): number => {
  const us = text === undefined || text === '' ? LIVE_US : parseTime(text);
  if (us === null || us < 1 || us > LIVE_MAX_US)
    throw new UsageError(`--live: \`${text}\` is no time from 1 to ${LIVE_MAX_US} us`);
  return us;
};

const spoolSize = (text: string): number => {
  const bytes = parseSize(text);
  if (bytes === null || bytes === 0) throw new UsageError(`--spool-size: \`${text}\` is no size`);
  return bytes;
};

/** Fields of `session.create`. */
export const networkFields = (options: Parsed, destination: Destination | undefined) => {
  const alone = ['live', 'compress', 'spool-size'].find((long) => options.has(long));
  if (!destination) {
    if (alone === undefined) return {};
    throw new UsageError(`--${alone} needs a relay: --set-url=relay:, nats://HOST or net://HOST`);
  }
  if (options.has('no-output')) throw new UsageError('--no-output and a relay exclude each other');
  if (alone !== undefined && options.has('snapshot')) throw new UsageError(`--${alone} and --snapshot exclude each other`);
  return {
    destination,
    ...(options.has('live') && { liveTimerUs: liveTimer(options.get('live')) }),
    ...(options.has('compress') && { compress: true }),
    ...(options.has('spool-size') && { spoolLimit: spoolSize(options.get('spool-size')!) }),
  };
};

/** Why what waits does not arrive; null: nothing is in its way. */
const hindrance = ({ state, within, relay, cause }: LinkView): string | null => {
  const whom = relay === null ? 'the relay' : `relay ${relay}`;
  const because = cause === null ? '' : ` (${cause.replace(/\.$/, '')})`;
  if (state === 'open') return within === 'full' ? `the disk of ${whom} is full` : null;
  if (state === 'seeking') return `no relay has taken the link yet${because}`;
  if (state === 'stalled' && within === 'silent') return `${whom} does not answer`;
  if (state === 'refused') return `${whom} cannot take what is sent${because}`;
  return state === 'closed' ? null : `the link to ${whom} is cut${because}`;
};

const WAYS_OUT: Readonly<Record<string, string>> = {
  seeking: 'Start a relay there (weft relayd), or see whether this host reaches the destination',
  stalled: 'See whether the relay runs and this host reaches it',
  resuming: 'See whether the relay runs and this host reaches it',
  refused: 'See the log of the relay; it is offered again by itself',
};

/** `recording`: it goes on, and what a full spool does not take is lost. */
const trouble = (link: LinkView, recording: boolean): string[] => {
  const { state, within, spool, spoolBytes, spoolLimit } = link;
  const hindered = hindrance(link);
  const of = spoolLimit > 0 ? ` of ${spoolLimit}` : '';
  const lost = recording ? 'events are lost until some of it has arrived' : 'events may have been lost since it filled';
  const full = spool === 'full' ? `The spool is full (${spoolBytes}${of} bytes wait): ${lost}` : null;
  const where = state === 'open' && within === 'full' ? 'Make room on the disk of the relay' : WAYS_OUT[state];
  const more =
    full === null
      ? ''
      : `${hindered === null ? 'Wait' : 'it arrives by itself then'}; a session with a larger --spool-size bears more`;
  if (full === null && hindered === null) return [];
  return [
    ...(full === null ? [] : [full]),
    ...(hindered === null ? [] : [`${hindered.replace(/^./, (first) => first.toUpperCase())}: nothing of the spool arrives`]),
    `  ${[...(hindered === null || where === undefined ? [] : [where]), ...(more === '' ? [] : [more])].join('; ')}`,
  ];
};

const lostLines = ({ lostPackets }: LinkView): string[] =>
  lostPackets === 0 ? [] : [`Packets of the spool that could not be read, and are lost: ${lostPackets}`];

/** What is between this host and the relay. */
export const linkLines = (link: LinkView | null, recording: boolean): string[] => {
  if (!link) return [];
  const to = link.relay === null ? '' : ` to ${link.relay}`;
  const parts = link.elsewhere.map(
    ({ relay, directory }) =>
      `Part of it lies at ${relay}${directory === null ? '' : ` in ${directory}`}, which had the link before`,
  );
  const line = `Link: ${link.state}${to}, ${link.spoolBytes} bytes wait`;
  return [line, ...trouble(link, recording), ...lostLines(link), ...parts];
};

/** Of a session that was stopped or destroyed, and whose relay does not have everything. */
export const waitingLines = (session: string, link: LinkView | null | undefined): string[] => {
  if (!link) return [];
  const { spoolBytes, operations } = link;
  const lost = lostLines(link).map((line) => `Warning: session ${session}: ${line}`);
  if (spoolBytes === 0 && operations === 0) return lost;
  const what =
    spoolBytes > 0 ? `${spoolBytes} bytes of session ${session}` : `The last rotations or notes of session ${session}`;
  return [
    `Warning: ${what} have not reached the relay yet; they follow from the spool`,
    ...trouble(link, false).map((line) => `  ${line}`),
    ...lost,
  ];
};

/** At its end: nobody can ask the session itself any more. */
export const leftLines = (session: string, link: LinkView | null | undefined): string[] => {
  const lines = waitingLines(session, link);
  return link && link.spoolBytes + link.operations > 0 ? [...lines, '  See what is left with: weft parcels'] : lines;
};
