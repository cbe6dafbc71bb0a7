/**
 * What a relay listens to: the data subject of each link by its name. A pattern over all of them would be heard by no leaf node, for a
 * server tells a leaf of a listener only if the leaf may say all that the pattern covers.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Body, Bus, Subscription } from '../transport/bus.ts';
import { type LinkAddress, linkSubject, parseLinkSubject } from '../transport/subjects.ts';
import { type LinkRecord, readRecord } from './relay-store.ts';

const directoriesIn = (path: string): string[] => {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map(({ name }) => join(path, name));
  } catch {
    return [];
  }
};

export interface HeldSession {
  readonly directory: string;
  readonly record: LinkRecord;
}

/** The sessions that lie below a relay's directory. */
export const sessionsBelow = (output: string): HeldSession[] =>
  directoriesIn(output)
    .flatMap(directoriesIn)
    .flatMap((directory) => {
      const record = readRecord(directory);
      return record ? [{ directory, record }] : [];
    });

export class LinkListening {
  readonly #most: number;
  /** By subject, the one that was wanted longest ago first. */
  readonly #heard = new Map<string, Subscription>();

  constructor(most: number) {
    this.#most = most;
  }

  /** Before the link's sender is answered: the answer comes behind this on the way to it. */
  begin(bus: Bus, place: LinkAddress, deliver: (address: LinkAddress, body: Body) => void): void {
    const wanted = linkSubject('data', place);
    const known = this.#heard.get(wanted);
    this.#heard.delete(wanted);
    const listen = (): Subscription =>
      bus.subscribe(wanted, ({ subject, body }) => {
        const address = parseLinkSubject('data', subject);
        if (address) deliver(address, body);
      });
    this.#heard.set(wanted, known ?? listen());
    const [oldest] = this.#heard.keys();
    if (this.#heard.size > this.#most && oldest !== undefined) this.#stop(oldest);
  }

  end(place: LinkAddress): void {
    this.#stop(linkSubject('data', place));
  }

  #stop(subject: string): void {
    this.#heard.get(subject)?.stop();
    this.#heard.delete(subject);
  }
}
