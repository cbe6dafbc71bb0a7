/** What a change of the destination does to a session document. Pure: the caller writes the result. */
import type { Edited } from './channel-edits.ts';
import type { Destination, NetworkDocument, SessionDocument } from './document.ts';
import { refusal } from './refusal.ts';
import type { Moment } from './rotation-edits.ts';
import { freshClock } from './session-clock.ts';

/** Where the traces of a stopped session go from its next start on. */
export interface OutputWanted {
  /** Null: they stay on this host. */
  readonly destination: Destination | null;
  /** The trace, or the spool of the link. */
  readonly path: string;
  /** Names the new link, 32 hex digits: at the relay it is a trace of its own. */
  readonly link: string;
}

export interface RedirectAnswer {
  readonly path: string;
}

const networkOf = ({ network }: SessionDocument, { destination, link }: OutputWanted, since: string): NetworkDocument | null =>
  destination && {
    ...{ liveTimerUs: null, compress: false, spoolLimit: null },
    ...network,
    ...{ destination, link, since },
  };

/** A new trace begins there; what was recorded stays where it is. */
export const redirectOutput = (document: SessionDocument, wanted: OutputWanted, moment: Moment): Edited<RedirectAnswer> => {
  const { name: session, output, active, everStarted, nextChunk } = document;
  if (active) return { ok: false, refusal: refusal('session-active', { session }) };
  if (output.kind === 'none') return { ok: false, refusal: refusal('output-none', { session }) };
  const { path } = wanted;
  if (output.path === path) return { ok: false, refusal: refusal('output-same', { session, path }) };
  const { localTime: beganAt, bytes: bytesBefore } = moment;
  const chunk = { id: nextChunk, beganAt, directory: '', bytesBefore, cleared: everStarted };
  const begun = { chunk, nextChunk: nextChunk + 1, archives: 0, lastArchive: null };
  const network = networkOf(document, wanted, beganAt);
  const clock = freshClock(document.clock, moment.clock);
  return { ok: true, document: { ...document, output: { kind: 'local', path }, clock, network, ...begun }, answer: { path } };
};
