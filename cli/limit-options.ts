/** The options of `weft sessiond` that say how much one user may have. */
import { LIMITS, type Limits } from '../actors/limits.ts';
import { type OptionSpec, type Parsed, UsageError } from './options.ts';

const MOST = 1_000_000;

const OPTIONS: readonly (readonly [keyof Limits, string])[] = [
  ['sessions', 'Recording sessions'],
  ['triggers', 'Triggers'],
  ['rules', 'Recording event rules'],
];

export const LIMIT_OPTIONS: readonly OptionSpec[] = OPTIONS.map(([name, what]) => ({
  long: `max-${name}`,
  value: 'N',
  help: `${what} that one user may have (default: ${LIMITS[name]})`,
}));

/** Throws UsageError. */
export const limitsOf = (options: Parsed): Limits => {
  const given = OPTIONS.filter(([name]) => options.has(`max-${name}`)).map(([name]) => {
    const text = options.get(`max-${name}`)!;
    const number = /^\d{1,7}$/.test(text) ? Number(text) : 0;
    if (number < 1 || number > MOST) throw new UsageError(`--max-${name}: \`${text}\` is no number from 1 to ${MOST}`);
    return [name, number];
  });
  return { ...LIMITS, ...Object.fromEntries(given) };
};
