/** `$ctx.NAME`: what a thread is and where it stands, as native/ust/wire.h numbers it. */
import type { ContextType } from '../../machines/document.ts';

export interface FilterContext {
  readonly id: number;
  readonly kind: 'integer' | 'text';
}

const CONTEXTS: Readonly<Record<ContextType, FilterContext>> = {
  vpid: { id: 1, kind: 'integer' },
  vtid: { id: 2, kind: 'integer' },
  procname: { id: 3, kind: 'text' },
  pthread_id: { id: 4, kind: 'integer' },
  ip: { id: 5, kind: 'integer' },
  cpu_id: { id: 6, kind: 'integer' },
};

/** Of the kernel, or not recorded yet: known words, but an event of a program never has them. */
const ELSEWHERE: readonly string[] = [
  ...['pid', 'tid', 'ppid', 'vppid', 'prio', 'nice', 'hostname'],
  ...['interruptible', 'preemptible', 'need_reschedule', 'migratable', 'callstack_kernel', 'callstack_user'],
  ...['cgroup_ns', 'ipc_ns', 'mnt_ns', 'net_ns', 'pid_ns', 'time_ns', 'user_ns', 'uts_ns'],
  ...['uid', 'euid', 'suid', 'gid', 'egid', 'sgid', 'vuid', 'veuid', 'vsuid', 'vgid', 'vegid', 'vsgid'],
];

export const contextNamed = (name: string): FilterContext | null =>
  Object.hasOwn(CONTEXTS, name) ? CONTEXTS[name as ContextType] : null;

export const isContextElsewhere = (name: string): boolean => ELSEWHERE.includes(name);
export const CONTEXT_NAMES = Object.keys(CONTEXTS);
