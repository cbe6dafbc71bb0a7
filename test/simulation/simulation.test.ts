/**
 * Six thousand histories, each from its own seed, in two processes at once. WEFT_HISTORY=N tells history N again with what it logged; a
 * failing one prints its seed, its steps, and the line that tells it again. WEFT_SOAK=1 runs a hundred thousand, drawn by WEFT_SEED.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Told } from './tell.ts';

const HISTORIES = process.env.WEFT_SOAK ? 100_000 : 6_000;
const PROCESSES = Math.min(4, availableParallelism());
const AGAIN = process.env.WEFT_HISTORY === undefined ? null : Number(process.env.WEFT_HISTORY);
/** The same ones always, so that what fails is what was changed; the soak looks for others. */
const BASE = AGAIN ?? (process.env.WEFT_SOAK ? Number(process.env.WEFT_SEED ?? Date.now()) : 20_000_000);

const tell = (...words: readonly (string | number)[]): Promise<Told> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'tell.ts'), ...words.map(String)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (bytes: Buffer) => {
      output += bytes.toString();
    });
    child.once('exit', (code) => {
      if (code === 0) resolve(JSON.parse(output) as Told);
      else reject(new Error(`tell.ts ended with ${code}: ${output}`));
    });
  });

test(`${HISTORIES} histories from seed ${BASE} break no invariant`, async () => {
  const each = AGAIN === null ? Math.ceil(HISTORIES / PROCESSES) : 1;
  const parts = Array.from({ length: AGAIN === null ? PROCESSES : 1 }, (_, at) => tell(BASE + at * each, each));
  const told = await Promise.all(parts);
  const broken = told.flatMap((part) => part.broken);
  assert.deepEqual(
    broken.map(({ text }) => text),
    [],
    `WEFT_HISTORY=${broken[0]?.seed} tells the first one again`,
  );
  console.log(`${told.reduce((sum, { histories }) => sum + histories, 0)} histories from seed ${BASE}, nothing broken`);
});

const PLANTED = [
  'guard session.life.recovering.collecting done recoverSession',
  'transition session.life.active ApplicationChanged',
  'transition consumer.work.consuming ConsumerExited',
];

for (const fault of PLANTED) {
  test(`a planted fault is found: ${fault}`, async () => {
    const { broken, histories } = await tell(BASE, 600, fault);
    assert.notDeepEqual(broken, [], `${histories} histories did not find it`);
    console.log(`${fault}: found in history ${broken[0]?.seed}`);
  });
}
