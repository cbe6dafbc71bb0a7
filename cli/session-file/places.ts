/** Where saved sessions lie. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

export const userDirectory = (env: NodeJS.ProcessEnv): string =>
  join(env.WEFT_HOME ? resolve(env.WEFT_HOME) : homedir(), '.weft/sessions');
export const SYSTEM_DIRECTORY = '/etc/weft/sessions';

/** Those of them that are there: what lies in them a daemon that starts loads. */
export const autoDirectories = (env: NodeJS.ProcessEnv): readonly string[] =>
  [userDirectory(env), SYSTEM_DIRECTORY]
    .map((directory) => join(directory, 'auto'))
    .filter((directory) => existsSync(directory));
