/**
 * kill -9 of every process, alone and in pairs, while a program records. The checker at the end of each: recorded + reported
 * lost = emitted, nothing twice, in order, babeltrace2 reads it. A kill counts only when the program was advancing.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { babeltrace, checkTrace, Weft } from '../support/weft.ts';

type Role = 'keeper' | 'sessiond' | 'bus' | 'consumer';

const waitUntil = async (what: string, holds: () => boolean, ms = 20_000): Promise<void> => {
  const deadline = Date.now() + ms;
  while (!holds()) {
    assert.ok(Date.now() < deadline, `waited too long: ${what}`);
    await new Promise((done) => setTimeout(done, 20));
  }
};

/** The command succeeds once the killed processes are back; how long that takes is theirs, not the test's. */
const okWhenBack = async (weft: Weft, ...args: string[]): Promise<void> => {
  let last = '';
  await waitUntil(`weft ${args.join(' ')} (last said: ${last})`, () => {
    const ran = weft.run('-n', ...args);
    last = ran.stderr;
    return ran.status === 0;
  });
};

const killWhileRecording = async (roles: readonly Role[], periodNs: number) => {
  const weft = new Weft();
  try {
    const trace = weft.session('s', ['--subbuf-size=1M', '--num-subbuf=8']);
    const program = await weft.counter({ threads: 2, periodNs });
    await program.advance(1000);
    for (const pid of roles.map((role) => weft.readPid(role))) process.kill(pid, 'SIGKILL');
    await program.advance(1000);
    // With both of them dead it takes a command: nobody else is there to start them.
    if (roles.includes('keeper') && roles.includes('sessiond')) weft.ok('list');
    for (const role of roles) await waitUntil(`${role} is back`, () => weft.processes().some((entry) => entry.role === role));
    await program.advance(1000);
    await program.stop();
    await okWhenBack(weft, 'stop', 's');
    const emitted = program.total();
    await okWhenBack(weft, 'destroy', 's');
    return { emitted, checked: checkTrace(trace), read: babeltrace(trace) };
  } finally {
    weft.dispose();
  }
};

const paced: readonly (readonly Role[])[] = [
  ['sessiond'],
  ['consumer'],
  ['bus'],
  ['sessiond', 'consumer'],
  ['keeper'],
  ['sessiond', 'bus'],
  ['keeper', 'sessiond'],
  ['keeper', 'consumer'],
];
for (const roles of paced) {
  test(`kill -9 of ${roles.join(' and ')} while a program records at a moderate rate loses nothing, repeats nothing`, async () => {
    const { emitted, checked, read } = await killWhileRecording(roles, 20_000);
    assert.deepEqual(checked.errors, []);
    assert.equal(checked.duplicates, 0);
    assert.equal(checked.disorder, 0);
    assert.equal(checked.lost, 0);
    assert.equal(checked.recorded, emitted);
    assert.equal(read.status, 0, read.complaints);
    assert.equal(read.complaints, '');
  });
}

for (const role of ['sessiond', 'consumer'] as const) {
  test(`kill -9 of ${role} at full rate: what was lost is counted exactly`, async () => {
    const { emitted, checked, read } = await killWhileRecording([role], 0);
    assert.deepEqual(checked.errors, []);
    assert.equal(checked.duplicates, 0);
    assert.equal(checked.disorder, 0);
    assert.equal(checked.recorded + checked.lost, emitted);
    assert.equal(read.status, 0, read.complaints);
  });
}
