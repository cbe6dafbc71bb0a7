/** Where things lie (docs/contracts.md). They follow from the uid, not from the environment; WEFT_HOME replaces them all. */
import { lstatSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Homes } from '../transport/nats-context.ts';

export interface Directories {
  readonly runtime: string;
  readonly state: string;
  /** Of default outputs. */
  readonly traces: string;
}

const ownDirectory = (path: string, uid: number): boolean => {
  try {
    const status = lstatSync(path);
    return status.isDirectory() && status.uid === uid;
  } catch {
    return false;
  }
};

const userRuntime = (uid: number): string =>
  ownDirectory(`/run/user/${uid}`, uid) ? `/run/user/${uid}/weft` : `/tmp/weft-${uid}`;

/** `home`: of that user, for state and traces of a user's daemon. */
export const directoriesOf = (uid: number, env: NodeJS.ProcessEnv = process.env, home: string = homedir()): Directories => {
  const own = env.WEFT_HOME;
  if (own) {
    const base = resolve(own);
    return { runtime: join(base, 'run'), state: join(base, 'state'), traces: join(base, 'weft-traces') };
  }
  const traces = join(home, 'weft-traces');
  if (uid === 0) return { runtime: '/run/weft', state: '/var/lib/weft', traces };
  return { runtime: userRuntime(uid), state: join(env.XDG_STATE_HOME ?? join(home, '.local/state'), 'weft'), traces };
};

/** Where the user of this process keeps NATS contexts. */
export const homes = (): Homes => ({ home: homedir(), configHome: process.env.XDG_CONFIG_HOME });
