/** What `weft view` has to say besides the events: what was lost, and what could not be read. */
import type { ViewResult } from '../../native/addon/index.ts';
import { momentText } from './moments.ts';

const NEVER = (1n << 63n) - 1n;

const span = (begin: bigint, end: bigint, gmt: boolean): string =>
  begin === NEVER || end === NEVER || begin > end ? '' : ` between ${momentText(begin, gmt)} and ${momentText(end, gmt)}`;

const counted = (count: bigint, what: string): string[] => (count === 0n ? [] : [`${count} ${what}${count === 1n ? '' : 's'}`]);

export const reportLines = ({ losses, faults, output }: ViewResult, gmt: boolean): string[] => [
  ...losses.map(({ path, events, packets, begin, end }) => {
    const what = [...counted(events, 'event'), ...counted(packets, 'whole packet')].join(' and ');
    return `Warning: ${what} lost${span(begin, end, gmt)} (${path})`;
  }),
  ...faults.map(
    ({ path, offset, message }) => `Error: ${path}: at byte ${offset}: ${message}; the rest of this file is not shown`,
  ),
  ...(output === null || output.code === 'EPIPE' ? [] : [`Error: ${output.message}`]),
];
