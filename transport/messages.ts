/**
 * The commands of the session daemon (docs/contracts.md) as schemas, and their types: `CommandRequest<'session.create'>`,
 * `CommandAnswer<'session.create'>`. The command line and the actors share them; `parseRequest` is the only way in.
 */

import { z } from 'zod';
import type {
  ChannelAttributes,
  ContextType,
  EventRule,
  LogLevelRule,
  PointDescription,
  RegistryScope,
  SnapshotOutput,
} from '../machines/document.ts';
import type { Body } from './bus.ts';
import { command } from './command-shape.ts';
import { destinationSchema } from './destination.ts';
import { fault } from './errors.ts';
import { FLEET_COMMANDS } from './fleet-messages.ts';
import { freezeId } from './freeze-message.ts';
import { MAP_COMMANDS, mapChannelView } from './map-messages.ts';
import { PARCEL_COMMANDS, parcelView } from './parcel-messages.ts';
import { count64, envelope, jsonSchema, type Parsed, parseMessage, text, uid } from './schema.ts';
import { TRIGGER_COMMANDS } from './trigger-messages.ts';

const size = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
/** Microseconds in 32 bits. */
const micros = z.int().min(0).max(0xffff_ffff);

export const channelAttributes = z.object({
  mode: z.enum(['discard', 'overwrite']),
  subbufSize: size,
  subbufCount: z.int().min(0).max(0x7fff_ffff),
  ownership: z.enum(['user', 'process']),
  switchTimerUs: micros,
  readTimerUs: micros,
  monitorTimerUs: micros,
  watchdogTimerUs: micros,
  /** -1: for ever. */
  blockingTimeoutUs: size.or(z.literal(-1)),
  allocation: z.enum(['per-cpu', 'per-channel']),
  preallocation: z.enum(['preallocate', 'on-demand']),
  reclaim: z.object({ policy: z.enum(['off', 'consumed', 'older-than']), ageUs: size }),
  tracefileSize: size,
  tracefileCount: z.int().min(0).max(0xffff_ffff),
  output: z.enum(['mmap']),
}) satisfies z.ZodType<ChannelAttributes>;

const attributesWanted = z.object(
  Object.fromEntries(Object.entries(channelAttributes.shape).map(([name, schema]) => [name, schema.exactOptional()])) as {
    [K in keyof typeof channelAttributes.shape]: z.ZodExactOptional<(typeof channelAttributes.shape)[K]>;
  },
);

/** Checked where contexts are added; on the way out they are not checked again. */
const contextType = z.custom<ContextType>((value) => typeof value === 'string');
const logLevel = z.object({
  kind: z.enum(['range', 'single']),
  level: z.int().min(-1).max(0x7fff_ffff),
}) satisfies z.ZodType<LogLevelRule>;

const rule = z.object({
  pattern: text,
  logLevel: logLevel.nullable(),
  exclusions: z.array(text).max(1024),
  filter: text.nullable(),
  enabled: z.boolean(),
}) satisfies z.ZodType<EventRule>;

/** What a filter mentions and no event has, with the nearest that there are. */
const unknownName = z.object({ kind: z.enum(['field', 'context']), name: text, near: z.array(text), more: size });

const scope = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('user'), uid }),
  z.object({ kind: z.literal('process'), uid, pid: z.int(), procname: text, startedAt: text }),
]) satisfies z.ZodType<RegistryScope>;

/** Events that were not recorded, by cause; `overwritten` were recorded, then lost to newer ones. */
const lossCounts = z.object({
  full: count64,
  tooBig: count64,
  restarts: count64,
  nested: count64,
  contended: count64,
  noMemory: count64,
  /** While a freeze held the ring for its copy. */
  frozen: count64,
});

const streamStats = z.object({ events: count64, packets: count64, bytes: count64, lost: lossCounts, overwritten: count64 });

const snapshotOutput = z.object({
  id: z.int(),
  name: text,
  path: text,
  /** Bytes of one snapshot; 0: no limit. */
  maxSize: size,
}) satisfies z.ZodType<SnapshotOutput>;

const sessionSummary = z.object({
  name: text,
  id: text,
  active: z.boolean(),
  /** Empty: it writes nothing by itself. */
  output: text,
  /** Null: it is no snapshot session. */
  snapshot: z.object({ outputs: z.array(snapshotOutput), taken: z.int() }).nullable(),
  /** Where ring buffers lie in files; null: in memory. */
  shmPath: text.nullable().default(null),
  /** Where the traces go; null: they stay on this host. */
  destination: text.nullable().default(null),
  liveTimerUs: z.int().nullable().default(null),
  /** How they go there; null: they do not. */
  network: z.object({ url: text, compress: z.boolean(), spoolLimit: size.nullable() }).nullable().default(null),
  createdAt: text,
  owner: z.object({ uid, gid: uid }),
});

/** The way to the destination, as the consumer sees it. */
const linkView = z.object({
  state: z.string(),
  /** What it does in that state: `silent` or `cut` when it is stalled, `full` when the disk of an open relay is. */
  within: z.string().nullable().default(null),
  spool: z.string().default('roomy'),
  relay: z.string().nullable(),
  directory: z.string().nullable().default(null),
  /** Other relays that keep a part of it. */
  elsewhere: z.array(z.object({ relay: z.string(), directory: z.string().nullable() })).default([]),
  sentBytes: z.int(),
  ackedBytes: z.int(),
  spoolBytes: z.int(),
  /** 0: nobody says. */
  spoolLimit: z.int().default(0),
  /** Archives, clearings and notes that are not durable there. */
  operations: z.int().default(0),
  lostPackets: z.int(),
  cause: z.string().nullable(),
});
/** Where an archive lies that is not on this host. */
const relayPlace = z.object({ name: z.string(), host: z.string(), controlPort: z.int(), dataPort: z.int() });
export type RelayPlace = z.output<typeof relayPlace>;
export type LinkView = z.output<typeof linkView>;
export const linkViewSchema = linkView;
export const watchedSchema = z.object({ unknown: z.array(unknownName).nullable().default(null) });

const channelView = z.object({
  name: text,
  id: z.int(),
  enabled: z.boolean(),
  attributes: channelAttributes,
  contexts: z.array(contextType),
  rules: z.array(rule),
  stats: streamStats,
  /** Ring memory, by whose it is; bytes of each CPU's ring (of the only one, when it is the channel's). */
  memory: z.array(z.object({ scope, rings: z.array(size) })).default([]),
});

const trackedAttribute = z.enum(['vpid', 'vuid', 'vgid']);
const tracker = z.union([z.literal('all'), z.array(z.object({ id: z.int(), name: text.nullable() }))]);

const trackerChange = {
  request: { session: text, attribute: trackedAttribute, values: z.array(text).min(1).max(1024).exactOptional() },
  answer: {
    attribute: trackedAttribute,
    policy: z.enum(['include-all', 'include-set', 'exclude-all']),
    changed: z.array(text),
    unchanged: z.array(text),
  },
};

const schedules = z.object({ timerUs: size.nullable(), sizeBytes: size.nullable() });

const sessionView = sessionSummary.extend({
  everStarted: z.boolean(),
  /** Where it stands, in the words of its machine: `recovering`, `inactive`, `active`, `destroying`. */
  state: text,
  channels: z.array(channelView),
  mapChannels: z.array(mapChannelView).default([]),
  trackers: z.object({ vpid: tracker, vuid: tracker, vgid: tracker }),
  registries: z.array(z.object({ key: text, directory: text, scope })),
  /** What the operator has to mend: a trace whose files take nothing. `lost`: events of the session so far. */
  /** Null: there is none, or its consumer did not answer. */
  link: linkView.nullable().default(null),
  alarms: z.array(z.object({ path: text, cause: text, lost: count64 })).default([]),
  schedules,
  rotation: z.object({
    ongoing: z.boolean(),
    /** What is recorded into; null: nothing since the session was stopped and rotated, or not yet. */
    chunk: z.int().nullable(),
    archives: z.int(),
    lastArchive: text.nullable(),
  }),
});

const totals = z.object({ recorded: count64, lost: count64 });

/** The fields of a point are described by machines/document.ts; on the way out they are not checked again. */
const point = z.custom<PointDescription>((value) => typeof value === 'object' && value !== null && 'name' in value);
const application = z.object({ pid: z.int(), uid, procname: text, points: z.array(point) });

const session = text;

export const COMMANDS = {
  'session.create': command(
    'Create a recording session.',
    {
      name: text.exactOptional(),
      output: text.exactOptional(),
      snapshot: z.boolean().exactOptional(),
      noOutput: z.boolean().exactOptional(),
      shmPath: text.exactOptional(),
      destination: destinationSchema.exactOptional(),
      liveTimerUs: z.int().min(1).max(0xffff_ffff).exactOptional(),
      compress: z.boolean().exactOptional(),
      spoolLimit: z.int().min(1).max(Number.MAX_SAFE_INTEGER).exactOptional(),
    },
    { session: sessionSummary },
  ),
  'session.redirect': command(
    'Send the traces of a stopped session elsewhere from its next start on: to `destination`, or into a directory of this host.',
    { session, destination: destinationSchema.exactOptional(), output: text.exactOptional() },
    { session: sessionSummary },
  ),
  'session.destroy': command(
    'Stop a session if it is active, write what its buffers hold, and forget it. The trace stays.',
    { session },
    {
      session: sessionSummary,
      stats: totals,
      archive: text.nullable().exactOptional(),
      relay: relayPlace.nullable().default(null),
      link: linkView.nullable().exactOptional(),
    },
  ),
  'session.start': command('Start recording.', { session }, { session: sessionSummary }),
  'session.stop': command(
    'Stop recording; when it is answered the trace holds all that was recorded.',
    { session },
    { session: sessionSummary, stats: totals, link: linkView.nullable().exactOptional() },
  ),
  'session.list': command("The caller's sessions; root's: all.", {}, { sessions: z.array(sessionSummary) }),
  'session.show': command(
    'One session with channels, rules and statistics.',
    { session, channel: text.exactOptional() },
    { session: sessionView },
  ),
  'session.watch': command(
    'Publish the decoded events of a session, at most so many a second, while the lease runs.',
    {
      session,
      leaseMs: z.int().min(1).max(60_000),
      perSecond: z.int().min(1).max(1_000_000).exactOptional(),
      filter: text.exactOptional(),
    },
    { owner: text, session: text, until: z.int(), unknown: z.array(unknownName).nullable().exactOptional() },
  ),
  'session.rotate': command(
    'End the chunk of the trace that is recorded into, and archive it; without `wait` it is answered once that is promised.',
    { session, wait: z.boolean().exactOptional() },
    {
      session: sessionSummary,
      state: z.enum(['ongoing', 'completed']),
      location: text.nullable(),
      /** Null: it lies on this host. */
      relay: relayPlace.nullable().default(null),
    },
  ),
  'session.clear': command('Empty buffers and the current chunk; archives stay.', { session }, { session: sessionSummary }),
  'session.regenerate': command(
    'Write the metadata anew with a new sample of the clocks, or have applications dump their state again.',
    { session, object: z.enum(['metadata', 'statedump']) },
    {},
  ),
  'rotation.enable': command(
    'Rotate by itself: each so many microseconds, when so many bytes were written, or both.',
    { session, timerUs: size.exactOptional(), sizeBytes: size.exactOptional() },
    { schedules },
  ),
  'rotation.disable': command(
    'Remove schedules.',
    { session, timer: z.literal(true).exactOptional(), size: z.literal(true).exactOptional() },
    { schedules },
  ),
  'channel.enable': command(
    'Create a channel, or enable a disabled one.',
    { session, name: text, attributes: attributesWanted.exactOptional() },
    { channel: channelView, adjusted: z.array(text) },
  ),
  'channel.disable': command('Disable a channel.', { session, name: text }, { channel: channelView }),
  'channel.reclaim': command(
    'Give back the memory of sub-buffers that nobody needs, of these channels or of all.',
    {
      session,
      channels: z.array(text).max(4096).exactOptional(),
      /** Only of those whose last event is older. */
      ageUs: size.exactOptional(),
      /** What is complete is taken first (the default); else it counts as pending. */
      wait: z.boolean().exactOptional(),
    },
    { channels: z.array(z.object({ name: text, reclaimed: z.int(), pending: z.int() })) },
  ),
  'event.enable': command(
    'Add a recording event rule, or enable a disabled one.',
    {
      session,
      channel: text.exactOptional(),
      pattern: text,
      logLevel: logLevel.exactOptional(),
      exclusions: z.array(text).max(1024).exactOptional(),
      filter: text.exactOptional(),
    },
    { rule, channel: text, created: z.boolean() },
  ),
  'event.disable': {
    summary: 'Disable the rules with this pattern, or all of a channel.',
    request: z
      .object({
        ...envelope,
        session,
        channel: text.exactOptional(),
        pattern: text.exactOptional(),
        all: z.literal(true).exactOptional(),
      })
      .refine(({ pattern, all }) => (pattern === undefined) !== (all === undefined), {
        path: ['pattern'],
        error: 'either `pattern` or `all` is needed',
      }),
    answer: z.object({ rules: z.array(rule), channel: text }),
  },
  'context.add': command(
    'Add context fields to a channel, or to all channels.',
    { session, channel: text.exactOptional(), types: z.array(text).min(1).max(64) },
    { added: z.array(z.object({ channel: text, type: contextType })) },
  ),
  'snapshot.record': command(
    'Write what the buffers of a snapshot session hold to its output, or to `path` (a directory, or the URL of a relay).',
    {
      session,
      name: text.exactOptional(),
      path: text.exactOptional(),
      maxSize: size.exactOptional(),
      freeze: freezeId.exactOptional(),
    },
    {
      path: text,
      number: z.int(),
      packets: count64,
      bytes: count64,
      events: count64,
      /** Of one that goes to a relay: whether it is there, and where that is; else it follows. */
      delivered: z.boolean().exactOptional(),
      relay: relayPlace.exactOptional(),
    },
  ),
  'snapshot.add-output': command(
    'Say where snapshots of a session go.',
    { session, name: text.exactOptional(), path: text, maxSize: size.exactOptional() },
    { output: snapshotOutput },
  ),
  'snapshot.del-output': command('Forget an output, by id or name.', { session, output: text }, { output: snapshotOutput }),
  'snapshot.list-output': command('Where snapshots of a session go.', { session }, { outputs: z.array(snapshotOutput) }),
  'tracker.track': command(
    'Record only processes with these values of an attribute, besides those given before; without values all again.',
    trackerChange.request,
    trackerChange.answer,
  ),
  'tracker.untrack': command(
    'Take values out of what is recorded; without values no process is.',
    trackerChange.request,
    trackerChange.answer,
  ),
  'point.list': command(
    'Applications and their instrumentation points.',
    { fields: z.boolean().exactOptional() },
    { applications: z.array(application) },
  ),
  'daemon.status': command(
    'The session daemon and its processes.',
    {},
    {
      version: text,
      pid: z.int(),
      uid,
      host: text,
      keeperPid: z.int(),
      consumers: z.array(z.object({ uid, pid: z.int().nullable(), state: text })),
      applications: z.int(),
      sessions: z.int(),
      /** What waits for a relay when no session feeds it (any more). */
      parcels: z.array(parcelView).default([]),
      uptimeMs: size,
    },
  ),
  'relay.join': command(
    'A key for a relay that serves this bus; for root and the daemon’s own user.',
    { relay: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'letters, digits, - and _ are allowed, at most 64') },
    { access: z.record(z.string(), z.unknown()) },
  ),
  'daemon.yield': command(
    'End the session daemon when a command started it and it holds nothing that was recorded: another one takes its place.',
    {},
    { pid: z.int() },
  ),
  'daemon.shutdown': command('End the session daemon and what it started; sessions are kept.', {}, {}),
  'inspect.watch': command(
    'Publish the changes of the state charts while the lease runs.',
    { leaseMs: z.int().min(1).max(60_000) },
    { process: text, until: z.int() },
  ),
  ...FLEET_COMMANDS,
  ...MAP_COMMANDS,
  ...PARCEL_COMMANDS,
  ...TRIGGER_COMMANDS,
} as const;

export type CommandName = keyof typeof COMMANDS;
export const COMMAND_NAMES = Object.keys(COMMANDS) as readonly CommandName[];

/** As the daemon gets it, checked. */
export type CommandRequest<C extends CommandName> = z.output<(typeof COMMANDS)[C]['request']>;
/** What a caller fills in; `v` and `id` come from whoever sends it. */
export type CommandFields<C extends CommandName> = Omit<CommandRequest<C>, 'v' | 'id'>;
export type CommandAnswer<C extends CommandName> = z.output<(typeof COMMANDS)[C]['answer']>;

export type SessionSummary = z.output<typeof sessionSummary>;
export type SessionView = z.output<typeof sessionView>;
export type ChannelView = z.output<typeof channelView>;
export type StreamStats = z.output<typeof streamStats>;
export type LossCounts = z.output<typeof lossCounts>;
export type SessionTotals = z.output<typeof totals>;
export type ApplicationView = z.output<typeof application>;

export const isCommandName = (name: string): name is CommandName => Object.hasOwn(COMMANDS, name);

/** For a body of a command whose name is only known at run time: `unsupported` when there is none. */
export const parseRequest = <C extends CommandName>(name: C, body: Body): Parsed<CommandRequest<C>> => {
  if (!isCommandName(name)) return { ok: false, fault: fault('unsupported', { what: `Command ${String(name)}` }) };
  return parseMessage(COMMANDS[name].request, body) as Parsed<CommandRequest<C>>;
};

/** What a caller got as answer; a field that is missing is a defect of the daemon, or a version that nobody foresaw. */
export const parseAnswer = <C extends CommandName>(name: C, body: Body): Parsed<CommandAnswer<C>> =>
  parseMessage(COMMANDS[name].answer, body) as Parsed<CommandAnswer<C>>;

export const commandSchema = (name: CommandName): Body => jsonSchema(COMMANDS[name].request);
