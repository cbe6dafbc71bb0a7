/**
 * How long tests wait for what comes at once unless the machine is busy, or does not run at all for seconds, as a virtual one may. Only a
 * test that fails waits so long.
 */
export const PATIENCE_MS = 60_000;

/** A command, whichever: it may wait for others itself. */
export const COMMAND_MS = 2 * PATIENCE_MS;
