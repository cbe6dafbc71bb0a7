/** What a relay lets go: sessions that ended, the oldest first, when they are too old or all together too large. Never one that is open. */
import { lstatSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type HeldSession, sessionsBelow } from './relay-listening.ts';
import type { RelayParts } from './relay-parts.ts';

interface Held extends HeldSession {
  readonly bytes: number;
  /** When something of it changed last. */
  readonly changedMs: number;
}

const measure = (directory: string): { bytes: number; changedMs: number } => {
  let bytes = 0;
  let changedMs = 0;
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const status = lstatSync(join(directory, name), { throwIfNoEntry: false });
    if (!status?.isFile()) continue;
    bytes += status.size;
    changedMs = Math.max(changedMs, status.mtimeMs);
  }
  return { bytes, changedMs };
};

const heldBelow = (output: string): Held[] =>
  sessionsBelow(output).map((session) => ({ ...session, ...measure(session.directory) }));

const remove = ({ directory }: Held): void => {
  rmSync(directory, { recursive: true, force: true });
  try {
    rmdirSync(dirname(directory));
  } catch {
    // Others are in it.
  }
};

export const evictOld = (parts: RelayParts): void => {
  const { output, retainBytes, retainAgeMs } = parts.settings;
  if (retainBytes === 0 && retainAgeMs === 0) return;
  const open = new Set([...parts.links.values()].map(({ store }) => store.base));
  const held = heldBelow(output).sort((a, b) => a.changedMs - b.changedMs);
  let bytes = held.reduce((sum, one) => sum + one.bytes, 0);
  for (const one of held) {
    const tooOld = retainAgeMs > 0 && parts.ports.clock.now() - one.changedMs > retainAgeMs;
    const tooMuch = retainBytes > 0 && bytes > retainBytes;
    if (open.has(one.directory) || !(tooOld || tooMuch)) continue;
    parts.ports.disk.drop(one.directory);
    remove(one);
    bytes -= one.bytes;
    const { host, session, owner, link } = one.record;
    const why = { bytes: one.bytes, cause: tooOld ? 'age' : 'bytes' };
    parts.announce('evicted', { host, session, owner, link, directory: one.directory, ...why });
  }
};
