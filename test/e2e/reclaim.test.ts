/** Memory that ring buffers give back: on request, by themselves, and from a snapshot session; every event stays accounted for. */
import assert from 'node:assert/strict';
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { PATIENCE_MS } from '../support/patience.ts';
import { babeltrace, Weft } from '../support/weft.ts';

const weft = new Weft();
after(() => weft.dispose());

const SUBBUF = 16 * 1024;
/** One ring, so that it fills soon. */
const SHAPE = ['--subbuf-size=16k', '--num-subbuf=16', '--buffer-allocation=per-channel'];
const RING = 16 * SUBBUF;

interface Listed {
  readonly session: {
    readonly channels: readonly {
      readonly memory: readonly { readonly rings: readonly number[] }[];
      readonly stats: {
        readonly events: string;
        readonly lost: Readonly<Record<string, string>>;
        readonly overwritten: string;
      };
    }[];
  };
}

const channelsOf = (session: string) => weft.json<Listed>('list', session).session.channels;

/** What `list` says that the rings of each channel take. */
const toldMemory = (session: string): number[] =>
  channelsOf(session).map(({ memory }) => memory.flatMap(({ rings }) => rings).reduce((sum, bytes) => sum + bytes, 0));

/** What the kernel says of them: of all that the consumer reads. */
const heldMemory = (): number => {
  const fds = `/proc/${weft.readPid('consumer')}/fd`;
  const blocks = readdirSync(fds)
    .filter((fd) => readlinkSync(join(fds, fd)).startsWith('/memfd:weft-ring-'))
    .map((fd) => statSync(join(fds, fd)).blocks);
  return blocks.reduce((sum, count) => sum + count * 512, 0);
};

const falls = async (from: number, subbufs: number): Promise<void> => {
  const until = Date.now() + PATIENCE_MS;
  while (from - heldMemory() < subbufs * SUBBUF && Date.now() < until) await new Promise((done) => setTimeout(done, 20));
  assert.ok(from - heldMemory() >= subbufs * SUBBUF, `${from} bytes before, ${heldMemory()} now`);
};

/** In each channel, what was recorded and what was lost is what the program made. */
const balances = (session: string, made: number): void => {
  weft.ok('stop', session);
  const recorded = channelsOf(session).map(({ stats: { events, lost, overwritten } }) => {
    const missing = Object.values(lost).reduce((sum, one) => sum + Number(one), Number(overwritten));
    assert.equal(Number(events) + missing, made);
    return Number(events);
  });
  assert.equal(
    babeltrace(weft.trace(session)).events,
    recorded.reduce((sum, one) => sum + one, 0),
  );
  weft.ok('destroy', session);
};

test('reclaim-memory gives back what is consumed, the program records on, and no event is lost unnoticed', async () => {
  weft.session('s', SHAPE);
  const program = await weft.counter({ periodNs: 3_000 });
  await program.advance(40_000);
  const [held, told] = [heldMemory(), toldMemory('s')[0]!];
  assert.match(
    weft.ok('reclaim-memory', '-u', '-s', 's', '--all'),
    /^Event record channel `ch`: (?!0 )\d+ sub-buffers reclaimed\n$/,
  );
  await program.advance(40_000);
  await program.stop();
  weft.ok('reclaim-memory', '-u', '-s', 's', 'ch');
  await falls(held, 8);
  assert.ok(told - toldMemory('s')[0]! >= 8 * SUBBUF, 'and `list` says so');
  const { channels } = weft.json<{ channels: object[] }>('reclaim-memory', '-u', '-s', 's', 'ch', '--older-than=1h');
  assert.deepEqual(channels, [{ name: 'ch', reclaimed: 0, pending: 0 }]);
  assert.match(
    weft.ok('--mi=xml', 'reclaim-memory', '-u', '-s', 's', 'ch', '--no-wait'),
    /<reclaim_channels><channel><name>ch<\/name><reclaimed_subbuffers>0<\/reclaimed_subbuffers><pending_subbuffers>0</,
  );
  balances('s', program.total());
});

test('channels give memory back by themselves: as soon as it is consumed, or when it is old', async () => {
  weft.session('both', [...SHAPE, '--auto-reclaim-memory=consumed'], false);
  weft.ok('enable-channel', '-u', '-s', 'both', 'old', ...SHAPE, '--auto-reclaim-memory=older-than:100ms');
  weft.ok('enable-event', '-u', '-s', 'both', '-c', 'old', 'weft_test:*');
  weft.ok('start', 'both');
  const program = await weft.counter({ periodNs: 3_000 });
  // By then it has been round both rings, whose memory was all taken at some time; how much is given back already is chance.
  await program.advance(40_000);
  await falls(2 * RING, 8);
  await program.stop();
  await falls(2 * RING, 16);
  for (const told of toldMemory('both')) assert.ok(told <= 8 * SUBBUF, `${told}`);
  assert.match(weft.ok('list', 'both'), /Memory reclaim: +consumed[\s\S]*Memory reclaim: +older than 100000 us/);
  balances('both', program.total());
});

test('what a snapshot session gave back is in no later snapshot', async () => {
  weft.ok('create', 'snap', '--snapshot', '-o', weft.trace('snap'));
  weft.ok('enable-channel', '-u', '-s', 'snap', 'ch', ...SHAPE);
  assert.match(
    weft.run('enable-channel', '-u', '-s', 'snap', 'x', '--discard', '--auto-reclaim-memory=consumed').stderr,
    /nothing is consumed/,
  );
  weft.ok('enable-event', '-u', '-s', 'snap', '-c', 'ch', 'weft_test:*');
  weft.ok('start', 'snap');
  const program = await weft.counter({ events: 8_000 });
  await program.ended;
  const held = heldMemory();
  assert.equal(
    weft.json<{ channels: { reclaimed: number }[] }>('reclaim-memory', '-u', '-a', '--older-than=1h').channels[0]!.reclaimed,
    0,
  );
  const kept = snapshotEvents();
  assert.equal(kept, 8_000);
  weft.ok('reclaim-memory', '-u', '--all');
  const left = snapshotEvents();
  assert.ok(left > 0 && left < kept, `${left} of ${kept}`);
  assert.ok(heldMemory() < held);
  weft.ok('destroy', 'snap');
});

const snapshotEvents = (): number =>
  babeltrace(weft.json<{ snapshot: { path: string } }>('snapshot', 'record').snapshot.path).events;

test('who names no channel, an unknown one, or both ways is told so', () => {
  weft.ok('create', 'none', '-o', weft.trace('none'));
  assert.equal(weft.ok('reclaim-memory', '-u', '-a'), 'No event record channels to reclaim.\n');
  assert.match(weft.run('reclaim-memory', '-u', 'lost').stderr, /lost/);
  assert.match(weft.run('reclaim-memory', '-u', '-a', 'c').stderr, /exclude each other/);
  assert.match(weft.run('reclaim-memory', '-u', '-a', '--older-than=soon').stderr, /--older-than/);
});
