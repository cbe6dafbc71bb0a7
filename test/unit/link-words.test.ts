/** What is said of a link: in which state it is, why nothing arrives, and what to do about it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leftLines, linkLines, waitingLines } from '../../cli/network.ts';
import type { LinkView } from '../../transport/messages.ts';

const link = (more: Partial<LinkView> = {}): LinkView => ({
  ...{ state: 'open', within: 'idle', spool: 'roomy', relay: 'r1', directory: null, elsewhere: [] },
  ...{ sentBytes: 0, ackedBytes: 0, spoolBytes: 5_000, spoolLimit: 4_096, operations: 0, lostPackets: 0, cause: null },
  ...more,
});

test('a link that is well has one line; what hinders another is named, with the way out', () => {
  const said = (more: Partial<LinkView>) => linkLines(link(more), true);
  assert.deepEqual(said({}), ['Link: open to r1, 5000 bytes wait']);
  assert.deepEqual(said({ state: 'stalled', within: 'silent' }).slice(1), [
    'Relay r1 does not answer: nothing of the spool arrives',
    '  See whether the relay runs and this host reaches it',
  ]);
  assert.match(
    said({ state: 'stalled', within: 'cut', cause: 'the bus is away.' })[1]!,
    /^The link to relay r1 is cut \(the bus is away\):/,
  );
  assert.match(said({ state: 'resuming', within: 'pausing' })[1]!, /^The link to relay r1 is cut:/);
  assert.match(said({ state: 'seeking', within: 'asking', relay: null })[1]!, /^No relay has taken the link yet:/);
  assert.match(
    said({ state: 'refused', within: null, cause: 'too new' })[1]!,
    /^Relay r1 cannot take what is sent \(too new\):/,
  );
  assert.deepEqual(said({ within: 'full' }).slice(1), [
    'The disk of relay r1 is full: nothing of the spool arrives',
    '  Make room on the disk of the relay',
  ]);
});

test('a full spool is named with its limit; of a stopped session nothing more is lost', () => {
  const [, full, way] = linkLines(link({ spool: 'full' }), true);
  assert.equal(full, 'The spool is full (5000 of 4096 bytes wait): events are lost until some of it has arrived');
  assert.equal(way, '  Wait; a session with a larger --spool-size bears more');
  const cut = waitingLines('s', link({ spool: 'full', state: 'stalled', within: 'cut' }));
  assert.deepEqual(cut, [
    'Warning: 5000 bytes of session s have not reached the relay yet; they follow from the spool',
    '  The spool is full (5000 of 4096 bytes wait): events may have been lost since it filled',
    '  The link to relay r1 is cut: nothing of the spool arrives',
    '    See whether the relay runs and this host reaches it; it arrives by itself then; a session with a larger --spool-size bears more',
  ]);
  assert.deepEqual(waitingLines('s', link({ spoolBytes: 0 })), []);
  assert.equal(leftLines('s', link()).at(-1), '  See what is left with: weft parcels');
  assert.deepEqual(leftLines('s', null), []);
});

test('a rotation that the relay has not heard of is told, though no packet waits', () => {
  const [line, ...others] = leftLines('s', link({ spoolBytes: 0, operations: 1 }));
  const what = 'The last rotations or notes of session s';
  assert.equal(line, `Warning: ${what} have not reached the relay yet; they follow from the spool`);
  assert.deepEqual(others, ['  See what is left with: weft parcels']);
});

test('packets that were lost in the spool are counted, also when nothing waits', () => {
  const lost = link({ lostPackets: 3, spoolBytes: 0 });
  assert.equal(linkLines(lost, true)[1], 'Packets of the spool that could not be read, and are lost: 3');
  const line = 'Warning: session s: Packets of the spool that could not be read, and are lost: 3';
  assert.deepEqual([waitingLines('s', lost), leftLines('s', lost)], [[line], [line]]);
});
