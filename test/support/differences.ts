/** docs/differences.md, from what the commands declare and from the reference's options. */
import type { Command } from '../../cli/command.ts';
import { COMMANDS } from '../../cli/commands/index.ts';
import { GENERAL } from '../../cli/general-options.ts';
import type { OptionSpec } from '../../cli/options.ts';
import { CHOSEN, ENVIRONMENT, NO_COUNTERPART } from './differences-chosen.ts';
import {
  REFERENCE_COMMANDS,
  REFERENCE_ENVIRONMENT,
  REFERENCE_GENERAL,
  REFERENCE_PROGRAMS,
  type ReferenceOption,
  referenceOptions,
} from './reference-options.ts';

type Standing = 'working' | 'refused' | 'missing' | 'additional';

interface Row {
  readonly option: string;
  readonly standing: Standing;
  readonly note: string;
}

const shown = ({ long, short }: { readonly long: string; readonly short?: string | null | undefined }): string =>
  `\`--${long}\`${short ? `, \`-${short}\`` : ''}`;

const rowOf = (specs: readonly OptionSpec[], wanted: ReferenceOption): Row => {
  const spec = specs.find(({ long }) => long === wanted.long);
  const option = shown(wanted);
  if (!spec) return { option, standing: 'missing', note: '' };
  if (spec.unsupported !== undefined) return { option, standing: 'refused', note: spec.unsupported };
  const short = wanted.short !== null && spec.short !== wanted.short ? `only as --${spec.long}; ` : '';
  return { option, standing: short === '' ? 'working' : 'missing', note: `${short}${spec.help}` };
};

const compare = (specs: readonly OptionSpec[], words: string): readonly Row[] => {
  const reference = referenceOptions(words);
  const known = reference.map(({ long }) => long);
  const additional = specs.filter(({ long }) => !known.includes(long));
  return [
    ...reference.map((one) => rowOf(specs, one)),
    ...additional.map((spec): Row => ({ option: shown(spec), standing: 'additional', note: spec.help })),
  ];
};

const cell = (text: string): string => text.replaceAll('|', '\\|');

/** What is the same in every command is not worth a row. */
const COMMON = ['`--help`, `-h`', '`--list-options`'];

const table = (rows: readonly Row[]): string[] => {
  const told = rows.filter(({ option, standing }) => standing !== 'working' || !COMMON.includes(option));
  if (told.length === 0) return ['No options of its own.', ''];
  return [
    '| option | here | |',
    '|---|---|---|',
    ...told.map(({ option, standing, note }) => `| ${option} | ${standing} | ${cell(note)} |`),
    '',
  ];
};

const loaded = async (name: string): Promise<Command | null> => {
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  return load ? load() : null;
};

interface Section {
  readonly title: string;
  readonly rows: readonly Row[] | null; // null: the command is missing
  readonly reason: string;
}

/** `help` is no command with a table: the program answers it itself. */
const HELP: readonly OptionSpec[] = [
  { long: 'help', short: 'h', help: '' },
  { long: 'list-options', help: '' },
];

const commandSection = async (name: string, words: string, title: string): Promise<Section> => {
  const command = name === 'help' ? { options: HELP } : await loaded(name);
  return { title, rows: command && compare(command.options, words), reason: NO_COUNTERPART[name] ?? '' };
};

export const differences = async (): Promise<readonly Section[]> => [
  { title: 'General options', rows: compare(GENERAL, REFERENCE_GENERAL), reason: '' },
  ...(await Promise.all(
    Object.entries(REFERENCE_COMMANDS).map(([name, words]) => commandSection(name, words, `weft ${name}`)),
  )),
  ...(await Promise.all(
    Object.entries(REFERENCE_PROGRAMS).map(([program, { command, options }]) =>
      commandSection(command, options, `weft ${command} (${program})`),
    ),
  )),
];

/** Commands that only Weft has. */
const additionalCommands = async (): Promise<string[]> => {
  const known = [...Object.keys(REFERENCE_COMMANDS), ...Object.values(REFERENCE_PROGRAMS).map(({ command }) => command)];
  const commands = await Promise.all(Object.keys(COMMANDS).map(loaded));
  return commands.flatMap((command) =>
    command && !known.includes(command.name) ? [`- \`weft ${command.name}\`: ${command.summary}.`] : [],
  );
};

const sectionText = ({ title, rows, reason }: Section): string[] => [
  `### ${title}`,
  '',
  ...(rows === null ? [`Missing.${reason === '' ? '' : ` ${reason}`}`, ''] : table(rows)),
];

export const differencesText = async (): Promise<string> =>
  [
    '# Differences for users of LTTng',
    '',
    'Written by test/unit/differences.test.ts from what the commands declare (`WEFT_WRITE=1` writes it anew). An option is *working*,',
    '*refused* (with this sentence and exit status 5), *missing* (unknown, exit status 1), or *additional*: only here.',
    '',
    '## Chosen differences',
    '',
    ...CHOSEN.map((line) => `- ${line}`),
    '',
    '## Environment variables',
    '',
    '| there | here |',
    '|---|---|',
    ...REFERENCE_ENVIRONMENT.map((name) => `| \`${name}\` | ${cell(ENVIRONMENT[name] ?? '')} |`),
    '',
    '## Commands that only Weft has',
    '',
    ...(await additionalCommands()),
    '',
    '## Commands and options',
    '',
    ...(await differences()).flatMap(sectionText),
  ].join('\n');
