/** The `weft` command: general options, then one sub-command. */

import type { Body } from '../transport/bus.ts';
import type { EventAddress } from '../transport/subjects.ts';
import type { Command, Environment, Outcome } from './command.ts';
import { COMMANDS } from './commands/index.ts';
import { needCurrentSession, readCurrentSession, writeCurrentSession } from './current-session.ts';
import { GENERAL } from './general-options.ts';
import { describeOptions, listOptions, type OptionSpec, type Parsed, parseOptions, UsageError } from './options.ts';
import { wantsColour } from './style.ts';

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

class Session implements Environment {
  readonly options: Parsed;
  readonly words: readonly string[];
  readonly json: boolean;
  readonly env = process.env;
  readonly noSessiond: boolean;
  readonly verbose: boolean;
  readonly colour: boolean;
  readonly group: string;
  readonly #fleet: import('./fleet-run.ts').FleetRun | null;
  #daemon: Promise<import('./connect.ts').Daemon> | null = null;

  constructor(
    general: Parsed,
    options: Parsed,
    words: readonly string[],
    fleet: import('./fleet-run.ts').FleetRun | null = null,
  ) {
    this.#fleet = fleet;
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
    const { Daemon } = await import('./connect.ts');
    this.#daemon ??= Daemon.connect({ env: this.env, group: this.group, start: !this.noSessiond });
    const daemon = await this.#daemon;
    if (this.#fleet) {
      return (await this.#fleet.request(daemon, name, fields)) as import('../transport/messages.ts').CommandAnswer<C>;
    }
    return (await daemon.request(name, fields)) as import('../transport/messages.ts').CommandAnswer<C>;
  }

  async listen(noun: string | null, heard: (of: EventAddress, body: Body) => void): Promise<() => void> {
    const { Daemon } = await import('./connect.ts');
    this.#daemon ??= Daemon.connect({ env: this.env, group: this.group, start: !this.noSessiond });
    return (await this.#daemon).listen(noun, heard);
  }

  async live(owner: string, session: string, heard: (body: Body) => void): Promise<() => void> {
    const { Daemon } = await import('./connect.ts');
    this.#daemon ??= Daemon.connect({ env: this.env, group: this.group, start: !this.noSessiond });
    return (await this.#daemon).live(owner, session, heard);
  }

  get inFleet(): boolean {
    return this.#fleet !== null;
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
  else if (form === 'text' && outcome.lines.length > 0) process.stdout.write(`${outcome.lines.join('\n')}\n`);
  if (!json && outcome.notes && outcome.notes.length > 0) process.stderr.write(`${outcome.notes.join('\n')}\n`);
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

const fleetRun = async (general: Parsed, command: string): Promise<import('./fleet-run.ts').FleetRun | null> => {
  const selector = general.get('on');
  if (selector === undefined) {
    const alone = ['all', 'stall'].find((name) => general.has(name));
    if (alone !== undefined) throw new UsageError(`--${alone} before the command needs --on`);
    return null;
  }
  const { FleetRun } = await import('./fleet-run.ts');
  const terminal = process.stderr.isTTY && !general.has('quiet') ? process.stderr : null;
  return new FleetRun({ selector, all: general.has('all'), stall: general.get('stall'), command, terminal });
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
  const [name, ...argv] = words as [string, ...string[]];
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (name === 'help') return argv[0] ? runCommand(general, [argv[0], '--help']) : text(await generalHelp());
  if (!load) return { ...text([`weft: ${name} is not a weft command. See 'weft --help'.`]), status: 2 };
  const command = await load();
  const behind = argv.filter((word) => word !== '--json');
  const { parsed } = command.raw ? rawWords(argv) : parseOptions([...command.options, JSON_OPTION], argv);
  if (parsed.has('help')) return text(commandHelp(command));
  if (parsed.has('list-options')) return text(listOptions([...command.options, JSON_OPTION]));
  const fleet = await fleetRun(general, name);
  const session = new Session(general, parsed, behind, fleet);
  try {
    return fleet ? await runOnFleet(command, session, fleet) : await command.run(session);
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
