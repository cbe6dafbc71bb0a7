/** Saved sessions as elements. */
import { type Element, element } from './xml.ts';

interface Saved {
  readonly name: string;
  readonly file: string;
}

const inOne = (verb: 'save' | 'load', { name, file }: Saved, more: readonly Element[]): Element =>
  element(verb, [element('session', [element('name', name)]), element('path', file), ...more]);

export const savedSessions = (sessions: readonly Saved[]): Element[] => sessions.map((one) => inOne('save', one, []));

export const loadedSessions = (sessions: readonly Saved[], name: string | null, url: string | null): Element[] => {
  const overrides = [...(name === null ? [] : [element('name', name)]), ...(url === null ? [] : [element('url', url)])];
  return sessions.map((one) => inOne('load', one, overrides.length === 0 ? [] : [element('overrides', overrides)]));
};
