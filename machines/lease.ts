/**
 * What a host prepared for an operation of the fleet: held until whoever asked says what becomes of it. A caller that dies in between
 * leaves nothing behind, for the lease ends by itself.
 */
import { setup } from 'xstate';
import { notProvided } from './not-provided.ts';

export type LeaseEvent = { readonly type: 'Committed' } | { readonly type: 'Aborted' };

export interface Lease {
  /** Chosen by the caller. */
  readonly operation: string;
  readonly session: string;
  /** The command that was prepared. */
  readonly command: string;
  readonly untilMs: number;
}

export const LEASE_MS = 10_000;

const forget = {
  type: 'forgetLease',
  params: ({ context }: { context: Lease }) => ({ operation: context.operation }),
} as const;

export const leaseMachine = setup({
  types: { context: {} as Lease, events: {} as LeaseEvent, input: {} as Lease },
  actions: { forgetLease: notProvided<[unknown, { operation: string }]>('action forgetLease') },
  delays: { leaseTime: LEASE_MS },
}).createMachine({
  id: 'lease',
  initial: 'held',
  context: ({ input }) => input,
  states: {
    held: { on: { Committed: 'committed', Aborted: 'returned' }, after: { leaseTime: 'returned' } },
    committed: { type: 'final', entry: forget },
    returned: { type: 'final', entry: forget },
  },
});
