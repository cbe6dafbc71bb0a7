/** A command for many hosts, given over the bus: one message per phase, and an inbox for all answers. */
import { createActor, fromPromise, type InspectionEvent } from 'xstate';
import {
  type Answer,
  type FleetOperationContext,
  fleetOperationMachine,
  type Meant,
  type Phase,
} from '../machines/fleet-operation.ts';
import { entriesOf } from '../machines/fleet-roll.ts';
import { leaseFor } from '../machines/lease.ts';
import { parseSelector } from '../rules/selector.ts';
import { isFault } from '../transport/answers.ts';
import type { Body, Bus, Fault, Gathering } from '../transport/bus.ts';
import { FaultError } from '../transport/errors.ts';
import { type HostView, TWO_PHASE } from '../transport/fleet-messages.ts';
import { scatterSubject } from '../transport/subjects.ts';
import type { Clock } from './ports.ts';
import { faultOfRefusal, refuse, refusedBy, refusedFrom } from './refused.ts';

export interface FleetOperationParts {
  readonly bus: Pick<Bus, 'gather'>;
  readonly clock: Clock;
  /** Of the daemons that are meant. */
  readonly uid: number;
  readonly who: string;
  readonly operation: string;
  readonly name: string;
  readonly fields: Body;
  readonly selector: string;
  readonly all: boolean;
  readonly stallMs: number;
  hosts(): Promise<readonly HostView[]>;
  progress(answered: number, meant: number): void;
  /** For whoever watches machines. */
  readonly inspect?: (event: InspectionEvent) => void;
}

export interface HostReport {
  readonly host: string;
  readonly ok: boolean;
  readonly answer: Body | null;
  readonly error: Fault | null;
}

export interface OperationReport {
  readonly state: 'done' | 'partial' | 'failed';
  readonly hosts: readonly HostReport[];
}

const NO_FAULT = 'it has no code, message and hint';

const answerOf = (body: Body): Answer | null => {
  const { v: _v, id: _id, host, ok: _ok, error, ...rest } = body;
  if (typeof host !== 'string') return null;
  if (error === undefined || error === null) return { host, refusal: null, body: rest };
  const refused = isFault(error) ? refusedBy(error) : refuse('bad-message', { field: 'error', cause: NO_FAULT });
  return { host, refusal: refused.refusal, body: rest };
};

export const provideFleetOperation = (parts: FleetOperationParts, talk: { send(phase: Phase): void }) =>
  fleetOperationMachine.provide({
    actors: {
      findHosts: fromPromise<readonly Meant[], { selector: string }>(async () => {
        const selected = parseSelector(parts.selector);
        if (!selected.ok) {
          const { column, cause } = selected;
          throw refuse('selector-invalid', { selector: parts.selector, column, cause });
        }
        const hosts = await parts.hosts().catch((thrown: unknown) => {
          throw refusedFrom(thrown);
        });
        return hosts
          .filter((view) => view.state !== 'left' && selected.matches(view))
          .map(({ host, state }) => ({ host, reachable: state !== 'unreachable' }));
      }),
    },
    actions: {
      send: (_, { phase }) => talk.send(phase),
      showProgress: ({ context }) => {
        const { counts, size } = context.roll;
        parts.progress(size - counts.waiting - counts.prepared, size);
      },
    },
  });

const reportOf = (state: OperationReport['state'], { roll }: FleetOperationContext): OperationReport => ({
  state,
  hosts: [...entriesOf(roll)]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([host, result]) => ({
      host,
      ok: result.state === 'done',
      answer: result.state === 'done' ? result.body : null,
      error: result.refusal ? faultOfRefusal(result.refusal) : null,
    })),
});

const bodyOf = (parts: FleetOperationParts, phase: Phase, twoPhase: boolean): Body => ({
  v: 1,
  ...parts.fields,
  id: twoPhase ? `${parts.operation}.${phase}` : parts.operation,
  selector: parts.selector,
  operation: parts.operation,
  ...(twoPhase && { phase }),
  ...(twoPhase && phase === 'prepare' && { leaseMs: leaseFor(parts.stallMs) }),
});

/** What is heard in one turn is told at its end, phase by phase. */
const together = (tell: (phase: Phase, answers: readonly Answer[]) => void) => {
  const heard = new Map<Phase, Answer[]>();
  return (phase: Phase, answer: Answer): void => {
    if (heard.size === 0) {
      queueMicrotask(() => {
        const all = [...heard];
        heard.clear();
        for (const [of, answers] of all) tell(of, answers);
      });
    }
    const answers = heard.get(phase);
    if (answers) answers.push(answer);
    else heard.set(phase, [answer]);
  };
};

/** Resolves when every host answered, or the stall timer ended. Throws FaultError when nothing could be asked. */
export const runFleetOperation = (parts: FleetOperationParts): Promise<OperationReport> => {
  const twoPhase = TWO_PHASE.includes(parts.name);
  const [noun, verb] = parts.name.split('.') as [string, string];
  const subject = scatterSubject({ uid: parts.uid, who: parts.who, noun, verb });
  const { selector, all, stallMs } = parts;
  return new Promise((resolve, reject) => {
    let gathering: Gathering | null = null;
    const talk = {
      send: (phase: Phase) => void gathering?.ask(subject, bodyOf(parts, phase, twoPhase)),
    };
    const actor = createActor(provideFleetOperation(parts, talk), {
      input: { selector, twoPhase, all, stallMs },
      clock: parts.clock,
      ...(parts.inspect && { inspect: parts.inspect }),
    });
    const tell = together((phase, answers) => actor.send({ type: 'AnswersSeen', phase, answers }));
    gathering = parts.bus.gather((body) => {
      const answer = answerOf(body);
      const phase = (['prepare', 'abort'] as const).find((one) => body.id === `${parts.operation}.${one}`) ?? 'commit';
      if (answer && String(body.id).startsWith(parts.operation)) tell(phase, answer);
    });
    actor.subscribe({
      complete: () => {
        gathering?.stop();
        const { value, output } = actor.getSnapshot();
        if (output?.refusal) reject(new FaultError(faultOfRefusal(output.refusal)));
        else resolve(reportOf(value as OperationReport['state'], output!));
      },
      error: reject,
    });
    actor.start();
  });
};
