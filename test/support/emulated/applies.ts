/** A session that an operator declares for a fleet, and when all hosts follow it. */
import { randomUUID } from 'node:crypto';
import { FleetOperator } from '../../../cli/fleet-operator.ts';
import type { Bus } from '../../../transport/bus.ts';
import type { FollowedView } from '../../../transport/fleet-messages.ts';
import { scatterSubject } from '../../../transport/subjects.ts';
import { type Commanded, type Cpu, cpuSince, WHO } from './commanded.ts';

export interface Applied {
  readonly generation: number;
  /** From the command to the write: the hosts are asked what they have seen. */
  readonly askedMs: number;
  /** From the write until the last host said that it follows. */
  readonly wallMs: number;
  /** When all hosts had been asked, and how many of them followed. */
  readonly looks: readonly { readonly atMs: number; readonly following: number }[];
  readonly cpu: Cpu | null;
}

/** One question to all: of each host what it follows of that name. */
const look = async (fleet: Commanded, session: string, limitMs: number): Promise<readonly FollowedView[]> => {
  const { bus, uid, known: hosts } = fleet;
  const views = new Map<string, FollowedView | undefined>();
  const all = Promise.withResolvers<void>();
  const gathering = bus.gather(({ host, sessions }) => {
    views.set(
      String(host),
      (sessions as readonly FollowedView[] | undefined)?.find(({ name }) => name === session),
    );
    if (views.size === hosts) all.resolve();
  });
  const timer = setTimeout(() => all.reject(new Error(`${views.size} of ${hosts} hosts said what they follow`)), limitMs);
  gathering.ask(scatterSubject({ uid, who: WHO, noun: 'fleet', verb: 'sessions' }), { v: 1, id: randomUUID(), selector: '*' });
  await all.promise.finally(() => {
    clearTimeout(timer);
    gathering.stop();
  });
  return [...views.values()].filter((view) => view !== undefined);
};

/** The bus of an operator, and when it wrote last. */
const noting = (bus: Bus): { readonly bus: Bus; writtenAt(): number } => {
  let at = 0;
  const ask: Bus['ask'] = (subject, ...rest) => {
    if (subject.includes('$KV')) at = performance.now();
    return bus.ask(subject, ...rest);
  };
  return { bus: new Proxy(bus, { get: (target, key) => (key === 'ask' ? ask : bound(target, key)) }), writtenAt: () => at };
};

const bound = (target: Bus, key: string | symbol): unknown => {
  const value: unknown = Reflect.get(target, key, target);
  return typeof value === 'function' ? value.bind(target) : value;
};

/** Session `session` shall record `pattern` on all hosts; resolves when each says that it does. */
export const applyOnce = async (fleet: Commanded, session: string, pattern: string, limitMs: number): Promise<Applied> => {
  const { known, uid } = fleet;
  const { bus, writtenAt } = noting(fleet.bus);
  const operator = new FleetOperator(bus, bus, WHO);
  await operator.bucket.make(1);
  const commands = [
    { name: 'session.create', fields: { name: session } },
    { name: 'event.enable', fields: { session, pattern } },
    { name: 'session.start', fields: { session } },
  ];
  const begin = performance.now();
  const before = await fleet.cpu();
  const { document } = await operator.declare(session, uid, () => ({ spec: { selector: '*', uid, commands }, deleted: false }));
  const written = writtenAt();
  const looks: Applied['looks'][number][] = [];
  for (let following = 0; following < known; ) {
    const views = await look(fleet, session, limitMs);
    const failed = views.find(({ generation, state }) => generation === document.generation && state === 'failed');
    if (failed) throw new Error(`a host cannot follow: ${failed.cause}`);
    following = views.filter(({ generation, state }) => generation === document.generation && state === 'following').length;
    looks.push({ atMs: performance.now() - written, following });
    if (performance.now() - written > limitMs) throw new Error(`${following} of ${known} hosts follow`);
  }
  const wallMs = performance.now() - written;
  return { generation: document.generation, askedMs: written - begin, wallMs, looks, cpu: await cpuSince(fleet, before) };
};
