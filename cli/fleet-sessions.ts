/** `weft fleet apply|list|status|delete`: what a fleet wants of its hosts, written with an operator's key straight to the fleet. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { credsAuthenticator } from '@nats-io/transport-node';
import { parse, stringify } from 'yaml';
import type { FleetCommand, FleetDocument, FleetSpec } from '../machines/fleet-document.ts';
import { parseSelector } from '../rules/selector.ts';
import { Bucket, RevisionConflict } from '../transport/bucket.ts';
import { failure } from '../transport/errors.ts';
import type { FleetAccess } from '../transport/fleet-keys.ts';
import { type FollowedView, parseFleetDocument } from '../transport/fleet-messages.ts';
import { NatsBus } from '../transport/nats-bus.ts';
import type { NatsOptions } from '../transport/nats-wire.ts';
import { encodeToken, scatterSubject } from '../transport/subjects.ts';
import type { Environment, Outcome } from './command.ts';
import { UsageError } from './options.ts';
import { FileFault } from './session-file/model.ts';
import { startSteps, stepsOf, triggerStep } from './session-file/steps.ts';
import { readYaml } from './session-file/yaml.ts';
import { table } from './table.ts';

/** Hosts answer at once; whoever is later than this after the others is shown by the next call. */
const QUIET_MS = 400;
const LISTEN_MS = 1_000;

/** Without key and certificate on a server that asks for none. */
type OperatorAccess = Pick<FleetAccess, 'name' | 'clientUrls'> &
  Partial<Pick<FleetAccess, 'ca' | 'credentials' | 'inboxPrefix'>>;

interface Answer {
  readonly host: string;
  readonly sessions: readonly FollowedView[];
}

class Fleet {
  readonly bus: NatsBus;
  readonly bucket: Bucket;
  readonly #who: string;

  private constructor(bus: NatsBus, who: string) {
    this.bus = bus;
    this.bucket = new Bucket(bus, 'weft_sessions');
    this.#who = who;
  }

  /** With the directory that `weft keys operator` made. */
  static async connect({ options: given, env }: Environment): Promise<Fleet> {
    const place = given.get('fleet-creds') ?? env.WEFT_FLEET;
    if (!place) throw new UsageError("An operator's key is needed: --fleet-creds=DIRECTORY, or WEFT_FLEET");
    const directory = resolve(place);
    let options: NatsOptions;
    let who: string;
    try {
      const access = JSON.parse(readFileSync(join(directory, 'fleet.json'), 'utf8')) as OperatorAccess;
      const { credentials, ca, clientUrls, inboxPrefix } = access;
      who = access.name;
      options = {
        servers: [...clientUrls],
        ...(inboxPrefix !== undefined && { inboxPrefix }),
        ...(credentials !== undefined && { authenticator: credsAuthenticator(readFileSync(join(directory, credentials))) }),
        ...(ca !== undefined && { tls: { ca: readFileSync(join(directory, ca), 'utf8') } }),
      };
    } catch (thrown) {
      const cause = thrown instanceof Error ? thrown.message : String(thrown);
      throw failure('fleet-file-invalid', { path: directory, cause });
    }
    return new Fleet(await NatsBus.connectExternal(options, { name: 'weft' }), who);
  }

  /** What the hosts follow, whose daemons run as `uid`. */
  async hosts(uid: number): Promise<readonly Answer[]> {
    const answers = new Map<string, Answer>();
    let last = Date.now();
    const gathering = this.bus.gather((body) => {
      if (typeof body.host !== 'string' || body.ok !== true || !Array.isArray(body.sessions)) return;
      answers.set(body.host, body as unknown as Answer);
      last = Date.now();
    });
    const begin = Date.now();
    const subject = scatterSubject({ uid, who: this.#who, noun: 'fleet', verb: 'sessions' });
    gathering.ask(subject, { v: 1, id: randomUUID(), selector: '*' });
    while (Date.now() - last < QUIET_MS || (answers.size === 0 && Date.now() - begin < LISTEN_MS)) {
      await new Promise((done) => setTimeout(done, 20));
    }
    gathering.stop();
    return [...answers.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
  }

  async all(): Promise<readonly FleetDocument[]> {
    const entries = await Promise.all((await this.bucket.keys()).map((key) => this.bucket.get(key)));
    return entries.flatMap((entry) => parseFleetDocument(entry?.value) ?? []).sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}

const withFleet = async (environment: Environment, act: (fleet: Fleet) => Promise<Outcome>): Promise<Outcome> => {
  const fleet = await Fleet.connect(environment);
  try {
    return await act(fleet);
  } finally {
    await fleet.bus.close();
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

/** A line per thing that is wanted. */
const linesOf = (document: FleetDocument | null): string[] => {
  if (!document || document.deleted) return [];
  const { selector, commands } = document.spec;
  return [`selector ${selector}`, ...commands.map(({ name, fields }) => `${name} ${JSON.stringify(fields)}`)];
};

export const difference = (before: FleetDocument | null, after: FleetDocument | null): string[] => {
  const [old, now] = [linesOf(before), linesOf(after)];
  return [
    ...old.filter((line) => !now.includes(line)).map((line) => `- ${line}`),
    ...now.filter((line) => !old.includes(line)).map((line) => `+ ${line}`),
  ];
};

const uidOf = ({ options }: Environment): number => {
  const text = options.get('uid');
  if (text !== undefined && !/^\d{1,10}$/.test(text)) throw new UsageError(`--uid=${text}: a number is needed`);
  return text === undefined ? (process.getuid?.() ?? 0) : Number(text);
};

/** Written over what was read, and over the highest generation that a host ever saw: a bucket may have been put back. */
const declare = async (
  fleet: Fleet,
  name: string,
  uid: number,
  wanted: (before: FleetDocument | null) => Pick<FleetDocument, 'spec' | 'deleted'>,
): Promise<{ readonly document: FleetDocument; readonly changes: readonly string[]; readonly written: boolean }> => {
  const key = encodeToken(name);
  const [entry, hosts] = await Promise.all([fleet.bucket.get(key), fleet.hosts(uid)]);
  const before = parseFleetDocument(entry?.value);
  const { spec, deleted } = wanted(before);
  const seen = hosts.flatMap(({ sessions }) => sessions.filter((one) => one.name === name).map((one) => one.generation));
  const highest = Math.max(0, before?.generation ?? 0, ...seen);
  const same = before !== null && before.deleted === deleted && JSON.stringify(before.spec) === JSON.stringify(spec);
  if (same && before.generation === highest) return { document: before, changes: [], written: false };
  const uuid = before && !before.deleted ? before.uuid : randomUUID();
  const document: FleetDocument = { v: 1, name, uuid, generation: highest + 1, spec, deleted };
  try {
    await fleet.bucket.put(key, { ...document }, entry?.revision ?? 0);
  } catch (thrown) {
    if (!(thrown instanceof RevisionConflict)) throw thrown;
    const now = parseFleetDocument((await fleet.bucket.get(key))?.value);
    throw failure('fleet-session-changed', { session: name, difference: difference(before, now).join('; ') || 'nothing else' });
  }
  return { document, changes: difference(before, document), written: true };
};

export const apply = (environment: Environment): Promise<Outcome> => {
  const [, file] = environment.options.words;
  if (file === undefined) throw new UsageError('A file is needed: fleet apply FILE');
  const uid = uidOf(environment);
  const { name, spec } = specOf(resolve(file), uid);
  return withFleet(environment, async (fleet) => {
    await fleet.bucket.create();
    const { document, changes, written } = await declare(fleet, name, uid, () => ({ spec, deleted: false }));
    const { generation, uuid } = document;
    const head = written ? `Session ${name} of the fleet: generation ${generation}` : `Session ${name} is unchanged`;
    return { lines: [head, ...changes], json: { session: name, uuid, generation, written, changes } };
  });
};

export const remove = (environment: Environment): Promise<Outcome> => {
  const [, name] = environment.options.words;
  if (name === undefined) throw new UsageError('A name is needed: fleet delete NAME');
  return withFleet(environment, async (fleet) => {
    const { document } = await declare(fleet, name, uidOf(environment), (before) => {
      if (!before || before.deleted) throw failure('fleet-session-unknown', { session: name });
      return { spec: before.spec, deleted: true };
    });
    const { generation } = document;
    return { lines: [`Session ${name} of the fleet is deleted`], json: { session: name, generation, deleted: true } };
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

export const status = (environment: Environment): Promise<Outcome> =>
  withFleet(environment, async (fleet) => {
    const [, only] = environment.options.words;
    const [documents, hosts] = await Promise.all([fleet.all(), fleet.hosts(uidOf(environment))]);
    const shown = hosts.flatMap(({ host, sessions }) =>
      sessions
        .filter(({ name, state }) => (only === undefined ? state !== 'deleted' : name === only))
        .map((view) => {
          const wanted = documents.find(({ name }) => name === view.name);
          const { name, generation, cause } = view;
          return {
            session: name,
            host,
            generation,
            wanted: wanted?.generation ?? null,
            state: shownState(view, wanted),
            cause,
          };
        }),
    );
    const rows = shown.map((one) => [one.session, one.host, String(one.generation), one.state, one.cause ?? '']);
    const lines =
      rows.length === 0 ? ['No host follows a session'] : table([['SESSION', 'HOST', 'GENERATION', 'STATE', 'CAUSE'], ...rows]);
    return { lines, json: { hosts: shown } };
  });
