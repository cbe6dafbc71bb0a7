/** `--mi xml`: programs that read it rely on the names of the elements and on their order. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import * as channels from '../../cli/mi/channels.ts';
import { checkMachineInterface, machineDocument } from '../../cli/mi/envelope.ts';
import * as sessions from '../../cli/mi/sessions.ts';
import { trackersChanged } from '../../cli/mi/trackers.ts';
import * as triggers from '../../cli/mi/triggers.ts';
import { versionElement } from '../../cli/mi/version.ts';
import { type Element, element, serialize } from '../../cli/mi/xml.ts';
import type { TriggerView } from '../../transport/trigger-messages.ts';
import { channel, output, summary, view } from '../support/sample-views.ts';

const xml = (elements: readonly Element[]): string => elements.map(serialize).join('');
/** `session{name path enabled}`: names only. */
const shape = (elements: readonly Element[]): string =>
  elements
    .map(({ name, content }) => (typeof content === 'string' || content.length === 0 ? name : `${name}{${shape(content)}}`))
    .join(' ');

const SUMMARY = 'name path enabled snapshot_mode live_timer_interval trace_format';
const ATTRIBUTES =
  'attributes{overwrite_mode subbuffer_size subbuffer_count switch_timer_interval read_timer_interval monitor_timer_interval ' +
  'blocking_timeout output_type tracefile_size tracefile_count live_timer_interval discarded_events lost_packets ' +
  'watchdog_timer_interval allocation_policy preallocation_policy reclaim_policy{periodic{age_threshold}}}';

const MEMORY =
  'data_stream_info_sets{total_memory_usage_bytes sets{data_stream_info_set{uid{id} app_bitness total_memory_usage_bytes ' +
  'data_stream_info_list{data_stream_info{memory_usage_bytes}}}}}';
const TRACKERS =
  'process_attr_trackers{vpid_process_attr_tracker{process_attr_values{vpid{type{id}}}} vgid_process_attr_tracker{process_attr_values}}';

test('mi: memory that was given back', () => {
  const counts = shape(channels.memoryReclaimed([{ name: 'c', reclaimed: 3, pending: 1 }]));
  assert.equal(counts, 'reclaim_channels{channel{name reclaimed_subbuffers pending_subbuffers}}');
});

test('mi: the envelope names its schema, the command, and whether it succeeded', () => {
  const document = machineDocument('list-triggers', [], true);
  assert.match(
    document,
    /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<command xmlns="https:\/\/lttng\.org\/xml\/ns\/lttng-mi" /,
  );
  assert.match(document, / schemaVersion="4\.3"><name>list-trigger<\/name><output\/><success>true<\/success><\/command>$/);
  assert.match(machineDocument('status', [], false), /<name>list<\/name><output\/><success>false<\/success>/);
});

test('mi: three letters select it, in any case', () => {
  for (const type of ['xml', 'XML', 'xmlish']) checkMachineInterface(type);
  for (const type of ['json', 'xm', '']) assert.throws(() => checkMachineInterface(type), /is not known: xml is/);
});

test('mi: text is escaped, and what XML cannot hold is replaced', () => {
  assert.equal(serialize(element('a', '<b> & "c"\u0001\u00e9')), '<a>&lt;b&gt; &amp; &quot;c&quot;\ufffd\u00e9</a>');
});

test('mi: sessions', () => {
  assert.equal(shape(sessions.created(summary)), `session{${SUMMARY}}`);
  const snapshot = { ...summary, snapshot: { outputs: [output], taken: 0 } };
  const outputs = 'snapshots{snapshot{id name ctrl_url data_url max_size}}';
  assert.equal(shape(sessions.created(snapshot)), `session{${SUMMARY} ${outputs}}`);
  assert.equal(shape(sessions.sessionList([summary])), `sessions{session{${SUMMARY}}}`);
  assert.equal(
    xml(sessions.sessionNames(['s1'], true)),
    '<sessions><session><name>s1</name><enabled>true</enabled></session></sessions>',
  );
  assert.equal(xml(sessions.sessionNames(['s1'], null)), '<sessions><session><name>s1</name></session></sessions>');
  assert.equal(xml(sessions.sessionSet('s1')), '<sessions><session><name>s1</name></session></sessions>');
});

test('mi: one session with its domain, channels and rules', () => {
  const event = 'event{name type enabled filter_expression loglevel loglevel_type exclusions{exclusion}}';
  const map =
    'map_channels{map_channel{name enabled key_type value_type max_key_count update_policy buffer_ownership dead_group_policy}}';
  const domain = `domain{type buffer_type ${TRACKERS} channels{channel{name enabled ${ATTRIBUTES} events{${event}} ${MEMORY}}} ${map}}`;
  const schedules = 'rotation_schedules{periodic{time_us} size_threshold{bytes}}';
  assert.equal(shape(sessions.sessionShown(view, false)), `sessions{session{${SUMMARY} ${schedules} domains{${domain}}}}`);
  const text = xml(sessions.sessionShown(view, false));
  assert.match(text, /<type>UST<\/type><buffer_type>PER_PID<\/buffer_type>/);
  assert.match(text, /<buffer_ownership>per-pid<\/buffer_ownership><dead_group_policy>drop<\/dead_group_policy>/);
  assert.match(text, /<discarded_events>5<\/discarded_events>/);
  assert.match(text, /<filter_expression>x &gt; 3<\/filter_expression><loglevel>TRACE_INFO<\/loglevel>/);
  assert.match(shape(sessions.sessionShown(view, true)), /domains\{domain\{type buffer_type\}\}/);
});

test('mi: channels, rules and contexts that were asked for, each with its success', () => {
  const failed = { name: 'b', enabled: false, channel: null, success: false };
  assert.equal(
    shape(channels.channelsDone([{ name: 'ch', enabled: true, channel, success: true }, failed])),
    `channels{channel{name enabled ${ATTRIBUTES} success} channel{name enabled success}}`,
  );
  assert.equal(
    shape(channels.rulesEnabled([{ rule: { ...channel.rules[0]!, filter: null }, success: true }])),
    'events{event{name type enabled loglevel loglevel_type exclusions{exclusion} success}}',
  );
  assert.equal(
    xml(channels.rulesDisabled('ch', [{ pattern: 'a', success: true }])),
    '<channel><name>ch</name><events><event><name>a</name><enabled>false</enabled><success>true</success></event></events></channel>',
  );
  const symbols = ['vpid', 'perf:thread:cpu-cycles', '$app.p:t'].map((symbol) => ({ symbol, success: true }));
  assert.equal(
    shape(channels.contextsAdded(symbols)),
    'contexts{context{type symbol success} context{perf{type config name} symbol success} context{app{provider_name ctx_name} symbol success}}',
  );
});

test('mi: instrumentation points, with fields when they are asked for', () => {
  const point = {
    name: 'p:e',
    logLevel: null,
    modelEmfUri: '',
    fields: [{ name: 'f', nowrite: false, type: { kind: 'string', encoding: 'utf8' } as const }],
  };
  const applications = [{ pid: 1, uid: 1, procname: 'app', points: [point] }];
  const within = (event: string) => `domains{domain{type buffer_type pids{pid{id name events{event{${event}}}}}}}`;
  assert.equal(shape(channels.pointsListed(applications, false)), within('name type enabled loglevel exclusions'));
  assert.equal(
    shape(channels.pointsListed(applications, true)),
    within('name type enabled loglevel event_fields{event_field{name type nowrite}} exclusions'),
  );
});

test('mi: trackers that were changed', () => {
  const done = [
    { attribute: 'vpid', values: ['12'], success: true },
    { attribute: 'vuid', values: ['root'], success: true },
    { attribute: 'vgid', values: null, success: false },
  ] as const;
  const of = (name: string, type: string) =>
    `${name}_process_attr_tracker{process_attr_values{${name}{type{${type}} success}}}`;
  assert.equal(
    shape(trackersChanged(done)),
    `process_attr_trackers{${of('vpid', 'id')} ${of('vuid', 'name')} ${of('vgid', 'all')}}`,
  );
});

test('mi: rotations, schedules, regeneration', () => {
  assert.equal(
    xml(sessions.rotated('s1', 'completed', '/a')),
    '<rotation><session_name>s1</session_name><state>COMPLETED</state><location><local><absolute_path>/a</absolute_path></local></location></rotation>',
  );
  assert.equal(shape(sessions.rotated('s1', 'ongoing', null)), 'rotation{session_name state}');
  assert.equal(
    xml(sessions.rotated('s1', 'completed', 'h/s/archives/a', { name: 'r', host: 'h', controlPort: 5342, dataPort: 5343 })),
    '<rotation><session_name>s1</session_name><state>COMPLETED</state><location><relay><host>h</host><control_port>5342</control_port>' +
      '<data_port>5343</data_port><protocol>TCP</protocol><relative_path>h/s/archives/a</relative_path></relay></location></rotation>',
  );
  assert.equal(
    shape(sessions.scheduleResults('s1', { timerUs: 1, sizeBytes: 2 })),
    'rotation_schedule_results{session_name rotation_schedule_result{rotation_schedule{periodic{time_us}} success} ' +
      'rotation_schedule_result{rotation_schedule{size_threshold{bytes}} success}}',
  );
  assert.equal(xml(sessions.regenerated('metadata')), '<regenerate_action><name>metadata</name></regenerate_action>');
  assert.equal(xml(sessions.metadataDone('regenerate')), '<metadata_action><name>regenerate</name></metadata_action>');
});

test('mi: snapshots', () => {
  const of = (content: string) => `snapshot_action{name output{${content}}}`;
  assert.equal(shape(sessions.outputAdded('s', output)), of('snapshot{id name ctrl_url session_name max_size}'));
  assert.equal(shape(sessions.outputDeleted('s', output)), of('snapshot{id session_name}'));
  assert.equal(
    shape(sessions.outputsListed('s', [output])),
    of('session{name snapshots{snapshot{id name ctrl_url data_url max_size}}}'),
  );
  assert.equal(shape(sessions.recorded('n', '/x', 1)), of('snapshot{name ctrl_url max_size}'));
  assert.equal(shape(sessions.recorded(null, null, null)), of('snapshot'));
});

const trigger: TriggerView = {
  name: 't',
  owner: { uid: 1 },
  condition: {
    kind: 'event-rule-matches',
    rule: { pattern: 'p:*', logLevel: { kind: 'range', level: 6 }, exclusions: ['p:q'], filter: 'a>1' },
    captures: ['a', '$ctx.vpid', '$app.p:t', 'x[1]'],
  },
  actions: [
    { kind: 'notify', rate: { kind: 'every', count: 1 } },
    {
      kind: 'snapshot-session',
      session: 's',
      output: { name: 'n', path: '/x', maxSize: 5 },
      rate: { kind: 'once-after', count: 3 },
    },
  ],
  errors: { condition: 1, actions: [0, 2] },
  occurrences: 4,
};

test('mi: triggers', () => {
  const rule =
    'event_rule{event_rule_user_tracepoint{name_pattern filter_expression ' +
    'log_level_rule{log_level_rule_at_least_as_severe_as{level}} name_pattern_exclusions{name_pattern_exclusion}}}';
  const captures =
    'capture_descriptors{event_expr{event_expr_payload_field{name}} event_expr{event_expr_channel_context_field{name}} ' +
    'event_expr{event_expr_app_specific_context_field{provider_name type_name}} ' +
    'event_expr{event_expr_array_field_element{index event_expr{event_expr_payload_field{name}}}}}';
  const actions =
    'action{action_list{action{action_notify{rate_policy{rate_policy_every_n{interval}}}} ' +
    'action{action_snapshot_session{session_name output{name max_size ctrl_url} rate_policy{rate_policy_once_after_n{threshold}}}}}}';
  const condition = `condition{condition_event_rule_matches{${rule} ${captures}}}`;
  assert.equal(shape(triggers.oneTrigger(trigger)), `trigger{name owner_uid ${condition} ${actions}}`);
  const listed = xml(triggers.triggersListed([trigger]));
  assert.match(listed, /^<triggers><trigger><name>t<\/name>/);
  assert.match(listed, /<name>total execution failures<\/name>.*<value>2<\/value>/);
  assert.match(listed, /<error_query_results\/><\/trigger><\/triggers>$/);
});

test('mi: a trigger of the fleet shows it, and after how long', () => {
  const of = { kind: 'snapshot-session', session: 's', output: null, rate: { kind: 'every', count: 1 } } as const;
  const listed = xml(triggers.triggersListed([{ ...trigger, actions: [{ ...of, fleet: { postMs: 250 } }, of] }]));
  assert.equal(listed.match(/<fleet><post_ms>250<\/post_ms><\/fleet>/g)?.length, 1);
});

test('mi: conditions that are sampled, and those of rotations', () => {
  const of = (condition: TriggerView['condition']) =>
    /condition\{(.*?)\} action/.exec(shape(triggers.oneTrigger({ ...trigger, condition })))?.[1];
  const usage = { session: 's', channel: 'c' };
  assert.equal(
    of({ kind: 'channel-buffer-usage-ge', ...usage, threshold: { ratio: 0.5 } }),
    'condition_buffer_usage_high{session_name channel_name domain threshold_ratio}',
  );
  assert.equal(
    of({ kind: 'channel-buffer-usage-le', ...usage, threshold: { bytes: 5 } }),
    'condition_buffer_usage_low{session_name channel_name domain threshold_bytes}',
  );
  assert.equal(
    of({ kind: 'session-consumed-size-ge', session: 's', bytes: 5 }),
    'condition_session_consumed_size{session_name threshold_bytes}',
  );
  assert.equal(of({ kind: 'session-rotation-starts', session: 's' }), 'condition_session_rotation_ongoing{session_name}');
});

test('mi: the version', () => {
  const content = versionElement('1.2.3', 'text', 'MIT');
  assert.equal(shape(content), 'version{string major minor commit patchLevel name description url license}');
  assert.match(xml(content), /<major>1<\/major><minor>2<\/minor><commit\/><patchLevel>3<\/patchLevel>/);
});

const lint = spawnSync('xmllint', ['--version']).error === undefined;
test('mi: documents are well-formed', { skip: lint ? false : 'xmllint (libxml2-utils) is not installed' }, () => {
  const contents = [sessions.sessionShown(view, false), triggers.triggersListed([trigger]), [element('text', '&<>"\u0001')]];
  for (const content of contents) {
    const ran = spawnSync('xmllint', ['--noout', '-'], { input: machineDocument('list', content, true), encoding: 'utf8' });
    assert.equal(ran.status, 0, ran.stderr);
  }
});
