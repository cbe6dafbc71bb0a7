/** The commands about map channels (docs/contracts.md). */
import { z } from 'zod';
import { command } from './command-shape.ts';
import { text, uid } from './schema.ts';

const policy = z.enum(['per-event', 'per-rule-match']);
const ownership = z.enum(['user', 'process']);
const deadProcesses = z.enum(['drop', 'sum-into-shared']);

/** A map channel without its values. */
export const mapChannelView = z.object({
  name: text,
  bits: z.union([z.literal(32), z.literal(64)]),
  maxKeys: z.int(),
  updatePolicy: policy,
  ownership,
  /** Null: counters belong to users. */
  deadProcesses: deadProcesses.nullable(),
  keyCount: z.int(),
});

/** CPU (null: a shared counter has none), index into `keys`, value in decimal, whether it has overflowed. */
const entry = z.tuple([z.int().nullable(), z.int(), z.string().regex(/^-?\d{1,20}$/), z.boolean()]);

/** The counters of one user's applications, of one `process`, or (`uid` null) the daemon's own. Entries that are not 0. */
const group = z.object({
  uid: uid.nullable(),
  process: z.object({ pid: z.int(), procname: text }).nullable(),
  cpuCount: z.int(),
  entries: z.array(entry),
});

const mapView = mapChannelView.extend({ keys: z.array(text), groups: z.array(group) });

export type MapChannelView = z.output<typeof mapChannelView>;
export type MapView = z.output<typeof mapView>;

export const MAP_COMMANDS = {
  'map.add': command(
    'Add a map channel: counters by key, which the trigger action incr-map-value increments.',
    {
      session: text,
      name: text.exactOptional(),
      bits: z.union([z.literal(32), z.literal(64)]).exactOptional(),
      maxKeys: z.int().min(0).max(0xffff_ffff).exactOptional(),
      updatePolicy: policy.exactOptional(),
      ownership: ownership.exactOptional(),
      deadProcesses: deadProcesses.exactOptional(),
    },
    { name: text },
  ),
  'map.show': command(
    'Keys and counters of a map channel; while programs count, it is no snapshot.',
    { session: text, name: text },
    { map: mapView },
  ),
} as const;
