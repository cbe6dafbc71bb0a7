/** Refusals of machines and faults of the bus: the same failure, before and after its sentence was made. */
import { type Refusal, refusal } from '../machines/refusal.ts';
import type { Fault } from '../transport/bus.ts';
import { type FaultCode, FaultError, type FaultParams, fault, isFaultCode } from '../transport/errors.ts';

/** What promises of actors are rejected with when something expected failed (machines/refusal.ts reads `refusal`). */
export class Refused extends Error {
  readonly refusal: Refusal;

  constructor(why: Refusal) {
    super(`${why.code} ${JSON.stringify(why.params)}`);
    this.name = 'Refused';
    this.refusal = why;
  }
}

export const refuse = <C extends FaultCode>(code: C, params: FaultParams<C>): Refused =>
  new Refused(refusal(code, params as Refusal['params']));

/** A fault that somebody else reported keeps its words. */
export const refusedBy = (reason: Fault): Refused =>
  new Refused(refusal(reason.code, { message: reason.message, hint: reason.hint }));

export const refusedFrom = (thrown: unknown): Refused => {
  if (thrown instanceof Refused) return thrown;
  if (thrown instanceof FaultError) return refusedBy(thrown.fault);
  return refuse('internal', { cause: thrown instanceof Error ? thrown.message : String(thrown) });
};

export const faultOfRefusal = ({ code, params }: Refusal): Fault => {
  const { message, hint } = params;
  if (typeof message === 'string' && typeof hint === 'string') return { code, message, hint };
  if (!isFaultCode(code)) return fault('internal', { cause: `${code} ${JSON.stringify(params)}` });
  return fault(code, params as never);
};
