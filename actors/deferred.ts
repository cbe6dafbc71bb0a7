/** A promise that somebody else settles. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(reason: unknown): void;
}

export const deferred = <T = void>(): Deferred<T> => {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  // Whoever awaits it sees the rejection; when nobody does any more, it is nobody's failure.
  promise.catch(() => {});
  return { promise, resolve, reject };
};
