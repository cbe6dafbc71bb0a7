/** parcels: what waits for a relay when no session feeds it (any more), and throwing it away. */
import type { ParcelView } from '../../transport/parcel-messages.ts';
import type { Command, Environment, Outcome } from '../command.ts';
import { UsageError } from '../options.ts';
import { table } from '../table.ts';
import { HELP, noMoreWords } from './shared.ts';

const row = ({ id, what, bytes, cause }: ParcelView): string[] => [id, String(bytes), what, cause ?? ''];

const list = async (environment: Environment): Promise<Outcome> => {
  noMoreWords(environment, 0);
  if (environment.options.has('all')) throw new UsageError('--all is for parcels drop');
  const { parcels } = await environment.request('parcel.list', {});
  const lines =
    parcels.length === 0 ? ['Nothing waits for a relay'] : table([['ID', 'BYTES', 'WHAT', 'CAUSE'], ...parcels.map(row)]);
  return { lines, json: { parcels } };
};

const drop = async (environment: Environment): Promise<Outcome> => {
  noMoreWords(environment, 2);
  const [, parcel] = environment.options.words;
  const all = environment.options.has('all');
  if (all === (parcel !== undefined)) throw new UsageError('Either an ID or --all is needed: parcels drop (ID | --all)');
  const { dropped, bytes } = await environment.request('parcel.drop', parcel === undefined ? { all: true } : { parcel });
  const each = dropped.map((one) => `Thrown away: ${one.what}, ${one.bytes} bytes`);
  const lines =
    dropped.length === 0 ? ['Nothing waits for a relay'] : dropped.length === 1 ? each : [...each, `${bytes} bytes in all`];
  return { lines, json: { dropped, bytes } };
};

export const parcels: Command = {
  name: 'parcels',
  summary: 'Show what waits for a relay without a session, or throw it away',
  usage: 'parcels [drop (ID | --all)]',
  textOnly: true,
  options: [...HELP, { long: 'all', short: 'a', help: 'With drop: all that waits' }],
  async run(environment) {
    const [action] = environment.options.words;
    if (action === undefined) return list(environment);
    if (action === 'drop') return drop(environment);
    throw new UsageError(`parcels ${action}: there is parcels, and parcels drop`);
  },
};
