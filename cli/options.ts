/**
 * The option parser. Each command has a table; words that are no options may stand before, between and behind them. An option that is
 * not in the table is refused, and one that Weft knows but does not do yet says so: nothing is ever ignored.
 */

export interface OptionSpec {
  readonly long: string;
  readonly short?: string;
  /** What it takes, for the help text; absent: nothing. */
  readonly value?: string;
  readonly optional?: boolean; // --live or --live=TIME
  readonly repeat?: boolean;
  readonly help: string;
  /** Known, but not done in this version: why, and what to do instead. */
  readonly unsupported?: string;
}

export interface Parsed {
  readonly words: readonly string[];
  has(long: string): boolean;
  /** The last value given. */
  get(long: string): string | undefined;
  all(long: string): readonly string[];
}

export class UsageError extends Error {
  readonly status: number;

  constructor(message: string, status = 1) {
    super(message);
    this.status = status;
  }
}

class Values implements Parsed {
  readonly words: string[] = [];
  readonly #values = new Map<string, string[]>();

  add(spec: OptionSpec, shown: string, value: string | undefined): void {
    if (spec.unsupported !== undefined)
      throw new UsageError(`Option ${shown} is not supported by this version: ${spec.unsupported}`, 5);
    const before = this.#values.get(spec.long) ?? [];
    this.#values.set(spec.long, [...before, value ?? '']);
  }

  has(long: string): boolean {
    return this.#values.has(long);
  }

  get(long: string): string | undefined {
    return this.#values.get(long)?.at(-1);
  }

  all(long: string): readonly string[] {
    return this.#values.get(long) ?? [];
  }
}

const unknown = (shown: string): UsageError => new UsageError(`Option '${shown}': unknown option`);

/** `stopAtWord`: general options end at the first word, which is the command. Returns what is left behind it. */
export const parseOptions = (
  specs: readonly OptionSpec[],
  argv: readonly string[],
  stopAtWord = false,
): { readonly parsed: Parsed; readonly rest: readonly string[] } => {
  const values = new Values();
  let at = 0;
  const next = (spec: OptionSpec, shown: string): string => {
    const value = argv[at++];
    if (value === undefined) throw new UsageError(`Option '${shown}': missing argument (${spec.value})`);
    return value;
  };
  const long = (word: string): void => {
    const [name, ...rest] = word.slice(2).split('=');
    const inline = rest.length > 0 ? rest.join('=') : undefined;
    const spec = specs.find((one) => one.long === name);
    if (!spec) throw unknown(`--${name}`);
    if (spec.value === undefined && inline !== undefined) throw new UsageError(`Option '--${name}': takes no argument`);
    const wants = spec.value !== undefined && inline === undefined && !spec.optional && spec.unsupported === undefined;
    values.add(spec, `--${name}`, wants ? next(spec, `--${name}`) : inline);
  };
  const short = (word: string): void => {
    for (let i = 1; i < word.length; i++) {
      const spec = specs.find((one) => one.short === word[i]);
      if (!spec) throw unknown(`-${word[i]}`);
      if (spec.value === undefined || spec.unsupported !== undefined) values.add(spec, `-${word[i]}`, undefined);
      else {
        const inline = word.slice(i + 1).replace(/^=/, '');
        values.add(spec, `-${word[i]}`, inline !== '' || spec.optional ? inline : next(spec, `-${word[i]}`));
        return;
      }
    }
  };
  while (at < argv.length) {
    const word = argv[at++]!;
    if (word === '--') {
      values.words.push(...argv.slice(at));
      break;
    }
    if (word.startsWith('--')) long(word);
    else if (word.startsWith('-') && word.length > 1) short(word);
    else if (stopAtWord) return { parsed: values, rest: argv.slice(at - 1) };
    else values.words.push(word);
  }
  return { parsed: values, rest: [] };
};

/** For `--list-options`: long, then short, one per line. */
export const listOptions = (specs: readonly OptionSpec[]): string[] =>
  specs.flatMap((spec) => [`--${spec.long}`, ...(spec.short ? [`-${spec.short}`] : [])]);

export const describeOptions = (specs: readonly OptionSpec[]): string[] =>
  specs.map((spec) => {
    const value = spec.value === undefined ? '' : spec.optional ? `[=${spec.value}]` : `=${spec.value}`;
    const left = `  ${spec.short ? `-${spec.short}, ` : '    '}--${spec.long}${value}`;
    const note = spec.unsupported === undefined ? '' : ' (not in this version)';
    return `${left.length < 38 ? left.padEnd(38) : `${left}  `}${spec.help}${note}`;
  });
