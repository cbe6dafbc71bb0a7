/** The triggers of a daemon: their documents, what went wrong with them, and which of an application's points they watch. */
import type { TriggerDocument } from '../machines/trigger-document.ts';
import { parseCapture, placeCapture } from '../rules/capture.ts';
import { checkFilter } from '../rules/filter/check.ts';
import { compileFilter, filterProgram } from '../rules/filter/compile.ts';
import { matchesLogLevel } from '../rules/loglevel.ts';
import { matchesPattern } from '../rules/pattern.ts';
import type { Application, WatchedPoint } from './application-table.ts';
import type { TriggerDisk } from './ports.ts';

export interface TriggerEntry {
  readonly document: TriggerDocument;
  /** The number that applications know it by. */
  readonly watch: number;
  /** Occurrences that applications could not report. */
  discarded: number;
  /** Failures of each action, in their order. */
  readonly failures: number[];
  /** It is being removed: nothing more counts for it. */
  withdrawn: boolean;
}

const NOTHING: Buffer = Buffer.alloc(0);

/** Null: this point never meets the condition. */
export const watchedPoint = (
  { condition }: TriggerDocument,
  { description }: { readonly description: Parameters<typeof placeCapture>[1] },
): WatchedPoint | null => {
  if (condition.kind !== 'event-rule-matches') return null;
  const { pattern, logLevel, exclusions, filter } = condition.rule;
  const { name } = description;
  if (!matchesPattern(pattern, name) || !matchesLogLevel(logLevel, description.logLevel)) return null;
  if (exclusions.some((exclusion) => matchesPattern(exclusion, name))) return null;
  const captures = condition.captures.map((text) => {
    const parsed = parseCapture(text);
    return parsed.ok ? placeCapture(parsed.capture, description) : ({ kind: 'unavailable' } as const);
  });
  if (filter === null) return { filter: NOTHING, captures };
  const checked = checkFilter(filter);
  const code = checked.ok ? compileFilter(checked.root, description) : null;
  return code ? { filter: filterProgram([code]), captures } : null;
};

export class TriggerTable {
  readonly #disk: TriggerDisk;
  readonly #entries = new Map<string, TriggerEntry>();
  #watches = 0;

  constructor(disk: TriggerDisk) {
    this.#disk = disk;
  }

  async load(): Promise<readonly TriggerDocument[]> {
    const documents = await this.#disk.loadTriggers();
    for (const document of documents) this.draft(document);
    return documents;
  }

  /** Visible, so that its name is taken, but not written yet. */
  draft(document: TriggerDocument): void {
    const failures = document.actions.map(() => 0);
    this.#entries.set(document.id, { document, watch: ++this.#watches, discarded: 0, failures, withdrawn: false });
  }

  write(id: string): Promise<void> {
    return this.#disk.writeTrigger(this.at(id).document);
  }

  async remove(id: string): Promise<void> {
    await this.#disk.removeTrigger(id);
  }

  forget(id: string): void {
    this.#entries.delete(id);
  }

  at(id: string): TriggerEntry {
    const entry = this.#entries.get(id);
    if (!entry) throw new Error(`there is no trigger ${id}`);
    return entry;
  }

  all(): readonly TriggerEntry[] {
    return [...this.#entries.values()].sort((a, b) => (a.document.name < b.document.name ? -1 : 1));
  }

  named(owner: number, name: string): TriggerEntry | undefined {
    return this.all().find(({ document }) => document.owner.uid === owner && document.name === name);
  }

  watching(watch: number): TriggerEntry | undefined {
    return this.all().find((entry) => entry.watch === watch);
  }

  /** Tells the application what this trigger wants of its points; resolves with the errors it answered. */
  arm(id: string, application: Application): Promise<readonly string[]> {
    const { document, watch } = this.at(id);
    const points = new Map<number, WatchedPoint>();
    // What only counts is counted by the application itself.
    const heard = document.actions.some(({ kind }) => kind !== 'incr-map-value');
    for (const [point, description] of heard ? application.points : []) {
      const watched = watchedPoint(document, description);
      if (watched) points.set(point, watched);
    }
    return application.watch(watch, points);
  }

  /** Of an application that came or changed. */
  async armAll(application: Application): Promise<readonly string[]> {
    const ruled = this.all().filter(({ document }) => document.condition.kind === 'event-rule-matches');
    return (await Promise.all(ruled.map(({ document }) => this.arm(document.id, application)))).flat();
  }
}
