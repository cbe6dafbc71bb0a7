/**
 * A second user of the host, with a real uid: cannot read, command, or pose as the bus of the first. Needs root (to have two uids).
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { COMMAND_MS } from '../support/patience.ts';
import { CLI, ROOT } from '../support/weft.ts';

const root = process.getuid?.() === 0;
const skip = root ? false : 'needs root to run as two other users';
const [ALICE, MALLORY] = [4201, 4202] as const;
const home = root ? mkdtempSync(join(tmpdir(), 'weft-users-')) : '';
const aliceHome = join(home, 'alice');
const malloryHome = join(home, 'mallory');

const as = (uid: number, command: string, args: readonly string[], env: NodeJS.ProcessEnv) =>
  spawnSync(command, args, { uid, gid: uid, env: { PATH: process.env.PATH, ...env }, encoding: 'utf8', timeout: COMMAND_MS });
const alice = (...args: string[]) => as(ALICE, CLI, args, { WEFT_HOME: aliceHome, HOME: aliceHome });
/** Mallory points everything at Alice's daemon. */
const mallory = (...args: string[]) => as(MALLORY, CLI, args, { WEFT_HOME: aliceHome, HOME: malloryHome });

before(() => {
  if (!root) return;
  chmodSync(home, 0o755);
  for (const [path, uid] of [
    [aliceHome, ALICE],
    [malloryHome, MALLORY],
  ] as const) {
    execFileSync('mkdir', ['-m', '755', path]);
    chownSync(path, uid, uid);
  }
  const created = alice('create', 'private', '-o', join(aliceHome, 'trace'));
  assert.equal(created.status, 0, created.stderr);
});

after(() => {
  if (!root) return;
  // A session daemon whose keeper is killed first starts another one, so once is not enough. Bounded: the dead count until somebody
  // has reaped them.
  for (let round = 0; round < 20; round++) spawnSync('pkill', ['-9', '-u', `${ALICE},${MALLORY}`]);
  rmSync(home, { recursive: true, force: true });
});

test('another user cannot command the daemon of the first', { skip }, () => {
  for (const args of [
    ['-n', 'list'],
    ['-n', 'start', 'private'],
    ['-n', 'destroy', 'private'],
  ]) {
    const ran = mallory(...args);
    assert.notEqual(ran.status, 0);
    assert.match(ran.stderr, /permission|not allowed|belongs to/i);
    assert.doesNotMatch(ran.stdout, /private/);
  }
  assert.match(alice('list').stdout, /private/);
});

test("another user cannot open any of the first one's sockets, keys or ring memory", { skip }, () => {
  const attempt = (path: string) => as(MALLORY, 'cat', [path], {});
  for (const path of ['run/bus.json', 'state/sessions', 'state/bus', 'state/log/sessiond.log']) {
    assert.notEqual(attempt(join(aliceHome, path)).status, 0, path);
  }
  for (const socket of ['client.sock', 'keeper.sock', 'apps.sock']) {
    const code = `import socket,sys\ns=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\ntry:\n  s.connect(sys.argv[1]); d=s.recv(65536); print(d)\nexcept PermissionError: sys.exit(7)`;
    const ran = as(MALLORY, 'python3', ['-c', code, join(aliceHome, 'run', socket)], {});
    assert.ok(ran.status === 7 || !/jwt|seed/.test(ran.stdout), `${socket}: ${ran.stdout}`);
  }
});

test('the bus refuses whoever has no key of the daemon', { skip }, async () => {
  const bus = JSON.parse(readFileSync(join(aliceHome, 'run/bus.json'), 'utf8')) as { urls: string[] };
  const port = Number(/:(\d+)$/.exec(bus.urls[0] ?? '')?.[1]);
  const said = await new Promise<string>((done, fail) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (text.startsWith('INFO') && !text.includes('-ERR'))
        socket.write('CONNECT {"verbose":true,"pedantic":false}\r\nSUB weft.> 1\r\nPING\r\n');
    });
    socket.on('close', () => done(text));
    socket.on('error', fail);
    socket.setTimeout(5000, () => socket.destroy());
  });
  assert.doesNotMatch(said, /\+OK|PONG/);
});

test('whoever takes the port of a dead bus is not believed', { skip }, async () => {
  const bus = JSON.parse(readFileSync(join(aliceHome, 'run/bus.json'), 'utf8')) as { urls: string[] };
  const port = Number(/:(\d+)$/.exec(bus.urls[0] ?? '')?.[1]);
  const shut = alice('sessiond', '--stop');
  assert.equal(shut.status, 0, shut.stderr);
  const impostor = join(malloryHome, 'impostor');
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      `${impostor}.key`,
      '-out',
      `${impostor}.pem`,
      '-days',
      '1',
      '-subj',
      '/CN=localhost',
      '-addext',
      'subjectAltName=IP:127.0.0.1',
    ],
    { stdio: 'ignore' },
  );
  for (const path of [`${impostor}.key`, `${impostor}.pem`]) chownSync(path, MALLORY, MALLORY);
  const { spawn } = await import('node:child_process');
  const server = spawn(
    'nats-server',
    ['-a', '127.0.0.1', '-p', String(port), '--tls', '--tlscert', `${impostor}.pem`, '--tlskey', `${impostor}.key`, '-DV'],
    { uid: MALLORY, gid: MALLORY, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  try {
    let log = '';
    await new Promise<void>((done) =>
      server.stderr.on('data', (chunk: Buffer) => {
        log += chunk.toString();
        if (log.includes('Server is ready')) done();
      }),
    );
    const listed = alice('list');
    assert.equal(listed.status, 0, listed.stderr);
    const now = JSON.parse(readFileSync(join(aliceHome, 'run/bus.json'), 'utf8')) as { urls: string[] };
    assert.notEqual(now.urls[0], bus.urls[0], 'the daemon moved to another port');
    assert.doesNotMatch(log, /PUB weft|SUB weft/);
  } finally {
    server.kill('SIGKILL');
  }
});
void existsSync;
void ROOT;
