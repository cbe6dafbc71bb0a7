/** A question to all hosts of a fleet, straight at the fleet. */
import { randomUUID } from 'node:crypto';
import type { Body, Bus } from '../transport/bus.ts';
import { scatterSubject } from '../transport/subjects.ts';

/** Hosts answer at once; whoever is later than this after the others is shown by the next call. */
const QUIET_MS = 400;
const LISTEN_MS = 1_000;

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
  const begin = Date.now();
  let last = begin;
  let answered = false;
  const gathering = bus.gather((body) => {
    if (!heard(body)) return;
    answered = true;
    last = Date.now();
  });
  const [noun, verb] = name.split('.') as [string, string];
  gathering.ask(scatterSubject({ uid, who, noun, verb }), { v: 1, id: randomUUID(), selector: '*', ...fields });
  while (Date.now() - last < quietMs || (!answered && Date.now() - begin < LISTEN_MS)) {
    await new Promise((done) => setTimeout(done, 20));
  }
  gathering.stop();
};
