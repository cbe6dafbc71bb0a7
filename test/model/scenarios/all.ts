import { CLOCKS } from './clocks.ts';
import { CONSUMER_PROCESSES } from './consumer-processes.ts';
import { CONSUMERS } from './consumers.ts';
import { FILTERS } from './filters.ts';
import { FLEET } from './fleet.ts';
import { FLEET_CLOCKS } from './fleet-clocks.ts';
import { FLEET_HOSTS } from './fleet-hosts.ts';
import { FLEET_OPERATIONS } from './fleet-operations.ts';
import { FLEET_SESSIONS } from './fleet-sessions.ts';
import { FREEZES } from './freezes.ts';
import { KEEPERS } from './keepers.ts';
import { LATE_AND_GONE } from './late.ts';
import { LINK_PLACES } from './link-places.ts';
import { LINKS } from './links.ts';
import { MEMORY } from './memory.ts';
import { NETWORK } from './network.ts';
import { PARCELS } from './parcels.ts';
import { PROGRAMS } from './programs.ts';
import { RECORDING } from './recording.ts';
import { RECOVERY } from './recovery.ts';
import { RELAY_SCENARIOS } from './relays.ts';
import { RESTARTS } from './restarts.ts';
import { ROTATION } from './rotation.ts';
import type { Scenario } from './scenario.ts';
import { SNAPSHOTS } from './snapshots.ts';
import { TRIGGERS } from './triggers.ts';
import { BEGINNING, STARTING, WRITING } from './trouble.ts';

export const SCENARIOS: readonly Scenario[] = [
  ...RECORDING,
  ...FILTERS,
  ...RECOVERY,
  ...RESTARTS,
  ...KEEPERS,
  ...PROGRAMS,
  ...LATE_AND_GONE,
  ...CONSUMERS,
  ...CONSUMER_PROCESSES,
  ...LINKS,
  ...LINK_PLACES,
  ...NETWORK,
  ...PARCELS,
  ...ROTATION,
  ...BEGINNING,
  ...STARTING,
  ...WRITING,
  ...SNAPSHOTS,
  ...TRIGGERS,
  ...FREEZES,
  ...RELAY_SCENARIOS,
  ...FLEET,
  ...FLEET_HOSTS,
  ...FLEET_OPERATIONS,
  ...FLEET_CLOCKS,
  ...FLEET_SESSIONS,
  ...CLOCKS,
  ...MEMORY,
];
