/**
 * Context types: their spellings, what each is on the wire (native/ust/wire.h), and under which name it lies in a record. A type is
 * kept as the user spelled it, because the field is called after that; two spellings of one counter are the same context.
 */
import type { ContextType, FieldType, FixedContext, IntegerType } from './document.ts';

const signed32: IntegerType = { bits: 32, signed: true, reverse: false, base: 10 };
const unsigned32: IntegerType = { ...signed32, signed: false };
const unsigned64: IntegerType = { ...unsigned32, bits: 64 };

const integer = (type: IntegerType): FieldType => ({ kind: 'integer', integer: type });
const text: FieldType = { kind: 'array', length: 17, text: true, element: { ...signed32, bits: 8 } };

/** Number on the wire, and how the value lies in a record. */
const FIXED: Readonly<Record<FixedContext, readonly [wire: number, type: FieldType]>> = {
  vpid: [1, integer(signed32)],
  vtid: [2, integer(signed32)],
  procname: [3, text],
  pthread_id: [4, integer(unsigned64)],
  ip: [5, integer(unsigned64)],
  cpu_id: [6, integer(signed32)],
  cgroup_ns: [7, integer(unsigned64)],
  ipc_ns: [8, integer(unsigned64)],
  mnt_ns: [9, integer(unsigned64)],
  net_ns: [10, integer(unsigned64)],
  pid_ns: [11, integer(unsigned64)],
  time_ns: [12, integer(unsigned64)],
  user_ns: [13, integer(unsigned64)],
  uts_ns: [14, integer(unsigned64)],
  vuid: [15, integer(unsigned32)],
  veuid: [16, integer(unsigned32)],
  vsuid: [17, integer(unsigned32)],
  vgid: [18, integer(unsigned32)],
  vegid: [19, integer(unsigned32)],
  vsgid: [20, integer(unsigned32)],
};

export const FIXED_CONTEXTS = Object.keys(FIXED) as readonly FixedContext[];

/** Those that only the kernel can record. */
const KERNEL: readonly string[] = [
  ...['pid', 'tid', 'ppid', 'vppid', 'prio', 'nice', 'hostname'],
  ...['interruptible', 'preemptible', 'need_reschedule', 'migratable', 'callstack-kernel', 'callstack-user'],
  ...['uid', 'euid', 'suid', 'gid', 'egid', 'sgid'],
];

/** As linux/perf_event.h numbers them: struct perf_event_attr's type and config. */
export interface Counter {
  readonly type: number;
  readonly config: bigint;
}

const HARDWARE = 0;
const SOFTWARE = 1;
const CACHE = 3;
const RAW = 4;

const numbered = (type: number, spellings: readonly (readonly string[])[]): [string, Counter][] =>
  spellings.flatMap((names, config) => names.map((name): [string, Counter] => [name, { type, config: BigInt(config) }]));

/** Operation and result in one word each; not every cache has all. */
const ACCESSES = ['loads', 'load-misses', 'stores', 'store-misses', 'prefetches', 'prefetch-misses'];
const cache = (name: string, number: number, accesses: number): [string, Counter][] =>
  ACCESSES.slice(0, accesses).map((access, at) => [
    `${name}-${access}`,
    { type: CACHE, config: BigInt(number | ((at >> 1) << 8) | ((at & 1) << 16)) },
  ]);

const COUNTERS: ReadonlyMap<string, Counter> = new Map([
  ...numbered(HARDWARE, [
    ['cpu-cycles', 'cycles'],
    ['instructions'],
    ['cache-references'],
    ['cache-misses'],
    ['branch-instructions', 'branches'],
    ['branch-misses'],
    ['bus-cycles'],
    ['stalled-cycles-frontend', 'idle-cycles-frontend'],
    ['stalled-cycles-backend', 'idle-cycles-backend'],
  ]),
  ...cache('L1-dcache', 0, 6),
  ...cache('L1-icache', 1, 6),
  ...cache('LLC', 2, 6),
  ...cache('dTLB', 3, 6),
  ...cache('iTLB', 4, 2),
  ...cache('branch', 5, 2),
  ...numbered(SOFTWARE, [
    ['cpu-clock'],
    ['task-clock'],
    ['page-fault', 'faults'],
    ['context-switches', 'cs'],
    ['cpu-migrations', 'migrations'],
    ['minor-faults'],
    ['major-faults'],
    ['alignment-faults'],
    ['emulation-faults'],
  ]),
]);

/** `perf:thread:NAME`, `perf:NAME` (the same, in the old spelling) and `perf:thread:raw:rHEX:NAME`; null: not one of threads. */
export const counterOf = (context: string): Counter | null => {
  const raw = /^perf:(?:thread:)?raw:r([0-9a-fA-F]{1,16}):[\w-]+$/.exec(context)?.[1];
  if (raw !== undefined) return { type: RAW, config: BigInt(`0x${raw}`) };
  const name = /^perf:(?:thread:)?([\w-]+)$/.exec(context)?.[1];
  return (name !== undefined && COUNTERS.get(name)) || null;
};

/** `PROVIDER:NAME` of `$app.PROVIDER:NAME`. */
export const applicationContext = (context: string): string | null => {
  const name = /^\$app\.([^:\p{Cc}]+:[^\p{Cc}]+)$/u.exec(context)?.[1];
  return name !== undefined && new TextEncoder().encode(name).length <= 255 ? name : null;
};

export const isFixedContext = (context: string): context is FixedContext => Object.hasOwn(FIXED, context);

export const isContextType = (context: string): context is ContextType =>
  isFixedContext(context) || counterOf(context) !== null || applicationContext(context) !== null;

/** Known, but of another domain: nobody records it with the events of a program. */
export const isKernelContext = (context: string): boolean => {
  if (KERNEL.includes(context)) return true;
  const counter = /^perf:cpu:(.+)$/.exec(context)?.[1];
  return counter !== undefined && counterOf(`perf:thread:${counter}`) !== null;
};

/** Equal for spellings of the same context. */
export const contextIdentity = (context: ContextType): string => {
  const counter = counterOf(context);
  return counter ? `perf ${counter.type} ${counter.config}` : context;
};

/** As it lies in a record. `application`: a tag and the value that it names. */
export const contextLayout = (context: ContextType): FieldType | { readonly kind: 'application' } => {
  if (isFixedContext(context)) return FIXED[context][1];
  return counterOf(context) ? integer(unsigned64) : { kind: 'application' };
};

/** In records the application's come last (native/ust/channel.c). */
export const recordOrder = (contexts: readonly ContextType[]): readonly ContextType[] => [
  ...contexts.filter((one) => applicationContext(one) === null),
  ...contexts.filter((one) => applicationContext(one) !== null),
];

/** The field's name in the trace. */
export const contextField = (context: ContextType): string => context.replaceAll(/\W/g, '_');

/** Its number on the wire, where the name is all there is to say. */
export const fixedNumber = (context: FixedContext): number => FIXED[context][0];

/** A spelling of the counter; null: it has none. */
export const counterSpelling = ({ type, config }: Counter): ContextType | null => {
  if (type === RAW) return `perf:thread:raw:r${config.toString(16)}:raw`;
  const known = [...COUNTERS].find(([, counter]) => counter.type === type && counter.config === config);
  return known ? `perf:thread:${known[0]}` : null;
};

/** Every spelling that add-context knows, of all domains; `rHEX`, `NAME`, `PROVIDER` and `TYPE` stand for the user's own. */
export const CONTEXT_SPELLINGS: readonly string[] = [
  ...KERNEL,
  ...FIXED_CONTEXTS,
  ...['perf:cpu', 'perf:thread', 'perf'].flatMap((prefix) => [...COUNTERS.keys()].map((name) => `${prefix}:${name}`)),
  ...['perf:cpu', 'perf:thread'].map((prefix) => `${prefix}:raw:rHEX:NAME`),
  '$app.PROVIDER:TYPE',
];
