/** What makes a session: its name, where it writes, and the document that everything else of it comes from. */
import { join } from 'node:path';
import type { SessionDocument } from '../machines/document.ts';
import { DOCUMENT_VERSION, type NetworkDocument, withoutRotation } from '../machines/document.ts';
import { relayCause, relaySessionCause } from '../machines/plain-names.ts';
import { newSnapshot, SNAPSHOT_DIRECTORY_BYTES_MAX } from '../machines/snapshot-edits.ts';
import type { Reply } from '../transport/bus.ts';
import {
  type Destination,
  destinationBelow,
  destinationUrl,
  isNetworkUrl,
  parseDestination,
} from '../transport/destination.ts';
import { failed } from '../transport/errors.ts';
import type { CommandRequest } from '../transport/messages.ts';
import type { Caller, Handler } from './commands.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { sessionsFull } from './limits.ts';
import { localStamp, localTime } from './local-time.ts';
import { clockOf } from './session-clock.ts';
import { inTurn } from './turns.ts';

const nameCause = (name: string): string | null => {
  if (name === '') return 'it is empty';
  if (Buffer.byteLength(name) > 255) return 'it has more than 255 bytes';
  if (name.includes('/') || name.includes('\0')) return 'it holds a `/` or a NUL';
  return name === 'auto' || (name.startsWith('auto-') && !/^auto-\d{8}-\d{6}$/.test(name)) ? 'the name is reserved' : null;
};

const nameFault = (parts: DaemonParts, name: string, network: boolean): Reply | null => {
  const cause = nameCause(name) ?? (network ? relaySessionCause(name) : null);
  if (cause) return failed('session-name-invalid', { session: name, cause });
  const taken = parts.documents.all().some((document) => document.name === name);
  return taken ? failed('session-exists', { session: name }) : null;
};

/** Generated names have a time already. */
const stamped = (name: string, now: number): string => (name.startsWith('auto-') ? name : `${name}-${localStamp(now)}`);

/**
 * Files cannot be sealed against an owner of another uid, and only the daemon's user could read them afterwards. So they are for
 * sessions of that user.
 */
const shmFault = (parts: DaemonParts, caller: Caller, { shmPath }: SessionDocument): Reply | null => {
  if (shmPath === null) return null;
  const cause = (): string | null => {
    if (!shmPath.startsWith('/')) return 'it is no absolute path';
    if (caller.uid !== parts.ports.host.uid) return 'they would belong to the user of the session daemon, not to you';
    try {
      parts.ports.ringFiles.makeDirectory(shmPath);
      return null;
    } catch (thrown) {
      return thrown instanceof Error ? thrown.message : String(thrown);
    }
  };
  const why = cause();
  return why === null ? null : failed('shm-path-refused', { path: shmPath, cause: why });
};

const networkOf = (request: CommandRequest<'session.create'>): NetworkDocument | null => {
  const { destination, liveTimerUs = null, compress = false, spoolLimit = null } = request;
  return destination ? { destination, liveTimerUs, compress, spoolLimit } : null;
};

/** What no relay takes never arrives: a directory of its own or, with a time behind it, the name of a session, or of a channel.
 * `snapshots`: each has a directory below. */
export const relayFault = (
  destination: Destination,
  document: Pick<SessionDocument, 'name' | 'channels'> | null,
  snapshots: boolean,
): Reply | null => {
  const url = destinationUrl(destination);
  const below = snapshots ? destinationBelow(destination, 'n'.repeat(SNAPSHOT_DIRECTORY_BYTES_MAX)) : destination;
  const parsed = parseDestination(destinationUrl(below));
  const cause = parsed.ok ? document && relayCause(document) : parsed.cause;
  return cause === null ? null : failed('destination-wrong', { url, cause });
};

/** What excludes each other, by the names of the fields. */
const destinationFault = (request: CommandRequest<'session.create'>): Reply | null => {
  const { destination, output, noOutput, snapshot } = request;
  const field = (['liveTimerUs', 'compress', 'spoolLimit'] as const).find((name) => request[name] !== undefined);
  if (!destination) return field ? failed('bad-message', { field, cause: 'it needs a `destination`' }) : null;
  if (snapshot && field) return failed('bad-message', { field, cause: 'it is of sessions that stream, not of snapshots' });
  if (output !== undefined || noOutput) return failed('bad-message', { field: 'destination', cause: 'an output excludes it' });
  return relayFault(destination, null, snapshot === true);
};

const newDocument = (
  parts: DaemonParts,
  caller: Caller,
  name: string,
  request: CommandRequest<'session.create'>,
): SessionDocument => {
  const { clock, host, ids } = parts.ports;
  const now = clock.now();
  const id = ids.hex(16);
  const network = request.snapshot ? null : networkOf(request);
  const local = (): string =>
    network ? parts.ports.spool(caller.uid, id) : (request.output ?? parts.ports.defaultOutput(caller.uid, name, now));
  const path = request.noOutput
    ? null
    : request.snapshot && request.destination
      ? destinationUrl(request.destination)
      : local();
  return {
    version: DOCUMENT_VERSION,
    id,
    name,
    owner: { uid: caller.uid, gid: host.user(caller.uid)?.gid ?? caller.uid },
    createdAt: localTime(now),
    bootId: host.bootId,
    hostname: host.hostname,
    output: request.snapshot || path === null ? { kind: 'none' } : { kind: 'local', path },
    network,
    snapshot: request.snapshot ? newSnapshot(path) : null,
    shmPath: request.shmPath === undefined ? null : join(request.shmPath, stamped(name, now)),
    clock: clockOf(parts),
    channels: [],
    registries: [],
    active: false,
    everStarted: false,
    operation: null,
    answers: [],
    ...withoutRotation(localTime(now)),
  };
};

export const pathFault = (path: string | null): Reply | null => {
  if (path === null || path.startsWith('/')) return null;
  return failed('output-not-writable', { path, cause: 'it is no absolute path' });
};

/** Of a snapshot: a path, or the URL of a relay. */
export const snapshotPathFault = (path: string | null, document: SessionDocument | null): Reply | null => {
  if (path === null || !isNetworkUrl(path)) return pathFault(path);
  const parsed = parseDestination(path);
  return parsed.ok
    ? relayFault(parsed.destination, document, true)
    : failed('destination-wrong', { url: path, cause: parsed.cause });
};

export const create: Handler<'session.create'> = async (parts, caller, request, key) => {
  const name = request.name ?? `auto-${localStamp(parts.ports.clock.now())}`;
  const wrong = nameFault(parts, name, request.destination !== undefined);
  if (wrong) return wrong;
  const unfit = destinationFault(request) ?? pathFault(request.output ?? null) ?? sessionsFull(parts, caller.uid);
  if (unfit) return unfit;
  if (request.output !== undefined && request.noOutput) {
    return failed('bad-message', { field: 'output', cause: '`noOutput` excludes it' });
  }
  const document = newDocument(parts, caller, name, request);
  const refusedFiles = shmFault(parts, caller, document);
  if (refusedFiles) return refusedFiles;
  parts.documents.draft(document);
  // The first start shall not wait for a process to come up.
  parts.root.send({ type: 'ConsumerNeeded', uid: document.owner.uid, gid: document.owner.gid });
  // Whoever does not wait for the answer finds the session, and its commands wait until there is one that hears them.
  return inTurn(parts, document.id, () =>
    parts.replies.expect(key, () => parts.root.send({ type: 'CreateRequested', sessionId: document.id, name, requestId: key })),
  );
};
