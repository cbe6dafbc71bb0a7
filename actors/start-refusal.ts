/** Why a daemon did not come up, for whoever waits for it: a file in the runtime directory, since nothing else of it is there. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Fault } from '../transport/bus.ts';
import { writeWhole } from '../transport/private-file.ts';

const fileIn = (runtime: string): string => join(runtime, 'start-refusal.json');

export const writeStartRefusal = (runtime: string, refusal: Fault): void =>
  writeWhole(fileIn(runtime), JSON.stringify(refusal), 0o600);

/** Null: none so far. */
export const readStartRefusal = (runtime: string): Fault | null => {
  try {
    return JSON.parse(readFileSync(fileIn(runtime), 'utf8')) as Fault;
  } catch {
    return null;
  }
};

/** Before a start: what the last one failed at is over. */
export const forgetStartRefusal = (runtime: string): void => rmSync(fileIn(runtime), { force: true });
