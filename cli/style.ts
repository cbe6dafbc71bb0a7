/** How text looks on this terminal: colours, and the signs of trees. */

export interface Style {
  readonly colour: boolean;
  readonly utf8: boolean;
  /** Columns of the terminal; null: lines are not cut. */
  readonly width: number | null;
}

export const COLOURS = { red: 31, green: 32, yellow: 33, cyan: 36, underlined: 4 } as const;

export const paint = ({ colour }: { readonly colour: boolean }, code: keyof typeof COLOURS, text: string): string =>
  colour ? `\u001b[${COLOURS[code]}m${text}\u001b[0m` : text;

/** `always` and `never` are obeyed; else a terminal gets colours unless NO_COLOR forbids them. */
export const wantsColour = (env: NodeJS.ProcessEnv, terminal: boolean): boolean => {
  if (env.WEFT_TERM_COLOR === 'always') return true;
  if (env.WEFT_TERM_COLOR === 'never') return false;
  return terminal && !env.NO_COLOR;
};

export interface Signs {
  readonly active: string;
  readonly inactive: string;
  readonly enabled: string;
  readonly disabled: string;
  readonly property: string;
  readonly cut: string;
}

export const signsOf = ({ utf8 }: Style): Signs =>
  utf8
    ? { active: '●', inactive: '◼', enabled: '✔', disabled: '✗', property: '🞂', cut: '…' }
    : { active: '*', inactive: '-', enabled: '+', disabled: 'x', property: '>', cut: '...' };

const ESCAPE = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, 'g');

/** At most so many columns; a line that is cut loses its colours. */
export const cutTo = (style: Style, line: string): string => {
  const bare = Array.from(line.replace(ESCAPE, ''));
  if (style.width === null || bare.length <= style.width) return line;
  const { cut } = signsOf(style);
  return `${bare.slice(0, Math.max(0, style.width - cut.length)).join('')}${cut}`;
};
