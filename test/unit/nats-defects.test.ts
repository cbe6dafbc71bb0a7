/** A defect in what listens to the bus ends the process, which is seen and mended by whoever started it: nobody stays there deaf. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { findServer, freePort } from '../../transport/server-config.ts';
import { ROOT } from '../support/weft.ts';

const port = await freePort();
const server = spawn(findServer(process.env.PATH ?? '')!, ['-a', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
after(() => server.kill('SIGKILL'));

/** Its uncaught exceptions are the test's to see. */
const PROGRAM = `
import(${JSON.stringify(`${ROOT}/transport/nats-bus.ts`)}).then(async ({ NatsBus }) => {
  const options = { servers: ['127.0.0.1:${port}'] };
  let bus = null;
  while (!bus) bus = await NatsBus.connectExternal(options, { name: 'test' }).catch(() => null);
  bus.subscribe('a', () => {
    throw new Error('a defect');
  });
  bus.publish('a', { v: 1 });
});
`;

test('what a listener throws is an uncaught exception', { timeout: 300_000 }, async () => {
  const worker = new Worker(PROGRAM, { eval: true });
  const [thrown] = (await once(worker, 'error').catch((error: unknown) => [error])) as [Error];
  assert.equal(thrown.message, 'a defect');
});
