/** The flight recorder of an emulated fleet: a symptom on one host, and when each host's rings stood still. */
import { type Cpu, cpuSince } from './commanded.ts';
import type { EmulatedFleet } from './fleet.ts';
import type { Frozen } from './host.ts';

const PATTERN = 'weft_test:*';
const POLL_MS = 50;

export interface Freeze {
  /** One per host. */
  readonly rings: readonly Frozen[];
  readonly cpu: Cpu | null;
}

const must = async (fleet: EmulatedFleet, name: string, fields: Record<string, unknown>): Promise<void> => {
  const { report } = await fleet.operate(name, fields);
  const wrong = report.hosts.find(({ ok }) => !ok);
  if (wrong) throw new Error(`${name} on ${wrong.host}: ${wrong.error?.message}`);
};

/** A snapshot session that records on all hosts. */
export const startRecorder = async (fleet: EmulatedFleet, session: string): Promise<void> => {
  await must(fleet, 'session.create', { name: session, snapshot: true });
  await must(fleet, 'event.enable', { session, pattern: PATTERN });
  await must(fleet, 'session.start', { session });
};

/** The caller's host sees a symptom; resolves when all hosts have copied what they froze for it. */
export const freezeOnce = async (fleet: EmulatedFleet, session: string, limitMs: number): Promise<Freeze> => {
  const { host, known } = fleet;
  const rule = { pattern: PATTERN, logLevel: null, exclusions: [], filter: null };
  const condition = { kind: 'event-rule-matches', rule, captures: [] };
  const action = { kind: 'snapshot-session', session, output: null, fleet: { postMs: 0 }, rate: { kind: 'every', count: 1 } };
  await host.ok('trigger.add', { name: 'symptom', condition, actions: [action] });
  const before = (await fleet.frozen()).map(({ id }) => id);
  const used = await fleet.cpu();
  // The number of a record is its time, as the fleet's hosts hear it.
  host.applications[0]?.record(Number(process.hrtime.bigint()));
  for (const end = performance.now() + limitMs; ; ) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    const rings = (await fleet.frozen()).filter((one) => one.session === session && !before.includes(one.id));
    if (rings.length < known) {
      if (performance.now() > end) throw new Error(`${rings.length} of ${known} hosts froze`);
      continue;
    }
    const cpu = await cpuSince(fleet, used);
    await host.ok('trigger.remove', { name: 'symptom' });
    return { rings, cpu };
  }
};
