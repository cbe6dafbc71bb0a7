/** `weft fleet apply|list|status|delete`: what a fleet wants of its hosts, written with an operator's key straight to the fleet. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parse, stringify } from 'yaml';
import type { FleetCommand, FleetDocument, FleetSpec } from '../machines/fleet-document.ts';
import { parseSelector } from '../rules/selector.ts';
import { failure } from '../transport/errors.ts';
import type { FollowedView, FollowingHost } from '../transport/fleet-messages.ts';
import type { NatsBus } from '../transport/nats-bus.ts';
import type { Environment, Outcome } from './command.ts';
import { FleetLink, meantUid, OperatorKey } from './fleet-link.ts';
import { FleetOperator, type FleetRow, silentOf } from './fleet-operator.ts';
import { ensureBucket } from './fleet-store.ts';
import { UsageError } from './options.ts';
import { FileFault } from './session-file/model.ts';
import { startSteps, stepsOf, triggerStep } from './session-file/steps.ts';
import { readYaml } from './session-file/yaml.ts';
import { table } from './table.ts';

const uidOf = ({ options }: Environment): number => meantUid(options.get('uid'));

const withFleet = async (
  environment: Environment,
  act: (fleet: FleetOperator, key: OperatorKey, link: FleetLink) => Promise<Outcome>,
): Promise<Outcome> => {
  const place = environment.options.get('fleet-creds') ?? environment.env.WEFT_FLEET;
  if (!place) throw new UsageError("An operator's key is needed: --fleet-creds=DIRECTORY, or WEFT_FLEET");
  const key = new OperatorKey(place);
  const bus = await key.connect();
  let store: NatsBus | null = null;
  try {
    store = await key.connectStore();
    return await act(new FleetOperator(bus, store, key.who), key, new FleetLink(bus, key.who, uidOf(environment)));
  } finally {
    await Promise.all([bus.close(), store?.close()]);
  }
};

const specOf = (file: string, uid: number): { readonly name: string; readonly spec: FleetSpec } => {
  const wrong = (cause: string) => failure('fleet-session-invalid', { file, cause });
  try {
    const whole = parse(readFileSync(file, 'utf8'), { maxAliasCount: 0 }) as Record<string, unknown> | null;
    const { selector = '*', ...rest } = whole ?? {};
    const selected = parseSelector(String(selector));
    if (!selected.ok) throw wrong(`selector, column ${selected.column}: ${selected.cause}`);
    const { sessions, triggers } = readYaml(stringify(rest)).file;
    const [session] = sessions;
    if (!session || sessions.length > 1) throw wrong('one session is needed');
    const steps = [...stepsOf(session), ...triggers.map(triggerStep), ...startSteps(session)];
    const commands = steps.map(({ name, fields }): FleetCommand => ({ name, fields }));
    return { name: session.name, spec: { selector: String(selector), uid, commands } };
  } catch (thrown) {
    if (thrown instanceof FileFault) throw wrong(`${thrown.place.path}: ${thrown.message}`);
    if (thrown instanceof Error && ('code' in thrown || thrown.name.startsWith('YAML'))) throw wrong(thrown.message);
    throw thrown;
  }
};

export const apply = (environment: Environment): Promise<Outcome> => {
  const [, file] = environment.options.words;
  if (file === undefined) throw new UsageError('A file is needed: fleet apply FILE');
  const uid = uidOf(environment);
  const { name, spec } = specOf(resolve(file), uid);
  return withFleet(environment, async (fleet, key) => {
    await ensureBucket(environment, key, fleet.bucket);
    const { document, changes, written, warnings } = await fleet.declare(name, uid, () => ({ spec, deleted: false }));
    const { generation, uuid } = document;
    const head = written ? `Session ${name} of the fleet: generation ${generation}` : `Session ${name} is unchanged`;
    return { lines: [head, ...changes], json: { session: name, uuid, generation, written, changes }, notes: warnings };
  });
};

export const remove = (environment: Environment): Promise<Outcome> => {
  const [, name] = environment.options.words;
  if (name === undefined) throw new UsageError('A name is needed: fleet delete NAME');
  return withFleet(environment, async (fleet) => {
    const { document, warnings } = await fleet.declare(name, uidOf(environment), (before) => {
      if (!before || before.deleted) throw failure('fleet-session-unknown', { session: name });
      return { spec: before.spec, deleted: true };
    });
    const { generation } = document;
    const lines = [`Session ${name} of the fleet is deleted`];
    return { lines, json: { session: name, generation, deleted: true }, notes: warnings };
  });
};

export const list = (environment: Environment): Promise<Outcome> =>
  withFleet(environment, async (fleet) => {
    const sessions = (await fleet.all()).filter(({ deleted }) => !deleted);
    const rows = sessions.map(({ name, generation, spec }) => [name, String(generation), spec.selector, String(spec.uid)]);
    const lines =
      rows.length === 0 ? ['No sessions of the fleet'] : table([['SESSION', 'GENERATION', 'SELECTOR', 'UID'], ...rows]);
    return { lines, json: { sessions } };
  });

/** What a host says, beside what the fleet wants now. */
const shownState = ({ generation, state }: FollowedView, wanted: FleetDocument | undefined): string => {
  if (!wanted || generation > wanted.generation) return 'ahead';
  return generation < wanted.generation ? 'behind' : state;
};

/** Hosts that answer. */
const answered = (following: readonly FollowingHost[], documents: readonly FleetDocument[]): FleetRow[] =>
  following.flatMap(({ host, sessions }) =>
    sessions.map((view) => {
      const wanted = documents.find(({ name }) => name === view.name);
      const { name, generation, cause } = view;
      return { session: name, host, generation, wanted: wanted?.generation ?? null, state: shownState(view, wanted), cause };
    }),
  );

/** Whoever is to follow and says nothing is named, or nobody would miss it: then the answer is a part of the whole. */
export const status = (environment: Environment): Promise<Outcome> =>
  withFleet(environment, async (fleet, _key, link) => {
    const [, only] = environment.options.words;
    const uid = uidOf(environment);
    const [documents, following] = await Promise.all([fleet.all(), fleet.hosts(uid)]);
    const known = following.length === 0 ? [] : await link.hosts(following.map(({ host }) => host));
    const wanted = documents.filter(({ name, deleted }) => (only === undefined ? !deleted : name === only));
    const silent = silentOf(wanted, uid, known, following);
    const shown = [...answered(following, documents), ...silent]
      .filter(({ session, state }) => (only === undefined ? state !== 'deleted' : session === only))
      .sort((a, b) => (a.host === b.host ? 0 : a.host < b.host ? -1 : 1));
    const rows = shown.map((one) => [one.session, one.host, String(one.generation ?? '-'), one.state, one.cause ?? '']);
    const lines =
      rows.length === 0 ? ['No host follows a session'] : table([['SESSION', 'HOST', 'GENERATION', 'STATE', 'CAUSE'], ...rows]);
    const nobody = following.length === 0 && wanted.some(({ spec }) => spec.uid === uid);
    const notes = nobody ? [`Warning: no host answers whose session daemon is of user ${uid} (--uid)`] : [];
    return { lines, json: { hosts: shown }, notes, status: nobody || silent.length > 0 ? 4 : 0 };
  });
