/** A process of emulated hosts: `hosts-main.ts URL FIRST COUNT`. It says `ready`, and its use of the CPU whenever it is asked. */
import { startHost } from './host.ts';

const [url = '', first = '', count = ''] = process.argv.slice(2);

for (let i = Number(first); i < Number(first) + Number(count); i++) await startHost(`host-${i}`, url, false);

const tell = (what: object): void => void process.send?.(what);

process.on('message', () => {
  const { user, system } = process.cpuUsage();
  tell({ cpuMs: (user + system) / 1000, bytes: process.memoryUsage.rss() });
});
process.on('disconnect', () => process.exit(0));
tell({ ready: true });
