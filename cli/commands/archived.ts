/** How commands say where a chunk of a trace lies. */
export const archivedLine = (session: string, location: string): string =>
  `Trace chunk archive for session ${session} is now readable at ${location}`;
