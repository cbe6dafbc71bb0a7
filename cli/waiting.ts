/** On a terminal, a command that takes long says that it waits, for what, and since when; nothing of it is left afterwards. */

const EACH_MS = 1_000;
/** Most are done by then. */
const PATIENCE_S = 3;

interface Terminal {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export interface Timers {
  set(task: () => void, ms: number): unknown;
  clear(timer: unknown): void;
}

const REAL: Timers = {
  set: (task, ms) => setInterval(task, ms).unref(),
  clear: (timer) => clearInterval(timer as NodeJS.Timeout),
};

/** `name`: NOUN.VERB of the request. */
export const whileWaiting = async <T>(
  name: string,
  terminal: Terminal,
  work: () => Promise<T>,
  timers: Timers = REAL,
): Promise<T> => {
  if (terminal.isTTY !== true) return work();
  let seconds = 0;
  const timer = timers.set(() => {
    seconds++;
    if (seconds >= PATIENCE_S)
      terminal.write(`\rWaiting for the session daemon: ${name.replace('.', ' ')}, ${seconds} s\x1b[K`);
  }, EACH_MS);
  try {
    return await work();
  } finally {
    timers.clear(timer);
    if (seconds >= PATIENCE_S) terminal.write('\r\x1b[K');
  }
};
