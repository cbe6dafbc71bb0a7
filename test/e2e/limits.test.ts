/** What one user may have is an option of the daemon; whoever has it all is told how much that is, and the way out. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Weft } from '../support/weft.ts';

const weft = new Weft();
after(() => weft.dispose());

test('sessions, triggers and event rules beyond what one user may have are refused with the limit and the option', () => {
  assert.match(
    weft.run('sessiond', '--background', '--max-sessions=0').stderr,
    /--max-sessions: `0` is no number from 1 to 1000000/,
  );
  weft.ok('sessiond', '--background', '--max-sessions=1', '--max-rules=1', '--max-triggers', '1');
  weft.ok('create', 'only', '-o', weft.trace('only'));
  const refused = (pattern: RegExp, ...words: string[]): void => {
    const ran = weft.run(...words);
    assert.equal(ran.status, 1, words.join(' '));
    assert.match(ran.stderr, pattern);
  };
  refused(
    /User \d+ has 1 recording sessions already.*\(--max-sessions\)\.\n {2}Remove some.*sessiond --help/,
    'create',
    'more',
  );
  weft.ok('enable-event', '-u', '-s', 'only', 'a:*');
  refused(/has 1 recording event rules already.*\(--max-rules\)/, 'enable-event', '-u', '-s', 'only', 'b:*');
  const trigger = ['add-trigger', '--condition=event-rule-matches', '--type=user', '--name=a:*', '--action=notify'];
  weft.ok(...trigger);
  refused(/has 1 triggers already.*\(--max-triggers\)/, ...trigger);
});
