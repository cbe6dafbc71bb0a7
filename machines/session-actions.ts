/** The parameters of a session's actions, and the actions that many of its transitions share. */
import { type Refusal, refusal, refusalOf } from './refusal.ts';
import type { Id, Implied, Operation, SessionContext } from './session-setup.ts';

type Context = { readonly context: SessionContext };

export const id = ({ context }: Context): Id => ({ sessionId: context.sessionId });
export const request = ({ context }: Context) => ({ sessionId: context.sessionId, requestId: context.requestId });
export const promise = (operation: Operation) => (of: Context) => ({ ...request(of), operation });

export const take = {
  type: 'takeRequest',
  params: ({ event }: { event: { requestId: string } }) => ({ requestId: event.requestId }),
} as const;

export const late = (subject: string, ms: number): Refusal => refusal('timeout', { subject, ms });

/** The caller is told why its command was not carried out. */
export const refuse = (why: Refusal) =>
  ({ type: 'refuse', params: (of: Context) => ({ ...request(of), refusal: why }) }) as const;
export const refuseError = {
  type: 'refuse',
  params: ({ context, event }: Context & { event: { error: unknown } }) => ({
    ...request({ context }),
    refusal: refusalOf(event.error),
  }),
} as const;
export const refuseAtOnce = (code: string) =>
  ({
    type: 'refuse',
    params: ({ context, event }: Context & { event: { requestId: string } }) => ({
      sessionId: context.sessionId,
      requestId: event.requestId,
      refusal: refusal(code, { session: context.name }),
    }),
  }) as const;

export const log = (what: string) =>
  ({ type: 'logSession', params: ({ context }: Context) => ({ sessionId: context.sessionId, what }) }) as const;
export const logError = (what: string) =>
  ({
    type: 'logSession',
    params: ({ context, event }: Context & { event: { error: unknown } }) => ({
      sessionId: context.sessionId,
      what: `${what}: ${refusalOf(event.error).code} ${JSON.stringify(refusalOf(event.error).params)}`,
    }),
  }) as const;

export const answer = { type: 'answer', params: request } as const;
/** There is nothing to do first. */
export const answerAtOnce = {
  type: 'answer',
  params: ({ context, event }: Context & { event: { requestId: string } }) => ({
    sessionId: context.sessionId,
    requestId: event.requestId,
  }),
} as const;
export const rest = { type: 'reportRest', params: id } as const;
export const retract = (active: boolean) =>
  ({ type: 'retractPromise', params: (of: Context) => ({ ...request(of), active }) }) as const;
export const publish = (what: string) =>
  ({ type: 'publishSession', params: ({ context }: Context) => ({ sessionId: context.sessionId, what }) }) as const;
export const passForApplication = {
  type: 'includeApplication',
  params: ({ context, event }: Context & { event: { application: number } }) => ({
    sessionId: context.sessionId,
    application: event.application,
  }),
} as const;
export const passForAll = { type: 'includeAll', params: id } as const;

export const takeRecovered = {
  type: 'takeRequest',
  params: ({ event }: { event: { output: { requestId: string | null } } }) => ({ requestId: event.output.requestId }),
} as const;

export const rememberFault = {
  type: 'rememberFault',
  params: ({ event }: { event: { error: unknown } }) => ({ fault: refusalOf(event.error) }),
} as const;

export const implies = (state: Implied) =>
  ({
    type: 'implies',
    params: ({ event }: { event: { output: { implied: Implied } } }) => ({ implied: event.output.implied, state }),
  }) as const;

export const recovered = [takeRecovered, publish('recovered')] as const;
