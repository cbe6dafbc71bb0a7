/** Whether a trace is what its readers rely on: files, indexes and metadata that agree, streams without a gap in number or time. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { disagreements, readIndex } from './index-file.ts';
import { type PacketHeader, readPackets } from './packets.ts';

export interface TraceReport {
  readonly files: number;
  readonly packets: number;
  /** Events that the streams say they lost. */
  readonly discarded: bigint;
  readonly errors: readonly string[];
}

const afterEachOther = (before: PacketHeader, packet: PacketHeader): string[] => {
  const same = (['uuid', 'streamClass', 'streamInstance', 'cpu'] as const).filter((name) => before[name] !== packet[name]);
  return [
    ...same.map((name) => `${name} changes from ${before[name]} to ${packet[name]}`),
    ...(packet.sequence === before.sequence + 1n ? [] : [`number ${packet.sequence} follows ${before.sequence}`]),
    ...(packet.begin >= before.end ? [] : [`begins at ${packet.begin}, before the last end ${before.end}`]),
    ...(packet.discarded >= before.discarded ? [] : [`${packet.discarded} discarded, after ${before.discarded}`]),
  ];
};

const packetFaults = (packet: PacketHeader, before: PacketHeader | undefined, uuid: string | null): string[] => [
  ...(packet.end >= packet.begin ? [] : [`ends at ${packet.end}, before its begin ${packet.begin}`]),
  ...(uuid === null || packet.uuid === uuid ? [] : [`uuid ${packet.uuid} is not the trace's ${uuid}`]),
  ...(before === undefined ? [] : afterEachOther(before, packet)),
];

const indexFaults = (path: string, packets: readonly PacketHeader[]): string[] => {
  if (!existsSync(path)) return ['there is no index'];
  const { items, error } = readIndex(path);
  const count = items.length === packets.length ? [] : [`the index has ${items.length} packets, the file ${packets.length}`];
  const fields = items.flatMap((entry, i) =>
    packets[i] ? disagreements(entry, packets[i]).map((text) => `packet ${i}: ${text}`) : [],
  );
  return [...(error === null ? [] : [`index: ${error}`]), ...count, ...fields];
};

const metadataBeside = (file: string): string => {
  const path = join(dirname(file), 'metadata');
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
};

const uuidOf = (metadata: string): string | null =>
  /trace \{[^}]*?\buuid = "([0-9a-f-]+)"/.exec(metadata)?.[1]?.replaceAll('-', '') ?? null;

/** Stream classes whose packets name no CPU. */
const anyCpuOf = (metadata: string): ReadonlySet<number> =>
  new Set(
    [...metadata.matchAll(/stream \{\s+id = (\d+);[^}]*?struct packet_context_any_cpu;/g)].map((found) => Number(found[1])),
  );

const checkFile = (path: string): { packets: readonly PacketHeader[]; errors: string[] } => {
  const metadata = metadataBeside(path);
  const uuid = uuidOf(metadata);
  const { items, error } = readPackets(path, anyCpuOf(metadata));
  const faults = items.flatMap((packet, i) => packetFaults(packet, items[i - 1], uuid).map((text) => `packet ${i}: ${text}`));
  const errors = [
    ...(uuid === null ? ['no metadata beside it names a uuid'] : []),
    ...(error === null ? [] : [error]),
    ...faults,
    ...indexFaults(join(dirname(path), 'index', `${basename(path)}.idx`), items),
  ];
  return { packets: items, errors: errors.map((text) => `${path}: ${text}`) };
};

/** Two files of one trace that say they are the same stream. */
const twins = (streams: readonly { readonly path: string; readonly first: PacketHeader }[]): string[] => {
  const known = new Map<string, string>();
  return streams.flatMap(({ path, first }) => {
    const key = `${first.uuid} ${first.streamClass} ${first.streamInstance}`;
    const other = known.get(key);
    known.set(key, path);
    return other === undefined ? [] : [`${path}: the same stream as ${other}`];
  });
};

const dataFiles = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'metadata' && basename(entry.parentPath) !== 'index')
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();

export const checkTrace = (directory: string): TraceReport => {
  const files = dataFiles(directory).map((path) => ({ path, ...checkFile(path) }));
  const streams = files.flatMap(({ path, packets }) => (packets[0] ? [{ path, first: packets[0] }] : []));
  return {
    files: files.length,
    packets: files.reduce((sum, { packets }) => sum + packets.length, 0),
    discarded: files.reduce((sum, { packets }) => sum + (packets.at(-1)?.discarded ?? 0n), 0n),
    errors: [...files.flatMap(({ errors }) => errors), ...twins(streams)],
  };
};
