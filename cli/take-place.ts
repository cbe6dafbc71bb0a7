/**
 * `weft sessiond` asks for the place of this user's session daemon by name. One that a command started a moment ago leaves it, when it
 * holds nothing that was recorded: a unit of systemd must not fail because somebody typed `weft list` while the machine came up.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Directories } from '../actors/paths.ts';
import { loadNative } from '../native/addon/index.ts';
import { type Access, connectAccess } from '../transport/access.ts';
import { FaultError, failure } from '../transport/errors.ts';
import { commandSubject } from '../transport/subjects.ts';
import { askForAccess } from './connect.ts';

/** One that comes up or ends has it done by then. */
const PATIENCE_MS = 20_000;
const ANSWER_MS = 5_000;
const AGAIN_MS = 20;
/** What a daemon says, or nobody, that is ending. */
const ENDING = ['bus-cut', 'bus-unavailable', 'no-responder', 'timeout'];

const pidOf = (directories: Directories): number => {
  const connection = loadNative().connectSeqpacket(join(directories.runtime, 'client.sock'));
  connection.close();
  return connection.peer.pid;
};

const keeperPid = ({ runtime }: Directories): number => {
  try {
    return Number(readFileSync(join(runtime, 'keeper.lock'), 'utf8')) || 0;
  } catch {
    return 0;
  }
};

/** Throws FaultError when it stays. */
const askToLeave = async (
  access: Access,
  directories: Directories,
  env: NodeJS.ProcessEnv,
  replace: boolean,
): Promise<void> => {
  const { host, uid, realm, who } = access;
  const bus = await connectAccess(access, { name: 'weft' }, { home: homedir(), configHome: env.XDG_CONFIG_HOME });
  try {
    const subject = commandSubject({ host, uid, realm, who, noun: 'daemon', verb: replace ? 'shutdown' : 'yield' });
    const reply = await bus.request(subject, { v: 1, id: randomUUID() }, ANSWER_MS);
    // One of before knows no such question.
    if (!reply.ok)
      throw reply.fault.code === 'unsupported'
        ? failure('daemon-running', { pid: pidOf(directories) })
        : new FaultError(reply.fault);
  } finally {
    await bus.close();
  }
};

/**
 * The fd of the keeper's lock, which the keeper is to inherit: nobody comes in between. Throws FaultError `daemon-running` when somebody
 * stays there; `replace`: nobody may.
 */
export const takePlace = async (directories: Directories, env: NodeJS.ProcessEnv, replace: boolean): Promise<number> => {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const running = await askForAccess(directories);
    if (running) {
      await askToLeave(running, directories, env, replace).catch((thrown: unknown) => {
        if (!(thrown instanceof FaultError) || !ENDING.includes(thrown.fault.code)) throw thrown;
      });
    } else {
      const lock = loadNative().lockFile(join(directories.runtime, 'keeper.lock'), true);
      if (lock) return lock.fd;
    }
    if (Date.now() > deadline)
      throw failure('daemon-running', { pid: keeperPid(directories), why: 'it neither serves nor ends' });
    await delay(AGAIN_MS);
  }
};
