import { CONSUMER_PROCESSES } from './consumer-processes.ts';
import { CONSUMERS } from './consumers.ts';
import { FILTERS } from './filters.ts';
import { KEEPERS } from './keepers.ts';
import { LATE_AND_GONE } from './late.ts';
import { MEMORY } from './memory.ts';
import { PROGRAMS } from './programs.ts';
import { RECORDING } from './recording.ts';
import { RECOVERY } from './recovery.ts';
import { ROTATION } from './rotation.ts';
import type { Scenario } from './scenario.ts';
import { SNAPSHOTS } from './snapshots.ts';
import { TRIGGERS } from './triggers.ts';
import { BEGINNING, STARTING, WRITING } from './trouble.ts';

export const SCENARIOS: readonly Scenario[] = [
  ...RECORDING,
  ...FILTERS,
  ...RECOVERY,
  ...KEEPERS,
  ...PROGRAMS,
  ...LATE_AND_GONE,
  ...CONSUMERS,
  ...CONSUMER_PROCESSES,
  ...ROTATION,
  ...BEGINNING,
  ...STARTING,
  ...WRITING,
  ...SNAPSHOTS,
  ...TRIGGERS,
  ...MEMORY,
];
