/** Whoever commands a fleet dies between the two phases: what hosts had prepared for it ends by itself, and nothing was done. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { leaseFor } from '../../machines/lease.ts';
import { decodeBody } from '../../transport/codec.ts';
import { Fleet } from '../support/fleet.ts';
import { until } from '../support/fleet-server.ts';
import { PATIENCE_MS } from '../support/patience.ts';
import { CLI } from '../support/weft.ts';

/** Time enough to kill the caller, and no more than that: the longer it would wait, the longer hosts hold what they prepared. */
const STALL_MS = 2_000;
const LEASE_MS = leaseFor(STALL_MS);
const HOSTS = ['db-1', 'web-1', 'web-2'] as const;

interface Report {
  readonly hosts: readonly { host: string; ok: boolean; error?: { code: string; message: string } }[];
}

describe('a command of a fleet of three hosts', { timeout: 300_000 }, () => {
  let fleet: Fleet;
  let watcher: NatsConnection;
  before(async () => {
    fleet = await Fleet.start();
    for (const host of HOSTS) fleet.add(host);
    await fleet.until('web-1', HOSTS.map((host) => `${host} ready`).join(', '));
    watcher = await connect({ servers: `127.0.0.1:${fleet.port}` });
  });
  after(async () => {
    await watcher?.close();
    fleet.dispose();
  });

  /** Hosts whose answer to a `prepare` was seen on the fleet's server. */
  const preparations = (): Set<string> => {
    const seen = new Set<string>();
    const callback = (_error: unknown, message: { data: Uint8Array }): void => {
      const decoded = decodeBody(message.data);
      if (decoded.ok && typeof decoded.body.lease === 'object') seen.add(String(decoded.body.host));
    };
    watcher.subscribe('_INBOX.>', { callback });
    return seen;
  };
  const start = (selector: string): Report =>
    JSON.parse(fleet.at('web-1').run('--json', '--on', selector, '--all', 'start', 's').stdout) as Report;
  const said = ({ hosts }: Report): string =>
    hosts.map(({ host, ok, error }) => `${host} ${ok ? 'ok' : error!.code}`).join(', ');

  /** Ends between the two phases, while a host sleeps. */
  const dieAfterPrepare = async (): Promise<void> => {
    const prepared = preparations();
    await watcher.flush();
    const words = ['--on', '*', '--all', '--stall', String(STALL_MS / 1000), 'start', 's'];
    const caller = spawn(CLI, words, { env: fleet.at('web-1').env, stdio: 'ignore' });
    await until(() => prepared.has('web-1') && prepared.has('web-2'), 'two of three are prepared');
    const gone = once(caller, 'exit');
    caller.kill('SIGKILL');
    await gone;
  };
  /** What they say who are asked for the same while they hold it. A machine that took longer than the lease has to try again. */
  const askWhileHeld = async (): Promise<Report> => {
    for (let tries = 0; tries < 5; tries++) {
      const begin = Date.now();
      await dieAfterPrepare();
      const busy = start('host=web-*');
      if (Date.now() < begin + LEASE_MS) return busy;
      fleet.at('web-1').run('--on', 'host=web-*', 'stop', 's');
    }
    return assert.fail('the lease had always ended before it was asked for');
  };

  test('killed between prepare and commit: hosts are busy with it, say so, and are free again when their lease ends', async () => {
    const web1 = fleet.at('web-1');
    for (const session of ['s', 'other']) {
      web1.ok('--on', '*', 'create', session);
      web1.ok('--on', '*', 'enable-event', '-u', '-s', session, 'weft_test:*');
    }
    const stopped = fleet.at('db-1').readPid('sessiond');
    process.kill(stopped, 'SIGSTOP');
    const busy = await askWhileHeld();
    assert.equal(said(busy), 'web-1 session-busy, web-2 session-busy');
    assert.match(busy.hosts[0]!.error!.message, /`s` is prepared for another operation of the fleet/);
    // Nothing else waits for it: other sessions, questions.
    web1.ok('--on', 'host=web-*', 'start', 'other');
    assert.match(web1.ok('--on', 'host=web-*', 'list'), /s: inactive[^\n]*\n.*s: inactive/);

    const prepared = preparations();
    await watcher.flush();
    process.kill(stopped, 'SIGCONT');
    await until(() => prepared.has('db-1'), 'the third heard of it too late');
    let answers = '';
    const started = (): boolean => {
      // All or none, so that nothing is started by the way.
      answers = said(start('*'));
      return answers === 'db-1 ok, web-1 ok, web-2 ok';
    };
    await until(started, 'all of them start', LEASE_MS + PATIENCE_MS).catch((thrown: unknown) =>
      assert.fail(`${thrown}: ${answers}`),
    );
    for (const host of HOSTS) assert.match(fleet.at(host).ok('list'), /\bs .*active\b/);
  });
});
