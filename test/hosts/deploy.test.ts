/** What deploy/ holds: units, image, compose file and chart say what the programs understand, and what belongs together fits. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { GenericContainer, Wait } from 'testcontainers';
import { parse } from 'yaml';
import { type KubernetesObject, renderChart } from '../support/chart.ts';
import { startEngine } from '../support/container-engine.ts';
import { Enclosure, enclosureMissing } from '../support/enclosure.ts';
import { COMMAND_MS } from '../support/patience.ts';
import { CLI, ROOT } from '../support/weft.ts';

const DEPLOY = join(ROOT, 'deploy');
const has = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
const directory = mkdtempSync(join(tmpdir(), 'weft-deploy-'));
after(() => rmSync(directory, { recursive: true, force: true }));

/** In the contract (docs/contracts-network.md), and not in every version of the session daemon. */
const PROMISED = ['--fleet'];

const optionsOf = new Map<string, readonly string[]>();
/** Complains about options that the command does not have. A command that this version lacks is left out. */
const unknownOptions = (words: readonly string[]): string[] => {
  const [command = '', ...rest] = words;
  if (!optionsOf.has(command)) {
    const listed = spawnSync(CLI, [command, '--list-options'], {
      encoding: 'utf8',
      env: { ...process.env, WEFT_HOME: directory },
    });
    optionsOf.set(command, listed.status === 0 ? listed.stdout.split('\n') : []);
  }
  const known = optionsOf.get(command)!;
  return rest
    .map((word) => word.split('=')[0]!)
    .filter((word) => word.startsWith('--') && known.length > 0 && ![...known, ...PROMISED].includes(word));
};

describe('systemd units', () => {
  const units = readdirSync(join(DEPLOY, 'systemd'));
  for (const unit of units) {
    const text = readFileSync(join(DEPLOY, 'systemd', unit), 'utf8');

    test(`${unit} starts a command with options that it has`, () => {
      const words = /^ExecStart=(.+)$/m.exec(text)![1]!.split(' ');
      if (words[0] === '/opt/weft/cli/weft') assert.deepEqual(unknownOptions(words.slice(1)), []);
    });

    test(`${unit} is understood by systemd`, { skip: !has('systemd-analyze') && 'systemd-analyze is not installed' }, () => {
      const said = spawnSync('systemd-analyze', ['verify', '--man=no', join(DEPLOY, 'systemd', unit)], {
        encoding: 'utf8',
      }).stderr;
      const complaints = said
        .split('\n')
        .filter((line) => line.includes(unit) && !/is not executable: No such file/.test(line));
      assert.deepEqual(complaints, []);
    });
  }

  test('the session daemon’s unit hears that it is ready, and then the watchdog’s word', {
    timeout: COMMAND_MS,
    skip: !has('python3'),
  }, () => {
    assert.match(readFileSync(join(DEPLOY, 'systemd/weft-sessiond.service'), 'utf8'), /^Type=notify$[\s\S]*^WatchdogSec=/m);
    // Node has no datagram sockets of the file system.
    const systemd = `
import os, socket, subprocess, sys
at = sys.argv[1] + "/notify"
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(at); s.settimeout(20)
env = dict(os.environ, NOTIFY_SOCKET=at, WATCHDOG_USEC="400000", WEFT_HOME=sys.argv[1] + "/home")
os.makedirs(env["WEFT_HOME"])
p = subprocess.Popen(["sh", "-c", 'WATCHDOG_PID=$$ exec "$0" sessiond', sys.argv[2]], env=env)
try:
    said = []
    while not ("READY=1" in said and said[-1] == "WATCHDOG=1"):
        said.append(s.recv(100).decode())
    p.terminate()
    while said[-1] != "STOPPING=1":
        said.append(s.recv(100).decode())
    print("ended", p.wait(20))
finally:
    p.kill()
`;
    const ran = spawnSync('python3', ['-c', systemd, directory, CLI], { encoding: 'utf8' });
    assert.equal(ran.stdout, 'ended 0\n', ran.stderr);
  });
});

describe('container image', { timeout: 300_000 }, () => {
  const image = join(directory, 'image');
  const root = process.getuid?.() === 0;

  test('its root holds a Weft that runs by itself, with daemon, bus and consumer', {
    skip: !root && 'needs root for chroot',
  }, () => {
    const made = spawnSync('sh', [join(DEPLOY, 'image/root.sh'), image], { encoding: 'utf8' });
    assert.equal(made.status, 0, made.stderr);
    const script =
      'weft=/opt/weft/cli/weft; export WEFT_HOME=/tmp/home; mkdir -p $WEFT_HOME; $weft create inside && $weft list; $weft sessiond --stop';
    const ran = spawnSync('chroot', [image, '/bin/sh', '-c', script], {
      encoding: 'utf8',
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    });
    assert.match(ran.stdout, /1\) inside \[inactive\][\s\S]*Session daemon stopped/, ran.stderr);
    assert.match(readFileSync(join(image, 'etc/passwd'), 'utf8'), /^weft:x:991:991:[^:]*:\/var\/lib\/weft-fleet:/m);
    assert.equal(statSync(join(image, 'var/lib/weft-fleet')).uid, 991, 'the fleet’s user can write there');
    const bytes = spawnSync('du', ['-sm', image], { encoding: 'utf8' }).stdout;
    assert.ok(Number.parseInt(bytes, 10) < 300, bytes);
  });

  const missing = enclosureMissing() || (!has('docker') && 'needs the command line of an engine (docker)');
  test('an engine builds it and runs it', { skip: missing }, async (t) => {
    const enclosure = await Enclosure.start(join(directory, 'engine'));
    t.after(() => enclosure.dispose());
    const why = await startEngine(enclosure);
    if (why !== null) return t.skip(why);
    const built = spawnSync('sh', [join(DEPLOY, 'image/build.sh'), 'weft:test'], { encoding: 'utf8', cwd: directory });
    assert.match(built.stdout, /built weft:test with docker/, built.stderr);
    // A command that comes before the daemon would start one of its own, and the container ends with the daemon that it is for.
    const serves = Wait.forSuccessfulCommand('ls /run/weft/client.sock');
    const container = await new GenericContainer('weft:test').withNetworkMode('none').withWaitStrategy(serves).start();
    const weft = (...words: string[]) => container.exec(['weft', ...words]);
    const made = await weft('create', 'inside');
    assert.equal(made.exitCode, 0, made.output);
    assert.match((await weft('list')).output, /1\) inside \[inactive\]/);
    assert.match((await weft('version')).output, /^weft version/);
    await container.stop();
  });
});

interface Service {
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly volumes: readonly string[];
}

describe('compose file', { timeout: 300_000 }, () => {
  const file = parse(readFileSync(join(DEPLOY, 'compose/compose.yaml'), 'utf8'), { merge: true }) as {
    readonly services: Readonly<Record<string, Service>>;
    readonly volumes: Readonly<Record<string, unknown>>;
  };

  test('has three NATS servers, three hosts and a relay, each with what up.sh makes for it', () => {
    const env = { PATH: process.env.PATH, WEFT_KEYS: join(directory, 'keys') };
    const made = spawnSync('sh', [join(DEPLOY, 'compose/up.sh'), '--keys'], { encoding: 'utf8', env });
    assert.equal(made.status, 0, made.stderr);
    assert.deepEqual(Object.keys(file.services), ['nats1', 'nats2', 'nats3', 'host1', 'host2', 'host3', 'relay']);
    for (const { volumes } of Object.values(file.services)) {
      for (const [from = ''] of volumes.map((volume) => volume.split(':'))) {
        if (from.startsWith('./keys/')) assert.ok(existsSync(join(directory, from)), from);
        else assert.ok(from in file.volumes, from);
      }
    }
    assert.equal(statSync(join(directory, 'keys/keys.json')).mode & 0o077, 0);
  });

  test('starts commands with options that they have', () => {
    for (const { command, entrypoint } of Object.values(file.services))
      if (!entrypoint) assert.deepEqual(unknownOptions(command!), []);
  });
});

interface PodSpec {
  readonly containers: readonly {
    readonly name: string;
    readonly image: string;
    readonly args: readonly string[];
    readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
    readonly ports?: readonly { readonly containerPort: number }[];
  }[];
  readonly volumes: readonly {
    readonly name: string;
    readonly secret?: {
      readonly secretName: string;
      readonly items?: readonly { readonly key: string; readonly path: string }[];
    };
  }[];
}

interface Workload {
  readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
  readonly template: { readonly metadata: { readonly labels: Readonly<Record<string, string>> }; readonly spec: PodSpec };
  readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[];
  readonly serviceName?: string;
}

/** What the API server would refuse, or accept and never run. */
const lint = (objects: readonly KubernetesObject[]): string[] => {
  const services = objects.filter(({ kind }) => kind === 'Service').map(({ metadata }) => metadata.name);
  return objects.flatMap(({ apiVersion, kind, metadata, spec }) => {
    const wrong: string[] = [];
    const complain = (fine: unknown, what: string) => fine || wrong.push(`${kind} ${metadata?.name}: ${what}`);
    complain(apiVersion && /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(metadata.name), 'apiVersion or name');
    if (kind === 'Service') return wrong;
    const { selector, template, volumeClaimTemplates = [], serviceName } = spec as unknown as Workload;
    complain(
      Object.entries(selector.matchLabels).every(([name, value]) => template.metadata.labels[name] === value),
      'its selector does not select its pods',
    );
    complain(serviceName === undefined || services.includes(serviceName), `no service ${serviceName}`);
    const volumes = [...template.spec.volumes.map(({ name }) => name), ...volumeClaimTemplates.map((one) => one.metadata.name)];
    complain(new Set(volumes).size === volumes.length, 'two volumes of one name');
    for (const { name, image, args, volumeMounts, ports = [] } of template.spec.containers) {
      complain(/^[^:]+:[^:]+$/.test(image), `image ${image}`);
      for (const mount of volumeMounts)
        complain(volumes.includes(mount.name), `${name} mounts ${mount.name}, which is not there`);
      for (const { containerPort } of ports)
        complain(args.includes(`--live-port=tcp://0.0.0.0:${containerPort}`), `nothing listens at port ${containerPort}`);
      for (const option of unknownOptions(args)) complain(false, `${args[0]} has no option ${option}`);
    }
    return wrong;
  });
};

describe('Helm chart (rendered and linted by the test; helm is not asked)', () => {
  const chart = join(DEPLOY, 'helm/weft');

  test('with its own values, and with every switch turned', () => {
    assert.deepEqual(lint(renderChart(chart, {})), []);
    const turned = renderChart(chart, {
      hosts: { names: ['node-a', 'node-b.example'] },
      relay: { storageClass: 'fast', live: { expose: true, port: 6000 } },
    });
    assert.deepEqual(lint(turned), []);
    assert.deepEqual(
      turned.map(({ kind }) => kind),
      ['DaemonSet', 'StatefulSet', 'Service'],
    );
    assert.deepEqual(
      renderChart(chart, { relay: { enabled: false } }).map(({ kind }) => kind),
      ['DaemonSet'],
    );
  });

  test('each node finds its own key where its daemon looks for it', () => {
    const [daemons] = renderChart(chart, { hosts: { names: ['node-a'] } });
    const { spec } = (daemons!.spec as unknown as Workload).template;
    const items = spec.volumes.find(({ name }) => name === 'keys')!.secret!.items!;
    assert.deepEqual(
      items.map(({ key, path }) => `${key} ${path}`),
      ['node-a.fleet.json node-a/fleet.json', 'node-a.user.creds node-a/user.creds', 'node-a.ca.pem node-a/ca.pem'],
    );
    assert.ok(spec.containers[0]!.args.includes('--fleet=/etc/weft/hosts/$(NODE_NAME)/fleet.json'));
  });

  test('the lines that the documentation gives make every secret that the chart mounts', () => {
    const place = mkdtempSync(join(directory, 'chart-'));
    const script = (name: string, text: string) => writeFileSync(join(place, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    script('kubectl', 'case "$*" in get*) echo node-a node-b;; *) echo "$@";; esac');
    script('helm', 'echo helm "$@"');
    script('weft', `exec '${CLI}' "$@"`);
    const text = readFileSync(join(ROOT, 'docs/deploy.md'), 'utf8');
    const [, lines] = /## 7\. Kubernetes[\s\S]*?```sh\n([\s\S]*?)```/.exec(text)!;
    const env = { ...process.env, PATH: `${place}:${process.env.PATH}`, WEFT_KEYS: join(place, 'keys') };
    const said = execFileSync(
      'sh',
      ['-ec', `weft keys init keys --server=nats1 >/dev/null\nweft keys relay store >/dev/null\n${lines}`],
      {
        cwd: place,
        env,
        encoding: 'utf8',
      },
    );
    assert.match(said, /^create secret generic weft-hosts --from-file=secret\/$/m);
    assert.deepEqual(
      readdirSync(join(place, 'secret')).sort(),
      ['node-a', 'node-b'].flatMap((node) => ['ca.pem', 'fleet.json', 'user.creds'].map((file) => `${node}.${file}`)),
    );
  });

  test('the lint finds a mount without volume and a selector that selects nothing', () => {
    const text = JSON.stringify(renderChart(chart, {}));
    const broken = JSON.parse(
      text
        .replace('"name":"runtime","hostPath"', '"name":"elsewhere","hostPath"')
        .replace('"app.kubernetes.io/component":"relay"}},"template"', '"app.kubernetes.io/component":"other"}},"template"'),
    ) as KubernetesObject[];
    assert.deepEqual(lint(broken), [
      'DaemonSet test-sessiond: sessiond mounts runtime, which is not there',
      'StatefulSet test-relay: its selector does not select its pods',
    ]);
  });
});
