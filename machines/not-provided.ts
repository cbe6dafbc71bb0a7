/**
 * XState skips an action that nobody provided in silence. Defaults that throw make the omission loud: a machine runs only with
 * the effects of its actor file.
 */
export const notProvided =
  <A extends unknown[]>(name: string) =>
  (..._arguments: A): never => {
    throw new Error(`not provided: ${name}`);
  };
