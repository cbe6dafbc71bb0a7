import { visible } from './visible.ts';

/** Columns of text, each as wide as its widest cell. */
export const table = (said: readonly (readonly string[])[]): string[] => {
  const rows = said.map((row) => row.map(visible));
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => (row[at] ?? '').length)));
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
};
