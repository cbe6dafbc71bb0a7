/**
 * A container engine of the test's own, in an enclosure, where the distribution's is installed and runs. testcontainers talks to it, and
 * so does a `docker` that inherits this process's environment. It has no network, so no registry is asked.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import type { Enclosure } from './enclosure.ts';
import { until } from './fleet-server.ts';

/**
 * testcontainers starts no engine: this is by hand. What it keeps is on a tmpfs that only the enclosure sees, so nothing of it stays.
 * Bridges and address translation are the test's, not the engine's: it would need more of the kernel than every machine has.
 */
const ENGINE = ['--data-root=/run/docker-data', '--exec-root=/run/docker', '--pidfile=/run/docker.pid'].concat(
  ['--exec-opt', 'native.cgroupdriver=cgroupfs'],
  ['--bridge=none', '--iptables=false', '--ip6tables=false'],
);

const answers = (socketPath: string): Promise<boolean> =>
  new Promise((resolve) => {
    const request = get({ socketPath, path: '/_ping', timeout: 5_000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.once('timeout', () => request.destroy());
    request.once('error', () => resolve(false));
  });

/** Null: it serves, until the enclosure ends. Else why there is none. */
export const startEngine = async (enclosure: Enclosure): Promise<string | null> => {
  if (!existsSync('/usr/sbin/dockerd') && !existsSync('/usr/bin/dockerd'))
    return 'no container engine is installed (docker.io)';
  const socket = join(enclosure.directory, 'engine.sock');
  const log = join(enclosure.directory, 'engine.log');
  mkdirSync(enclosure.directory, { recursive: true });
  const command = `exec dockerd ${ENGINE.join(' ')} -H unix://${socket} --cgroup-parent=/${enclosure.id} >${log} 2>&1`;
  const engine = spawn('nsenter', enclosure.enter('sh', '-c', command), { stdio: 'ignore' });
  try {
    await until(
      () => {
        if (engine.exitCode !== null) throw new Error('it ended');
        return answers(socket);
      },
      'it serves',
      20_000,
    );
  } catch (thrown) {
    engine.kill('SIGKILL');
    const last = readFileSync(log, 'utf8').trimEnd().split('\n').at(-1);
    return `the container engine does not run here: ${String(thrown)}: ${last}`;
  }
  // The enclosure ends its containers; testcontainers' own reaper is an image of a registry.
  Object.assign(process.env, {
    DOCKER_HOST: `unix://${socket}`,
    TESTCONTAINERS_RYUK_DISABLED: 'true',
    TESTCONTAINERS_HOST_OVERRIDE: 'localhost',
  });
  return null;
};
