/** What track and untrack name, as numbers: the daemon's user database decides whom a name means. */
import type { TrackedAttribute, TrackedValue } from '../machines/document.ts';
import type { Host } from './ports.ts';
import { refuse } from './refused.ts';

const ID_MAX = 0xffff_ffff;
const DATABASES = { vpid: null, vuid: 'user', vgid: 'group' } as const;

/** Throws `tracker-value-unknown`. */
export const trackedValues = (host: Host, attribute: TrackedAttribute, words: readonly string[]): readonly TrackedValue[] =>
  words.map((word) => {
    const number = /^\d{1,10}$/.test(word) ? Number(word) : null;
    if (number !== null && number <= ID_MAX) return { id: number, name: null };
    const database = DATABASES[attribute];
    const id = database === null || number !== null ? null : host.idOf(database, word);
    if (id === null) throw refuse('tracker-value-unknown', { value: word, what: database ?? 'process id' });
    return { id, name: word };
  });
