/** Whether a session records a process at all. Every tracker must include it. */
import type { SessionDocument, Tracker } from '../machines/document.ts';
import { trackersOf } from '../machines/tracker-edits.ts';

/** What the kernel and HELLO say of it: its pid where it lives, and who it was when it connected. */
export interface Tracked {
  readonly vpid: number;
  readonly uid: number;
  readonly gid: number;
}

const includes = (tracker: Tracker, id: number): boolean => tracker === 'all' || tracker.some((value) => value.id === id);

export const isTracked = (document: SessionDocument, { vpid, uid, gid }: Tracked): boolean => {
  const trackers = trackersOf(document);
  return includes(trackers.vpid, vpid) && includes(trackers.vuid, uid) && includes(trackers.vgid, gid);
};
