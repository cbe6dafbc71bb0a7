/** The effects of a freeze in the consumer: the stores that stop the rings, what it is said to others, the note beside the copy. */
import { join } from 'node:path';
import { type Freeze, freezeMachine } from '../machines/freeze.ts';
import type { BusMessage } from '../transport/bus.ts';
import { FREEZE_NOTE, type FreezeNote, freezeMessage } from '../transport/freeze-message.ts';
import { parseMessage } from '../transport/schema.ts';
import { parseFreezeSubject } from '../transport/subjects.ts';
import type { ConsumerProcessParts } from './consumer-process.ts';

/** The rings end it by themselves after as long. */
const HOLD_MS = 5_000;

interface Noted {
  readonly freeze: Freeze;
  readonly path: string;
  aliases: readonly string[];
  more: number;
  complete: boolean;
}

export class FreezeNotes {
  readonly #parts: ConsumerProcessParts;
  /** By session: the freeze whose copy is under way or was made last, and where the rings stood still. */
  readonly #noted = new Map<string, Noted>();
  readonly #frozenAt = new Map<string, bigint>();
  /** By session, too: of a copy that has not ended. Its rings may be gone before it does. */
  readonly #open = new Map<string, { readonly path: string; readonly note: FreezeNote }>();

  constructor(parts: ConsumerProcessParts) {
    this.#parts = parts;
  }

  frozen(sessionId: string): void {
    this.#frozenAt.set(sessionId, this.#parts.ports.monotonicNs());
  }

  /** The copy goes to `path`. */
  begin(sessionId: string, path: string): void {
    const context = this.#parts.freeze(sessionId)?.getSnapshot().context;
    if (!context?.freeze) return;
    const { freeze, aliases, more } = context;
    this.#noted.set(sessionId, { freeze, path, aliases, more, complete: false });
    this.#write(sessionId);
  }

  /** All that belongs to the copy is there. */
  complete(sessionId: string, path: string): void {
    const open = this.#open.get(sessionId);
    if (open?.path !== path) return;
    this.#open.delete(sessionId);
    const noted = this.#noted.get(sessionId);
    if (noted?.path === path) noted.complete = true;
    this.#put(path, { ...open.note, complete: true });
  }

  alias(sessionId: string, freeze: Freeze, aliases: readonly string[], more: number): void {
    const noted = this.#noted.get(sessionId);
    if (noted?.freeze.id !== freeze.id) return;
    noted.aliases = aliases;
    noted.more = more;
    this.#write(sessionId);
  }

  /** The copy in this directory may get further names. */
  mayGrow(path: string): boolean {
    const [found] = [...this.#noted].filter(([, noted]) => noted.path === path);
    const snapshot = found && this.#parts.freeze(found[0])?.getSnapshot();
    const names = snapshot?.value === 'copying' || snapshot?.value === 'resting';
    return names && snapshot.context.freeze?.id === found?.[1].freeze.id;
  }

  forget(sessionId: string): void {
    this.#noted.delete(sessionId);
    this.#frozenAt.delete(sessionId);
  }

  #write(sessionId: string): void {
    const { freeze, path, aliases, more, complete } = this.#noted.get(sessionId)!;
    const { ports, access, streams } = this.#parts;
    const session = streams.of(sessionId)[0]?.attach.sessionName ?? '';
    const { id, atNs, trigger, host: seenBy } = freeze;
    // Beside the time of the event, which is real time too: hosts have no other one in common.
    const frozenAtNs = String((this.#frozenAt.get(sessionId) ?? 0n) + ports.clockOffsetNs());
    const note: FreezeNote = {
      v: 1,
      id,
      aliases: [...aliases],
      ...(more > 0 && { more }),
      host: access?.host ?? '',
      session,
      seenBy,
      trigger,
      atNs,
      frozenAtNs,
      complete,
    };
    if (!complete) this.#open.set(sessionId, { path, note });
    this.#put(path, note);
  }

  #put(path: string, note: FreezeNote): void {
    const { ports } = this.#parts;
    try {
      ports.writeNote(join(path, FREEZE_NOTE), `${JSON.stringify(note)}\n`);
    } catch (thrown) {
      ports.log.error('the note of a freeze cannot be written', { path, cause: String(thrown) });
    }
  }
}

/** Sessions are told apart here: a host's leaf hears freezes of all, or none. */
export const hearFreeze = (parts: ConsumerProcessParts, { subject, body }: BusMessage): void => {
  const address = parseFreezeSubject(subject);
  const message = parseMessage(freezeMessage, body);
  if (!address || !message.ok || address.uid !== String(parts.access?.uid)) return;
  const { id, atNs, owner, postMs, trigger } = message.value;
  if (String(owner) !== parts.ports.owner) return;
  const entry = parts.streams.all().find(({ attach }) => attach.sessionName === address.session);
  if (!entry) return;
  // What concerns the others' sessions the session daemon says (fleet-freeze.ts).
  if (address.host !== parts.access?.host && entry.attach.othersFreeze !== true) return;
  const freeze: Freeze = { id, atNs, postMs, trigger, host: address.host };
  parts.root.send({ type: 'FreezeReceived', sessionId: entry.attach.session, freeze });
};

const freezeRings = (parts: ConsumerProcessParts, sessionId: string, ms: number): void => {
  for (const { reader } of parts.streams.of(sessionId)) reader?.freeze(ms);
};

export const provideFreeze = (parts: ConsumerProcessParts) =>
  freezeMachine.provide({
    actions: {
      holdRings: (_, { sessionId }) => {
        freezeRings(parts, sessionId, HOLD_MS);
        parts.freezes.frozen(sessionId);
      },
      liftRings: (_, { sessionId }) => freezeRings(parts, sessionId, 0),
      publishFreeze: (_, { sessionId, freeze, aliases, more, what }) => {
        const session = parts.streams.of(sessionId)[0]?.attach.sessionName ?? '';
        const { id, atNs } = freeze;
        parts.tell('freeze', session, what, { session: sessionId, id, atNs, aliases: [...aliases], ...(more > 0 && { more }) });
      },
      noteAliases: (_, { sessionId, freeze, aliases, more }) => parts.freezes.alias(sessionId, freeze, aliases, more),
      reportGone: (_, { sessionId }) => {
        parts.freezes.forget(sessionId);
        parts.root.send({ type: 'FreezeForgotten', sessionId });
      },
    },
  });
