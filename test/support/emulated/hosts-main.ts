/** A process of emulated hosts: `hosts-main.ts URL FIRST COUNT`. It says `ready`, and then whatever it is asked. */
import { type EmulatedHost, frozenOn, startHost } from './host.ts';

const [url = '', first = '', count = ''] = process.argv.slice(2);
const hosts: EmulatedHost[] = [];

for (let i = Number(first); i < Number(first) + Number(count); i++) hosts.push(await startHost(`host-${i}`, url, false));

const tell = (what: object): void => void process.send?.(what);

const ANSWERS = {
  use: () => {
    const { user, system } = process.cpuUsage();
    return { cpuMs: (user + system) / 1000, bytes: process.memoryUsage.rss() };
  },
  frozen: () => ({ frozen: hosts.flatMap(({ world }) => frozenOn(world)) }),
};

process.on('message', ({ ask }: { readonly ask: keyof typeof ANSWERS }) => tell(ANSWERS[ask]()));
process.on('disconnect', () => process.exit(0));
tell({ ready: true });
