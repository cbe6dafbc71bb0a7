/** An expected failure of the native side: `code` is an errno name, the message names the cause. */
export class NativeError extends Error {
  override readonly name = 'NativeError';
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

const hasCode = (error: unknown): error is Error & { code: string } =>
  error instanceof Error && 'code' in error && typeof error.code === 'string';

/** What the module threw, as NativeError; mistakes in arguments stay the TypeErrors they are. */
export const nativeError = (error: unknown): unknown =>
  hasCode(error) && !(error instanceof TypeError) ? new NativeError(error.code, error.message, { cause: error }) : error;

export const calling = <T>(call: () => T): T => {
  try {
    return call();
  } catch (error) {
    throw nativeError(error);
  }
};

export const awaiting = async <T>(promise: Promise<T>): Promise<T> => {
  try {
    return await promise;
  } catch (error) {
    throw nativeError(error);
  }
};
