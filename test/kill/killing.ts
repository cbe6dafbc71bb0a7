/**
 * kill -9 while a program records. The checkers at the end: recorded + reported lost = emitted, nothing twice, in order, index and
 * packets agree, babeltrace2 reads it. A kill counts only when the program was advancing.
 */
import assert from 'node:assert/strict';
import { checkTrace as checkFiles } from '../../ctf/check-trace.ts';
import { PATIENCE_MS } from '../support/patience.ts';
import { babeltrace, checkTrace, type Role, Weft } from '../support/weft.ts';

const waitUntil = async (what: string, holds: () => boolean, ms = PATIENCE_MS): Promise<void> => {
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
    for (const role of roles.filter((one) => one !== 'vault'))
      await waitUntil(`${role} is back`, () => weft.processes().some((entry) => entry.role === role));
    await program.advance(1000);
    await program.stop();
    await okWhenBack(weft, 'stop', 's');
    const emitted = program.total();
    await okWhenBack(weft, 'destroy', 's');
    return { emitted, checked: checkTrace(trace), read: babeltrace(trace), faults: checkFiles(trace).errors };
  } finally {
    weft.dispose();
  }
};

/** However long it takes until everything is back. */
export const assertAllCounted = async (roles: readonly Role[], periodNs: number): Promise<void> => {
  const { emitted, checked, read, faults } = await killWhileRecording(roles, periodNs);
  assert.deepEqual([...checked.errors, ...faults], []);
  assert.equal(checked.duplicates, 0);
  assert.equal(checked.disorder, 0);
  assert.equal(checked.recorded + checked.lost, emitted);
  assert.equal(read.status, 0, read.complaints);
  assert.equal(read.complaints, '');
};

/** At a rate at which nothing need be lost, nothing is. */
export const assertNothingLost = async (roles: readonly Role[]): Promise<void> => {
  const { emitted, checked, read, faults } = await killWhileRecording(roles, 20_000);
  assert.deepEqual([...checked.errors, ...faults], []);
  assert.equal(checked.duplicates, 0);
  assert.equal(checked.disorder, 0);
  assert.equal(checked.lost, 0);
  assert.equal(checked.recorded, emitted);
  assert.equal(read.status, 0, read.complaints);
  assert.equal(read.complaints, '');
};
