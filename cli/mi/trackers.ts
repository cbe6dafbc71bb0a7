/** Which processes a session records, and changes of that, as elements. */
import type { TrackedAttribute, Trackers } from '../../machines/document.ts';
import { type Element, element } from './xml.ts';

const ATTRIBUTES: readonly TrackedAttribute[] = ['vpid', 'vuid', 'vgid'];

const typeElement = (value: string): Element =>
  element('type', [/^\d+$/.test(value) ? element('id', value) : element('name', value)]);

const valuesElement = (attribute: TrackedAttribute, values: readonly Element[]): Element =>
  element(`${attribute}_process_attr_tracker`, [element('process_attr_values', values)]);

/** One that includes all is left out; one that includes nothing has no values. */
export const trackersElement = (trackers: Trackers): Element =>
  element(
    'process_attr_trackers',
    ATTRIBUTES.flatMap((attribute) => {
      const tracker = trackers[attribute];
      if (tracker === 'all') return [];
      const values = tracker.map(({ id, name }) => element(attribute, [typeElement(name ?? String(id))]));
      return [valuesElement(attribute, values)];
    }),
  );

export interface TrackerDone {
  readonly attribute: TrackedAttribute;
  /** Null: all. */
  readonly values: readonly string[] | null;
  readonly success: boolean;
}

export const trackersChanged = (done: readonly TrackerDone[]): Element[] => [
  element(
    'process_attr_trackers',
    done.map(({ attribute, values, success }) => {
      const types = values === null ? [element('type', [element('all', true)])] : values.map(typeElement);
      return valuesElement(
        attribute,
        types.map((type) => element(attribute, [type, element('success', success)])),
      );
    }),
  ),
];
