/**
 * How the records of one channel lie, as the native reader steps over them (native/ring/record_walk.h): a rotation cuts between two
 * records. u32 words, little-endian: the number of entries; per entry the event id (0xffffffff: the contexts, which lie before every
 * payload), the number of its steps, and the steps.
 */
import type { EventClass, FieldType } from '../machines/document.ts';

/** A field or context as far as its bytes go. `application`: a tag and the value that it names. */
export interface LayoutField {
  readonly nowrite?: boolean;
  readonly type: FieldType | { readonly kind: 'application' };
}

const CONTEXTS = 0xffffffff;
const FIXED = 0;
const STRING = 1;
const SEQUENCE = 2;
const APPLICATION = 3;
const KIND_BITS = 2;

type Step = { readonly fixed: number } | { readonly word: number };

const step = ({ type }: LayoutField): Step => {
  switch (type.kind) {
    case 'integer':
      return { fixed: type.integer.bits / 8 };
    case 'float':
      return { fixed: type.bits / 8 };
    case 'enum':
      return { fixed: type.container.bits / 8 };
    case 'array':
      return { fixed: (type.length * type.element.bits) / 8 };
    case 'string':
      return { word: STRING };
    case 'application':
      return { word: APPLICATION };
    case 'sequence': {
      const length = type.lengthType.bits / 8 + (type.lengthType.reverse ? 16 : 0);
      return { word: SEQUENCE | ((length | ((type.element.bits / 8) << 5)) << KIND_BITS) };
    }
  }
};

/** Neighbours of fixed length are one step. Longer than a word can say is longer than a sub-buffer: cut off, no record has it. */
const LONGEST = 2 ** 30 - 1;

const steps = (fields: readonly LayoutField[]): number[] => {
  const words: number[] = [];
  let fixed = 0;
  const endFixed = (): void => {
    if (fixed > 0) words.push(((Math.min(fixed, LONGEST) << KIND_BITS) | FIXED) >>> 0);
    fixed = 0;
  };
  for (const one of fields) {
    if (one.nowrite) continue;
    const next = step(one);
    if ('fixed' in next) fixed += next.fixed;
    else {
      endFixed();
      words.push(next.word);
    }
  }
  endFixed();
  return words;
};

/** `contexts` in their order, and the event classes of the channel. */
export const encodeLayout = (contexts: readonly LayoutField[], classes: readonly EventClass[]): Uint8Array => {
  const entries: [number, number[]][] = [
    [CONTEXTS, steps(contexts)],
    ...classes.map(({ id, description }): [number, number[]] => [id, steps(description.fields)]),
  ];
  const words = [entries.length, ...entries.flatMap(([id, ops]) => [id, ops.length, ...ops])];
  const bytes = new DataView(new ArrayBuffer(words.length * 4));
  words.forEach((word, i) => {
    bytes.setUint32(i * 4, word, true);
  });
  return new Uint8Array(bytes.buffer);
};
