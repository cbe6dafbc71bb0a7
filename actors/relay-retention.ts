/**
 * What a relay lets go: sessions that ended, the oldest first, when they are too old or all together too large. Never one that is open,
 * that a viewer reads, or that may go on: its host may be cut off for long. It looks and removes in small steps, for links do not wait.
 */
import { renameSync, rmdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { directoriesIn, type Measured, measureBelow, removeBelow } from './files-below.ts';
import type { HeldSession } from './relay-listening.ts';
import type { RelayParts } from './relay-parts.ts';
import { RECORD, readRecord } from './relay-store.ts';

interface Held extends HeldSession, Measured {
  /** Of its record, which changes with each opening. */
  readonly stamp: string | null;
}

/** A session that never said that it ended is taken for one that did when nothing came of it for so long. */
const SILENT_MS = 30 * 24 * 3_600_000;

/** Before the name of what is being removed. */
const AWAY = '.evicted-';

const stampOf = (directory: string): string | null => {
  const status = statSync(join(directory, RECORD), { bigint: true, throwIfNoEntry: false });
  return status ? `${status.ino} ${status.mtimeNs}` : null;
};

/** What is wrong with one directory keeps none of the others. */
const complain = (parts: RelayParts, directory: string, thrown: unknown): false => {
  parts.ports.log.error('an old session cannot be removed', { directory, cause: String(thrown) });
  return false;
};

const orLogged = async (parts: RelayParts, directory: string, done: Promise<void>): Promise<void> => {
  await done.catch((thrown: unknown) => complain(parts, directory, thrown));
};

/** What a relay that died had begun to remove. */
const removeBegun = async (parts: RelayParts): Promise<void> => {
  for await (const group of directoriesIn(parts.settings.output)) {
    for await (const away of directoriesIn(group, AWAY)) await orLogged(parts, away, removeBelow(away));
  }
};

const lookAt = async (directory: string, held: Held[]): Promise<void> => {
  const [stamp, record] = [stampOf(directory), readRecord(directory)];
  if (record) held.push({ directory, record, stamp, ...(await measureBelow(directory)) });
};

const lookInto = async (parts: RelayParts, group: string, held: Held[]): Promise<void> => {
  for await (const directory of directoriesIn(group)) await orLogged(parts, directory, lookAt(directory, held));
};

const heldBelow = async (parts: RelayParts): Promise<Held[]> => {
  const held: Held[] = [];
  for await (const group of directoriesIn(parts.settings.output)) await orLogged(parts, group, lookInto(parts, group, held));
  return held.sort((a, b) => a.changedMs - b.changedMs);
};

/** As it is now, whatever it was when it was looked at. */
const isInUse = (parts: RelayParts, { directory, stamp }: Held): boolean =>
  [...parts.links.values()].some(({ store }) => store.base === directory) ||
  [...parts.viewers.values()].some(({ watches }) => watches.some(({ base }) => base === directory)) ||
  stampOf(directory) !== stamp;

/** Its name is free at once; its files go meanwhile. */
const remove = async ({ directory }: Held): Promise<void> => {
  const away = join(dirname(directory), `${AWAY}${basename(directory)}`);
  renameSync(directory, away);
  await removeBelow(away);
  try {
    rmdirSync(dirname(directory));
  } catch {
    // Others are in it.
  }
};

const evict = async (parts: RelayParts): Promise<void> => {
  const { retainBytes, retainAgeMs } = parts.settings;
  await removeBegun(parts);
  const held = await heldBelow(parts);
  let bytes = held.reduce((sum, one) => sum + one.bytes, 0);
  for (const one of held) {
    const age = parts.ports.clock.now() - one.changedMs;
    const tooOld = retainAgeMs > 0 && age > retainAgeMs;
    const tooMuch = retainBytes > 0 && bytes > retainBytes;
    if (!(one.record.closed || age > SILENT_MS) || !(tooOld || tooMuch) || isInUse(parts, one)) continue;
    parts.ports.disk.drop(one.directory);
    const isAway = await remove(one).then(
      () => true,
      (thrown: unknown) => complain(parts, one.directory, thrown),
    );
    if (!isAway) continue;
    bytes -= one.bytes;
    const { host, session, owner, link } = one.record;
    const why = { bytes: one.bytes, cause: tooOld ? 'age' : 'bytes' };
    parts.announce('evicted', { host, session, owner, link, directory: one.directory, ...why });
  }
};

/** One at a time, beside all else; what goes wrong is tried again with the next. */
export const evictOld = (parts: RelayParts): void => {
  const { retainBytes, retainAgeMs } = parts.settings;
  if ((retainBytes === 0 && retainAgeMs === 0) || parts.evicting) return;
  parts.evicting = evict(parts)
    .catch((thrown: unknown) => parts.ports.log.error('old sessions cannot be removed', { cause: String(thrown) }))
    .finally(() => {
      parts.evicting = null;
    });
};
