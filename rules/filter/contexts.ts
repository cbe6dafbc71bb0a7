/** `$ctx.NAME`: what a thread is and where it stands, as native/ust/wire.h numbers it. */
import { FIXED_CONTEXTS, fixedNumber, isFixedContext } from '../../machines/contexts.ts';

export interface FilterContext {
  readonly id: number;
  readonly kind: 'integer' | 'text';
}

/** Of the kernel: known words, but an event of a program never has them. */
const ELSEWHERE: readonly string[] = [
  ...['pid', 'tid', 'ppid', 'vppid', 'prio', 'nice', 'hostname'],
  ...['interruptible', 'preemptible', 'need_reschedule', 'migratable', 'callstack_kernel', 'callstack_user'],
  ...['uid', 'euid', 'suid', 'gid', 'egid', 'sgid'],
];

export const contextNamed = (name: string): FilterContext | null =>
  isFixedContext(name) ? { id: fixedNumber(name), kind: name === 'procname' ? 'text' : 'integer' } : null;

export const isContextElsewhere = (name: string): boolean => ELSEWHERE.includes(name);
export const CONTEXT_NAMES: readonly string[] = FIXED_CONTEXTS;
