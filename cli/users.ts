/** Names of users, from this host's table of them. */
import { readFileSync } from 'node:fs';

const rows = (): readonly (readonly string[])[] => {
  try {
    return readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .map((line) => line.split(':'));
  } catch {
    return [];
  }
};

/** The number itself where nobody has it. */
export const userName = (uid: number): string => rows().find((row) => row[2] === String(uid))?.[0] ?? String(uid);

/** Null: there is no such user. */
export const userId = (text: string): number | null => {
  if (/^\d{1,10}$/.test(text)) return Number(text);
  const found = rows().find(([name]) => name === text)?.[2];
  return found === undefined ? null : Number(found);
};
