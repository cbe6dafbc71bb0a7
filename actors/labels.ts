/**
 * Labels of a host: lines `KEY=VALUE` of /etc/weft/labels, then of `labels` in the state directory, then what the command line of the
 * daemon says. The last one counts.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { hasControlCharacter } from '../rules/control-characters.ts';
import { isLabelKey } from '../rules/selector.ts';
import { failure, faultOf } from '../transport/errors.ts';

/** As another host says them of itself: whoever asks prints them. */
export const saidLabels = z.record(
  z.string().max(63).refine(isLabelKey),
  z
    .string()
    .max(255)
    .refine((value) => !hasControlCharacter(value)),
);

const SYSTEM = '/etc/weft/labels';

/** Throws FaultError `label-invalid`. */
export const parseLabel = (text: string): readonly [key: string, value: string] => {
  const [key, ...rest] = text.split('=');
  const value = rest.join('=').trim();
  const name = key!.trim();
  if (!isLabelKey(name))
    throw failure('label-invalid', { label: text, cause: `\`${name}\` has other characters than A-Z a-z 0-9 _ - . /` });
  if (name === 'host') throw failure('label-invalid', { label: text, cause: '`host` is the name of the host' });
  if (/[,|*!]/.test(value)) throw failure('label-invalid', { label: text, cause: 'a value has no `,`, `|`, `*` or `!`' });
  if (hasControlCharacter(value))
    throw failure('label-invalid', { label: JSON.stringify(text), cause: 'a value has no control characters' });
  return [name, value];
};

const inFile = (path: string): string[] =>
  existsSync(path)
    ? readFileSync(path, 'utf8')
        .split('\n')
        .map((line) => line.replace(/#.*/, '').trim())
        .filter((line) => line !== '')
    : [];

/** A line that is no label costs that label, not the daemon. */
export const labelsOf = (
  options: { readonly state: string; readonly labels: readonly string[] },
  complain: (message: string) => void,
): Record<string, string> => {
  // With WEFT_HOME nothing of the machine counts.
  const files = [...(process.env.WEFT_HOME ? [] : [SYSTEM]), join(options.state, 'labels')];
  const understood = (text: string): (readonly [string, string])[] => {
    try {
      return [parseLabel(text)];
    } catch (thrown) {
      complain(faultOf(thrown).message);
      return [];
    }
  };
  return Object.fromEntries([...files.flatMap(inFile), ...options.labels].flatMap(understood));
};
