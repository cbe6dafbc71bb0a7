/** docs/orchestrate.md: its samples, as they are shown, against a real daemon. Where the `nats` tool is not installed, its part is played. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { TestFleet, until } from '../support/fleet-server.ts';
import { babeltrace, ROOT, Weft } from '../support/weft.ts';

const EXAMPLES = join(ROOT, 'examples/orchestrate');
const skip = spawnSync('python3', ['--version']).status === 0 ? false : 'python3 is not installed';

const samples = (language: string): string[] => {
  const text = readFileSync(join(ROOT, 'docs/orchestrate.md'), 'utf8');
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map((match) => match[1]!);
};

/** The two commands of the tool that the samples use. It says on stderr when it listens, so that the test can go on. */
const NATS = `#!/usr/bin/env python3
import argparse, json, sys
from weft_bus import Bus, read_credentials
words = argparse.ArgumentParser()
for name in ("--server", "--tlsca", "--creds", "--inbox-prefix"):
    words.add_argument(name, required=True)
verbs = words.add_subparsers(dest="verb", required=True)
request, subscribe = verbs.add_parser("request"), verbs.add_parser("subscribe")
for verb in (request, subscribe):
    verb.add_argument("--raw", action="store_true", required=True)
subscribe.add_argument("--count", type=int, required=True)
for verb in (request, subscribe):
    verb.add_argument("subject")
request.add_argument("body")
given = words.parse_args()
with open(given.tlsca) as file:
    bus = Bus(given.server, file.read(), *read_credentials(given.creds), given.inbox_prefix)
if given.verb == "request":
    print(json.dumps(bus.request(given.subject, json.loads(given.body))))
else:
    sid = bus.subscribe(given.subject)
    bus.flush()
    print("listening", file=sys.stderr)
    for _ in range(given.count):
        print(json.dumps(bus.wait_for(sid)[1]))
`;

interface Running {
  readonly child: ChildProcess;
  said(): string;
  ended(): Promise<number | null>;
}

const start = (command: string, args: readonly string[], env: NodeJS.ProcessEnv): Running => {
  const child = spawn(command, args, { env, cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
  }
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  return { child, said: () => text, ended: () => ended };
};

const says = (running: Running, what: RegExp): Promise<void> =>
  until(() => {
    if (running.child.exitCode !== null && !what.test(running.said())) throw new Error(running.said());
    return what.test(running.said());
  }, `${what}`);

/** The trace has events up to the symptom, or just after: what the buffers held. */
const readable = (path: string): void => {
  const read = babeltrace(path);
  assert.equal(read.status, 0, read.complaints);
  assert.ok(read.events > 500, String(read.events));
};

describe('orchestration', { timeout: 300_000, skip }, () => {
  const weft = new Weft();
  after(() => weft.dispose());
  const env = (more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
    ...weft.env,
    PYTHONPATH: EXAMPLES,
    PYTHONDONTWRITEBYTECODE: '1',
    ...more,
  });

  test('from Python, with its standard library alone: create, enable, start, trigger, collect', async () => {
    weft.ok('sessiond', '--background');
    const running = start(
      'python3',
      ['-I', '-c', `import sys; sys.path.insert(0, ${JSON.stringify(EXAMPLES)})\n${samples('python')[0]}`],
      env(),
    );
    await says(running, /^waiting$/m);
    const program = await weft.counter({ events: 2_000, periodNs: 100_000 });
    assert.equal(await running.ended(), 0, running.said());
    await program.ended;
    assert.match(running.said(), /^seen in counter number 1000$/m);
    readable(/^trace (\S+) events \d+$/m.exec(running.said())![1]!);
    assert.match(weft.ok('list'), /no recording sessions|Currently no/i);
  });

  test('from a shell with `nats`: create, enable, start, trigger, collect', async () => {
    const tools = join(weft.home, 'tools');
    mkdirSync(tools);
    writeFileSync(join(tools, 'nats'), NATS);
    chmodSync(join(tools, 'nats'), 0o755);
    const script = `set -eu\n${samples('sh').join('\n')}`;
    const running = start('sh', ['-c', script], env({ PATH: `${tools}:${process.env.PATH}`, TMPDIR: weft.home }));
    await says(running, /^listening$/m);
    const program = await weft.counter({ events: 2_000, periodNs: 100_000 });
    assert.equal(await running.ended(), 0, running.said());
    await program.ended;
    assert.doesNotMatch(running.said(), /"error"/);
    readable(/"path": "([^"]+)"/.exec(running.said())![1]!);
  });

  test('a fleet is commanded the same way, with an operator’s directory of `weft keys`', async () => {
    const fleet = await TestFleet.start();
    try {
      const host = await fleet.connect({ kind: 'host', name: 'web-1' });
      host.subscribe('weft.v1.web-1.0.cmd.fleet.alice.session.list', {
        callback: (_error, message) => void message.respond(JSON.stringify({ v: 1, heard: message.json() })),
      });
      await host.flush();
      const directory = await fleet.mint({ kind: 'operator', name: 'alice' });
      const script = `
import sys
from weft_bus import Bus
bus = Bus.fleet(sys.argv[1], host="web-1")
print(bus.command("session.list")["heard"]["v"])
bus.subscribe("weft.v1.web-1.0.cmd.>")
try:
    bus.flush()
except PermissionError as refused:
    print(refused)
`;
      const running = start('python3', ['-c', script, directory], env());
      assert.equal(await running.ended(), 0, running.said());
      assert.match(running.said(), /^1\n-ERR 'Permissions Violation for Subscription/);
    } finally {
      await fleet.dispose();
    }
  });
});
