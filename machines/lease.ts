/**
 * What a host prepared for an operation of the fleet: held until whoever asked says what becomes of it. A caller that dies in between
 * leaves nobody waiting, for the lease ends by itself; the session is then what any stopped one is, and keeps the rings that were made.
 */
import { setup } from 'xstate';
import { notProvided } from './not-provided.ts';

export type LeaseEvent =
  /** Whatever can fail is done: from now on a commit finds it. */
  { readonly type: 'Prepared' } | { readonly type: 'Committed' } | { readonly type: 'Aborted' };

export interface Lease {
  /** Chosen by the caller. */
  readonly operation: string;
  readonly session: string;
  /** The command that was prepared. */
  readonly command: string;
  /** How long it is held, from the moment when it was asked for or prepared. */
  readonly leaseMs: number;
}

/** For a commit's way from its caller; no lease is shorter. */
export const LEASE_MS = 10_000;
/** No lease is longer, whatever is asked for. */
const LEASE_MAX_MS = 15 * 60_000;

/**
 * So long a caller gathers what hosts prepare: the stall timer begins anew with each answer, and those that answered first hold what
 * they have meanwhile.
 */
export const prepareLimitMs = (stallMs: number): number => Math.min(3 * stallMs, LEASE_MAX_MS - LEASE_MS);

/** What that caller asks its hosts for. */
export const leaseFor = (stallMs: number): number => prepareLimitMs(stallMs) + LEASE_MS;

/** As asked for, within bounds. */
export const leaseOf = (asked: unknown): number =>
  typeof asked === 'number' && asked >= LEASE_MS ? Math.min(asked, LEASE_MAX_MS) : LEASE_MS;

const forget = {
  type: 'forgetLease',
  params: ({ context }: { context: Lease }) => ({ operation: context.operation }),
} as const;

export const leaseMachine = setup({
  types: { context: {} as Lease, events: {} as LeaseEvent, input: {} as Lease },
  actions: { forgetLease: notProvided<[unknown, { operation: string }]>('action forgetLease') },
  delays: {
    /** Longer than a preparation takes; one that waits for something else of the session is given up. */
    prepareTime: 30_000,
    leaseTime: ({ context }) => context.leaseMs,
  },
}).createMachine({
  id: 'lease',
  initial: 'preparing',
  context: ({ input }) => input,
  states: {
    // Nobody else prepares the session meanwhile. Who commits now went on without this host.
    preparing: {
      on: { Prepared: 'held', Committed: 'returned', Aborted: 'returned' },
      after: { prepareTime: 'returned' },
    },
    held: { on: { Committed: 'committed', Aborted: 'returned' }, after: { leaseTime: 'returned' } },
    committed: { type: 'final', entry: forget },
    returned: { type: 'final', entry: forget },
  },
});
