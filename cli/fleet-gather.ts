/** A question to all hosts of a fleet, straight at the fleet. */
import { randomUUID } from 'node:crypto';
import type { Body, Bus } from '../transport/bus.ts';
import { scatterSubject } from '../transport/subjects.ts';

/** Hosts answer at once; whoever is later than this after the others is shown by the next call. */
const QUIET_MS = 400;
const LISTEN_MS = 1_000;
const LOOK_MS = 20;

export interface Question {
  readonly uid: number;
  readonly who: string;
  /** NOUN.VERB */
  readonly name: string;
  readonly fields: Body;
  /** How long nobody has to answer any more. */
  readonly quietMs?: number;
}

/** `heard`: whether it was an answer. */
export const askAll = async (bus: Bus, question: Question, heard: (body: Body) => boolean): Promise<void> => {
  const { uid, who, name, fields, quietMs = QUIET_MS } = question;
  // Silence is counted in looks, each after all that had arrived was heard: a process that is held up is not deaf for it.
  const turns = (ms: number): number => Math.ceil(ms / LOOK_MS);
  let looks = 0;
  let last = 0;
  let answered = false;
  const gathering = bus.gather((body) => {
    if (!heard(body)) return;
    answered = true;
    last = looks;
  });
  const [noun, verb] = name.split('.') as [string, string];
  gathering.ask(scatterSubject({ uid, who, noun, verb }), { v: 1, id: randomUUID(), selector: '*', ...fields });
  for (; looks - last < turns(quietMs) || (!answered && looks < turns(LISTEN_MS)); looks++) {
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
  gathering.stop();
};
