/** The `weft` command: general options, then one sub-command. */

import type { Body } from '../transport/bus.ts';
import type { EventAddress } from '../transport/subjects.ts';
import type { Command, Environment, Outcome } from './command.ts';
import { COMMANDS } from './commands/index.ts';
import { needCurrentSession, readCurrentSession, writeCurrentSession } from './current-session.ts';
import { GENERAL } from './general-options.ts';
import { describeOptions, listOptions, type OptionSpec, type Parsed, parseOptions, UsageError } from './options.ts';
import { wantsColour } from './style.ts';
import { visibleLines } from './visible.ts';

const JSON_OPTION: OptionSpec = { long: 'json', help: 'One JSON document on stdout' };

const HIDDEN: Readonly<Record<string, (argv: readonly string[]) => Promise<number>>> = {
  'sessiond-run': async (argv) => (await import('./run-daemons.ts')).sessiond(argv),
  autoload: async (argv) => (await import('./autoload.ts')).autoload(argv),
  consumerd: async () => (await import('./run-daemons.ts')).consumerd(),
};

const generalHelp = async (): Promise<string[]> => {
  const commands = await Promise.all(Object.values(COMMANDS).map((load) => load()));
  return [
    'Usage: weft [GENERAL OPTIONS] COMMAND [ARGUMENTS]',
    '',
    'Commands:',
    ...commands.filter(({ hidden }) => !hidden).map((command) => `  ${command.name.padEnd(18)}${command.summary}`),
    '',
    'General options (before the command):',
    ...describeOptions(GENERAL),
    '',
    'weft COMMAND --help tells about one command.',
  ];
};

const commandHelp = (command: Command): string[] => [
  `Usage: weft ${command.usage}`,
  '',
  command.summary,
  '',
  ...describeOptions([...command.options, JSON_OPTION]),
];

/** An operator's key, and whose session daemons are meant. */
interface Operator {
  readonly place: string;
  readonly uid: string | undefined;
}

/** Beyond this host: what `--on` makes of a command, and the key with which the fleet is asked itself. */
interface Reach {
  readonly fleet: import('./fleet-run.ts').FleetRun | null;
  readonly operator: Operator | null;
  readonly selector: string;
}

class Session implements Environment {
  readonly options: Parsed;
  readonly words: readonly string[];
  readonly json: boolean;
  readonly env = process.env;
  readonly noSessiond: boolean;
  readonly verbose: boolean;
  readonly colour: boolean;
  readonly group: string;
  readonly #reach: Reach;
  #daemon: Promise<import('./connect.ts').Daemon> | null = null;
  #link: Promise<import('./fleet-link.ts').FleetLink> | null = null;

  constructor(general: Parsed, options: Parsed, words: readonly string[], reach: Reach) {
    this.#reach = reach;
    this.words = words;
    this.options = options;
    this.json = general.has('json') || options.has('json');
    this.noSessiond = general.has('no-sessiond');
    this.verbose = general.has('verbose');
    this.colour = wantsColour(process.env, process.stdout.isTTY === true);
    this.group = general.get('group') ?? 'tracing';
  }

  async request<C extends import('../transport/messages.ts').CommandName>(
    name: C,
    fields: import('../transport/messages.ts').CommandFields<C>,
  ): Promise<import('../transport/messages.ts').CommandAnswer<C>> {
    return (await this.#ask(name, fields)) as import('../transport/messages.ts').CommandAnswer<C>;
  }

  async #ask(name: string, fields: Body): Promise<Body> {
    const { fleet, operator } = this.#reach;
    const link = operator && (await this.#connectFleet(operator));
    if (fleet) return fleet.request(link ?? (await this.#connect()).fleetCaller, name, fields);
    if (!link) return (await this.#connect()).request(name, fields);
    return name === 'hosts.forget' ? link.forget(String(fields.host)) : { hosts: await link.hosts() };
  }

  async listen(noun: string | null, heard: (of: EventAddress, body: Body) => void): Promise<() => void> {
    const { operator, selector } = this.#reach;
    if (operator) return (await this.#connectFleet(operator)).listen(selector, noun, heard);
    return (await this.#connect()).listen(noun, heard);
  }

  async live(owner: string, session: string, heard: (body: Body, host: string) => void): Promise<() => void> {
    const { operator, fleet } = this.#reach;
    if (operator) {
      const isMeant = (host: string, of: string): boolean => of === fleet?.ownerOn(host);
      return (await this.#connectFleet(operator)).live(session, isMeant, heard);
    }
    return (await this.#connect()).live(owner, session, heard);
  }

  async #connect(): Promise<import('./connect.ts').Daemon> {
    const { Daemon } = await import('./connect.ts');
    this.#daemon ??= Daemon.connect({ env: this.env, group: this.group, start: !this.noSessiond });
    return this.#daemon;
  }

  async #connectFleet({ place, uid }: Operator): Promise<import('./fleet-link.ts').FleetLink> {
    const { FleetLink, meantUid } = await import('./fleet-link.ts');
    this.#link ??= FleetLink.connect(place, meantUid(uid));
    return this.#link;
  }

  get inFleet(): boolean {
    return this.#reach.fleet !== null || this.#reach.operator !== null;
  }

  failures(): readonly import('./fleet-run.ts').HostFailure[] {
    return this.#reach.fleet?.failures ?? [];
  }

  currentSession(): string {
    return needCurrentSession(this.env);
  }

  knownCurrentSession(): string | null {
    return readCurrentSession(this.env);
  }

  setCurrentSession(name: string | null): string | null {
    return writeCurrentSession(this.env, name);
  }

  async close(): Promise<void> {
    if (this.#daemon) await (await this.#daemon).close();
    if (this.#link) await (await this.#link).close();
  }
}

const plain = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? value.toString() : value);

type Form = 'text' | 'json' | 'mi';

/** The document is the answer: not even --quiet keeps it back. */
const printDocument = async (outcome: Outcome, command: string): Promise<void> => {
  const { machineDocument } = await import('./mi/envelope.ts');
  const output = outcome.mi ? await outcome.mi() : [];
  process.stdout.write(machineDocument(command, output, (outcome.status ?? 0) === 0));
};

const print = async (outcome: Outcome, form: Form, quiet: boolean, command: string): Promise<void> => {
  if (form === 'mi') await printDocument(outcome, command);
  if (quiet) return;
  const json = form === 'json';
  if (json && outcome.json !== undefined) process.stdout.write(`${JSON.stringify(outcome.json, plain)}\n`);
  else if (form === 'text' && outcome.lines.length > 0) process.stdout.write(visibleLines(`${outcome.lines.join('\n')}\n`));
  if (!json && outcome.notes && outcome.notes.length > 0) process.stderr.write(visibleLines(`${outcome.notes.join('\n')}\n`));
};

/** What went wrong, as an outcome: a fault of the daemon, or a wrong word on the command line. Defects go on. */
const failureOutcome = async (error: unknown): Promise<Outcome> => {
  if (error instanceof UsageError) {
    return {
      lines: [],
      json: { error: { code: 'usage', message: error.message } },
      notes: [error.message],
      status: error.status,
    };
  }
  const { exitStatusOf, FaultError } = await import('../transport/errors.ts');
  if (!(error instanceof FaultError)) throw error;
  const { code, message, hint } = error.fault;
  const status = exitStatusOf(code);
  const kind = status === 4 ? 'Warning' : 'Error';
  return { lines: [], json: { error: { code, message, hint } }, notes: [`${kind}: ${message}`, `  ${hint}`], status };
};

const text = (lines: readonly string[]): Outcome => ({ lines, json: { text: lines }, mi: null });

/** Of a command that reads its words itself only what all commands have is looked for. */
const rawWords = (argv: readonly string[]) =>
  parseOptions(
    [JSON_OPTION, { long: 'help', short: 'h', help: '' }, { long: 'list-options', help: '' }],
    argv.filter((word) => ['--json', '--help', '-h', '--list-options'].includes(word)),
  );

/** They show what hosts say, and not what came of a command. */
const HEARING = ['listen', 'view'];

const fleetRun = async (general: Parsed, command: string): Promise<import('./fleet-run.ts').FleetRun | null> => {
  const selector = general.get('on');
  if (selector === undefined) {
    const alone = ['all', 'stall'].find((name) => general.has(name));
    if (alone !== undefined) throw new UsageError(`--${alone} before the command needs --on`);
    return null;
  }
  const { FleetRun } = await import('./fleet-run.ts');
  const quiet = general.has('quiet') || HEARING.includes(command);
  const terminal = process.stderr.isTTY && !quiet ? process.stderr : null;
  return new FleetRun({ selector, all: general.has('all'), stall: general.get('stall'), command, terminal });
};

const reachOf = async (general: Parsed, command: string): Promise<Reach> => {
  const selector = general.get('on');
  const given = general.get('fleet-creds');
  if (selector === undefined && command !== 'hosts') {
    const alone = ['fleet-creds', 'uid'].find((name) => general.has(name));
    if (alone !== undefined && command === 'fleet') throw new UsageError(`--${alone} stands behind: fleet --${alone}=...`);
    if (alone !== undefined) throw new UsageError(`--${alone} of ${command} needs --on`);
    return { fleet: await fleetRun(general, command), operator: null, selector: '' };
  }
  const place = given ?? process.env.WEFT_FLEET;
  if (!place && HEARING.includes(command))
    throw new UsageError(`--on of ${command} needs an operator's key: --fleet-creds=DIRECTORY, or WEFT_FLEET`);
  const operator = place ? { place, uid: general.get('uid') } : null;
  return { fleet: await fleetRun(general, command), operator, selector: selector ?? '*' };
};

const BEHIND = ['on', 'stall', 'fleet-creds', 'uid'];

/** General options that are about the fleet may stand behind the command too, where it has none of that name itself. */
const takeBehind = (general: Parsed, argv: readonly string[], own: readonly OptionSpec[]) => {
  const specs = GENERAL.filter(({ long }) => BEHIND.includes(long) && !own.some((one) => one.long === long));
  const [taken, left]: [string[], string[]] = [[], []];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at]!;
    if (word === '--') {
      left.push(...argv.slice(at));
      break;
    }
    const spec = specs.find(({ long }) => word === `--${long}` || word.startsWith(`--${long}=`));
    if (!spec) left.push(word);
    else taken.push(word, ...(word.includes('=') ? [] : argv.slice(++at, at + 1)));
  }
  const { parsed } = parseOptions(specs, taken);
  const all: Parsed = {
    words: general.words,
    has: (long) => parsed.has(long) || general.has(long),
    get: (long) => parsed.get(long) ?? general.get(long),
    all: (long) => [...general.all(long), ...parsed.all(long)],
  };
  return { all, left };
};

/** What the hosts did is told, whether the command got all it wanted or not. */
const runOnFleet = async (command: Command, session: Session, fleet: import('./fleet-run.ts').FleetRun): Promise<Outcome> => {
  try {
    await command.run(session);
  } catch (error) {
    if (error instanceof UsageError || !fleet.asked) throw error;
  }
  return fleet.outcome();
};

const runCommand = async (general: Parsed, words: readonly string[]): Promise<Outcome> => {
  const [name, ...given] = words as [string, ...string[]];
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (name === 'help') return given[0] ? runCommand(general, [given[0], '--help']) : text(await generalHelp());
  if (!load) return { ...text([`weft: ${name} is not a weft command. See 'weft --help'.`]), status: 2 };
  const command = await load();
  const { all, left: argv } = takeBehind(general, given, command.options);
  const behind = argv.filter((word) => word !== '--json');
  const { parsed } = command.raw ? rawWords(argv) : parseOptions([...command.options, JSON_OPTION], argv);
  if (parsed.has('help')) return text(commandHelp(command));
  if (parsed.has('list-options')) return text(listOptions([...command.options, JSON_OPTION]));
  const reach = await reachOf(all, name);
  const session = new Session(all, parsed, behind, reach);
  try {
    const tells = reach.fleet !== null && !HEARING.includes(name);
    return tells ? await runOnFleet(command, session, reach.fleet) : await command.run(session);
  } finally {
    await session.close().catch(() => {});
  }
};

const runGeneral = async (general: Parsed, rest: readonly string[]): Promise<Outcome> => {
  if (general.has('version')) {
    const { VERSION } = await import('./commands/version.ts');
    return { lines: [`weft version ${VERSION}`], json: { version: VERSION }, mi: null };
  }
  if (general.has('help')) return text(await generalHelp());
  if (general.has('list-options')) return text(listOptions(GENERAL));
  if (general.has('list-commands'))
    return { lines: Object.keys(COMMANDS), json: { commands: Object.keys(COMMANDS) }, mi: null };
  if (rest.length === 0)
    return { ...text(['Usage: weft [GENERAL OPTIONS] COMMAND [ARGUMENTS]', "See 'weft --help'."]), status: 1 };
  return runCommand(general, rest);
};

const formOf = async (general: Parsed, form: Form): Promise<Form> => {
  const type = general.get('mi');
  if (type === undefined) return form;
  const { checkMachineInterface } = await import('./mi/envelope.ts');
  checkMachineInterface(type);
  if (form === 'json') throw new UsageError('--json and --mi exclude each other');
  return 'mi';
};

const isTextOnly = async (command: string): Promise<boolean> =>
  !Object.hasOwn(COMMANDS, command) || (await COMMANDS[command]?.())?.textOnly === true;

const main = async (argv: readonly string[]): Promise<number> => {
  const hidden = argv[0] === undefined || !Object.hasOwn(HIDDEN, argv[0]) ? undefined : HIDDEN[argv[0]];
  if (hidden) return hidden(argv.slice(1));
  const quiet = argv.includes('-q') || argv.includes('--quiet');
  let form: Form = argv.includes('--json') ? 'json' : 'text';
  let command = '';
  let outcome: Outcome;
  try {
    const { parsed, rest } = parseOptions(GENERAL, argv, true);
    command = rest[0] ?? '';
    form = await formOf(parsed, form);
    outcome = await runGeneral(parsed, rest);
  } catch (error) {
    outcome = await failureOutcome(error);
  }
  if (form === 'mi' && outcome.mi === null) form = 'text';
  if (form === 'mi' && (await isTextOnly(command))) {
    outcome = { ...outcome, notes: [...(outcome.notes ?? []), `Warning: there is no machine interface for ${command}`] };
    form = 'text';
  }
  await print(outcome, form, quiet, command);
  return outcome.status ?? 0;
};

// Whoever reads our output may have enough of it (`weft list | head`).
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
process.exitCode = await main(process.argv.slice(2));
