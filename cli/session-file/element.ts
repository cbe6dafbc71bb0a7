/**
 * XML as a tree of bounded size. Nothing is expanded or fetched: a document type is refused, and of entities only the five that
 * every document has are known. Every complaint names the line and the element's path.
 */
import { SaxesParser } from 'saxes';
import { FileFault, LIMITS, type Place, sizeFault } from './model.ts';

export class Element {
  readonly name: string;
  readonly place: Place;
  readonly children: Element[] = [];
  text = '';

  constructor(name: string, place: Place) {
    this.name = name;
    this.place = place;
  }

  fault(cause: string): FileFault {
    return new FileFault(this.place, cause);
  }

  unsupported(cause: string): FileFault {
    return new FileFault(this.place, cause, true);
  }

  /** Its children by name, of which each may be there once; others are refused. */
  fields(...names: readonly string[]): Readonly<Record<string, Element | undefined>> {
    this.#noText();
    const found: Record<string, Element> = {};
    for (const child of this.children) {
      if (!names.includes(child.name)) throw child.fault(`element \`${child.name}\` is unknown here`);
      if (Object.hasOwn(found, child.name)) throw child.fault(`element \`${child.name}\` is there twice`);
      found[child.name] = child;
    }
    return found;
  }

  /** Its children, which all have this name. */
  list(...names: readonly string[]): readonly Element[] {
    this.#noText();
    const other = this.children.find(({ name }) => !names.includes(name));
    if (other) throw other.fault(`element \`${other.name}\` is unknown here`);
    return this.children;
  }

  /** Its only child. */
  choice(...names: readonly string[]): Element {
    const [first, second] = this.list(...names);
    if (!first) throw this.fault(`one of these elements is needed: ${names.join(', ')}`);
    if (second) throw second.fault('one element is enough here');
    return first;
  }

  need(fields: Readonly<Record<string, Element | undefined>>, name: string): Element {
    const found = fields[name];
    if (!found) throw this.fault(`element \`${name}\` is missing`);
    return found;
  }

  string(): string {
    const [child] = this.children;
    if (child) throw child.fault('text is expected, not an element');
    return this.text;
  }

  word(): string {
    return this.string().trim();
  }

  integer(min = 0, max = Number.MAX_SAFE_INTEGER): number {
    const word = this.word();
    const value = /^[+-]?\d{1,20}$/.test(word) ? Number(word) : Number.NaN;
    if (!(value >= min && value <= max)) throw this.fault(`\`${word}\` is no integer between ${min} and ${max}`);
    return value;
  }

  boolean(): boolean {
    const word = this.word();
    if (!['true', 'false', '1', '0'].includes(word)) throw this.fault(`\`${word}\` is neither true nor false`);
    return word === 'true' || word === '1';
  }

  oneOf<T>(values: Readonly<Record<string, T>>): T {
    const word = this.word();
    if (Object.hasOwn(values, word)) return values[word]!;
    throw this.fault(`\`${word}\` is none of ${Object.keys(values).join(', ')}`);
  }

  #noText(): void {
    if (this.text.trim() !== '') throw this.fault('elements are expected, not text');
  }
}

/** While the file is read. Paths count elements of one name: `sessions/session[2]/name`. */
class Builder {
  readonly open: Element[] = [];
  readonly #brothers: Map<string, number>[] = [];
  root: Element | null = null;
  count = 0;

  enter(name: string, line: number): void {
    const parent = this.open.at(-1);
    if (this.open.length >= LIMITS.depth) throw new FileFault({ line, path: name }, `elements lie deeper than ${LIMITS.depth}`);
    if (++this.count > LIMITS.elements)
      throw new FileFault({ line, path: name }, `it has more than ${LIMITS.elements} elements`);
    const number = (this.#brothers.at(-1)?.get(name) ?? 0) + 1;
    this.#brothers.at(-1)?.set(name, number);
    const path = parent ? `${parent.place.path}/${name}${number > 1 ? `[${number}]` : ''}` : name;
    const element = new Element(name, { line, path });
    if (parent) parent.children.push(element);
    else this.root = element;
    this.open.push(element);
    this.#brothers.push(new Map());
  }

  leave(): void {
    this.open.pop();
    this.#brothers.pop();
  }

  add(text: string): void {
    const element = this.open.at(-1);
    if (element) element.text += text;
  }
}

export const parseElements = (text: string): Element => {
  const tooBig = sizeFault(text);
  if (tooBig) throw tooBig;
  const parser = new SaxesParser({ position: true });
  const builder = new Builder();
  let line = 1;
  const place = (): Place => ({ line: parser.line, path: builder.open.at(-1)?.place.path ?? '' });
  parser.on('error', (error) => {
    throw new FileFault(place(), error.message.replace(/^\d+:\d+: /, '').replace(/\.$/, ''));
  });
  parser.on('doctype', () => {
    throw new FileFault(place(), 'a document type is not accepted');
  });
  parser.on('opentagstart', () => {
    line = parser.line;
  });
  parser.on('opentag', ({ name, attributes }) => {
    const [attribute] = Object.keys(attributes);
    if (attribute !== undefined && builder.open.length > 0)
      throw new FileFault(place(), `attribute \`${attribute}\` is unknown here`);
    builder.enter(name, line);
  });
  parser.on('text', (part) => builder.add(part));
  parser.on('cdata', (part) => builder.add(part));
  parser.on('closetag', () => builder.leave());
  parser.write(text).close();
  if (!builder.root) throw new FileFault({ line: 1, path: '' }, 'there is no element');
  return builder.root;
};

/** What is written: a name with text, or with elements; null elements are left out. */
export type Tree = readonly [name: string, content: string | number | boolean | readonly (Tree | null)[]];

const escaped = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll(/[\t\n\r\u0085\u2028]/g, (character) => `&#${character.charCodeAt(0)};`);

/** What XML has no way to write. */
const UNWRITABLE = /[^\t\n\r -\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/u;

const lines = ([name, content]: Tree, indent: string): string[] => {
  if (typeof content !== 'object') {
    const text = String(content);
    if (UNWRITABLE.test(text)) throw new FileFault({ line: 0, path: name }, 'XML cannot hold this text; --format=yaml can');
    return [`${indent}<${name}>${escaped(text)}</${name}>`];
  }
  const inner = content.flatMap((part) => (part === null ? [] : lines(part, `${indent}\t`)));
  return inner.length === 0 ? [`${indent}<${name}/>`] : [`${indent}<${name}>`, ...inner, `${indent}</${name}>`];
};

export const writeElements = (root: Tree): string =>
  ['<?xml version="1.0" encoding="UTF-8"?>', ...lines(root, ''), ''].join('\n');
