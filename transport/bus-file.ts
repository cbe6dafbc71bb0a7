/** `bus.json` in the runtime directory: where a daemon's bus is and how it is known. No secret; keys come over client.sock. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { writeWhole } from './private-file.ts';

const schema = z.object({
  v: z.literal(1),
  host: z.string(),
  uid: z.int(),
  urls: z.array(z.string()).min(1).readonly(),
  /** PEM that the server's certificate is held against; null: an external server under the system's authorities. */
  ca: z.string().nullable(),
  /** Of the session daemon that wrote it. */
  pid: z.int(),
});

export type BusFile = Readonly<z.output<typeof schema>>;

/** Everybody may read root's, whose daemon others command too. */
export const writeBusFile = (runtimeDirectory: string, content: BusFile): void =>
  writeWhole(join(runtimeDirectory, 'bus.json'), `${JSON.stringify(content)}\n`, content.uid === 0 ? 0o644 : 0o600);

/** Null: there is none, or none that we understand. */
export const readBusFile = (runtimeDirectory: string): BusFile | null => {
  try {
    return schema.parse(JSON.parse(readFileSync(join(runtimeDirectory, 'bus.json'), 'utf8')));
  } catch {
    return null;
  }
};
