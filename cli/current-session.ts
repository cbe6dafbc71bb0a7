/** The session that commands without a name mean: one line in the caller's own state directory. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeDirectories } from '../actors/make-directories.ts';
import { directoriesOf } from '../actors/paths.ts';
import { UsageError } from './options.ts';

const file = (env: NodeJS.ProcessEnv): string => join(directoriesOf(process.getuid?.() ?? 0, env).state, 'current-session');

export const readCurrentSession = (env: NodeJS.ProcessEnv): string | null => {
  try {
    return readFileSync(file(env), 'utf8').replace(/\n$/, '') || null;
  } catch {
    return null;
  }
};

export const needCurrentSession = (env: NodeJS.ProcessEnv): string => {
  const name = readCurrentSession(env);
  if (name !== null) return name;
  throw new UsageError(`Can't find a current session (${file(env)})\nDid you create a session? (weft create <my_session>)`);
};

export const writeCurrentSession = (env: NodeJS.ProcessEnv, name: string | null): void => {
  const path = file(env);
  if (name === null) rmSync(path, { force: true });
  else {
    makeDirectories(dirname(path), 0o700);
    writeFileSync(path, `${name}\n`);
  }
};
