/** Counters of maps outlive keeper and daemon, killed together, while programs count on. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Weft } from '../support/weft.ts';

const weft = new Weft();
after(() => weft.dispose());

/** Each look is a command, which takes its time. */
const until = (what: string, holds: () => boolean): void => {
  for (let looks = 0; !holds(); looks++) assert.ok(looks < 50, what);
};

test('keeper and daemon killed together: not one count is lost, of programs that live and of one that ended', async () => {
  weft.ok('create', 's', '-o', weft.trace('s'));
  weft.ok('add-map-channel', '-t', 'user', '-s', 's', 'm');
  weft.ok(
    ...['add-trigger', '--name', 't', '--condition=event-rule-matches', '--type=user', '--name=weft_test:*'],
    ...['--action=incr-map-value', '-s', 's', '-c', 'm', '-t', 'user', '-k', 'k'],
  );
  weft.ok('start', 's');
  await (await weft.counter({ events: 2_000 })).ended;
  const running = await weft.counter({ periodNs: 20_000 });
  await running.advance(200);
  const [keeper, sessiond] = [weft.readPid('keeper'), weft.readPid('sessiond')];
  process.kill(keeper, 'SIGSTOP');
  process.kill(sessiond, 'SIGKILL');
  process.kill(keeper, 'SIGKILL');
  await running.advance(500);
  until('the program is back', () => weft.ok('list', '-u').includes(`PID: ${running.child.pid} `));
  await running.advance(500);
  await running.stop();
  assert.match(weft.ok('show-maps', '-s', 's'), new RegExp(`^  k +${2_000 + running.total()} +no$`, 'm'));
});
