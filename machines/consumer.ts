/**
 * The supervision of one owner's consumer process, in the session daemon. Rings and files are the process's own business; here
 * it is started, greeted, asked to flush, ended, and replaced when it dies.
 */
import { assign, fromPromise, setup, stateIn } from 'xstate';
import { notProvided } from './not-provided.ts';
import { type Refusal, refusal, refusalOf } from './refusal.ts';

export type ConsumerEvent =
  | { readonly type: 'FlushRequested'; readonly flush: number; readonly sessionId: string }
  | { readonly type: 'ConsumerExited'; readonly cause: string }
  /** The owner has no session any more, or has one again. */
  | { readonly type: 'EndRequested' }
  | { readonly type: 'ConsumerNeeded' }
  | { readonly type: 'BusCut' }
  | { readonly type: 'BusConnected' };

export interface ConsumerInput {
  readonly uid: number;
  readonly gid: number;
}

export interface Flush {
  readonly flush: number;
  readonly sessionId: string;
}

export interface ConsumerContext extends ConsumerInput {
  readonly pid: number | null;
  readonly needed: boolean;
  readonly attempts: number;
  readonly flushes: readonly Flush[];
  readonly refusal: Refusal | null;
}

const owner = ({ context }: { context: ConsumerContext }) => ({ uid: context.uid });
const kill = { type: 'killProcess', params: owner } as const;

const failedWith = {
  type: 'rememberFailure',
  params: ({ event }: { event: { error: unknown } }) => ({ refusal: refusalOf(event.error) }),
} as const;

const late = (subject: string, ms: number) =>
  ({ type: 'rememberFailure', params: { refusal: refusal('timeout', { subject, ms }) } }) as const;

const exited = {
  target: '#consumer.work.restarting',
  actions: {
    type: 'rememberFailure',
    params: ({ context, event }: { context: ConsumerContext; event: { cause: string } }) => ({
      refusal: refusal('consumer-failed', { owner: context.uid, cause: event.cause }),
    }),
  },
} as const;

export const consumerMachine = setup({
  types: {
    context: {} as ConsumerContext,
    events: {} as ConsumerEvent,
    input: {} as ConsumerInput,
  },
  actors: {
    spawnProcess: fromPromise<{ pid: number }, { uid: number; gid: number }>(notProvided('actor spawnProcess')),
    greetProcess: fromPromise<void, { uid: number }>(notProvided('actor greetProcess')),
    flushStreams: fromPromise<void, { uid: number; flush: Flush }>(notProvided('actor flushStreams')),
    endProcess: fromPromise<void, { uid: number }>(notProvided('actor endProcess')),
  },
  actions: {
    reportReady: notProvided<[unknown, { uid: number }]>('action reportReady'),
    reportLost: notProvided<[unknown, { uid: number; refusal: Refusal; flushes: readonly Flush[] }]>('action reportLost'),
    killProcess: notProvided<[unknown, { uid: number }]>('action killProcess'),
    forgetProcess: notProvided<[unknown, { uid: number }]>('action forgetProcess'),
    rememberPid: assign((_, params: { pid: number | null }) => ({ pid: params.pid })),
    rememberFailure: assign((_, params: { refusal: Refusal }) => ({ refusal: params.refusal })),
    rememberFlush: assign(({ context }, params: Flush) => ({ flushes: [...context.flushes, params] })),
    forgetFlush: assign(({ context }) => ({ flushes: context.flushes.slice(1) })),
    forgetFlushes: assign({ flushes: [], pid: null }),
    countAttempt: assign(({ context }) => ({ attempts: context.attempts + 1 })),
    succeed: assign({ attempts: 0, refusal: null }),
    rememberNeed: assign((_, params: { needed: boolean }) => ({ needed: params.needed })),
  },
  guards: {
    busIsCut: stateIn({ bus: 'cut' }),
    flushDue: ({ context }) => context.flushes.length > 0,
    isNeeded: ({ context }) => context.needed,
    isNotNeeded: ({ context }) => !context.needed,
  },
  delays: {
    spawnTimeout: 10_000,
    greetTimeout: 10_000,
    flushTimeout: 30_000,
    endTimeout: 5_000,
    rest: 1_000,
    killGrace: 2_000,
    /** 100 ms, doubled with each failure in a row, at most 5 s. */
    restartBackoff: ({ context }) => Math.min(100 * 2 ** Math.min(context.attempts, 16), 5_000),
  },
}).createMachine({
  id: 'consumer',
  type: 'parallel',
  context: ({ input }) => ({ ...input, pid: null, needed: true, attempts: 0, flushes: [], refusal: null }),
  states: {
    work: {
      initial: 'spawning',
      on: {
        FlushRequested: {
          actions: {
            type: 'rememberFlush',
            params: ({ event }) => ({ flush: event.flush, sessionId: event.sessionId }),
          },
        },
        EndRequested: { actions: { type: 'rememberNeed', params: { needed: false } } },
        ConsumerNeeded: { actions: { type: 'rememberNeed', params: { needed: true } } },
      },
      states: {
        spawning: {
          invoke: {
            id: 'spawnProcess',
            src: 'spawnProcess',
            input: ({ context }) => ({ uid: context.uid, gid: context.gid }),
            onDone: {
              target: 'attaching',
              actions: { type: 'rememberPid', params: ({ event }) => ({ pid: event.output.pid }) },
            },
            onError: { target: 'failed', actions: failedWith },
          },
          after: { spawnTimeout: { target: 'failed', actions: late('starting the consumer', 10_000) } },
        },
        attaching: {
          on: { ConsumerExited: exited },
          invoke: {
            id: 'greetProcess',
            src: 'greetProcess',
            input: owner,
            onDone: { target: 'consuming', actions: ['succeed', { type: 'reportReady', params: owner }] },
            onError: { target: 'failed', actions: failedWith },
          },
          after: {
            greetTimeout: [
              // Nobody can greet anybody without a bus; the process records on.
              { guard: 'busIsCut', target: 'attaching', reenter: true },
              { target: 'failed', actions: late('greeting the consumer', 10_000) },
            ],
          },
        },
        consuming: {
          always: [
            { guard: 'flushDue', target: 'flushing' },
            { guard: 'isNotNeeded', target: 'resting' },
          ],
          on: { ConsumerExited: exited },
        },
        // Who replaces a session destroys it and makes another: that one finds the process still there.
        resting: {
          always: { guard: 'isNeeded', target: 'consuming' },
          on: { ConsumerExited: 'stopped' },
          after: { rest: 'draining' },
        },
        flushing: {
          on: { ConsumerExited: exited },
          invoke: {
            id: 'flushStreams',
            src: 'flushStreams',
            input: ({ context }) => ({ uid: context.uid, flush: context.flushes[0]! }),
            onDone: { target: 'consuming', actions: 'forgetFlush' },
            onError: { target: 'failed', actions: failedWith },
          },
          after: {
            flushTimeout: [
              { guard: 'busIsCut', target: 'flushing', reenter: true },
              { target: 'failed', actions: late('flushing', 30_000) },
            ],
          },
        },
        // Until the process is gone: a successor must not find it on its way out.
        draining: {
          invoke: {
            id: 'endProcess',
            src: 'endProcess',
            input: owner,
            onDone: 'stopped',
            onError: { target: 'stopped', actions: kill },
          },
          after: { endTimeout: { target: 'stopped', actions: kill } },
        },
        // It may still live: a successor must not read the same rings beside it.
        failed: {
          entry: kill,
          on: { ConsumerExited: 'restarting' },
          after: { killGrace: 'restarting' },
        },
        restarting: {
          entry: [
            'countAttempt',
            {
              type: 'reportLost',
              params: ({ context }) => ({ uid: context.uid, refusal: context.refusal!, flushes: context.flushes }),
            },
            'forgetFlushes',
          ],
          after: { restartBackoff: 'spawning' },
        },
        stopped: {
          entry: [
            { type: 'forgetProcess', params: owner },
            { type: 'rememberPid', params: { pid: null } },
          ],
          always: { guard: 'isNeeded', target: 'spawning' },
        },
      },
    },
    bus: {
      initial: 'connected',
      states: {
        connected: { on: { BusCut: 'cut' } },
        cut: { on: { BusConnected: 'connected' } },
      },
    },
  },
});
