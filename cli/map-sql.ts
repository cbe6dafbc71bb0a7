/** Map channels as an SQL script for sqlite. Pure. */
import type { MapView } from '../transport/map-messages.ts';

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

const TABLES = [
  "CREATE TABLE channels (id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL CHECK (type IN ('kernel', 'user')), UNIQUE (name, type));",
  'CREATE TABLE groups (id INTEGER PRIMARY KEY, channel_id INTEGER NOT NULL REFERENCES channels (id), ' +
    "type TEXT NOT NULL CHECK (type IN ('kernel-global', 'user-per-user', 'user-per-process', 'shared')), " +
    'owner_id INTEGER, owner_name TEXT, ' +
    "value_type TEXT NOT NULL CHECK (value_type IN ('signed-int-32', 'signed-int-64')), " +
    "CHECK ((owner_id IS NULL) = (type IN ('kernel-global', 'shared'))));",
  'CREATE TABLE keys (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);',
  'CREATE TABLE entries (group_id INTEGER NOT NULL REFERENCES groups (id), part_id INTEGER, ' +
    'key_id INTEGER NOT NULL REFERENCES keys (id), value INTEGER NOT NULL, has_overflow INTEGER NOT NULL CHECK (has_overflow IN (0, 1)));',
  'CREATE VIEW vmap AS SELECT channels.name AS channel_name, channels.type AS channel_type, groups.type AS group_type, ' +
    'groups.owner_id AS owner_id, groups.owner_name AS owner_name, groups.value_type AS value_type, entries.part_id AS part_id, ' +
    'keys.name AS key, entries.value AS value, entries.has_overflow AS has_overflow FROM entries ' +
    'JOIN groups ON groups.id = entries.group_id JOIN channels ON channels.id = groups.channel_id ' +
    'JOIN keys ON keys.id = entries.key_id;',
];

/** Entries that are 0 are left out. */
export const mapScript = (maps: readonly MapView[], nameOf: (uid: number) => string): readonly string[] => {
  const keys = new Map<string, number>();
  for (const key of maps.flatMap((map) => map.keys)) if (!keys.has(key)) keys.set(key, keys.size + 1);
  let groupId = 0;
  const rows = maps.flatMap((map, at) => [
    `INSERT INTO channels VALUES (${at + 1}, ${quoted(map.name)}, 'user');`,
    ...map.groups.flatMap(({ uid, process, entries }) => {
      const id = ++groupId;
      const [type, owner] = process
        ? ['user-per-process', `${process.pid}, ${quoted(process.procname)}`]
        : uid === null
          ? ['shared', 'NULL, NULL']
          : ['user-per-user', `${uid}, ${quoted(nameOf(uid))}`];
      return [
        `INSERT INTO groups VALUES (${id}, ${at + 1}, '${type}', ${owner}, 'signed-int-${map.bits}');`,
        ...entries.map(
          ([cpu, key, value, overflow]) =>
            `INSERT INTO entries VALUES (${id}, ${cpu ?? 'NULL'}, ${keys.get(map.keys[key]!)}, ${value}, ${overflow ? 1 : 0});`,
        ),
      ];
    }),
  ]);
  const names = [...keys].map(([key, id]) => `INSERT INTO keys VALUES (${id}, ${quoted(key)});`);
  return ['BEGIN;', ...TABLES, ...names, ...rows, 'COMMIT;'];
};
