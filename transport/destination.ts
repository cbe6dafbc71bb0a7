/** Where traces go that do not stay on their host, as a URL says it. */
import { z } from 'zod';
import { isPlainPath } from '../machines/plain-names.ts';
import { text } from './schema.ts';

const port = z.int().min(1).max(65_535);
const endpoint = z.object({ host: text, port });

export const destinationSchema = z.discriminatedUnion('kind', [
  /** `relay:` is the bus of this host; else a NATS server. What stands behind it is a directory below the relay's. */
  z.object({ kind: z.literal('relay'), url: text }),
  /** Spoken to in the protocol of LTTng's relay. */
  z.object({ kind: z.literal('lttng'), ctrl: endpoint, data: endpoint, subdir: z.string() }),
]);

export type Destination = z.output<typeof destinationSchema>;
export type ParsedDestination =
  | { readonly ok: true; readonly destination: Destination }
  | { readonly ok: false; readonly cause: string };

const CTRL_PORT = 5342;
const DATA_PORT = 5343;

const bad = (cause: string): ParsedDestination => ({ ok: false, cause });
const HOST = String.raw`(\[[0-9a-f:.]+\]|[^:/[\]@]+)`;
const RELAY = /^relay:(?:\/\/\/(.*))?$/i;
const NATS = new RegExp(`^(?:nats|tls)://${HOST}(?::(\\d+))?(?:/(.*))?$`, 'i');
const LTTNG = new RegExp(`^(net|tcp)[46]?://${HOST}(?::(\\d+))?(?::(\\d+))?(?:/(.*))?$`, 'i');

export const isNetworkUrl = (url: string): boolean => /^(relay:|(nats|tls|net[46]?|tcp[46]?):\/\/)/i.test(url);

/** What is longer tells nobody anything. */
const SHOWN_MAX = 80;

const subdirCause = (subdir: string): string | null =>
  subdir === '' || isPlainPath(subdir)
    ? null
    : `${subdir.length > SHOWN_MAX ? 'what it names' : JSON.stringify(subdir)} is no directory below the relay’s`;

const portOf = (digits: string | undefined, absent: number): number | null => {
  const value = digits === undefined ? absent : Number(digits);
  return value >= 1 && value <= 65_535 ? value : null;
};

const ofLttng = (url: string): ParsedDestination => {
  const match = LTTNG.exec(url);
  if (!match) return bad('it names no host');
  const [, , host, first, second, subdir = ''] = match as unknown as [string, string, string, string?, string?, string?];
  const [ctrl, data] = [portOf(first, CTRL_PORT), portOf(second, DATA_PORT)];
  if (ctrl === null || data === null) return bad('a port is a number from 1 to 65535');
  const cause = subdirCause(subdir.replace(/\/$/, ''));
  if (cause) return bad(cause);
  const place = { ctrl: { host, port: ctrl }, data: { host, port: data }, subdir: subdir.replace(/\/$/, '') };
  return { ok: true, destination: { kind: 'lttng', ...place } };
};

/** Of one URL that says everything. */
export const parseDestination = (url: string): ParsedDestination => {
  if (/^(net|tcp)/i.test(url)) {
    return /^tcp/i.test(url) ? bad('`tcp://` URLs come in pairs: --ctrl-url and --data-url') : ofLttng(url);
  }
  const match = RELAY.exec(url) ?? NATS.exec(url);
  if (!match) return bad('`relay:`, `relay:///DIRECTORY` or `nats://HOST[:PORT][/DIRECTORY]` is needed');
  const isNats = match.length > 2;
  if (isNats && portOf(match[2], 4222) === null) return bad('a port is a number from 1 to 65535');
  const cause = subdirCause(((isNats ? match[3] : match[1]) ?? '').replace(/\/$/, ''));
  return cause ? bad(cause) : { ok: true, destination: { kind: 'relay', url } };
};

/** Of a control and a data URL. */
export const parsePair = (ctrlUrl: string, dataUrl: string): ParsedDestination => {
  if (/^net/i.test(ctrlUrl) && ctrlUrl === dataUrl) return ofLttng(ctrlUrl);
  if (!/^tcp/i.test(ctrlUrl) || !/^tcp/i.test(dataUrl)) return bad('--ctrl-url and --data-url are `tcp://HOST:PORT` URLs');
  const [ctrl, data] = [LTTNG.exec(ctrlUrl), LTTNG.exec(dataUrl)];
  if (!ctrl || !data) return bad('a URL names no host');
  if (ctrl[2] !== data[2]) return bad('both URLs must name the same host');
  if (data[5]) return bad('only the control URL names a directory');
  if (ctrl[4] || data[4]) return bad('each URL has one port');
  const [ctrlPort, dataPort] = [portOf(ctrl[3], CTRL_PORT), portOf(data[3], DATA_PORT)];
  if (ctrlPort === null || dataPort === null) return bad('a port is a number from 1 to 65535');
  const subdir = (ctrl[5] ?? '').replace(/\/$/, '');
  const cause = subdirCause(subdir);
  if (cause) return bad(cause);
  const [host, other] = [ctrl[2]!, data[2]!];
  return {
    ok: true,
    destination: { kind: 'lttng', ctrl: { host, port: ctrlPort }, data: { host: other, port: dataPort }, subdir },
  };
};

/** As a control and a data URL. */
export const pairOf = ({ ctrl, data, subdir }: Extract<Destination, { kind: 'lttng' }>): readonly [string, string] => [
  `tcp://${ctrl.host}:${ctrl.port}${subdir === '' ? '' : `/${subdir}`}`,
  `tcp://${data.host}:${data.port}`,
];

/** As one URL. */
export const destinationUrl = (destination: Destination): string => {
  if (destination.kind === 'relay') return destination.url;
  const { ctrl, data, subdir } = destination;
  return `net://${ctrl.host}:${ctrl.port}:${data.port}${subdir === '' ? '' : `/${subdir}`}`;
};

/** A directory below that of another destination. */
export const destinationBelow = (destination: Destination, directory: string): Destination => {
  if (destination.kind === 'lttng') {
    const { subdir } = destination;
    return { ...destination, subdir: subdir === '' ? directory : `${subdir}/${directory}` };
  }
  const url = destination.url.replace(/\/+$/, '');
  return { kind: 'relay', url: url.toLowerCase() === 'relay:' ? `relay:///${directory}` : `${url}/${directory}` };
};

/** For people. */
export const destinationText = (destination: Destination): string => {
  if (destination.kind === 'relay') return destination.url;
  const { ctrl, data, subdir } = destination;
  return `tcp4://${ctrl.host}:${ctrl.port}/${subdir} [data: ${data.port}]`;
};
