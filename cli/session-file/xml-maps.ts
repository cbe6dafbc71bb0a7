/** Map channels in the words of the XML format. */
import type { Element, Tree } from './element.ts';
import type { SavedMap } from './model.ts';

const OWNERSHIP = { PER_UID: 'user', PER_PID: 'process' } as const;
const VALUES = { SIGNED_INT_32: 32, SIGNED_INT_64: 64, SIGNED_INT_MAX: 64 } as const;
const UPDATES = { PER_EVENT: 'per-event', PER_RULE_MATCH: 'per-rule-match' } as const;
const DEAD = { DROP: 'drop', SUM_INTO_SHARED: 'sum-into-shared' } as const;

/** As `--mi xml` spells them too. */
const spelled = <T>(values: Readonly<Record<string, T>>): Readonly<Record<string, T>> =>
  Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => [
      [name, value],
      [name.toLowerCase().replaceAll('_', '-'), value],
    ]),
  );

const upper = (text: string): string => text.toUpperCase().replaceAll('-', '_');

export const writeMap = ({ name, bits, maxKeys, updatePolicy, ownership, deadProcesses }: SavedMap): Tree => [
  'map_channel',
  [
    ['name', name],
    ['key_type', 'STRING'],
    ['value_type', `SIGNED_INT_${bits}`],
    ['update_policy', upper(updatePolicy)],
    ['max_entry_count', maxKeys],
    ['buffer_ownership', ownership === 'user' ? 'PER_UID' : 'PER_PID'],
    deadProcesses === null ? null : ['dead_group_policy', upper(deadProcesses)],
  ],
];

const NAMES = ['name', 'key_type', 'value_type', 'update_policy', 'max_entry_count', 'buffer_ownership', 'dead_group_policy'];

export const readMap = (map: Element): SavedMap => {
  const fields = map.fields(...NAMES);
  const ownership = fields.buffer_ownership?.oneOf(spelled(OWNERSHIP)) ?? 'user';
  const dead = fields.dead_group_policy?.oneOf(spelled(DEAD)) ?? 'sum-into-shared';
  fields.key_type?.oneOf(spelled({ STRING: 'string' }));
  return {
    name: map.need(fields, 'name').string(),
    bits: fields.value_type?.oneOf(spelled<32 | 64>(VALUES)) ?? 64,
    maxKeys: fields.max_entry_count?.integer(1, 0xffff_ffff) ?? 4096,
    updatePolicy: fields.update_policy?.oneOf(spelled(UPDATES)) ?? 'per-event',
    ownership,
    deadProcesses: ownership === 'process' ? dead : null,
  };
};
