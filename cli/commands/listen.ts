import type { Body } from '../../transport/bus.ts';
import type { EventAddress } from '../../transport/subjects.ts';
import type { Command } from '../command.ts';
import { parseTime } from '../numbers.ts';
import { UsageError } from '../options.ts';
import { visible } from '../visible.ts';
import { HELP, noMoreWords } from './shared.ts';

const plain = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? value.toString() : value);

const line = ({ noun, name, what }: EventAddress, { v: _v, n: _n, at, ...rest }: Body, host: string | null): string => {
  const when = new Date(Number(at)).toISOString();
  const words = Object.entries(rest).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value, plain)}`,
  );
  return [when, ...(host === null ? [] : [host]), noun, name, what, ...words].join(' ');
};

const waited = (options: { get(long: string): string | undefined }): number | null => {
  const text = options.get('for');
  if (text === undefined) return null;
  const us = parseTime(text);
  if (us === null) throw new UsageError(`${text} is no time`);
  return us / 1_000;
};

const counted = (text: string | undefined): number => {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  if (!/^[1-9]\d*$/.test(text)) throw new UsageError(`${text} is no number of events`);
  return Number(text);
};

/** Ends by SIGINT or SIGTERM, after a time, or after so many events: whatever comes first. */
export const listen: Command = {
  name: 'listen',
  summary: 'Print notifications of triggers, and other events, as they happen',
  usage: 'listen [--all] [--count=N] [--for=TIME] [TRIGGER]',
  textOnly: true,
  options: [
    ...HELP,
    { long: 'all', short: 'a', help: 'Everything: sessions, channels, streams, applications, consumers, triggers' },
    { long: 'count', value: 'N', help: 'End after N events' },
    { long: 'for', value: 'TIME', help: 'End after this time' },
  ],
  async run(environment) {
    const { options, json } = environment;
    noMoreWords(environment, 1);
    const [name] = options.words;
    const limit = counted(options.get('count'));
    const ms = waited(options);
    let heard = 0;
    let done: () => void = () => {};
    const ended = new Promise<void>((resolve) => {
      done = resolve;
    });
    const stop = await environment.listen(options.has('all') ? null : 'trigger', (subject, body) => {
      if (heard >= limit || (name !== undefined && subject.name !== name)) return;
      const { host, uid, ...address } = subject;
      const of = environment.inFleet ? { host } : {};
      const text = json ? JSON.stringify({ ...of, ...address, ...body }, plain) : visible(line(subject, body, of.host ?? null));
      process.stdout.write(`${text}\n`);
      if (++heard >= limit) done();
    });
    const timer = ms === null ? null : setTimeout(done, ms);
    process.once('SIGINT', done);
    process.once('SIGTERM', done);
    process.stderr.write('Listening.\n');
    await ended;
    if (timer) clearTimeout(timer);
    stop();
    return { lines: [], json: undefined };
  },
};
