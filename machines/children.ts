/**
 * Children that come and go. A machine of XState keeps a child that ended until it is told to stop it, and what it found about the
 * name of each child for as long as the process lives: so whoever forgets a child stops it, and the next one gets its name.
 */
type Named = Readonly<Record<string, { readonly id: string }>>;

/** `KIND N`, the first that none of them has. */
export const freeName = (kind: string, children: Named): string => {
  const taken = new Set(Object.values(children).map(({ id }) => id));
  let number = 1;
  while (taken.has(`${kind} ${number}`)) number++;
  return `${kind} ${number}`;
};
