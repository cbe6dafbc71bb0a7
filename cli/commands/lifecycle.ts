/** start, stop and destroy: one command each on one, some or all sessions. */

import type { Fault } from '../../transport/bus.ts';
import { exitStatusOf, FaultError } from '../../transport/errors.ts';
import type { RelayPlace, SessionTotals } from '../../transport/messages.ts';
import type { Command, Environment, Outcome } from '../command.ts';
import { partial } from '../command.ts';
import { leftLines, waitingLines } from '../network.ts';
import { archivedLine } from './archived.ts';
import { HELP, NO_WAIT, refused, SELECT, selectSessions } from './shared.ts';

interface Done {
  readonly name: string;
  readonly lines: readonly string[];
  readonly stats?: SessionTotals;
}

/** `enabled`: of the sessions afterwards; null: they are no more. */
export const onEach = async (
  environment: Environment,
  enabled: boolean | null,
  act: (session: string) => Promise<Done>,
): Promise<Outcome> => {
  const selected = await selectSessions(environment);
  if (selected.length === 0) {
    const mi = async () => (await import('../mi/sessions.ts')).sessionNames([], null);
    return { lines: ['No session found, nothing to do.'], json: { sessions: [] }, mi };
  }
  const done: Done[] = [];
  const faults: Fault[] = [];
  for (const name of selected) {
    try {
      done.push(await act(name));
    } catch (error) {
      if (!(error instanceof FaultError)) throw error;
      faults.push(error.fault);
    }
  }
  const status = Math.min(...faults.map((fault) => exitStatusOf(fault.code)));
  const sessions = done.map(({ name, stats }) => ({ name, ...(stats ? { stats } : {}) }));
  const outcome = partial(
    done.flatMap(({ lines }) => lines),
    { sessions },
    faults,
    Number.isFinite(status) ? status : 0,
  );
  const names = sessions.map(({ name }) => name);
  return { ...outcome, mi: async () => (await import('../mi/sessions.ts')).sessionNames(names, enabled) };
};

const lossLines = ({ recorded, lost }: SessionTotals): string[] =>
  BigInt(lost) > 0n ? [`Warning: ${lost} events were discarded or overwritten, ${recorded} are in the trace`] : [];

export const start: Command = {
  name: 'start',
  summary: 'Start recording',
  usage: 'start [SESSION | --all | --glob PATTERN]',
  options: [...HELP, ...SELECT],
  run: (environment) =>
    onEach(environment, true, async (session) => {
      await environment.request('session.start', { session });
      return { name: session, lines: [`Tracing started for session ${session}`] };
    }),
};

export const stop: Command = {
  name: 'stop',
  summary: 'Stop recording; the trace is complete when the command returns',
  usage: 'stop [SESSION | --all | --glob PATTERN]',
  options: [...HELP, ...SELECT, refused('no-wait', 'Do not wait until the trace is complete', NO_WAIT, { short: 'n' })],
  run: (environment) =>
    onEach(environment, false, async (session) => {
      const { stats, link } = await environment.request('session.stop', { session });
      const lines = [`Tracing stopped for session ${session}`, ...lossLines(stats), ...waitingLines(session, link)];
      return { name: session, stats, lines };
    }),
};

const archivedLines = (session: string, archive: string | null | undefined, relay: RelayPlace | null): string[] =>
  archive ? [`Destroying session ${session}...${archivedLine(session, archive, relay)}`, ''] : [];

export const destroy: Command = {
  name: 'destroy',
  summary: 'Destroy a recording session; its trace stays',
  usage: 'destroy [SESSION | --all | --glob PATTERN]',
  options: [...HELP, ...SELECT, refused('no-wait', 'Do not wait until the trace is complete', NO_WAIT, { short: 'n' })],
  run: (environment) =>
    onEach(environment, null, async (session) => {
      const forget = (): void => {
        if (environment.knownCurrentSession() === session) environment.setCurrentSession(null);
      };
      const { stats, archive, relay, link } = await environment
        .request('session.destroy', { session })
        .catch((error: unknown) => {
          if (error instanceof FaultError && error.fault.code === 'chunk-not-archived') forget();
          throw error;
        });
      forget();
      return {
        name: session,
        stats,
        lines: [...archivedLines(session, archive, relay), ...leftLines(session, link), `Session ${session} destroyed`],
      };
    }),
};
