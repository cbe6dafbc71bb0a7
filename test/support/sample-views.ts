/** A session as the daemon's answers show it, with something of everything. */
import type { ChannelView, SessionSummary, SessionView } from '../../transport/messages.ts';

export const summary: SessionSummary = {
  name: 's1',
  id: 'x',
  active: true,
  output: '/t/s1',
  snapshot: null,
  shmPath: null,
  destination: null,
  liveTimerUs: null,
  network: null,
  createdAt: '2026-01-01T00:00:00Z',
  owner: { uid: 1, gid: 1 },
};
export const output = { id: 1, name: 'snapshot-1', path: '/t/snap', maxSize: 4096 };
export const stats: ChannelView['stats'] = {
  events: 10n,
  packets: 1n,
  bytes: 100n,
  lost: { full: 2n, tooBig: 0n, restarts: 0n, nested: 0n, contended: 0n, noMemory: 0n, frozen: 0n },
  overwritten: 3n,
};
export const channel: ChannelView = {
  name: 'ch',
  id: 0,
  enabled: true,
  attributes: {
    mode: 'discard',
    subbufSize: 4096,
    subbufCount: 4,
    ownership: 'process',
    switchTimerUs: 0,
    readTimerUs: 0,
    monitorTimerUs: 1_000_000,
    watchdogTimerUs: 2_000_000,
    blockingTimeoutUs: -1,
    allocation: 'per-channel',
    preallocation: 'on-demand',
    reclaim: { policy: 'older-than', ageUs: 5 },
    tracefileSize: 0,
    tracefileCount: 0,
    output: 'mmap',
  },
  contexts: [],
  rules: [{ pattern: 'a*', logLevel: { kind: 'range', level: 6 }, exclusions: ['ab'], filter: 'x > 3', enabled: true }],
  stats,
  memory: [{ scope: { kind: 'user', uid: 1 }, rings: [16384] }],
};
export const view: SessionView = {
  ...summary,
  everStarted: true,
  link: null,
  mapChannels: [
    {
      ...{ name: 'm', bits: 32, maxKeys: 8, updatePolicy: 'per-event', keyCount: 1 },
      ...{ ownership: 'process', deadProcesses: 'drop' },
    },
  ],
  state: 'active',
  channels: [channel],
  registries: [],
  alarms: [],
  trackers: { vpid: [{ id: 12, name: null }], vuid: 'all', vgid: [] },
  schedules: { timerUs: 10, sizeBytes: 20 },
  rotation: { ongoing: false, chunk: 0, archives: 0, lastArchive: null },
};
