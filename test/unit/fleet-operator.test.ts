/** What an operator declares goes over the highest generation that hosts saw, and no host can make the fleet's sessions unreadable. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FleetOperator } from '../../cli/fleet-operator.ts';
import type { FleetDocument } from '../../machines/fleet-document.ts';
import type { Body, Bus } from '../../transport/bus.ts';
import { FaultError } from '../../transport/errors.ts';
import { parseFleetDocument } from '../../transport/fleet-messages.ts';

const SPEC = { selector: '*', uid: 0, commands: [{ name: 'session.create', fields: {} }] };
const stored = (generation: number): FleetDocument => ({
  v: 1,
  name: 'nightly',
  uuid: 'u',
  generation,
  spec: { ...SPEC, commands: [] },
  deleted: false,
});

const following = (host: string, generation: unknown): Body => ({
  host,
  ok: true,
  sessions: [{ name: 'nightly', uuid: 'u', generation, deleted: false, state: 'following', cause: null }],
});

/** A fleet whose bucket has `document`, and whose hosts, asked with `uid`, say these things. */
const declare = async (document: FleetDocument, answers: Readonly<Record<number, readonly Body[]>>, spec = SPEC) => {
  let wrote: unknown = null;
  const json = (value: unknown) => ({ ok: true as const, bytes: Buffer.from(JSON.stringify(value)) });
  const bus = {
    gather: (heard: (body: Body) => void) => ({
      ask: (subject: string) => {
        for (const answer of answers[Number(subject.split('.')[3])] ?? []) queueMicrotask(() => heard(answer));
        return true;
      },
      stop: () => {},
    }),
    ask: async (subject: string, bytes: Uint8Array) => {
      const data = Buffer.from(JSON.stringify(document)).toString('base64');
      if (subject.includes('MSG.GET')) return json({ message: { seq: 7, data } });
      wrote = JSON.parse(Buffer.from(bytes).toString());
      return json({ seq: 8 });
    },
  } as unknown as Bus;
  const operator = new FleetOperator(bus, bus, 'alice');
  const { warnings } = await operator.declare('nightly', spec.uid, () => ({ spec, deleted: false }));
  return { written: parseFleetDocument(wrote), warnings };
};

test('what hosts saw of a store that was put back is gone beyond', async () => {
  const { written, warnings } = await declare(stored(3), { 0: [following('web', 7), following('db', 4)] });
  assert.deepEqual([written?.generation, warnings], [8, []]);
});

for (const generation of ['x', -1, 1.5, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER - 1, 2 ** 60]) {
  test(`a host that claims generation ${generation} is not heeded`, async () => {
    const { written, warnings } = await declare(stored(3), { 0: [following('evil', generation), following('web', 3)] });
    assert.equal(written?.generation, 4);
    const possible = typeof generation === 'number' && generation > 0 && Number.isSafeInteger(generation);
    assert.equal(warnings.length, possible ? 1 : 0);
    if (possible) assert.match(warnings[0] ?? '', /evil/);
  });
}

test('a host that answers rubbish does not hide what else it and others say', async () => {
  const rubbish = { host: 'evil', ok: true, sessions: [null, 7, { name: 'nightly' }] };
  const { written } = await declare(stored(3), { 0: [rubbish, { host: 5 }, following('web', 9)] });
  assert.equal(written?.generation, 10);
});

test('a declaration that no host could read is not written', async () => {
  await assert.rejects(declare(stored(Number.MAX_SAFE_INTEGER), {}), (thrown) => {
    assert.ok(thrown instanceof FaultError);
    return thrown.fault.code === 'fleet-session-unreadable';
  });
});

test('a session that goes to daemons of another user goes beyond what those of the former saw', async () => {
  const { written } = await declare(stored(3), { 0: [following('web', 9)] }, { ...SPEC, uid: 1000 });
  assert.equal(written?.generation, 10);
});
