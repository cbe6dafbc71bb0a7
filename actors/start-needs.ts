/** What a start may fail of, before anything is promised, and whether all of that stands already. */
import type { SessionDocument } from '../machines/document.ts';
import { outputPathOf } from '../machines/output.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { bytesOf } from './rings.ts';
import { scopeFor, scopeKey } from './scopes.ts';

/** At least one ring set per channel, and one for every scope that is known now. */
export const memoryNeeded = (parts: DaemonParts, document: SessionDocument): number => {
  const cpus = parts.ports.host.onlineCpus().length;
  const scopes = new Set(parts.applications.registered().map(({ identity }) => scopeKey(scopeFor(document, identity!))));
  const held = (channel: number) =>
    document.registries.flatMap(({ ringSets }) => ringSets).filter((set) => set.channel === channel);
  return document.channels
    .map((channel) => bytesOf(channel, cpus) * Math.max(0, Math.max(1, scopes.size) - held(channel.id).length))
    .reduce((total, bytes) => total + bytes, 0);
};

/** It was started before, and nothing that a start looks at has changed since: memory, chunk, output, consumer, passes. */
export const isPrepared = (parts: DaemonParts, document: SessionDocument): boolean => {
  const { everStarted, chunk, rotation, network, owner } = document;
  // What a link has on its way is its consumer's to say.
  if (!everStarted || !chunk || chunk.cleared || rotation || network) return false;
  const output = outputPathOf(document);
  const holds = output === '' ? parts.consumer(owner.uid).isReady : parts.consumer(owner.uid).hasOpened(output);
  return holds && parts.isArranged(document) && memoryNeeded(parts, document) === 0;
};
