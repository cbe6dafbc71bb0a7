/** What `weft snapshot collect` takes, and that what it made is whole whenever it is there. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { copyFrozen, findFrozen } from '../../cli/freeze-collect.ts';
import { FaultError } from '../../transport/errors.ts';
import { FREEZE_NOTE } from '../../transport/freeze-message.ts';

const ID = '0123456789abcdef';
const COMMAND = join(import.meta.dirname, '../../cli/weft');

describe('collecting what hosts froze', () => {
  let home: string;
  const from = () => join(home, 'from');
  const output = () => join(home, 'output');
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'weft-collect-'));
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  const note = (directory: string, fields: object = {}): void => {
    const all = {
      v: 1,
      id: ID,
      aliases: [],
      host: 'web-1',
      session: 'flight',
      seenBy: 'web-1',
      trigger: 't',
      atNs: '1',
      frozenAtNs: '2',
    };
    writeFileSync(join(directory, FREEZE_NOTE), JSON.stringify({ ...all, ...fields }));
  };
  /** Its directory. */
  const frozen = (place: string, fields: object = {}): string => {
    const directory = join(from(), place);
    mkdirSync(join(directory, 'ust'), { recursive: true });
    note(directory, fields);
    writeFileSync(join(directory, 'ust', 'ch_0'), 'half');
    return directory;
  };
  const command = () => {
    const args = ['snapshot', 'collect', ID, `--from=${from()}`, `--output=${output()}`];
    return spawnSync(COMMAND, args, { encoding: 'utf8', env: { ...process.env, WEFT_HOME: home } });
  };

  test('one that is still being written is left out and named, and taken when it is whole', () => {
    const late = frozen('web-1/snap', { complete: false });
    const none = command();
    assert.equal(none.status, 1);
    assert.match(none.stdout + none.stderr, /web-1: session flight: .* is not whole/);
    assert.ok(!existsSync(output()));
    frozen('web-2/snap', { host: 'web-2', complete: true });
    const some = command();
    assert.equal(some.status, 4, some.stderr);
    assert.match(some.stderr, /web-1: session flight: .* is not whole/);
    assert.deepEqual(readdirSync(output()), ['web-2']);
    appendFileSync(join(late, 'ust', 'ch_0'), ' and the other half');
    note(late, { complete: true });
    const all = command();
    assert.deepEqual([all.status, all.stderr], [0, '']);
    assert.match(all.stdout, /of 2 hosts collected/);
    assert.equal(readFileSync(join(output(), 'web-1/snap/ust/ch_0'), 'utf8'), 'half and the other half');
  });

  test('the host that saw the event is missed where nothing of it is there', () => {
    frozen('web-2/snap', { host: 'web-2', seenBy: 'web-9' });
    const ran = command();
    assert.equal(ran.status, 4, ran.stderr);
    assert.match(ran.stderr, /nothing of web-9 lies there/);
    frozen('web-9/snap', { host: 'web-9', seenBy: 'web-9' });
    const whole = command();
    assert.equal(whole.status, 0, whole.stderr);
    assert.match(whole.stdout, /of 2 hosts/);
  });

  test('a second time makes whole what was collected before it was', () => {
    const directory = frozen('web-1/snap');
    copyFrozen(findFrozen([from()], ID), output());
    appendFileSync(join(directory, 'ust', 'ch_0'), ' and the other half');
    copyFrozen(findFrozen([from()], ID), output());
    assert.equal(readFileSync(join(output(), 'web-1/snap/ust/ch_0'), 'utf8'), 'half and the other half');
    assert.deepEqual(readdirSync(join(output(), 'web-1')), ['snap']);
  });

  test('a copy that fails leaves nothing that looks like one, and what was there; it says why', () => {
    const directory = frozen('web-1/snap');
    copyFrozen(findFrozen([from()], ID), output());
    const found = findFrozen([from()], ID);
    // As a relay removes the oldest, for room.
    rmSync(directory, { recursive: true });
    assert.throws(
      () => copyFrozen(found, output()),
      (thrown) =>
        thrown instanceof FaultError && thrown.fault.code === 'snapshot-not-collected' && /snap cannot be/.test(thrown.message),
    );
    assert.deepEqual(readdirSync(join(output(), 'web-1')), ['snap']);
    assert.equal(readFileSync(join(output(), 'web-1/snap/ust/ch_0'), 'utf8'), 'half');
  });

  test('where no directory can be made the command ends with a sentence and a way out', () => {
    frozen('web-1/snap');
    writeFileSync(output(), 'a file');
    const { status, stderr, stdout } = command();
    assert.equal(status, 1);
    assert.match(stderr + stdout, /cannot be collected: /);
    assert.match(stderr + stdout, /--output=DIR/);
    assert.doesNotMatch(stderr, /^ {4}at /m);
  });

  test('a directory that is somebody’s is not replaced', () => {
    frozen('web-1/snap');
    mkdirSync(join(output(), 'web-1/snap'), { recursive: true });
    writeFileSync(join(output(), 'web-1/snap/mine'), '');
    assert.throws(() => copyFrozen(findFrozen([from()], ID), output()), /is no copy of snapshot/);
    assert.deepEqual(readdirSync(join(output(), 'web-1/snap')), ['mine']);
  });

  test('it is found however deep a session put it, and not inside of a trace', () => {
    frozen('base/web-1/flight-20260101-000000/a/b/c/d/e/f/g/snap');
    frozen('base/web-2/flight-20260101-000000/ust/uid/0/64-bit/snap', { host: 'web-2' });
    writeFileSync(join(from(), 'base/web-2/flight-20260101-000000/ust/uid/0/64-bit/metadata'), '');
    assert.deepEqual(
      findFrozen([from()], ID).map(({ host }) => host),
      ['web-1'],
    );
  });

  test('what an interrupted copy left is no snapshot', () => {
    frozen('web-1/.snap.collecting');
    assert.deepEqual(findFrozen([from()], ID), []);
  });
});
