/** A trace as text, as `weft view` decodes it. */
import { spawnSync } from 'node:child_process';
import { COMMAND_MS } from './patience.ts';
import { CLI, type Ran } from './weft.ts';

export const ownView = (...words: string[]): Ran => {
  const ran = spawnSync(CLI, ['view', ...words], { encoding: 'utf8', maxBuffer: 1 << 28, timeout: COMMAND_MS });
  return { status: ran.status ?? -1, stdout: ran.stdout, stderr: ran.stderr };
};
