/** Saved sessions: what is written in either format is read back as it was, and what is wrong in a file is named with its line. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FileFault, LIMITS, renamed, type SavedFile, withoutDefaults } from '../../cli/session-file/model.ts';
import { readXml, writeXml } from '../../cli/session-file/xml.ts';
import { readYaml, writeYaml } from '../../cli/session-file/yaml.ts';
import { CONTEXT_SPELLINGS, isContextType } from '../../machines/contexts.ts';
import type { ContextType } from '../../machines/document.ts';

/** Without what XML has no way to write. */
const words = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 20 })
  .map((one) => one.replace(/[^\t\n\r -\u{ffff}\u{10000}-\u{10ffff}]|[\ufffe\uffff]/gu, ' '));
const micros = fc.nat(0xffff_ffff);
const size = fc.maxSafeNat();
const path = words.map((one) => `/${one}`);

const attributes = fc.record({
  mode: fc.constantFrom('discard' as const, 'overwrite' as const),
  subbufSize: size,
  subbufCount: fc.nat(4096),
  switchTimerUs: micros,
  readTimerUs: micros,
  monitorTimerUs: micros,
  watchdogTimerUs: micros,
  blockingTimeoutUs: fc.oneof(fc.constant(-1), size),
  allocation: fc.constantFrom('per-cpu' as const, 'per-channel' as const),
  preallocation: fc.constantFrom('preallocate' as const, 'on-demand' as const),
  reclaim: fc.oneof(
    fc.constantFrom('off' as const, 'consumed' as const).map((policy) => ({ policy, ageUs: 0 })),
    size.map((ageUs) => ({ policy: 'older-than' as const, ageUs })),
  ),
  tracefileSize: size,
  tracefileCount: fc.nat(0xffff_ffff),
});

const rule = fc.record({
  pattern: words,
  logLevel: fc.option(
    fc.record({ kind: fc.constantFrom('range' as const, 'single' as const), level: fc.integer({ min: -1, max: 40 }) }),
  ),
  exclusions: fc.array(words, { maxLength: 3 }),
  filter: fc.option(words),
  enabled: fc.boolean(),
});

const contexts: readonly ContextType[] = [
  ...CONTEXT_SPELLINGS.filter(isContextType),
  'perf:thread:raw:r01aF:own_1',
  'perf:raw:rff:x',
  '$app.some:thing',
  '$app.a b:c:d',
];

const channel = fc.record({
  name: words,
  enabled: fc.boolean(),
  attributes,
  contexts: fc.array(fc.constantFrom(...contexts), { maxLength: 5 }),
  rules: fc.array(rule, { maxLength: 3 }),
});

const named = fc.array(fc.oneof(fc.nat(70_000), words), { maxLength: 3 });
const tracker = <T>(values: fc.Arbitrary<T[]>) => fc.oneof(fc.constant('all' as const), values);

const map = fc
  .record({
    name: words,
    bits: fc.constantFrom(32 as const, 64 as const),
    maxKeys: fc.integer({ min: 1, max: 0xffff_ffff }),
    updatePolicy: fc.constantFrom('per-event' as const, 'per-rule-match' as const),
    deadProcesses: fc.constantFrom('drop' as const, 'sum-into-shared' as const, null),
  })
  .map((one) => ({ ...one, ownership: one.deadProcesses === null ? ('user' as const) : ('process' as const) }));

const session = fc.record({
  name: words,
  started: fc.boolean(),
  ownership: fc.constantFrom('user' as const, 'process' as const),
  channels: fc.array(channel, { maxLength: 3 }),
  maps: fc.array(map, { maxLength: 2 }),
  shmPath: fc.option(path),
  trackers: fc.record({
    vpid: tracker(fc.array(fc.nat(70_000), { maxLength: 3 })),
    vuid: tracker(named),
    vgid: tracker(named),
  }),
  schedules: fc.record({ timerUs: fc.option(fc.integer({ min: 1 })), sizeBytes: fc.option(fc.integer({ min: 1 })) }),
  output: fc.oneof(
    fc
      .record({
        url: fc.constantFrom('relay:', 'relay:///a/b', 'nats://h:1/x', 'net://h:5342:5343', 'net://h:1:2/s'),
        liveTimerUs: fc.option(fc.integer({ min: 1, max: 0xffff_ffff })),
      })
      .map((one) => ({
        kind: 'network' as const,
        ...one,
        compress: false,
        spoolLimit: null,
      })),
    fc.constantFrom({ kind: 'default' as const }, { kind: 'none' as const }),
    path.map((one) => ({ kind: 'local' as const, path: one })),
    fc
      .array(fc.record({ name: words, path, maxSize: size }), { maxLength: 2 })
      .map((outputs) => ({ kind: 'snapshot' as const, outputs })),
  ),
});

const rate = fc.record({ kind: fc.constantFrom('every' as const, 'once-after' as const), count: fc.integer({ min: 1 }) });
const condition = fc.oneof(
  fc.record({
    kind: fc.constant('event-rule-matches' as const),
    rule: rule.map(({ enabled: _, ...rest }) => rest),
    captures: fc.array(fc.constantFrom('a', '$ctx.vpid', '$app.x:y', 'list[3]', '$app.p:q[0]'), { maxLength: 4 }),
  }),
  fc.record({
    kind: fc.constantFrom('channel-buffer-usage-ge' as const, 'channel-buffer-usage-le' as const),
    session: words,
    channel: words,
    threshold: fc.oneof(
      size.map((bytes) => ({ bytes })),
      fc.integer({ min: 0, max: 100 }).map((of) => ({ ratio: of / 100 })),
    ),
  }),
  fc.record({ kind: fc.constant('session-consumed-size-ge' as const), session: words, bytes: size }),
  fc.record({
    kind: fc.constantFrom('session-rotation-starts' as const, 'session-rotation-finishes' as const),
    session: words,
  }),
);
const place = fc.record({ name: fc.option(words), path, maxSize: size });
const action = fc.oneof(
  fc.record({ kind: fc.constant('notify' as const), rate }),
  fc.record({
    kind: fc.constantFrom('start-session' as const, 'stop-session' as const, 'rotate-session' as const),
    session: words,
    rate,
  }),
  fc.record({ kind: fc.constant('snapshot-session' as const), session: words, output: fc.option(place), rate }),
);
const trigger = fc.record({ name: words, condition, actions: fc.array(action, { minLength: 1, maxLength: 3 }) });
const file: fc.Arbitrary<SavedFile> = fc
  .record({ sessions: fc.array(session, { maxLength: 2 }), triggers: fc.array(trigger, { maxLength: 2 }) })
  .map((one) => structuredClone(one));

/** fast-check's records have no prototype; the clone and this make them comparable. */
const same = (a: SavedFile, b: SavedFile): void => assert.deepEqual(structuredClone(a), b);

test('XML gives back what was written', () => {
  fc.assert(fc.property(file, (saved) => same(readXml(writeXml(saved)).file, saved)));
});

test('YAML gives back what was written', () => {
  fc.assert(fc.property(file, (saved) => same(readYaml(writeYaml(saved)).file, saved)));
});

test('triggers of a fleet: YAML keeps them, and says what does not go with them; XML has no word for them', () => {
  const rate = { kind: 'every' as const, count: 1 };
  const whole = (postMs: number): SavedFile => ({
    sessions: [],
    triggers: [
      {
        name: 't',
        condition: { kind: 'session-rotation-starts', session: 's' },
        actions: [{ kind: 'snapshot-session', session: 's', output: null, fleet: { postMs }, rate }],
      },
    ],
  });
  for (const postMs of [0, 250]) same(readYaml(writeYaml(whole(postMs))).file, whole(postMs));
  assert.match(writeYaml(whole(250)), /fleet: true\n +post-ms: 250\n/);
  assert.doesNotMatch(writeXml(whole(250)), /fleet|post/);
  const yaml = (words: string) =>
    `weft: 1\ntriggers:\n  - name: t\n    condition: {type: session-rotation-starts, session: s}\n    actions:\n      - {${words}}\n`;
  for (const [words, cause] of [
    ['type: stop-session, session: s, fleet: true', /`stop-session` has no `fleet`/],
    ['type: snapshot-session, session: s, post-ms: 1', /`post-ms` needs `fleet: true`/],
    ['type: snapshot-session, session: s, fleet: true, output: {path: /x}', /each host’s own output is used/],
  ] as const)
    assert.match(fails(() => readYaml(yaml(words))).message, cause);
});

const fails = (read: () => unknown): FileFault => {
  try {
    read();
  } catch (error) {
    if (error instanceof FileFault) return error;
    throw error;
  }
  throw new Error('it was accepted');
};

const xml = (inside: string): string =>
  `<?xml version="1.0"?>\n<sessions>\n<session><name>x</name>\n${inside}\n</session></sessions>`;
const domain = (channel: string, more = ''): string =>
  xml(
    `<domains><domain><type>UST</type><buffer_type>PER_UID</buffer_type>\n<channels><channel><name>c</name>${channel}</channel></channels>${more}</domain></domains>`,
  );

test('a document that holds only what is necessary gets the format’s defaults', () => {
  const [read] = readXml(domain('<events><event/></events>')).file.sessions;
  assert.deepEqual(read, {
    name: 'x',
    started: false,
    ownership: 'user',
    channels: [
      {
        name: 'c',
        enabled: true,
        attributes: {
          mode: 'discard',
          allocation: 'per-cpu',
          preallocation: 'preallocate',
          reclaim: { policy: 'off', ageUs: 0 },
        },
        contexts: [],
        rules: [{ pattern: '*', logLevel: null, exclusions: [], filter: null, enabled: true }],
      },
    ],
    maps: [],
    trackers: { vpid: 'all', vuid: 'all', vgid: 'all' },
    schedules: { timerUs: null, sizeBytes: null },
    output: { kind: 'default' },
    shmPath: null,
  });
  const maps = readXml(
    domain(
      '',
      `<map_channels><map_channel><name>m</name></map_channel><map_channel><name>p</name><value_type>signed-int-32</value_type>
       <buffer_ownership>PER_PID</buffer_ownership></map_channel></map_channels>`,
    ),
  ).file.sessions[0]!.maps;
  const usual = { maxKeys: 4096, updatePolicy: 'per-event' };
  assert.deepEqual(maps, [
    { name: 'm', bits: 64, ...usual, ownership: 'user', deadProcesses: null },
    { name: 'p', bits: 32, ...usual, ownership: 'process', deadProcesses: 'sum-into-shared' },
  ]);
});

test('ring buffers in files: the directory that a session had of its own is not the one that was asked for', () => {
  const read = (path: string) => readXml(xml(`<shared_memory_path>${path}</shared_memory_path>`)).file.sessions[0]!.shmPath;
  assert.deepEqual(['', '/a/b', '/a/x-20260102-030405', '/a/y-20260102-030405'].map(read), [
    null,
    '/a/b',
    '/a',
    '/a/y-20260102-030405',
  ]);
  assert.throws(() => read('a'), /no absolute path/);
});

test('trackers of old files, and the kernel’s names for ids, mean the ids of programs', () => {
  const old = '<trackers><pid_tracker><targets><pid_target><pid>7</pid></pid_target></targets></pid_tracker></trackers>';
  assert.deepEqual(readXml(domain('', old)).file.sessions[0]!.trackers, { vpid: [7], vuid: 'all', vgid: 'all' });
  const values = '<process_attr_values><uid><name>root</name></uid><uid><id>5</id></uid></process_attr_values>';
  const now = `<process_attr_trackers><uid_process_attr_tracker>${values}</uid_process_attr_tracker></process_attr_trackers>`;
  assert.deepEqual(readXml(domain('', now)).file.sessions[0]!.trackers, { vpid: 'all', vuid: ['root', 5], vgid: 'all' });
});

/** [what, document, line, words of the complaint, place] */
const HOSTILE: readonly [string, string, number, RegExp, RegExp][] = [
  ['an entity', xml('<started>&x;</started>'), 4, /undefined entity/, /started/],
  ['a document type', `<!DOCTYPE sessions [<!ENTITY a "b">]>\n${'<sessions/>'}`, 1, /document type/, /^$/],
  ['an element that nobody knows', xml('\n<surprise/>'), 5, /`surprise` is unknown/, /^sessions\/session\/surprise$/],
  ['an attribute', xml('<started x="1">0</started>'), 4, /attribute `x`/, /session/],
  ['an element twice', xml('<started>0</started>\n<started>0</started>'), 5, /twice/, /started\[2\]$/],
  ['text among elements', xml('hello'), 3, /not text/, /session$/],
  ['no boolean', xml('<started>maybe</started>'), 4, /neither true nor false/, /started/],
  ['no number', domain('\n<subbuffer_size>many</subbuffer_size>'), 6, /`many` is no integer/, /subbuffer_size/],
  ['a number too large', domain('<switch_timer_interval>4294967296</switch_timer_interval>'), 5, /no integer/, /switch/],
  ['a negative number', domain('<subbuffer_size>-1</subbuffer_size>'), 5, /no integer/, /subbuffer/],
  ['an unknown word', domain('<overwrite_mode>BOTH</overwrite_mode>'), 5, /none of DISCARD, OVERWRITE/, /overwrite_mode/],
  ['no name', '<sessions><session/></sessions>', 1, /`name` is missing/, /session$/],
  ['another root', '<lists/>', 1, /must be `sessions`/, /lists/],
  ['tags that do not match', '<sessions>\n<session></sessions>', 2, /tag/, /session/],
  ['nothing', '', 1, /document must contain a root element|no element/, /^$/],
  ['a second root', '<sessions/>\n<sessions/>', 2, /./, /^$/],
];

test('what is wrong in an XML file is named by line and element', () => {
  for (const [what, text, line, says, where] of HOSTILE) {
    const fault = fails(() => readXml(text));
    assert.match(fault.message, says, what);
    assert.equal(fault.place.line, line, `${what}: ${fault.message}`);
    assert.match(fault.place.path, where, what);
    assert.equal(fault.unsupported, false, what);
  }
});

const kernel =
  '<domains><domain><type>KERNEL</type><buffer_type>GLOBAL</buffer_type><channels><channel/></channels></domain></domains>';
test('what Weft does not have is refused as such, by its path; empty agent domains are nothing', () => {
  const cases: readonly [string, RegExp][] = [
    [xml(kernel), /domains\/domain\/channels\/channel$/],
    [xml('<attributes><live_timer_interval>1000000</live_timer_interval></attributes>'), /live_timer_interval$/],
    [xml('<trace_format>CTF_2</trace_format>'), /trace_format$/],
    [domain('<events><event><type>SYSCALL</type></event></events>'), /events\/event\/type$/],
    [domain('<contexts><context><type>PRIO</type></context></contexts>'), /context\/type$/],
  ];
  for (const [text, where] of cases) {
    const fault = fails(() => readXml(text));
    assert.equal(fault.unsupported, true, text);
    assert.match(fault.place.path, where);
  }
  const agent = '<domains><domain><type>JUL</type><buffer_type>PER_UID</buffer_type><channels/></domain></domains>';
  assert.equal(readXml(xml(agent)).file.sessions.length, 1);
});

const netOutput = (control: string, data: string): string =>
  xml(
    `<output><consumer_output><enabled>true</enabled><destination><net_output><control_uri>${control}</control_uri><data_uri>${data}</data_uri></net_output></destination></consumer_output></output>`,
  );

test('a relay is known by two URLs, or by one of the same', () => {
  const read = (control: string, data: string) => readXml(netOutput(control, data)).file.sessions[0]!.output;
  const network = { kind: 'network' as const, liveTimerUs: null, compress: false, spoolLimit: null };
  assert.deepEqual(read('tcp4://h:1/s', 'tcp4://h:2/'), { ...network, url: 'net://h:1:2/s' });
  assert.deepEqual(read('nats://h', 'nats://h'), { ...network, url: 'nats://h' });
  assert.match(fails(() => read('tcp://h', 'tcp://g')).message, /same host/);
  const [saved] = fc.sample(session, 1);
  const all = { ...network, url: 'relay:', liveTimerUs: 5, compress: true, spoolLimit: 1 << 20 } as const;
  assert.deepEqual(readYaml(writeYaml({ sessions: [{ ...saved!, output: all }], triggers: [] })).file.sessions[0]!.output, all);
  assert.match(
    fails(() => readYaml('weft: 1\nsessions:\n  - {name: x, output: /a, compress: true}\n')).message,
    /need the URL of a relay/,
  );
  assert.match(fails(() => readYaml('weft: 1\nsessions:\n  - {name: x, output: "net://h:0"}\n')).message, /a port is a number/);
});

test('files without bounds are refused in bounded time', () => {
  const deep = `<sessions>${'<a>'.repeat(100_000)}`;
  assert.match(fails(() => readXml(deep)).message, /deeper than 32/);
  const wide = `<sessions>${'<a/>'.repeat(LIMITS.elements + 1)}</sessions>`;
  assert.match(fails(() => readXml(wide)).message, /more than 200000 elements/);
  const long = ' '.repeat(LIMITS.bytes + 1);
  for (const read of [readXml, readYaml]) assert.match(fails(() => read(long)).message, /larger than/);
});

test('text that XML cannot hold is refused when it is written', () => {
  const [saved] = fc.sample(session, 1);
  const fault = fails(() => writeXml({ sessions: [{ ...saved!, name: 'a\u0001' }], triggers: [] }));
  assert.match(fault.message, /--format=yaml/);
});

test('what is wrong in a YAML file is named by line and key', () => {
  const cases: readonly [string, number, RegExp][] = [
    ['sessions: []\n', 1, /weft: 1/],
    ['weft: 1\nsessions:\n  - name: x\n    surprise: 1\n', 4, /`surprise` is unknown/],
    ['weft: 1\nsessions:\n  - name: x\n    channels:\n      - name: c\n        subbuf-size: lots\n', 6, /no size/],
    ['weft: 1\nsessions:\n  - name: x\n    rotation: {timer: 5 parsecs}\n', 4, /no time/],
    ['weft: 1\nsessions:\n  - name: x\n    output: relative\n', 4, /absolute/],
    [
      'weft: 1\nsessions:\n  - name: x\n    channels:\n      - name: c\n        events:\n          - {name: a, loglevel: LOUD}\n',
      7,
      /no log level/,
    ],
    ['weft: 1\nsessions:\n  - name: x\n    channels:\n      - name: c\n        contexts: [prio]\n', 6, /no context/],
    ['weft: 1\nweft: 1\n', 2, /unique/],
    ['weft: 1\nsessions: &a []\ntriggers: *a\n', 3, /alias/],
    ['weft: [\n', 2, /./],
    ['weft: 1\nsessions:\n  - name: 5\n', 3, /text/],
    [
      'weft: 1\ntriggers:\n  - name: t\n    condition: {type: session-rotation-starts, session: s}\n    actions:\n      - {type: stop-session}\n',
      6,
      /needs a session/,
    ],
  ];
  for (const [text, line, says] of cases) {
    const fault = fails(() => readYaml(text));
    assert.match(fault.message, says, text);
    assert.equal(fault.place.line, line, `${text}: ${fault.message}`);
  }
});

test('YAML is written as people write it', () => {
  const text = writeYaml(
    readYaml(
      [
        'weft: 1',
        'sessions:',
        '  - name: web',
        '    rotation: {timer: 300s, size: 1024k}',
        '    channels:',
        '      - name: ch',
        '        subbuf-size: 524288',
        '        switch-timer: 200000',
        '        blocking-timeout: inf',
        '        auto-reclaim-memory: older-than:5000ms',
        '        contexts: [vpid, procname]',
        '        events:',
        '          - {name: "app:*", loglevel: 6, exclude: ["app:noise"], filter: size > 5}',
      ].join('\n'),
    ).file,
  );
  assert.equal(
    text,
    `weft: 1
sessions:
  - name: web
    started: false
    rotation:
      timer: 5m
      size: 1M
    channels:
      - name: ch
        subbuf-size: 512k
        switch-timer: 200ms
        blocking-timeout: inf
        auto-reclaim-memory: older-than:5s
        contexts:
          - vpid
          - procname
        events:
          - name: app:*
            loglevel: INFO
            exclude:
              - app:noise
            filter: size > 5
`,
  );
});

test('each part of a file knows its line; what a channel has by itself can be left out; a renamed session takes its triggers along', () => {
  const read = readXml(domain('\n<events>\n<event/></events>'));
  const [one] = read.file.sessions;
  assert.equal(read.placeOf(one!)?.line, 3);
  assert.equal(read.placeOf(one!.channels[0]!.rules[0]!)?.line, 7);
  const lean = withoutDefaults(
    {
      ...one!,
      channels: [
        { ...one!.channels[0]!, attributes: { mode: 'discard', subbufSize: 4096, tracefileSize: 0, tracefileCount: 2 } },
      ],
    },
    (name) => name !== 'mode',
  );
  assert.deepEqual(lean.channels[0]!.attributes, { mode: 'discard', subbufSize: 4096, tracefileCount: 2 });
  const starts = { kind: 'session-rotation-starts', session: 'x' } as const;
  const stop = { kind: 'stop-session', session: 'y', rate: { kind: 'every', count: 1 } } as const;
  const other = renamed({ sessions: [one!], triggers: [{ name: 't', condition: starts, actions: [stop] }] }, 'x', 'z');
  assert.equal(other.sessions[0]!.name, 'z');
  assert.deepEqual(other.triggers[0]!.condition, { ...starts, session: 'z' });
  assert.deepEqual(other.triggers[0]!.actions, [stop]);
});
