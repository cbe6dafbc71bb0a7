/** The daemon as a service of systemd and as PID 1 of a container: killed whole or in part, ended, started again. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { COMMAND_MS, PATIENCE_MS } from '../support/patience.ts';
import { babeltrace, build, CLI, checkTrace, dataFiles, Weft } from '../support/weft.ts';

const until = async (what: string, holds: () => boolean, ms = PATIENCE_MS): Promise<void> => {
  for (const deadline = Date.now() + ms; !holds(); await new Promise((done) => setTimeout(done, 20))) {
    assert.ok(Date.now() < deadline, `waited too long: ${what}`);
  }
};

const answers = (weft: Weft): boolean => weft.run('-n', 'list').status === 0;

/** `weft sessiond` in the foreground, as systemd starts it: its pid is the main process. */
const service = async (t: TestContext, weft: Weft, before: readonly string[] = []): Promise<ChildProcess> => {
  const [program = CLI, ...words] = [...before, CLI, 'sessiond'];
  const main = spawn(program, words, { env: weft.env, stdio: 'ignore', detached: true });
  t.after(() => main.kill('SIGKILL'));
  await until('it serves', () => answers(weft));
  return main;
};

const withWeft = (t: TestContext): Weft => {
  const weft = new Weft();
  t.after(() => weft.dispose());
  return weft;
};

const assertReadable = (output: string): ReturnType<typeof checkTrace> => {
  const checked = checkTrace(output);
  assert.deepEqual(checked.errors, []);
  assert.equal(checked.duplicates + checked.disorder, 0);
  const read = babeltrace(output);
  assert.deepEqual({ status: read.status, complaints: read.complaints }, { status: 0, complaints: '' });
  return checked;
};

test('the process that systemd starts is the keeper; SIGTERM to it ends everything, and the trace is complete', async (t) => {
  const weft = withWeft(t);
  const main = await service(t, weft);
  assert.equal(weft.readPid('keeper'), main.pid);
  const output = weft.session('s');
  const program = await weft.counter({ events: 20_000 });
  await program.ended;
  const ended = new Promise<number | null>((resolve) => main.once('exit', (status) => resolve(status)));
  main.kill('SIGTERM');
  assert.equal(await ended, 0);
  assert.deepEqual(weft.processes(), []);
  assert.equal(assertReadable(output).recorded, 20_000);
});

test('KillMode=control-group: after SIGKILL to all of it the session is active again, and nothing goes uncounted', async (t) => {
  const weft = withWeft(t);
  await service(t, weft);
  const output = weft.session('s');
  const program = await weft.counter({ periodNs: 20_000 });
  await program.advance(5_000);
  const group = weft.processes();
  // As the kernel does for a control group: none of them runs on while the others die.
  for (const { pid } of group) process.kill(pid, 'SIGSTOP');
  for (const { pid } of group) process.kill(pid, 'SIGKILL');
  await until('all are gone', () => weft.processes().length === 0);
  await program.advance(5_000);
  await service(t, weft);
  if (process.getuid!() !== 0) {
    // Only root's daemon may take the rings back from the program.
    await until('there is a trace beside the old one', () =>
      dataFiles(join(output, 'ust/uid')).some((path) => path.includes('64-bit-2')),
    );
    assert.match(readFileSync(join(weft.home, 'state/log/sessiond.log'), 'utf8'), /the rings of a trace are gone/);
  }
  await until('the program is recorded', () => /Recorded events: +[1-9]/.test(weft.ok('list', 's')));
  await program.advance(5_000);
  await program.stop();
  weft.ok('stop', 's');
  weft.ok('destroy', 's');
  const { recorded, lost } = assertReadable(output);
  if (process.getuid!() === 0) assert.equal(recorded + lost, program.total());
  else assert.ok(recorded > 5_000);
});

test('KillMode=process: with the main process killed the rest goes on; a second start is refused and disturbs nobody', async (t) => {
  const weft = withWeft(t);
  const main = await service(t, weft);
  const output = weft.session('s', ['--num-subbuf=8']);
  const program = await weft.counter({ periodNs: 20_000 });
  await program.advance(2_000);
  main.kill('SIGKILL');
  await until('another keeper serves', () => weft.processes().some(({ role, pid }) => role === 'keeper' && pid !== main.pid));
  const second = spawnSync(CLI, ['sessiond'], { env: weft.env, encoding: 'utf8', timeout: COMMAND_MS });
  assert.notEqual(second.status, 0);
  await program.advance(2_000);
  await program.stop();
  weft.ok('-n', 'stop', 's');
  const emitted = program.total();
  weft.ok('-n', 'destroy', 's');
  const { recorded, lost } = assertReadable(output);
  assert.equal(recorded + lost, emitted);
});

/** State and parent of each process. */
const childrenOf = (pid: number): { readonly pid: number; readonly state: string }[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && existsSync(`/proc/${name}/stat`))
    .flatMap((name) => {
      try {
        const text = readFileSync(`/proc/${name}/stat`, 'utf8');
        const [state, parent] = text.slice(text.lastIndexOf(')') + 2).split(' ') as [string, string];
        return Number(parent) === pid ? [{ pid: Number(name), state }] : [];
      } catch {
        return [];
      }
    });

const UNSHARE = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];
const mayUnshare = spawnSync(UNSHARE[0]!, [...UNSHARE.slice(1), 'true']).status === 0;

test('PID 1 of a container: orphans are reaped, a killed daemon comes back, SIGTERM ends it orderly', async (t) => {
  if (!mayUnshare) return t.skip('a PID namespace takes root');
  const weft = withWeft(t);
  const container = await service(t, weft, UNSHARE);
  const keeper = weft.readPid('keeper');
  assert.match(readFileSync(`/proc/${keeper}/status`, 'utf8'), /^NSpid:\s+\d+\s+1$/m);
  const inside = (...words: string[]) => ['-t', String(keeper), '--pid', '--mount', ...words];
  const output = weft.session('s', ['--num-subbuf=8']);
  const confirm = join(weft.home, 'confirm');
  const program = spawn('nsenter', inside(build('counter'), confirm, '2', '40000', '50000'), {
    env: weft.env,
    stdio: 'ignore',
  });
  const ended = new Promise<number | null>((resolve) => program.once('exit', (status) => resolve(status)));
  await until('it records', () => existsSync(confirm) && readFileSync(confirm).readBigUInt64LE(0) > 1_000n);
  const daemon = weft.readPid('sessiond');
  process.kill(daemon, 'SIGKILL');
  await until('the daemon is back', () => weft.processes().some(({ role, pid }) => role === 'sessiond' && pid !== daemon));
  // Its parent ends first, so it falls to PID 1.
  spawnSync('nsenter', inside('sh', '-c', '(sleep 0.05 &)'));
  assert.equal(await ended, 0);
  await until('the orphans are reaped', () => childrenOf(keeper).every(({ state }) => state !== 'Z'));
  await until('it answers', () => answers(weft));
  const left = new Promise<number | null>((resolve) => container.once('exit', (status) => resolve(status)));
  process.kill(keeper, 'SIGTERM');
  assert.equal(await left, 0);
  assert.deepEqual(weft.processes(), []);
  const { recorded, lost } = assertReadable(output);
  assert.equal(recorded + lost, 80_000);
});
