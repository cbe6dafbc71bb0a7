/** No relay is where a session's traces should go: the operator sees why nothing arrives, that the spool is full, and what to do. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { until } from '../support/fleet-server.ts';
import { Weft } from '../support/weft.ts';

const weft = new Weft();
after(() => weft.dispose());

test('list and stop name the link that nobody has taken and the spool that is full, and the ways out', async () => {
  weft.ok('create', 'lost', '--set-url=nats://127.0.0.1:1', '--spool-size=256k');
  weft.ok('enable-channel', '-u', '-s', 'lost', 'ch', '--subbuf-size=64k', '--num-subbuf=16');
  weft.ok('enable-event', '-u', '-s', 'lost', '-c', 'ch', 'weft_test:*');
  weft.ok('start', 'lost');
  const counter = await weft.counter({ events: 100_000 });
  await counter.ended;
  const listed = (): string => weft.ok('list', 'lost');
  await until(() => listed().includes('The spool is full'), 'the spool is full', 15_000);
  const text = listed();
  assert.match(text, / {4}The spool is full \(\d+ of 262144 bytes wait\): events are lost until some of it has arrived\n/);
  assert.match(text, / {4}No relay has taken the link yet.*: nothing of the spool arrives\n/);
  assert.match(text, / {6}Start a relay there \(weft relayd\), or see .*; a session with a larger --spool-size bears more\n/);
  const stopped = weft.ok('stop', 'lost');
  assert.match(stopped, /Warning: \d+ bytes of session lost have not reached the relay yet/);
  assert.match(stopped, /\n {2}The spool is full \(\d+ of 262144 bytes wait\): events may have been lost since it filled\n/);
  assert.match(stopped, /\n {2}No relay has taken the link yet.*\n {4}Start a relay there/);
});
