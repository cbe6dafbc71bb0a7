/** Sessions, channels and applications as the answers of commands show them. */
import { join } from 'node:path';
import type { ChannelDocument, SessionDocument, Tracker, Trackers } from '../machines/document.ts';
import { mapsOf } from '../machines/map-edits.ts';
import { outputPathOf } from '../machines/output.ts';
import { trackersOf } from '../machines/tracker-edits.ts';
import { destinationText, destinationUrl } from '../transport/destination.ts';
import type { ApplicationView, ChannelView, LinkView, SessionSummary, SessionView } from '../transport/messages.ts';
import type { WriteAlarm } from './consumer-link.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { mapChannelViewOf } from './map-views.ts';

const networkOf = ({ network }: SessionDocument): SessionSummary['network'] =>
  network && { url: destinationUrl(network.destination), compress: network.compress, spoolLimit: network.spoolLimit };

export const summaryOf = (document: SessionDocument): SessionSummary => {
  const { name, id, active, snapshot, createdAt, owner } = document;
  return {
    name,
    id,
    active,
    // The spool is nobody’s to read.
    output: document.network ? '' : outputPathOf(document),
    destination: document.network && destinationText(document.network.destination),
    liveTimerUs: document.network?.liveTimerUs ?? null,
    network: networkOf(document),
    shmPath: document.shmPath,
    snapshot: snapshot && { outputs: [...snapshot.outputs], taken: snapshot.taken },
    createdAt,
    owner: { uid: owner.uid, gid: owner.gid },
  };
};

export const channelViewOf = (parts: DaemonParts, document: SessionDocument, channel: ChannelDocument): ChannelView => ({
  name: channel.name,
  id: channel.id,
  enabled: channel.enabled,
  attributes: channel.attributes,
  contexts: [...channel.contexts],
  rules: channel.rules.map((rule) => ({ ...rule, exclusions: [...rule.exclusions] })),
  stats: parts.totals.ofChannel(document, channel.id),
  memory: document.registries.flatMap(({ scope, ringSets }) =>
    ringSets
      .filter((set) => set.channel === channel.id)
      .map(({ ringId }) => ({ scope, rings: [...parts.rings.memory(ringId)] })),
  ),
});

/** The state in the words of the machine, innermost last: `active`, `stopping.flushing`. */
const lifeOf = (parts: DaemonParts, sessionId: string): string => {
  const value = parts.session(sessionId)?.getSnapshot().value;
  const words: string[] = [];
  for (let at: unknown = value?.life; at !== undefined; ) {
    if (typeof at === 'string') return [...words, at].join('.');
    const [word, below] = Object.entries(at as object)[0]!;
    words.push(word);
    at = below;
  }
  return 'destroyed';
};

const trackersView = ({ vpid, vuid, vgid }: Trackers): SessionView['trackers'] => {
  const copy = (tracker: Tracker) => (tracker === 'all' ? tracker : [...tracker]);
  return { vpid: copy(vpid), vuid: copy(vuid), vgid: copy(vgid) };
};

/** Where it is read: of a network session at the relay. */
const lastArchiveOf = (document: SessionDocument, link: LinkView | null): string | null => {
  const { lastArchive, network } = document;
  if (lastArchive === null) return null;
  return network ? join(link?.directory ?? '', lastArchive) : join(outputPathOf(document), lastArchive);
};

export const sessionViewOf = (
  parts: DaemonParts,
  document: SessionDocument,
  channel: string | undefined,
  alarms: readonly WriteAlarm[],
  link: LinkView | null,
): SessionView => ({
  ...summaryOf(document),
  everStarted: document.everStarted,
  state: lifeOf(parts, document.id),
  channels: document.channels
    .filter(({ name }) => channel === undefined || name === channel)
    .map((one) => channelViewOf(parts, document, one)),
  mapChannels: mapsOf(document).map(mapChannelViewOf),
  trackers: trackersView(trackersOf(document)),
  registries: document.registries.map(({ key, directory, scope }) => ({ key, directory, scope })),
  link,
  alarms: alarms.map((alarm) => ({ ...alarm, lost: parts.totals.ofSession(document).lost })),
  schedules: document.schedules,
  rotation: {
    ongoing: document.rotation !== null,
    chunk: document.chunk?.id ?? null,
    archives: document.archives,
    lastArchive: lastArchiveOf(document, link),
  },
});

export const applicationViewOf = (parts: DaemonParts, fields: boolean, visible: (uid: number) => boolean): ApplicationView[] =>
  parts.applications
    .registered()
    .filter(({ identity }) => visible(identity!.uid))
    .map(({ identity, points }) => ({
      pid: identity!.pid,
      uid: identity!.uid,
      procname: identity!.procname,
      points: [...points.values()].map(({ description }) => (fields ? description : { ...description, fields: [] })),
    }));
