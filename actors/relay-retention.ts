/**
 * What a relay lets go: sessions that ended, the oldest first, when they are too old or all together too large. Never one that is open,
 * nor one that may go on: its host may be cut off for long.
 */
import { renameSync, rmdirSync } from 'node:fs';
import { lstat, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type HeldSession, sessionsBelow } from './relay-listening.ts';
import type { RelayParts } from './relay-parts.ts';

interface Held extends HeldSession {
  readonly bytes: number;
  /** When something of it changed last. */
  readonly changedMs: number;
}

/** A session that never said that it ended is taken for one that did when nothing came of it for so long. */
const SILENT_MS = 30 * 24 * 3_600_000;

/** Of what is there; it may go meanwhile. */
const measure = async (directory: string): Promise<{ bytes: number; changedMs: number }> => {
  let bytes = 0;
  let changedMs = 0;
  for (const name of await readdir(directory, { recursive: true, encoding: 'utf8' })) {
    const status = await lstat(join(directory, name)).catch(() => null);
    if (!status?.isFile()) continue;
    bytes += status.size;
    changedMs = Math.max(changedMs, status.mtimeMs);
  }
  return { bytes, changedMs };
};

const AWAY = '.evicted';

/** What a relay that died had begun to remove. */
const removeBegun = async (output: string): Promise<void> => {
  for (const group of await readdir(output))
    await rm(join(output, group, AWAY), { recursive: true, force: true }).catch(() => {});
};

/** Its name is free at once; its files go meanwhile. */
const remove = async ({ directory }: Held): Promise<void> => {
  const away = join(dirname(directory), AWAY);
  renameSync(directory, away);
  await rm(away, { recursive: true, force: true });
  try {
    rmdirSync(dirname(directory));
  } catch {
    // Others are in it.
  }
};

const evict = async (parts: RelayParts): Promise<void> => {
  const { output, retainBytes, retainAgeMs } = parts.settings;
  await removeBegun(output);
  const held: Held[] = [];
  for (const session of sessionsBelow(output)) held.push({ ...session, ...(await measure(session.directory)) });
  held.sort((a, b) => a.changedMs - b.changedMs);
  let bytes = held.reduce((sum, one) => sum + one.bytes, 0);
  for (const one of held) {
    const age = parts.ports.clock.now() - one.changedMs;
    const tooOld = retainAgeMs > 0 && age > retainAgeMs;
    const tooMuch = retainBytes > 0 && bytes > retainBytes;
    const isOpen = [...parts.links.values()].some(({ store }) => store.base === one.directory);
    if (isOpen || !(one.record.closed || age > SILENT_MS) || !(tooOld || tooMuch)) continue;
    parts.ports.disk.drop(one.directory);
    await remove(one);
    bytes -= one.bytes;
    const { host, session, owner, link } = one.record;
    const why = { bytes: one.bytes, cause: tooOld ? 'age' : 'bytes' };
    parts.announce('evicted', { host, session, owner, link, directory: one.directory, ...why });
  }
};

const busy = new WeakSet<RelayParts>();

/** One at a time, beside all else; what goes wrong is tried again with the next. */
export const evictOld = (parts: RelayParts): void => {
  const { retainBytes, retainAgeMs } = parts.settings;
  if ((retainBytes === 0 && retainAgeMs === 0) || busy.has(parts)) return;
  busy.add(parts);
  evict(parts)
    .catch((thrown: unknown) => parts.ports.log.error('old sessions cannot be removed', { cause: String(thrown) }))
    .finally(() => busy.delete(parts));
};
