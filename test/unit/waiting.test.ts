/** A command waits as long as the daemon may take, and a terminal shows that it does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GIVE_UP_MS } from '../../actors/replies.ts';
import { REQUEST_TIMEOUT_MS } from '../../cli/connect.ts';
import { whileWaiting } from '../../cli/waiting.ts';

const waited = async (isTTY: boolean, ticks: number): Promise<string> => {
  let [text, tick] = ['', (): void => {}];
  let stopped = 0;
  const timers = {
    set: (task: () => void) => {
      tick = task;
      return 7;
    },
    clear: (timer: unknown) => {
      assert.equal(timer, 7);
      stopped++;
    },
  };
  const write = (more: string): void => {
    text += more;
  };
  const work = async (): Promise<string> => {
    for (let i = 0; i < ticks; i++) tick();
    return 'done';
  };
  assert.equal(await whileWaiting('session.stop', { isTTY, write }, work, timers), 'done');
  assert.equal(stopped, isTTY ? 1 : 0);
  return text;
};

test('after three seconds a terminal shows for what is waited, and nothing of it stays; others show nothing', async () => {
  assert.equal(await waited(true, 2), '');
  assert.equal(
    await waited(true, 4),
    '\rWaiting for the session daemon: session stop, 3 s\x1b[K\rWaiting for the session daemon: session stop, 4 s\x1b[K\r\x1b[K',
  );
  assert.equal(await waited(false, 4), '');
});

test('the command line does not give up before the daemon says what it waited for', () => {
  assert.ok(REQUEST_TIMEOUT_MS > GIVE_UP_MS);
});
