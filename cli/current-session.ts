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

/** Null, or why it could not be: the caller may have no state directory to write, as when WEFT_HOME is another user's. */
export const writeCurrentSession = (env: NodeJS.ProcessEnv, name: string | null): string | null => {
  const path = file(env);
  try {
    if (name === null) rmSync(path, { force: true });
    else {
      makeDirectories(dirname(path), 0o700);
      writeFileSync(path, `${name}\n`);
    }
    return null;
  } catch (thrown) {
    return `The current session cannot be stored (${thrown instanceof Error ? thrown.message : String(thrown)}): name it in each command`;
  }
};
