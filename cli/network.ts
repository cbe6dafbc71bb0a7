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

/** What is between this host and the relay. */
export const linkLines = (link: LinkView | null): string[] => {
  if (!link) return [];
  const to = link.relay === null ? '' : ` to ${link.relay}`;
  const why = link.cause === null ? '' : ` (${link.cause.replace(/\.$/, '')})`;
  const full = link.spool === 'full' ? '; the spool is full: events are lost' : '';
  const parts = link.elsewhere.map(
    ({ relay, directory }) =>
      `Part of it lies at ${relay}${directory === null ? '' : ` in ${directory}`}, which had the link before`,
  );
  return [`Link: ${link.state}${to}, ${link.spoolBytes} bytes wait${full}${why}`, ...parts];
};

/** Of a session that was stopped. */
export const waitingLines = (session: string, link: LinkView | null | undefined): string[] =>
  link && link.spoolBytes > 0
    ? [`Warning: ${link.spoolBytes} bytes of session ${session} have not reached the relay yet; they follow from the spool`]
    : [];

/** At the end of a session whose relay does not have everything. */
export const leftLines = (session: string, link: LinkView | null | undefined): string[] =>
  link && link.spoolBytes > 0
    ? [`Warning: ${link.spoolBytes} bytes of session ${session} have not reached the relay yet; they follow from the spool`]
    : [];
