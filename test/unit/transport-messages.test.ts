/** Faults and the schemas of commands: what a caller is told when a message is wrong. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  EXIT_STATUS,
  exitStatusOf,
  FAULT_CODES,
  FaultError,
  failed,
  failure,
  fault,
  faultOf,
  isFaultCode,
  succeeded,
} from '../../transport/errors.ts';
import { COMMAND_NAMES, COMMANDS, commandSchema, parseAnswer, parseRequest } from '../../transport/messages.ts';

const envelope = { v: 1, id: 'r1' };

test('a fault has its code, a sentence with the names, and a way out; another hint may be given', () => {
  const one = fault('session-not-found', { session: 'boot' });
  assert.deepEqual(one, {
    code: 'session-not-found',
    message: 'Recording session `boot` does not exist.',
    hint: 'See `weft list` for your sessions.',
  });
  assert.equal(fault('bus-cut', {}, 'Wait.').hint, 'Wait.');
  assert.deepEqual(failed('no-channel', { session: 's' }), { ok: false, fault: fault('no-channel', { session: 's' }) });
  assert.deepEqual(succeeded(), { ok: true, body: {} });
});

test('every code is a plain word, has a hint and an exit status of a failure', () => {
  const anyParameter = new Proxy({}, { get: () => 'X' });
  const make = fault as (code: string, params: object) => { message: string; hint: string };
  for (const code of FAULT_CODES) {
    assert.match(code, /^[a-z]+(-[a-z]+)*$/);
    const { message, hint } = make(code, anyParameter);
    assert.match(message, /^[A-Z`].*\.$/, code);
    assert.ok(hint.length > 10, code);
    const status: number = exitStatusOf(code);
    assert.ok(status > EXIT_STATUS.success && status <= EXIT_STATUS.unsupported, code);
  }
});

test('exit statuses: an already started session warns, an unknown context is fatal, a newer peer’s code is an error', () => {
  assert.equal(exitStatusOf('already-started'), 4);
  assert.equal(exitStatusOf('context-unknown'), 3);
  assert.equal(exitStatusOf('filter-invalid'), 1);
  assert.equal(exitStatusOf('session-not-found'), 1);
  assert.equal(exitStatusOf('a-code-of-tomorrow'), 1);
  assert.equal(isFaultCode('toString'), false);
});

test('whatever was thrown becomes a fault; only the unexpected is `internal`', () => {
  const thrown = failure('no-channel', { session: 's' });
  assert.ok(thrown instanceof FaultError);
  assert.equal(faultOf(thrown).code, 'no-channel');
  assert.equal(faultOf(new TypeError('x is undefined')).code, 'internal');
  assert.match(faultOf('text').message, /text/);
});

test('a request is taken with its fields; unknown fields are ignored', () => {
  const parsed = parseRequest('session.create', { ...envelope, name: 's', output: '/tmp/t', tomorrow: true });
  assert.deepEqual(parsed, { ok: true, value: { ...envelope, name: 's', output: '/tmp/t' } });
  assert.ok(parseRequest('session.create', envelope).ok);
  const attributes = { subbufSize: 4096, mode: 'overwrite' };
  const channel = parseRequest('channel.enable', { ...envelope, session: 's', name: 'c', attributes });
  assert.ok(channel.ok);
  assert.deepEqual(channel.value.attributes, attributes);
});

test('a wrong request is told which field is wrong', () => {
  const table: [Parameters<typeof parseRequest>[0], Record<string, unknown>, string][] = [
    ['session.start', { ...envelope }, 'session'],
    ['session.start', { ...envelope, session: 5 }, 'session'],
    ['session.start', { v: 1, session: 's' }, 'id'],
    ['session.start', { v: 1, id: '', session: 's' }, 'id'],
    ['session.start', { id: 'x', session: 's' }, 'v'],
    ['session.create', { ...envelope, name: 'x'.repeat(5000) }, 'name'],
    ['channel.enable', { ...envelope, session: 's', name: 'c', attributes: { mode: 'both' } }, 'attributes.mode'],
    ['channel.enable', { ...envelope, session: 's', name: 'c', attributes: { subbufSize: 1.5 } }, 'attributes.subbufSize'],
    ['event.enable', { ...envelope, session: 's', pattern: 'a', exclusions: ['x', 1] }, 'exclusions[1]'],
    ['event.enable', { ...envelope, session: 's', pattern: 'a', logLevel: { kind: 'near', level: 1 } }, 'logLevel.kind'],
    ['event.disable', { ...envelope, session: 's' }, 'pattern'],
    ['event.disable', { ...envelope, session: 's', pattern: 'a', all: true }, 'pattern'],
    ['context.add', { ...envelope, session: 's', types: [] }, 'types'],
    ['inspect.watch', { ...envelope, leaseMs: 60_001 }, 'leaseMs'],
  ];
  for (const [name, body, field] of table) {
    const parsed = parseRequest(name, body);
    assert.ok(!parsed.ok, `${name} ${field}`);
    assert.equal(parsed.fault.code, 'bad-message');
    assert.ok(parsed.fault.message.includes(`\`${field}\``), parsed.fault.message);
  }
});

test('another version of the message is `unsupported`, and so is an unknown command', () => {
  const future = parseRequest('session.start', { v: 2, id: 'r', session: 's' });
  assert.equal(future.ok || future.fault.code, 'unsupported');
  const unknown = parseRequest('session.fly' as 'session.start', { ...envelope });
  assert.equal(unknown.ok || unknown.fault.code, 'unsupported');
});

test('counts of an answer are read from msgpack integers and JSON strings alike', () => {
  const owner = { uid: 0, gid: 0 };
  const session = { name: 's', id: 'i', active: false, output: '/t', snapshot: null, createdAt: 'now', owner };
  for (const recorded of [12n, 12, '12']) {
    const answer = parseAnswer('session.stop', { session, stats: { recorded, lost: 0 } });
    assert.ok(answer.ok);
    assert.deepEqual(answer.value.stats, { recorded: 12n, lost: 0n });
  }
  assert.equal(parseAnswer('session.stop', { session, stats: { recorded: -1, lost: 0 } }).ok, false);
  assert.equal(parseAnswer('session.stop', { session, stats: { recorded: '1.5', lost: 0 } }).ok, false);
});

test('every command has a JSON schema that names its fields', () => {
  for (const name of COMMAND_NAMES) {
    const schema = commandSchema(name) as { type: string; properties: object; required: string[] };
    assert.equal(schema.type, 'object');
    assert.deepEqual(Object.keys(schema.properties), Object.keys(COMMANDS[name].request.shape));
    assert.ok(schema.required.includes('id'));
    assert.ok(COMMANDS[name].summary.endsWith('.'));
  }
});
