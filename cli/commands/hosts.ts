/** hosts: who is in the fleet. */

import { parseSelector } from '../../rules/selector.ts';
import type { HostView } from '../../transport/fleet-messages.ts';
import type { Command, Environment, Outcome } from '../command.ts';
import { UsageError } from '../options.ts';
import { table } from '../table.ts';
import { HELP, noMoreWords } from './shared.ts';

const HEAD = ['HOST', 'STATE', 'LABELS', 'VERSION', 'SESSIONS', 'LOAD', 'CLOCK', 'HEARD'];

const ago = (nowMs: number, thenMs: number | null): string =>
  thenMs === null ? 'never' : `${Math.max(0, Math.round((nowMs - thenMs) / 1000))} s ago`;

const clockText = ({ host, clock: { reference, offsetNs, uncertaintyNs } }: HostView): string => {
  if (reference === host) return 'reference';
  return reference === null || uncertaintyNs === null
    ? 'not measured'
    : `${(offsetNs / 1000).toFixed(1)} ± ${(uncertaintyNs / 1000).toFixed(1)} µs`;
};

export const labelsText = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .sort()
    .map(([key, value]) => `${key}=${value}`)
    .join(',');

const row = (view: HostView, nowMs: number): string[] => [
  view.host,
  view.state,
  labelsText(view.labels) || '-',
  view.version || '-',
  String(view.sessions),
  view.load.toFixed(2),
  clockText(view),
  ago(nowMs, view.lastBeatMs),
];

const conflicts = (hosts: readonly HostView[]): string[] =>
  hosts
    .filter(({ state }) => state === 'conflict')
    .map(({ host, machines }) => `Warning: more than one machine calls itself ${host}: ${machines.join(' and ')}`);

const forget = async (environment: Environment, host: string): Promise<Outcome> => {
  const { forgotten } = await environment.request('hosts.forget', { host });
  const notes = environment.inFleet
    ? []
    : ["Only this host's own list: all hosts' are meant with an operator's key (--fleet-creds=DIRECTORY, or WEFT_FLEET)"];
  return { lines: [`Host ${forgotten} is forgotten`], json: { forgotten }, notes };
};

export const hosts: Command = {
  name: 'hosts',
  summary: 'Show the hosts of the fleet',
  usage: 'hosts ([SELECTOR] | --forget=HOST)',
  textOnly: true,
  options: [...HELP, { long: 'forget', value: 'HOST', help: 'A host that is gone for good: no command waits for it any more' }],
  async run(environment) {
    const gone = environment.options.get('forget');
    noMoreWords(environment, gone === undefined ? 1 : 0);
    if (gone !== undefined) return forget(environment, gone);
    const [text = '*'] = environment.options.words;
    const selector = parseSelector(text);
    if (!selector.ok) throw new UsageError(`Selector \`${text}\`, column ${selector.column}: ${selector.cause}`);
    const { hosts: all } = await environment.request('hosts.list', {});
    const shown = all.filter(selector.matches);
    if (shown.length === 0) return { lines: ['No hosts'], json: { hosts: [] } };
    const now = Date.now();
    return {
      lines: table([HEAD, ...shown.map((view) => row(view, now))]),
      json: { hosts: shown },
      notes: conflicts(shown),
    };
  },
};
