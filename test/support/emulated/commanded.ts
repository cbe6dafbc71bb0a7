/** Commands for all hosts of a fleet as `weft --on` gives them, and when they were sent and answered. */
import { randomUUID } from 'node:crypto';
import { type OperationReport, runFleetOperation } from '../../../actors/fleet-operation.ts';
import { realClock } from '../../../actors/host-ports.ts';
import type { Body, Bus } from '../../../transport/bus.ts';
import type { HostView } from '../../../transport/fleet-messages.ts';

export const WHO = 'alice';

/** CPU time so far, in milliseconds. */
export interface Cpu {
  readonly caller: number;
  readonly hosts: number;
  readonly server: number;
}

/** A fleet that somebody commands. */
export interface Commanded {
  /** Of the daemons. */
  readonly uid: number;
  /** How many hosts it has. */
  readonly known: number;
  /** What an operator's command line connects with. */
  readonly bus: Bus;
  hostsSeen(): Promise<readonly HostView[]>;
  /** Null: nobody counts it. */
  cpu(): Promise<Cpu | null>;
}

/** Milliseconds since the command was given. */
export interface Course {
  readonly wallMs: number;
  /** The registry was asked. */
  readonly meantMs: number;
  /** Per phase: sent, first and last answer. */
  readonly phases: readonly { readonly sentMs: number; firstMs: number; lastMs: number }[];
  readonly cpu: Cpu | null;
}

export interface OperateOptions {
  readonly all?: boolean;
  readonly stallMs?: number;
}

export interface Operated {
  readonly report: OperationReport;
  readonly course: Course;
}

export const cpuSince = async (fleet: Commanded, before: Cpu | null): Promise<Cpu | null> => {
  const after = await fleet.cpu();
  if (!before || !after) return null;
  const { caller, hosts, server } = after;
  return { caller: caller - before.caller, hosts: hosts - before.hosts, server: server - before.server };
};

export const operateOver = async (
  fleet: Commanded,
  name: string,
  fields: Body,
  { all = false, stallMs = 30_000 }: OperateOptions = {},
): Promise<Operated> => {
  const before = await fleet.cpu();
  const begin = performance.now();
  const since = (): number => performance.now() - begin;
  const phases: Course['phases'][number][] = [];
  let meantMs = 0;
  const report = await runFleetOperation({
    bus: timed(fleet.bus, phases, since),
    clock: realClock,
    uid: fleet.uid,
    who: WHO,
    operation: randomUUID(),
    name,
    fields,
    selector: '*',
    all,
    stallMs,
    hosts: async () => {
      const hosts = await fleet.hostsSeen();
      meantMs = since();
      return hosts;
    },
    progress: () => {},
  });
  const wallMs = since();
  return { report, course: { wallMs, meantMs, phases, cpu: await cpuSince(fleet, before) } };
};

const timed = (bus: Bus, phases: Course['phases'][number][], since: () => number): Pick<Bus, 'gather'> => ({
  gather: (heard) => {
    const gathering = bus.gather((answer) => {
      const phase = phases.at(-1);
      if (phase) {
        phase.lastMs = since();
        phase.firstMs ||= phase.lastMs;
      }
      heard(answer);
    });
    return {
      ask: (subject, body) => {
        phases.push({ sentMs: since(), firstMs: 0, lastMs: 0 });
        return gathering.ask(subject, body);
      },
      stop: () => gathering.stop(),
    };
  },
});
