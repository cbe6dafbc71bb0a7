/** From a saved session to the commands that make it, in their order, and back from what the daemon shows. Pure. */

import { dirname } from 'node:path';
import type { EventRule } from '../../machines/document.ts';
import { parseDestination } from '../../transport/destination.ts';
import type { CommandFields, CommandName, SessionView } from '../../transport/messages.ts';
import type { TriggerView } from '../../transport/trigger-messages.ts';
import { UsageError } from '../options.ts';
import {
  type SavedChannel,
  type SavedDestination,
  type SavedMap,
  type SavedNetwork,
  type SavedSession,
  type SavedTracker,
  type SavedTrigger,
  sessionsOfTrigger,
  TRACKED,
} from './model.ts';

/** One command, and which part of the file asks for it. */
export type Step<C extends CommandName = CommandName> = C extends CommandName
  ? { readonly name: C; readonly fields: CommandFields<C>; readonly part: object }
  : never;

/** As many as one request takes. */
const VALUES_MAX = 1024;
const TYPES_MAX = 64;

const inParts = <T>(values: readonly T[], most: number): T[][] =>
  Array.from({ length: Math.ceil(values.length / most) }, (_, at) => values.slice(at * most, (at + 1) * most));

const networkFields = ({ url, liveTimerUs, compress, spoolLimit }: SavedNetwork) => {
  const parsed = parseDestination(url);
  if (!parsed.ok) throw new UsageError(`Destination ${url} is wrong: ${parsed.cause}`);
  return {
    destination: parsed.destination,
    ...(liveTimerUs === null ? {} : { liveTimerUs }),
    ...(compress ? { compress } : {}),
    ...(spoolLimit === null ? {} : { spoolLimit }),
  };
};

const createStep = (session: SavedSession): Step => {
  const { name, output } = session;
  const place = {
    ...(output.kind === 'local' ? { output: output.path } : {}),
    ...(output.kind === 'none' || output.kind === 'snapshot' ? { noOutput: true } : {}),
    ...(output.kind === 'snapshot' ? { snapshot: true } : {}),
    ...(output.kind === 'network' ? networkFields(output) : {}),
    ...(session.shmPath === null ? {} : { shmPath: session.shmPath }),
  };
  return { name: 'session.create', fields: { name, ...place }, part: session };
};

const outputSteps = (session: string, output: SavedDestination): Step[] => {
  if (output.kind !== 'snapshot') return [];
  return output.outputs.map((part) => ({ name: 'snapshot.add-output', fields: { session, ...part }, part }));
};

const ruleStep = (session: string, channel: string, part: EventRule): Step => {
  const { pattern, logLevel, exclusions, filter } = part;
  const conditions = {
    ...(logLevel === null ? {} : { logLevel }),
    ...(exclusions.length === 0 ? {} : { exclusions: [...exclusions] }),
    ...(filter === null ? {} : { filter }),
  };
  return { name: 'event.enable', fields: { session, channel, pattern, ...conditions }, part };
};

/** Disabling takes all rules of one pattern; those that are enabled come back, so that all keep their order. */
const ruleSteps = (session: string, { name: channel, rules }: SavedChannel): Step[] => {
  const disabled = new Map(rules.filter(({ enabled }) => !enabled).map((rule) => [rule.pattern, rule]));
  const disable = [...disabled].map(([pattern, part]): Step => {
    return { name: 'event.disable', fields: { session, channel, pattern }, part };
  });
  const again = rules.filter(({ enabled, pattern }) => enabled && disabled.has(pattern));
  return [
    ...rules.map((rule) => ruleStep(session, channel, rule)),
    ...disable,
    ...again.map((rule) => ruleStep(session, channel, rule)),
  ];
};

const channelSteps = ({ name: session, ownership }: SavedSession, channel: SavedChannel): Step[] => {
  const { name, contexts, attributes } = channel;
  const enable: Step = {
    name: 'channel.enable',
    fields: { session, name, attributes: { ownership, ...attributes } },
    part: channel,
  };
  const disable: Step = { name: 'channel.disable', fields: { session, name }, part: channel };
  const contextSteps = inParts(contexts, TYPES_MAX).map((types): Step => {
    return { name: 'context.add', fields: { session, channel: name, types }, part: channel };
  });
  return [enable, ...contextSteps, ...ruleSteps(session, channel), ...(channel.enabled ? [] : [disable])];
};

const mapStep = (session: string, part: SavedMap): Step => {
  const { deadProcesses, ...attributes } = part;
  const dead = deadProcesses === null ? {} : { deadProcesses };
  return { name: 'map.add', fields: { session, ...attributes, ...dead }, part };
};

const trackerSteps = (part: SavedSession): Step[] =>
  TRACKED.flatMap((attribute): Step[] => {
    const tracker = part.trackers[attribute];
    const of = { session: part.name, attribute };
    if (tracker === 'all') return [];
    if (tracker.length === 0) return [{ name: 'tracker.untrack', fields: of, part }];
    return inParts(tracker.map(String), VALUES_MAX).map((values) => ({
      name: 'tracker.track',
      fields: { ...of, values },
      part,
    }));
  });

const scheduleSteps = (part: SavedSession): Step[] => {
  const { timerUs, sizeBytes } = part.schedules;
  if (timerUs === null && sizeBytes === null) return [];
  const told = { ...(timerUs === null ? {} : { timerUs }), ...(sizeBytes === null ? {} : { sizeBytes }) };
  return [{ name: 'rotation.enable', fields: { session: part.name, ...told }, part }];
};

/** All but starting it: triggers come before that. */
export const stepsOf = (session: SavedSession): Step[] => [
  createStep(session),
  ...outputSteps(session.name, session.output),
  ...session.channels.flatMap((channel) => channelSteps(session, channel)),
  ...session.maps.map((map) => mapStep(session.name, map)),
  ...trackerSteps(session),
  ...scheduleSteps(session),
];

export const startSteps = (session: SavedSession): Step[] =>
  session.started ? [{ name: 'session.start', fields: { session: session.name }, part: session }] : [];

export const triggerStep = (part: SavedTrigger): Step<'trigger.add'> => ({
  name: 'trigger.add',
  fields: { name: part.name, condition: part.condition, actions: [...part.actions] } as CommandFields<'trigger.add'>,
  part,
});

// ---- from what the daemon shows

const savedTracker = (tracker: SessionView['trackers']['vpid']): SavedTracker =>
  tracker === 'all' ? 'all' : tracker.map(({ id, name }) => name ?? id);

const savedDestination = ({ output, snapshot, network, liveTimerUs }: SessionView): SavedDestination => {
  if (network) return { kind: 'network', liveTimerUs, ...network };
  if (snapshot)
    return { kind: 'snapshot', outputs: snapshot.outputs.map(({ name, path, maxSize }) => ({ name, path, maxSize })) };
  return output === '' ? { kind: 'none' } : { kind: 'local', path: output };
};

export const savedSession = (view: SessionView): SavedSession => ({
  name: view.name,
  started: view.active,
  ownership: view.channels[0]?.attributes.ownership ?? 'user',
  channels: view.channels.map(
    ({ name, enabled, attributes: { ownership: _, output: __, ...attributes }, contexts, rules }) => ({
      name,
      enabled,
      attributes,
      contexts,
      rules,
    }),
  ),
  maps: view.mapChannels.map(({ keyCount: _, ...map }) => map),
  trackers: {
    vpid: savedTracker(view.trackers.vpid),
    vuid: savedTracker(view.trackers.vuid),
    vgid: savedTracker(view.trackers.vgid),
  },
  schedules: view.schedules,
  output: savedDestination(view),
  // It gets a directory of its own below the one that was asked for.
  shmPath: view.shmPath === null ? null : dirname(view.shmPath),
});

export const savedTrigger = ({ name, condition, actions }: TriggerView): SavedTrigger => ({ name, condition, actions });

/** Those that name this session, and those that name none: a file of a session alone has all that it needs. */
export const belongsTo = (session: string, trigger: SavedTrigger): boolean => {
  const named = sessionsOfTrigger(trigger);
  return named.length === 0 || named.includes(session);
};
