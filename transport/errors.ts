/**
 * Every expected failure of Weft: its stable code, what it does to the exit status, its sentence and the way out of it. This is
 * the one place where such text is made; nobody reads it back (decide by `code`).
 */
import type { Body, Fault, Reply } from './bus.ts';
import { DAEMON_FAULTS } from './daemon-faults.ts';
import { EXIT_STATUS, type ExitClass, type NoParams, type Row, row } from './fault-row.ts';
import { FLEET_FAULTS } from './fleet-faults.ts';
import { RELAY_FAULTS } from './relay-faults.ts';

export { EXIT_STATUS, type ExitClass } from './fault-row.ts';

const placeText = ({ file, line, path }: { file: string; line: number; path: string }): string =>
  `File ${file}, line ${line}${path === '' ? '' : ` (${path})`}`;

const FAULTS = {
  // The bus and its messages.
  'bad-encoding': row<{ cause: string }>(
    'error',
    ({ cause }) => `The message cannot be decoded: ${cause}.`,
    'Send one map: JSON, or msgpack without extensions, of at most 1 MiB and 32 levels.',
  ),
  'bad-message': row<{ field: string; cause: string }>(
    'error',
    ({ field, cause }) => `Field \`${field}\` of the message is wrong: ${cause}.`,
    'The schema of each command is in the metadata of its service: `nats micro info weft-sessiond`.',
  ),
  unsupported: row<{ what: string }>(
    'unsupported',
    ({ what }) => `${what} is not supported by this version.`,
    'Compare `weft version` on both sides.',
  ),
  stale: row<{ id: string }>(
    'error',
    ({ id }) => `Request ${id} is older than the ten minutes for which answers are kept.`,
    'Send the command again under a new request id.',
  ),
  timeout: row<{ subject: string; ms: number }>(
    'error',
    ({ subject, ms }) => `No answer from ${subject} within ${ms} ms.`,
    'The command may still be carried out; the same request id gets the same answer.',
  ),
  'bus-cut': row<NoParams>(
    'error',
    () => 'The connection to the bus is cut; nothing was sent.',
    'It is re-established by itself: try again, or see log/bus.log in the state directory.',
  ),
  'bus-unavailable': row<{ cause: string }>(
    'error',
    ({ cause }) => `The bus cannot be reached: ${cause}.`,
    'See log/bus.log in the state directory, and whether nats-server >= 2.9 is installed.',
  ),
  'no-responder': row<{ subject: string }>(
    'error',
    ({ subject }) => `Nobody serves ${subject}.`,
    'The daemon is starting or ended; `weft status` shows it.',
  ),
  'permission-denied': row<{ what: string }>(
    'error',
    ({ what }) => `Permission denied: ${what}.`,
    "Commands go to your own session daemon, or to root's as root or as a member of group tracing.",
  ),
  internal: row<{ cause: string }>(
    'fatal',
    ({ cause }) => `Internal error: ${cause}.`,
    'This is a defect of Weft: please report it with log/sessiond.log.',
  ),
  // Recording sessions.
  'session-not-found': row<{ session: string }>(
    'error',
    ({ session }) => `Recording session \`${session}\` does not exist.`,
    'See `weft list` for your sessions.',
  ),
  'session-exists': row<{ session: string }>(
    'error',
    ({ session }) => `Recording session \`${session}\` exists already.`,
    'Choose another name, or destroy that session first.',
  ),
  'session-name-invalid': row<{ session: string; cause: string }>(
    'error',
    ({ session, cause }) => `\`${session}\` cannot name a recording session: ${cause}.`,
    'A name has 1 to 255 bytes and no `/`; `auto` and names that begin with `auto-` are reserved.',
  ),
  'session-active': row<{ session: string }>(
    'error',
    ({ session }) => `Recording session \`${session}\` is active.`,
    'Stop it first.',
  ),
  'session-busy': row<{ session: string; doing: string }>(
    'error',
    ({ session, doing }) => `Recording session \`${session}\` is ${doing}.`,
    'Try again when that has ended.',
  ),
  'session-recovering': row<{ session: string }>(
    'error',
    ({ session }) => `Recording session \`${session}\` is still being taken back from the session daemon before this one.`,
    'It is tried again each second; log/sessiond.log in the state directory says what it waits for.',
  ),
  unwritten: row<{ ms: number }>(
    'error',
    ({ ms }) =>
      `It is stopped, but what its buffers still hold was not written within ${ms / 1_000} s: the disk of the trace does not answer, or no consumer comes up.`,
    'The buffers keep it, and it is written as soon as that ends: do not destroy the session before. See log/consumer-UID.log in the state directory.',
  ),
  'unwritten-lost': row<{ ms: number }>(
    'error',
    ({ ms }) =>
      `It is destroyed, but what its buffers still held was not written within ${ms / 1_000} s and is not in the trace: its disk does not answer, or no consumer came up.`,
    'What was written before stays. Stop a session before it is destroyed: what cannot be written yet is kept as long as it is there.',
  ),
  'already-started': row<{ session: string }>(
    'warning',
    ({ session }) => `Recording session \`${session}\` is already started.`,
    'Nothing to do.',
  ),
  'already-stopped': row<{ session: string }>(
    'warning',
    ({ session }) => `Recording session \`${session}\` is already stopped.`,
    'Nothing to do.',
  ),
  'output-not-writable': row<{ path: string; cause: string }>(
    'error',
    ({ path, cause }) => `Output directory ${path} cannot be written: ${cause}.`,
    'Give another one with --output; it is written with the rights of the session’s owner.',
  ),
  'output-none': row<{ session: string }>(
    'error',
    ({ session }) => `Recording session \`${session}\` writes no traces of its own.`,
    'Snapshots go where `weft snapshot add-output` says.',
  ),
  'output-same': row<{ session: string; path: string }>(
    'error',
    ({ session, path }) => `Recording session \`${session}\` wrote into ${path} until now.`,
    'A new trace begins: give it a directory of its own.',
  ),
  'output-full': row<{ path: string; cause: string }>(
    'error',
    ({ path, cause }) => `Nothing more can be written to ${path}: ${cause}. What is not written yet stays in the ring buffers.`,
    'Make room there, then give the command again.',
  ),
  'shm-path-refused': row<{ path: string; cause: string }>(
    'error',
    ({ path, cause }) => `Ring buffers cannot lie in files below ${path}: ${cause}.`,
    'Give --shm-path another directory, which the user of the session daemon may write and nobody else can replace.',
  ),
  'not-enough-memory': row<{ neededBytes: number; availableBytes: number }>(
    'error',
    ({ neededBytes, availableBytes }) =>
      `The ring buffers need ${neededBytes} bytes of memory, ${availableBytes} are available.`,
    'Use fewer or smaller sub-buffers (--num-subbuf, --subbuf-size).',
  ),
  // Rotation, clearing, regeneration.
  'session-never-started': row<{ session: string }>(
    'error',
    ({ session }) => `Recording session \`${session}\` was never started.`,
    'Start it first: there is nothing to write.',
  ),
  'session-not-started': row<{ session: string }>(
    'error',
    ({ session }) => `Recording session \`${session}\` is not started.`,
    'Start it first.',
  ),
  'rotation-pending': row<{ session: string }>(
    'error',
    ({ session }) => `A rotation of recording session \`${session}\` is under way.`,
    'Try again when it has ended; `weft list SESSION` shows it.',
  ),
  'rotation-after-stop': row<{ session: string }>(
    'error',
    ({ session }) => `Recording session \`${session}\` was rotated since it was stopped.`,
    'There is nothing more to archive until it is started again.',
  ),
  'rotation-after-clear': row<{ session: string }>(
    'error',
    ({ session }) => `Recording session \`${session}\` was cleared since it was stopped.`,
    'There is nothing to archive until it is started again.',
  ),
  'rotation-unavailable': row<{ session: string }>(
    'error',
    ({ session }) => `Recording session \`${session}\` cannot be rotated.`,
    'Only sessions with a local output, neither live nor snapshot, have chunks.',
  ),
  'rotation-stalled': row<{ session: string; cause: string }>(
    'error',
    ({ session, cause }) => `The rotation of recording session \`${session}\` is not complete: ${cause}.`,
    'Recording goes on, and the rotation is tried again each second; `weft list SESSION` shows when it is done.',
  ),
  'clear-unavailable': row<{ session: string }>(
    'unsupported',
    ({ session }) =>
      `Recording session \`${session}\` writes no trace by itself: emptying its buffers is not supported by this version.`,
    'A snapshot of the newest events only: `weft snapshot record --max-size=SIZE`; empty buffers: a new session.',
  ),
  'chunk-not-archived': row<{ session: string; cause: string }>(
    'error',
    ({ session, cause }) =>
      `Recording session \`${session}\` is destroyed, but its last chunk was not moved to archives/: ${cause.replace(/\.$/, '')}.`,
    'The chunk is whole, and a trace of its own, in the output directory: move it when you can.',
  ),
  'schedule-needed': row<NoParams>('error', () => 'No rotation schedule was named.', 'Give --timer, --size or both.'),
  'schedule-invalid': row<{ kind: string; cause: string }>(
    'error',
    ({ kind, cause }) => `The ${kind} rotation schedule is wrong: ${cause}.`,
    '--timer takes a time (1s, 5m), --size a size (100M), both above zero.',
  ),
  'schedule-exists': row<{ session: string; kind: string }>(
    'error',
    ({ session, kind }) => `Recording session \`${session}\` has a ${kind} rotation schedule already.`,
    'Remove it first with `weft disable-rotation`.',
  ),
  'schedule-not-found': row<{ session: string; kind: string }>(
    'error',
    ({ session, kind }) => `Recording session \`${session}\` has no ${kind} rotation schedule.`,
    'See `weft list SESSION` for its schedules.',
  ),
  'regenerate-per-process': row<{ session: string }>(
    'error',
    ({ session }) => `Recording session \`${session}\` has buffers per process: its metadata cannot be regenerated.`,
    'Use channels with buffers per user.',
  ),
  // Snapshots.
  'not-a-snapshot-session': row<{ session: string }>(
    'error',
    ({ session }) => `Recording session \`${session}\` is no snapshot session.`,
    'Make one with `weft create SESSION --snapshot`.',
  ),
  'snapshot-output-exists': row<{ session: string; output: string }>(
    'error',
    ({ session, output }) => `Recording session \`${session}\` has snapshot output \`${output}\` already.`,
    'Delete it first (`weft snapshot del-output`), or give a destination to `weft snapshot record`.',
  ),
  'snapshot-output-not-found': row<{ session: string; output: string }>(
    'error',
    ({ session, output }) => `Recording session \`${session}\` has no snapshot output \`${output}\`.`,
    'See `weft snapshot list-output` for ids and names.',
  ),
  'snapshot-no-output': row<{ session: string }>(
    'error',
    ({ session }) => `Recording session \`${session}\` has no snapshot output.`,
    'Add one with `weft snapshot add-output`, or give a destination to `weft snapshot record`.',
  ),
  'snapshot-name-invalid': row<{ name: string; cause: string }>(
    'error',
    ({ name, cause }) => `\`${name}\` cannot name a snapshot output: ${cause}.`,
    'A name has 1 to 200 bytes, no `/`, and does not begin with `.`.',
  ),
  'snapshot-size-too-small': row<{ maxSize: number; needed: number }>(
    'error',
    ({ maxSize }) => `Invalid snapshot size. Cannot fit at least one packet per stream into ${maxSize} bytes.`,
    'Give a larger --max-size, or make the session with smaller sub-buffers.',
  ),
  'snapshot-failed': row<{ path: string; cause: string }>(
    'error',
    ({ path, cause }) => `The snapshot could not be written to ${path}: ${cause}.`,
    'What is there is whole as far as it goes; the buffers still hold everything: try again.',
  ),
  // Channels.
  'no-channel': row<{ session: string }>(
    'error',
    ({ session }) => `Recording session \`${session}\` has no channel.`,
    'Make one: `weft enable-event --userspace NAME` or `weft enable-channel --userspace NAME`.',
  ),
  'channel-not-found': row<{ session: string; channel: string }>(
    'warning',
    ({ session, channel }) => `Recording session \`${session}\` has no channel \`${channel}\`.`,
    'See `weft list SESSION` for its channels.',
  ),
  'channel-exists': row<{ session: string; channel: string }>(
    'warning',
    ({ session, channel }) => `Channel \`${channel}\` of recording session \`${session}\` exists already.`,
    'Its attributes stay as they are; give another name for other attributes.',
  ),
  'channel-name-invalid': row<{ channel: string; cause: string }>(
    'error',
    ({ channel, cause }) => `\`${channel}\` cannot name a channel: ${cause}.`,
    'A name has 1 to 255 bytes, no `/`, does not begin with `.` and is not `metadata`.',
  ),
  'channel-files-meet': row<{ session: string; channel: string; other: string; file: string }>(
    'error',
    ({ session, channel, other, file }) =>
      `Channels \`${channel}\` and \`${other}\` of recording session \`${session}\` would both write a file \`${file}\`.`,
    'Files are called CHANNEL_CPU or CHANNEL_l_CPU, with a trace file size _NUMBER behind it: give the channel another name.',
  ),
  'channel-attributes-invalid': row<{ attribute: string; cause: string }>(
    'error',
    ({ attribute, cause }) => `Channel attribute \`${attribute}\` is wrong: ${cause}.`,
    'See `weft enable-channel --help` for the ranges.',
  ),
  'channel-frozen': row<{ session: string }>(
    'error',
    ({ session }) => `Recording session \`${session}\` was started before: its channels and contexts are fixed.`,
    'Make a new session for other channels or contexts.',
  ),
  'channel-name-needed': row<{ session: string }>(
    'error',
    ({ session }) => `Recording session \`${session}\` has channels, but not the default one \`channel0\`.`,
    'Name the channel with --channel.',
  ),
  'ownership-mixed': row<{ session: string; ownership: string }>(
    'error',
    ({ session, ownership }) => `The channels of recording session \`${session}\` have buffers per ${ownership}.`,
    'All channels of a session have the same buffer ownership.',
  ),
  'context-exists': row<{ channel: string; context: string }>(
    'warning',
    ({ channel, context }) => `Channel \`${channel}\` has context ${context} already.`,
    'Nothing to do.',
  ),
  'context-unknown': row<{ context: string }>(
    'fatal',
    ({ context }) => `Context type \`${context}\` is unknown.`,
    'See `weft add-context --list`.',
  ),
  'context-of-kernel': row<{ context: string }>(
    'warning',
    ({ context }) => `Context type \`${context}\` belongs to the kernel's events: programs do not record it.`,
    'User space has the v... types for ids (vpid, vtid, vuid, vgid) and perf:thread:... for counters.',
  ),
  'context-counter-absent': row<{ context: string; cause: string }>(
    'warning',
    ({ context, cause }) => `The counter of context ${context} cannot be opened on this machine: ${cause}.`,
    'See `perf list` for what it counts; virtual machines often have software counters only, as perf:thread:task-clock.',
  ),
  'contexts-too-many': row<{ channel: string; what: string; limit: number }>(
    'error',
    ({ channel, what, limit }) => `Channel \`${channel}\` can have at most ${limit} ${what}.`,
    'Record the others with another channel.',
  ),
  'tracker-value-unknown': row<{ value: string; what: string }>(
    'error',
    ({ value, what }) => `\`${value}\` is no ${what}.`,
    'Give numbers, or names of users and groups that the session daemon’s machine knows.',
  ),
  // Recording event rules.
  'rule-exists': row<{ pattern: string; channel: string }>(
    'warning',
    ({ pattern, channel }) => `Channel \`${channel}\` has the same event rule \`${pattern}\` already.`,
    'Nothing to do.',
  ),
  'rule-not-found': row<{ pattern: string; channel: string }>(
    'warning',
    ({ pattern, channel }) => `Channel \`${channel}\` has no event rule with pattern \`${pattern}\`.`,
    'Give the pattern exactly as `weft list SESSION` shows it.',
  ),
  'rule-invalid': row<{ pattern: string; cause: string }>(
    'error',
    ({ pattern, cause }) => `\`${pattern}\` is no event name pattern: ${cause}.`,
    'A pattern has 1 to 255 bytes; `*` stands for any text, `\\*` for a star.',
  ),
  'exclusion-invalid': row<{ exclusion: string; cause: string }>(
    'error',
    ({ exclusion, cause }) => `Exclusion \`${exclusion}\` is refused: ${cause}.`,
    'Exclusions need a pattern that ends or begins with `*`, and must not exclude all that it matches.',
  ),
  'level-invalid': row<{ level: string }>(
    'error',
    ({ level }) => `\`${level}\` is no log level.`,
    'Levels are EMERG (0) to DEBUG (14), by name or number.',
  ),
  'name-reserved': row<{ name: string }>(
    'error',
    ({ name }) => `\`${name}\` is reserved for the tracer.`,
    'Record events of your own providers, into a channel that is not an agent’s.',
  ),
  'filter-invalid': row<{ filter: string; column: number; cause: string }>(
    'error',
    ({ filter, column, cause }) => `Filter '${filter}' is wrong at column ${column}: ${cause}.`,
    'See docs/filters.md for what can be written.',
  ),
  'filters-too-many': row<{ channel: string }>(
    'error',
    ({ channel }) => `The filters of channel \`${channel}\` are too many, or too long together.`,
    'A channel takes 64 different ones: join them with ||, disable rules, or use another channel.',
  ),
  // Triggers.
  'map-exists': row<{ session: string; channel: string }>(
    'error',
    ({ session, channel }) => `Map channel \`${channel}\` of recording session \`${session}\` exists already.`,
    'Give another name, or none for a generated one.',
  ),
  'map-invalid': row<{ channel: string; cause: string }>(
    'error',
    ({ channel, cause }) => `Map channel \`${channel}\` is refused: ${cause}.`,
    'See `weft add-map-channel --help`.',
  ),
  'map-not-found': row<{ session: string; channel: string }>(
    'error',
    ({ session, channel }) => `Recording session \`${session}\` has no map channel \`${channel}\`.`,
    'See `weft show-maps` for its map channels.',
  ),
  'trigger-invalid': row<{ cause: string }>(
    'error',
    ({ cause }) => `The trigger is refused: ${cause}.`,
    'See `weft add-trigger --help`.',
  ),
  'trigger-exists': row<{ trigger: string }>(
    'error',
    ({ trigger }) => `Failed to register trigger: there is a trigger \`${trigger}\` already.`,
    'Give another --name, or none.',
  ),
  'trigger-not-found': row<{ trigger: string }>(
    'error',
    ({ trigger }) => `Couldn't find trigger with name \`${trigger}\`.`,
    'See `weft list-triggers`.',
  ),
  // Saved sessions.
  'file-unreadable': row<{ file: string; cause: string }>(
    'error',
    ({ file, cause }) => `File ${file} cannot be read: ${cause}.`,
    'Name a file or a directory of saved sessions with --input-path.',
  ),
  'file-unwritable': row<{ file: string; cause: string }>(
    'error',
    ({ file, cause }) => `File ${file} cannot be written: ${cause}.`,
    'Name another directory with --output-path.',
  ),
  'file-exists': row<{ file: string }>(
    'error',
    ({ file }) => `File ${file} exists already.`,
    'Give --force to replace it, or another directory with --output-path.',
  ),
  'file-invalid': row<{ file: string; line: number; path: string; cause: string }>(
    'error',
    ({ cause, ...place }) => `${placeText(place)}: ${cause}.`,
    'Nothing of this file was loaded: mend it, then load it again.',
  ),
  'file-unsupported': row<{ file: string; line: number; path: string; cause: string }>(
    'unsupported',
    ({ cause, ...place }) => `${placeText(place)} is not supported by this version: ${cause}.`,
    'Nothing of this file was loaded: without this part it can be.',
  ),
  'saved-session-not-found': row<{ session: string; places: string }>(
    'error',
    ({ session, places }) =>
      `${session === '' ? 'No saved session' : `No saved session \`${session}\``} was found in ${places}.`,
    'Name a file or a directory with --input-path; `weft save` makes one.',
  ),
  'saved-session-ambiguous': row<{ session: string; files: string }>(
    'error',
    ({ session, files }) => `Session \`${session}\` is saved more than once: ${files}.`,
    'Name one of these files with --input-path.',
  ),
  'load-failed': row<{ file: string; line: number; path: string; cause: string }>(
    'error',
    ({ cause, ...place }) => `${placeText(place)}: ${cause.replace(/\.$/, '')}.`,
    'Nothing of this file was loaded; what had been created for it was destroyed again.',
  ),
  ...FLEET_FAULTS,
  ...DAEMON_FAULTS,
  ...RELAY_FAULTS,
} as const satisfies Record<string, Row<never>>;

export type FaultCode = keyof typeof FAULTS;
export type FaultParams<C extends FaultCode> = Parameters<(typeof FAULTS)[C]['say']>[0];
type Rest<C extends FaultCode> =
  NoParams extends FaultParams<C> ? [params?: FaultParams<C>, hint?: string] : [params: FaultParams<C>, hint?: string];

export const FAULT_CODES = Object.keys(FAULTS) as readonly FaultCode[];

/** `fault('session-not-found', { session: 's1' })`; a hint of one's own where the table's does not fit. */
export const fault = <C extends FaultCode>(code: C, ...[params, hint]: Rest<C>): Fault => {
  const entry = FAULTS[code] as Row<unknown>;
  return { code, message: entry.say(params ?? {}), hint: hint ?? entry.hint };
};

export const isFaultCode = (code: string): code is FaultCode => Object.hasOwn(FAULTS, code);

/** A code of a newer peer counts as an error. */
export const exitClassOf = (code: string): ExitClass => (isFaultCode(code) ? FAULTS[code].exit : 'error');
export const exitStatusOf = (code: string): number => EXIT_STATUS[exitClassOf(code)];

/** Carries a fault through code that throws (promises of actors, the command line). */
export class FaultError extends Error {
  readonly fault: Fault;

  constructor(reason: Fault) {
    super(reason.message);
    this.name = 'FaultError';
    this.fault = reason;
  }
}

/** `throw failure('no-channel', { session })`. */
export const failure = <C extends FaultCode>(code: C, ...rest: Rest<C>): FaultError => new FaultError(fault(code, ...rest));

/** The fault of anything that was thrown; what is no expected failure is `internal`. */
export const faultOf = (thrown: unknown): Fault => {
  if (thrown instanceof FaultError) return thrown.fault;
  return fault('internal', { cause: thrown instanceof Error ? thrown.message : String(thrown) });
};

export const succeeded = (body: Body = {}): Reply => ({ ok: true, body });
export const failed = <C extends FaultCode>(code: C, ...rest: Rest<C>): Reply => ({ ok: false, fault: fault(code, ...rest) });
export const refused = (reason: Fault): Reply => ({ ok: false, fault: reason });
