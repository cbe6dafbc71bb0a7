/** A relay as docs/deploy.md says: its files put where the unit looks for them, readable by the user that the unit names. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { accessOf, TestFleet } from '../support/fleet-server.ts';
import { freePort } from '../support/relay.ts';
import { CLI, ROOT } from '../support/weft.ts';

/** `nobody`, in the place of the unit's user, who is not made here. */
const NOBODY = 65_534;
const UNIT = readFileSync(join(ROOT, 'deploy/systemd/weft-relayd.service'), 'utf8');

const missing = (): string | false => {
  if (process.getuid?.() !== 0) return 'needs root, to be somebody else';
  const readable =
    spawnSync(CLI, ['version'], { uid: NOBODY, gid: NOBODY, env: { PATH: '/usr/bin:/bin', HOME: '/' } }).status === 0;
  return !readable && 'others cannot read this installation';
};

/** The commands of the section, of which systemd's and the making of the user are left out. */
const commandsOf = (section: string): string[] => {
  const text = readFileSync(join(ROOT, 'docs/deploy.md'), 'utf8');
  const [, block = ''] = /```sh\n([\s\S]*?)```/.exec(text.slice(text.indexOf(`\n## ${section}`))) ?? [];
  return block.split('\n').filter((line) => line !== '' && !/^(useradd|systemctl) |\/systemd\//.test(line));
};

describe('a relay of a fleet, deployed', { timeout: 300_000, skip: missing() }, () => {
  const root = mkdtempSync(join(tmpdir(), 'weft-deployed-'));
  /** Paths of the machine as they are here. */
  const here = (text: string): string =>
    text
      .replaceAll('/srv/weft-keys', fleet.keys.directory)
      .replaceAll('/etc/weft', join(root, 'etc/weft'))
      .replaceAll('/var/lib/weft-relay', join(root, 'lib'))
      .replaceAll('/opt/weft/cli/weft', CLI);
  let fleet: TestFleet;
  before(async () => {
    chmodSync(root, 0o755);
    mkdirSync(join(root, 'lib'), { mode: 0o750 });
    chownSync(join(root, 'lib'), NOBODY, NOBODY);
    fleet = await TestFleet.start();
  });
  after(async () => {
    await fleet.dispose();
    rmSync(root, { recursive: true, force: true });
  });

  test('it serves as the unit’s user, beside a host’s key on the same machine', async () => {
    await fleet.mint({ kind: 'host', name: 'web-1' });
    await fleet.mint({ kind: 'relay', name: 'store' });
    const user = /^User=(.+)$/m.exec(UNIT)![1]!;
    for (const section of ['3. Hosts', '5. Relays']) {
      const commands = commandsOf(section).join('\n').replaceAll(`${user}:`, `${NOBODY}:${NOBODY}`);
      const ran = spawnSync('sh', ['-euc', here(commands)], { encoding: 'utf8' });
      assert.equal(ran.status, 0, ran.stderr);
    }
    assert.equal(accessOf(join(root, 'etc/weft/fleet')).role, 'host');
    assert.equal(statSync(join(root, 'etc/weft/relay/user.creds')).mode & 0o777, 0o600);
    const context = join(root, 'etc/weft/nats/context/fleet.json');
    writeFileSync(context, here(readFileSync(context, 'utf8')));

    const [, command = ''] = /^ExecStart=(.+)$/m.exec(UNIT) ?? [];
    const [program = '', ...words] = here(command).split(' ');
    const environment = [...UNIT.matchAll(/^Environment=(\w+)=(.+)$/gm)].map(([, name, value]) => [name, here(value!)]);
    const env = { PATH: process.env.PATH, HOME: '/nonexistent', ...Object.fromEntries(environment) };
    const live = `--live-port=tcp://127.0.0.1:${await freePort()}`;
    const relay = spawn(program, [...words, live], {
      uid: NOBODY,
      gid: NOBODY,
      env,
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let complained = '';
    relay.stderr!.on('data', (text) => (complained += text));
    const ended = once(relay, 'exit').then(() => 'ended');
    assert.equal(await Promise.race([once(relay, 'message').then(([said]) => said as unknown), ended]), 'ready', complained);
    relay.kill('SIGTERM');
    await ended;
  });
});
