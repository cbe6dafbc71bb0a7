import { readFileSync } from 'node:fs';

/** Of /proc/PID, or of /proc/PID/task/TID: the fields of `stat` behind the name: state, parent, ... */
export const statFields = (process: string): readonly string[] => {
  const text = readFileSync(`${process}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
};
