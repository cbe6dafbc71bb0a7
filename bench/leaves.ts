/** Three real hosts beside the emulated ones: daemons, consumers, programs and buses that are leaf nodes of one server. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Commanded, WHO } from '../test/support/emulated/commanded.ts';
import { Fleet } from '../test/support/fleet.ts';
import type { HostView } from '../transport/fleet-messages.ts';
import { FREEZE_NOTE } from '../transport/freeze-message.ts';
import { NatsBus } from '../transport/nats-bus.ts';
import { commandSubject } from '../transport/subjects.ts';
import { type Figure, measureCommands } from './fleet-figures.ts';
import { FREEZE_TARGET_MS, quantile } from './freezes.ts';

const HOSTS = ['leaf-1', 'leaf-2', 'leaf-3'] as const;
const ROUNDS = 5;
const PERIOD_NS = 1_000_000;
/** Of the programs that record all the time; of the one that makes the symptom. */
const CALM_THREAD = 0;
const SYMPTOM_THREAD = 9;
const SYMPTOM_NUMBER = 50;
const LIMIT_MS = 20_000;

const until = async <T>(what: string, look: () => T | null): Promise<T> => {
  for (const end = performance.now() + LIMIT_MS; ; ) {
    const found = look();
    if (found !== null) return found;
    if (performance.now() > end) throw new Error(`not within ${LIMIT_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

/** What `weft --on` and `weft fleet` do, over a connection of the operator's own. */
const commanded = (bus: NatsBus): Commanded => {
  const uid = process.getuid?.() ?? 0;
  const [host] = HOSTS;
  return {
    uid,
    known: HOSTS.length,
    bus,
    hostsSeen: async () => {
      const subject = commandSubject({ host, uid, realm: 'fleet', who: WHO, noun: 'hosts', verb: 'list' });
      const answer = await bus.request(subject, { v: 1, id: 'hosts' }, LIMIT_MS);
      if (!answer.ok) throw new Error(answer.fault.message);
      return answer.body.hosts as readonly HostView[];
    },
    cpu: async () => null,
  };
};

/** Of the snapshots below an output those that were frozen for an event. */
const frozenBelow = (output: string): readonly string[] =>
  (existsSync(output) ? readdirSync(output) : [])
    .map((name) => join(output, name, FREEZE_NOTE))
    .filter((note) => existsSync(note));

/** When the event was, and since when nothing could be recorded, by the clock that all of them share here. */
const afterMsIn = (note: string): number => {
  const { atNs, frozenAtNs } = JSON.parse(readFileSync(note, 'utf8')) as Record<string, string>;
  return Number(BigInt(frozenAtNs ?? '') - BigInt(atNs ?? '')) / 1e6;
};

/** A symptom on the last host; how long until the last of all stood still. */
const freezeOnce = async (fleet: Fleet, session: string): Promise<number> => {
  const seeing = fleet.at(HOSTS[2]);
  const outputs = HOSTS.map((host) => join(fleet.at(host).home, session));
  for (const [at, host] of HOSTS.entries()) {
    fleet.at(host).ok('create', session, '--snapshot', '-o', outputs[at]!);
    fleet.at(host).ok('enable-event', '-u', '-s', session, 'weft_test:*');
    fleet.at(host).ok('start', session);
  }
  const symptom = [
    '--type=user',
    '--name=weft_test:count',
    `--filter=thread == ${SYMPTOM_THREAD} && number == ${SYMPTOM_NUMBER}`,
  ];
  const action = ['--action=snapshot-session', session, '--fleet', '--post-ms', '0', '--rate-policy=once-after:1'];
  seeing.ok('add-trigger', '--name=symptom', '--condition=event-rule-matches', ...symptom, ...action);
  const program = await seeing.counter({ events: 2 * SYMPTOM_NUMBER, periodNs: PERIOD_NS, first: SYMPTOM_THREAD });
  const found = await until('all hosts froze', () => {
    const frozen = outputs.flatMap(frozenBelow);
    return frozen.length === HOSTS.length ? frozen : null;
  });
  await program.ended;
  seeing.ok('remove-trigger', 'symptom');
  for (const host of HOSTS) fleet.at(host).ok('destroy', session);
  return Math.max(...found.map(afterMsIn));
};

const measureLeafFreezes = async (fleet: Fleet): Promise<Figure> => {
  const lasts: number[] = [];
  for (let round = 0; round < ROUNDS; round++) lasts.push(await freezeOnce(fleet, `flight-${round}`));
  const seconds = quantile(lasts, 0.99) / 1000;
  return {
    what: `event to last host frozen (p99 of ${ROUNDS})`,
    hosts: HOSTS.length,
    seconds,
    target: FREEZE_TARGET_MS / 1000,
    holds: seconds * 1000 <= FREEZE_TARGET_MS,
    course: [lasts.map((one) => `${one.toFixed(1)} ms`).join(', ')],
  };
};

export const measureLeaves = async (rounds: number): Promise<Figure[]> => {
  const fleet = await Fleet.start();
  try {
    for (const host of HOSTS) fleet.add(host);
    for (const host of HOSTS) await fleet.until(host, HOSTS.map((one) => `${one} ready`).join(', '));
    for (const host of HOSTS) {
      const program = await fleet.at(host).counter({ periodNs: PERIOD_NS, first: CALM_THREAD });
      await program.advance(1);
    }
    const bus = await NatsBus.connectExternal({ servers: [`nats://127.0.0.1:${fleet.port}`] }, { name: 'operator' });
    try {
      return [...(await measureCommands(commanded(bus), rounds)), await measureLeafFreezes(fleet)];
    } finally {
      await bus.close();
    }
  } finally {
    fleet.dispose();
  }
};
