/** URLs of destinations: what each names, and what is wrong with the others. */
import assert from 'node:assert/strict';
import { basename } from 'node:path';
import { test } from 'node:test';
import { directoryOf, type RelaySettings } from '../../actors/relay-parts.ts';
import { RELAY_SESSION_BYTES_MAX, relaySessionCause } from '../../machines/plain-names.ts';
import { destinationText, isNetworkUrl, parseDestination, parsePair } from '../../transport/destination.ts';
import type { OpenRequest } from '../../transport/link-data.ts';

const lttng = (host: string, ctrl: number, data: number, subdir = '') => ({
  kind: 'lttng',
  ctrl: { host, port: ctrl },
  data: { host, port: data },
  subdir,
});

test('a URL names the bus of this host, another one, or a relay of LTTng’s', () => {
  for (const url of ['relay:', 'relay:///below/here', 'nats://h', 'nats://h:4222/below', 'NATS://[::1]:4222', 'tls://h'])
    assert.deepEqual(parseDestination(url), { ok: true, destination: { kind: 'relay', url } });
  const table = [
    ['net://h', lttng('h', 5342, 5343)],
    ['NET4://h:1:2/a/b', lttng('h', 1, 2, 'a/b')],
    ['net6://[::1]:7/a/', lttng('[::1]', 7, 5343, 'a')],
  ] as const;
  for (const [url, destination] of table) assert.deepEqual(parseDestination(url), { ok: true, destination });
  assert.deepEqual(parsePair('tcp://h:1/a', 'tcp4://h:2'), { ok: true, destination: lttng('h', 1, 2, 'a') });
  assert.deepEqual(parsePair('net://h:1', 'net://h:1'), { ok: true, destination: lttng('h', 1, 5343, '') });
});

test('what is wrong with a URL is said', () => {
  const causes = (url: string): string => {
    const parsed = parseDestination(url);
    return parsed.ok ? 'nothing' : parsed.cause;
  };
  assert.match(causes('tcp://h'), /pairs/);
  assert.match(causes('net://'), /no host/);
  assert.match(causes('net://h:0'), /port/);
  assert.match(causes('nats://h:70000'), /port/);
  assert.match(causes('relay:///../x'), /no directory below/);
  assert.match(causes('nats://h/a//b'), /no directory below/);
  assert.match(causes('nats://h/a\tb'), /no directory below/);
  assert.match(causes(`nats://h/${'x'.repeat(252)}`), /no directory below/);
  assert.match(causes(`nats://h/${'a/'.repeat(12)}a`), /no directory below/);
  assert.match(causes('relay://host'), /is needed/);
  const pair = (ctrl: string, data: string): string => {
    const parsed = parsePair(ctrl, data);
    return parsed.ok ? 'nothing' : parsed.cause;
  };
  assert.match(pair('net://h', 'tcp://h'), /tcp/);
  assert.match(pair('tcp://h', 'tcp://g'), /same host/);
  assert.match(pair('tcp://h', 'tcp://h/a'), /control URL/);
  assert.match(pair('tcp://h:1:2', 'tcp://h'), /one port/);
});

test('directories are none; a destination is shown as its URL', () => {
  for (const url of ['/tmp/x', 'file:///tmp/x', 'x', 'http://h']) assert.equal(isNetworkUrl(url), false);
  assert.equal(isNetworkUrl('relay:') && isNetworkUrl('tcp6://h'), true);
  const parsed = parseDestination('net://h/a');
  assert.ok(parsed.ok);
  assert.equal(destinationText(parsed.destination), 'tcp4://h:5342/a [data: 5343]');
});

test('a session is named so that a relay can make its directory, with all that stands behind the name', () => {
  for (const [name, cause] of [
    ['.quiet', /begins with/],
    ['a\tb', /control/],
    ['x'.repeat(RELAY_SESSION_BYTES_MAX + 1), /more than 228 bytes/],
    ['é'.repeat(115), /more than 228 bytes/],
  ] as const)
    assert.match(relaySessionCause(name) ?? 'none', cause);
  const longest = 'x'.repeat(RELAY_SESSION_BYTES_MAX);
  const request = { host: 'h', session: longest, createdAt: '2026-01-01T00:00:00Z' };
  const directory = directoryOf({ output: '/o', groupBy: 'host' } as RelaySettings, request as OpenRequest);
  assert.equal(Buffer.byteLength(`${basename(directory)}-01234567-2`), 255);
  for (const name of [longest, 'a b', 'é'.repeat(114), 'auto-20260101-000000']) assert.equal(relaySessionCause(name), null);
});
