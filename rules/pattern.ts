/**
 * Name patterns of event rules: `*` matches any sequence, also the empty one, anywhere and any number of times; `\*` is a literal
 * star, `\\` a literal backslash, and in a comma-separated list `\,` is a literal comma.
 */

/** A pattern as its literal pieces: there is a star between each two of them. One piece means no star at all. */
const pieces = (pattern: string): string[] => {
  const found = [''];
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at]!;
    if (character === '*') found.push('');
    else {
      const escaped = character === '\\' && at + 1 < pattern.length;
      if (escaped) at++;
      found[found.length - 1] += escaped ? pattern[at]! : character;
    }
  }
  return found;
};

export const isGlob = (pattern: string): boolean => pieces(pattern).length > 1;

/** Whether the whole of `name` matches `pattern`. Linear in the name for each piece: no input makes it slow. */
export const matchesPattern = (pattern: string, name: string): boolean => {
  const parts = pieces(pattern);
  const first = parts[0]!;
  if (parts.length === 1) return name === first;
  const last = parts[parts.length - 1]!;
  if (!name.startsWith(first) || name.length < first.length + last.length || !name.endsWith(last)) return false;
  let at = first.length;
  const end = name.length - last.length;
  for (const part of parts.slice(1, -1)) {
    const found = name.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
};

/** Whether every name that `inner` matches is matched by `outer`: the star of `inner` counts as a character that only a star matches. */
export const covers = (outer: string, inner: string): boolean => {
  const star = '\u{10ffff}';
  return matchesPattern(outer, pieces(inner).join(star));
};

/** Whether some name could match both. Stars of one side may stand for pieces of the other: a small search over both patterns. */
export const overlap = (a: string, b: string): boolean => {
  type Symbol = { readonly star: boolean; readonly character: string };
  const symbols = (pattern: string): Symbol[] =>
    pieces(pattern).flatMap((piece, at) => [
      ...(at > 0 ? [{ star: true, character: '' }] : []),
      ...[...piece].map((character) => ({ star: false, character })),
    ]);
  const [left, right] = [symbols(a), symbols(b)];
  const known = new Map<number, boolean>();
  const search = (i: number, j: number): boolean => {
    const key = i * (right.length + 1) + j;
    const before = known.get(key);
    if (before !== undefined) return before;
    known.set(key, false);
    const [x, y] = [left[i], right[j]];
    let result: boolean;
    if (!x && !y) result = true;
    else if (x?.star) result = search(i + 1, j) || (y !== undefined && search(i, j + 1));
    else if (y?.star) result = search(i, j + 1) || (x !== undefined && search(i + 1, j));
    else result = x !== undefined && y !== undefined && x.character === y.character && search(i + 1, j + 1);
    known.set(key, result);
    return result;
  };
  return search(0, 0);
};

/** Splits a comma-separated list of patterns; `\,` becomes a comma, other escapes stay for the pattern. */
export const splitList = (text: string): string[] => {
  const items = [''];
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (character === ',') items.push('');
    else if (character === '\\' && text[at + 1] === ',') {
      items[items.length - 1] += ',';
      at++;
    } else if (character === '\\' && at + 1 < text.length) {
      items[items.length - 1] += character + text[at + 1]!;
      at++;
    } else items[items.length - 1] += character;
  }
  return items.filter((item) => item !== '');
};
