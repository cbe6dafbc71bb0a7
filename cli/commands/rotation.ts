/** rotate, enable-rotation and disable-rotation: the trace in chunks that can be read and removed while recording goes on. */
import type { CommandAnswer } from '../../transport/messages.ts';
import type { Command, Environment, Outcome } from '../command.ts';
import { parseSize, parseTime } from '../numbers.ts';
import { type OptionSpec, UsageError } from '../options.ts';
import { archivedLine } from './archived.ts';
import { HELP, noMoreWords, SESSION, sessionOf } from './shared.ts';

type Rotated = CommandAnswer<'session.rotate'>;

const rotationOf = ({ session, state, location, relay }: Rotated) => ({
  rotation: { session: session.name, state, location, ...(relay && { relay }) },
});

export const rotate: Command = {
  name: 'rotate',
  summary: 'Archive the current chunk of the trace and go on in the next one',
  usage: 'rotate [SESSION] [--no-wait]',
  options: [...HELP, { long: 'no-wait', short: 'n', help: 'Do not wait until the chunk is archived' }],
  async run(environment) {
    noMoreWords(environment, 1);
    const name = environment.options.words[0] ?? environment.currentSession();
    const wait = !environment.options.has('no-wait');
    const rotated = await environment.request('session.rotate', { session: name, wait });
    const { state, location, relay } = rotated;
    const json = rotationOf(rotated);
    const mi = async () => (await import('../mi/sessions.ts')).rotated(name, state, location, relay);
    if (location === null) return { lines: [`Rotation ongoing for session ${name}`], json, mi };
    return { lines: [archivedLine(name, location, relay)], json, mi };
  },
};

const TIMER: OptionSpec = { long: 'timer', value: 'TIME', help: 'Rotate each time so much time has passed' };
const SIZE: OptionSpec = { long: 'size', value: 'SIZE', help: 'Rotate when so many bytes were written' };

/** Undefined: not given. */
const amount = (environment: Environment, long: string, parse: (text: string) => number | null): number | undefined => {
  const texts = environment.options.all(long);
  if (texts.length > 1) throw new UsageError(`Option '--${long}': given more than once`);
  if (texts[0] === undefined) return undefined;
  const value = parse(texts[0]);
  if (value === null || value === 0)
    throw new UsageError(`Option '--${long}': \`${texts[0]}\` is invalid: it must be above zero`);
  return value;
};

const needOne = (session: string, given: readonly boolean[]): void => {
  if (!given.includes(true))
    throw new UsageError(`No rotation schedule of session ${session} was named: --timer, --size or both`);
};

const enabledLines = (session: string, timerUs: number | undefined, sizeBytes: number | undefined): string[] => [
  ...(timerUs === undefined ? [] : [`Enabled periodic rotations every ${timerUs} us on session ${session}`]),
  ...(sizeBytes === undefined ? [] : [`Enabled size-based rotations every ${sizeBytes} bytes written on session ${session}`]),
];

export const enableRotation: Command = {
  name: 'enable-rotation',
  summary: 'Rotate a session by itself',
  usage: 'enable-rotation [--session=SESSION] [--timer=TIME] [--size=SIZE]',
  options: [...HELP, SESSION, TIMER, SIZE],
  async run(environment): Promise<Outcome> {
    noMoreWords(environment, 0);
    const session = sessionOf(environment);
    const timerUs = amount(environment, 'timer', parseTime);
    const sizeBytes = amount(environment, 'size', parseSize);
    needOne(session, [timerUs !== undefined, sizeBytes !== undefined]);
    const { schedules } = await environment.request('rotation.enable', {
      session,
      ...(timerUs === undefined ? {} : { timerUs }),
      ...(sizeBytes === undefined ? {} : { sizeBytes }),
    });
    const enabled = { timerUs: timerUs ?? null, sizeBytes: sizeBytes ?? null };
    return {
      lines: enabledLines(session, timerUs, sizeBytes),
      json: { session: { name: session, schedules } },
      mi: async () => (await import('../mi/sessions.ts')).scheduleResults(session, enabled),
    };
  },
};

export const disableRotation: Command = {
  name: 'disable-rotation',
  summary: 'Stop rotating a session by itself',
  usage: 'disable-rotation [--session=SESSION] [--timer] [--size]',
  options: [
    ...HELP,
    SESSION,
    { long: 'timer', help: 'No rotation by time any more' },
    { long: 'size', help: 'No rotation by size any more' },
  ],
  async run(environment): Promise<Outcome> {
    noMoreWords(environment, 0);
    const session = sessionOf(environment);
    const [timer, size] = [environment.options.has('timer'), environment.options.has('size')];
    needOne(session, [timer, size]);
    const before = (await environment.request('session.show', { session })).session.schedules;
    const { schedules } = await environment.request('rotation.disable', {
      session,
      ...(timer ? { timer } : {}),
      ...(size ? { size } : {}),
    });
    const lines = [
      ...(timer ? [`Disabled periodic rotations on session ${session}`] : []),
      ...(size ? [`Disabled size-based rotations on session ${session}`] : []),
    ];
    const gone = { timerUs: timer ? before.timerUs : null, sizeBytes: size ? before.sizeBytes : null };
    const mi = async () => (await import('../mi/sessions.ts')).scheduleResults(session, gone);
    return { lines, json: { session: { name: session, schedules } }, mi };
  },
};
