/** What every command says when it cannot do what it was asked: message and exit status, with one daemon for all. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { COMMAND_MS } from '../support/patience.ts';
import { CLI, Weft } from '../support/weft.ts';

const weft = new Weft();
after(() => weft.dispose());

interface Case {
  readonly words: string;
  readonly status: number;
  readonly says: RegExp;
}

const run = (words: readonly string[]): Promise<{ status: number; said: string }> =>
  new Promise((done) => {
    const child = execFile(CLI, words, { env: weft.env, timeout: COMMAND_MS }, (_error, stdout, stderr) =>
      done({ status: child.exitCode ?? -1, said: `${stdout}${stderr}` }),
    );
  });

/** Quoting as in a shell, as far as these words need it. */
const split = (text: string): string[] => (text.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replace(/^'|'$/g, ''));

const WORKERS = 4;

const all = async (cases: readonly Case[]): Promise<void> => {
  const left = [...cases];
  const wrong: string[] = [];
  const work = async (): Promise<void> => {
    for (let one = left.shift(); one; one = left.shift()) {
      const { status, said } = await run(split(one.words));
      if (status !== one.status || !one.says.test(said))
        wrong.push(`weft ${one.words}: ${status} instead of ${one.status}\n${said}`);
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, work));
  assert.deepEqual(wrong, []);
};

const refusal = (words: string, says: RegExp, status = 1): Case => ({ words, says, status });

before(() => {
  weft.ok('create', 'fresh', '-o', weft.trace('fresh'));
  weft.ok('create', 'empty', '--no-output');
  weft.ok('create', 'snap', '--snapshot', '-o', weft.trace('snap'));
  weft.session('on', ['--num-subbuf=2', '--subbuf-size=4096']);
  weft.ok('set-session', 'fresh');
});

test('errors: general', () =>
  all([
    refusal('nosuch', /nosuch is not a weft command/, 2),
    refusal('--nosuch', /'--nosuch': unknown option/),
    refusal('list --nosuch', /'--nosuch': unknown option/),
    refusal('--mi=json list', /type json is not known: xml is/),
    refusal('--mi=xml list --json', /exclude each other/),
    refusal('list a b', /Unknown argument: b/),
  ]));

test('errors: create', () =>
  all([
    refusal(`create ${'x'.repeat(256)}`, /cannot name a recording session/),
    refusal('create auto', /reserved/),
    refusal('create auto-x', /reserved/),
    refusal('create a/b', /no `\/`/),
    refusal('create fresh', /exists already/),
    refusal('create x --trace-format=ctf-2', /Trace format ctf-2 is not supported/, 5),
    refusal('create x --trace-format=foo', /Trace format foo is not supported/, 5),
    refusal('create x -o /tmp/a -U file:///tmp/b', /--output and --set-url exclude each other/),
    refusal('create x -C net://h', /--data-url is missing: both URLs are needed/),
    refusal('create x --live=0', /--live: .0. is no time from 1/),
    refusal('create x --no-consumer', /--no-consumer is not supported by this version/, 5),
    refusal('create x -U net://h:70000', /a port is a number/),
    refusal(`create x -o /${'p'.repeat(4200)}`, /Error/),
  ]));

test('errors: start, stop, destroy, clear', () =>
  all([
    refusal('start nosuch', /`nosuch` does not exist/),
    refusal('start fresh', /`fresh` has no channel/),
    refusal('start on', /Warning: .*already started/, 4),
    refusal('stop fresh', /Warning: .*already stopped/, 4),
    refusal('stop nosuch', /does not exist/),
    refusal('stop on --no-wait', /--no-wait is not supported by this version/, 5),
    refusal('destroy nosuch', /does not exist/),
    refusal('destroy --glob nosuch*', /No session found, nothing to do/, 0),
    refusal('clear nosuch', /does not exist/),
  ]));

test('errors: channels', () =>
  all([
    refusal('enable-channel c', /specify a tracing domain/),
    refusal('enable-channel -k c', /not supported by this version/, 5),
    refusal('enable-channel -u', /Missing channel name/),
    refusal('enable-channel -u -s nosuch c', /does not exist/),
    refusal('enable-channel -u .c', /cannot name a channel/),
    refusal('enable-channel -u a/b', /cannot name a channel/),
    refusal('enable-channel -u metadata', /cannot name a channel/),
    refusal('enable-channel -u c --subbuf-size=1x', /Wrong value in --subbuf-size/),
    refusal('enable-channel -u c --subbuf-size=-1', /Wrong value in --subbuf-size/),
    refusal('enable-channel -u c --subbuf-size=16', /`subbufSize` is wrong/),
    refusal('enable-channel -u c --switch-timer=99999999999', /Wrong value in --switch-timer/),
    refusal('enable-channel -u c --output=splice', /splice is not one of the user-space domain/),
    refusal('enable-channel -u c --buffers-global', /belongs to the kernel domain/),
    refusal('enable-channel -u c --buffers-uid --buffers-pid', /not to both/),
    refusal('enable-channel -u c --discard --overwrite', /exclude each other/),
    refusal('enable-channel -u c --overwrite --blocking-timeout=inf', /Error/),
    refusal('enable-channel -u c --tracefile-count=2', /Error/),
    refusal('enable-channel -u c --buffer-allocation=foo', /none of: per-cpu, per-channel/),
    refusal('enable-channel -u c --overwrite --auto-reclaim-memory=consumed', /Error/),
    refusal('enable-channel -u -s on c2', /channels and contexts are fixed/),
    refusal('enable-channel -u -s on ch', /Warning: .*exists already/, 4),
    refusal('disable-channel -u -s on nosuch', /Warning: .*no channel `nosuch`/, 4),
    refusal('disable-channel -u -s nosuch ch', /does not exist/),
  ]));

test('errors: events', () =>
  all([
    refusal('enable-event a', /specify a tracing domain/),
    refusal('enable-event -u', /Missing event name/),
    refusal('enable-event -u -a b', /exclude each other/),
    refusal('enable-event -k --syscall a', /not supported by this version/, 5),
    refusal('enable-event -u a -s nosuch', /does not exist/),
    refusal('enable-event -u -s on a', /Name the channel with --channel/),
    refusal('enable-event -u -s on -c ch weft_test:*', /Warning: .*same event rule/, 4),
    refusal("enable-event -u -s on -c ch x --filter 'a +'", /Filter 'a \+' is wrong at column/),
    refusal('enable-event -u -s on -c ch a -x b', /[Ee]xclusion/),
    refusal('enable-event -u -s on -c ch a* -x *', /excludes all events/),
    refusal('enable-event -u -s on -c ch a --loglevel=FOO', /Unknown loglevel FOO/),
    refusal('enable-event -u -s on -c ch a --loglevel=INFO --loglevel-only=INFO', /exclude each other/),
    refusal('enable-event -u -s on -c lttng_jul_channel a', /reserved/),
    refusal('disable-event -u -s on -c ch nosuch', /Warning: .*no event rule/, 4),
    refusal('disable-event -u -s on -c nosuch a', /Warning: .*no channel/, 4),
    refusal('disable-event -u -s on -c ch --tracepoint a', /instrumentation type is not supported/, 5),
  ]));

test('errors: contexts, trackers', () =>
  all([
    refusal('add-context -u -s fresh', /Missing mandatory -t/),
    refusal('add-context -u -s fresh -t nosuch', /`nosuch` is unknown/, 3),
    refusal('add-context -u -s fresh -c nosuch -t vpid', /no channel `nosuch`/, 4),
    refusal('add-context -u -s on -t vpid', /channels and contexts are fixed/),
    refusal('track -u -s fresh', /At least one process attribute/),
    refusal('track -u -s fresh --vpid=1 -a', /--all and values exclude each other/),
    refusal('track -u -s fresh --vuid=no_such_user', /no_such_user/),
    refusal('track -u -s fresh --uid=1', /not supported by this version/, 5),
    refusal('untrack -u -s fresh --vpid=5', /Warning: 5 is not in the virtual process ID/, 0),
  ]));

test('errors: rotation, clear, snapshots', () =>
  all([
    refusal('rotate nosuch', /does not exist/),
    refusal('rotate fresh', /was never started/),
    refusal('rotate snap', /never started|cannot be rotated/),
    refusal('rotate empty', /never started|cannot be rotated/),
    refusal('enable-rotation -s fresh', /No rotation schedule/),
    refusal('enable-rotation -s fresh --timer=0', /must be above zero/),
    refusal('enable-rotation -s fresh --timer=-1', /must be above zero/),
    refusal('enable-rotation -s fresh --size=1x', /must be above zero/),
    refusal('enable-rotation -s fresh --timer=1s --timer=2s', /given more than once/),
    refusal('enable-rotation -s snap --size=1M', /cannot be rotated/),
    refusal('disable-rotation -s fresh --timer', /has no .*schedule/),
    refusal('disable-rotation -s nosuch --timer', /does not exist/),
    refusal('snapshot', /An action is needed/),
    refusal('snapshot nosuch', /Unknown action/, 2),
    refusal('snapshot record -s on', /is no snapshot session/),
    refusal('snapshot record -s snap', /was never started/),
    refusal('snapshot add-output -s snap /tmp/x', /has snapshot output `snapshot-1` already/),
    refusal('snapshot del-output -s snap 7', /has no snapshot output `7`/),
    refusal('snapshot del-output -s snap', /id or the name of an output is needed/),
    refusal('snapshot record -s snap -m 1x', /Invalid snapshot size/),
    refusal('snapshot record -s nosuch', /does not exist/),
  ]));

test('errors: list, status, regenerate, set-session, view', () =>
  all([
    refusal('list nosuch', /does not exist/),
    refusal('list on -c nosuch', /no channel `nosuch`/, 4),
    refusal('list -f', /--fields needs --userspace/),
    refusal('list -d', /--domain needs a session/),
    refusal('list on --style=foo', /none of: breathe, compact/),
    refusal('list on --mem-usage=foo', /none of: total, compact, full/),
    refusal('list -k', /not supported by this version/, 5),
    refusal('status x', /This command does not accept positional arguments/),
    refusal('regenerate', /Missing object/),
    refusal('regenerate nosuch', /Unknown object/, 2),
    refusal('regenerate metadata -s fresh', /is not started/),
    refusal('metadata nosuch', /Unknown metadata command/, 2),
    refusal('set-session', /Missing session name/),
    refusal('set-session nosuch', /does not exist/),
    refusal('view on -e true', /is running/),
  ]));

test('errors: triggers', () =>
  all([
    refusal('add-trigger --action notify', /Missing --condition/),
    refusal('add-trigger --condition event-rule-matches --type user', /at least one --action/),
    refusal('add-trigger --condition nosuch --action notify', /Unknown condition type nosuch/),
    refusal('add-trigger --condition event-rule-matches --type user --action nosuch', /Unknown action type nosuch/),
    refusal(
      'add-trigger --condition event-rule-matches --type kernel --action notify',
      /Event rule type kernel is not supported/,
      5,
    ),
    refusal('add-trigger --condition event-rule-matches --type user --action notify --rate-policy every:0', /Rate policy/),
    refusal('add-trigger --condition event-rule-matches --type user --action start-session', /needs a session/),
    refusal('add-trigger --condition event-rule-matches --type user --action snapshot-session s --name n', /need --path/),
    refusal('add-trigger --condition session-consumed-size-ge -s s --action notify', /needs --threshold-size/),
    refusal('add-trigger --condition channel-buffer-usage-ge -s s -c c -d user -r 2 --action notify', /not between 0 and 1/),
    refusal('remove-trigger nosuch', /Couldn't find trigger with name `nosuch`/),
    refusal('remove-trigger', /Missing trigger name/),
  ]));

test('errors: --mi xml has a document for them, and the reason on stderr', async () => {
  const ran = weft.run('--mi', 'xml', 'start', 'nosuch');
  assert.equal(ran.status, 1);
  assert.match(ran.stdout, /^<\?xml .*<name>start<\/name><output><sessions\/><\/output><success>false<\/success><\/command>$/s);
  assert.match(ran.stderr, /`nosuch` does not exist/);
  const done = weft.run('-q', '--mi=xml', 'list');
  assert.match(done.stdout, /<session><name>fresh<\/name>.*<success>true<\/success><\/command>$/);
  assert.match(weft.run('--mi=xml', 'list', '--help').stdout, /^Usage: weft list/);
});

test('errors: without a daemon, and without a current session', () => {
  const alone = new Weft();
  try {
    const daemon = alone.run('-n', 'list');
    assert.equal(daemon.status, 1);
    assert.match(daemon.stderr, /No session daemon is available/);
    const session = alone.run('-n', 'start');
    assert.equal(session.status, 1);
    assert.match(session.stderr, /Did you create a session\?/);
  } finally {
    alone.dispose();
  }
});
