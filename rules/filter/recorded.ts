/**
 * Filters on events that are recorded already: what an expression mentions is looked for among the fields and contexts of a trace.
 * Each mention has a place for every kind of value that a record may bring it as (enum Place of native/ctf/filter.h).
 */
import { OP } from './assembler.ts';
import type { Node, Step } from './ast.ts';
import { compileExpression, filterProgram, type Kind, type Lowered, made, type PathNode } from './compile.ts';

export interface Mention {
  readonly kind: 'field' | 'context';
  /** As the trace spells it. */
  readonly name: string;
}

/** What the records of a class bring it as. `any`: each record says what it is. */
export type RecordedType = 'integer' | 'double' | 'string' | 'integers' | 'any';

const PLACES = 4;
const PLACE: Readonly<Record<Kind | 'integers', number>> = { integer: 0, double: 1, string: 2, integers: 3 };
const FIELD_OP: Readonly<Record<Kind, number>> = { integer: OP.fieldInt, double: OP.fieldDouble, string: OP.fieldString };

/** Names of contexts have no signs in a trace: `perf:thread:cycles` is `perf_thread_cycles`. */
const spelled = (name: string): string => name.replaceAll(/\W/g, '_');

const mentionOf = ({ global, name, steps: [first] }: PathNode): Mention => {
  if (!global) return { kind: 'field', name };
  const member = first?.what.kind === 'member' ? first.what.name : '';
  return { kind: 'context', name: spelled(name === 'ctx' ? member : `$app.${member}`) };
};

const same = (a: Mention, b: Mention): boolean => a.kind === b.kind && a.name === b.name;

const pathsIn = (node: Node): readonly PathNode[] => {
  if (node.kind === 'path') return [node];
  if (node.kind === 'unary') return pathsIn(node.operand);
  return node.kind === 'binary' ? [...pathsIn(node.left), ...pathsIn(node.right)] : [];
};

/** Each once. */
const mentionsIn = (root: Node): readonly Mention[] =>
  pathsIn(root)
    .map(mentionOf)
    .filter((one, at, all) => all.findIndex((other) => same(one, other)) === at);

const elementOf = (place: number, { what }: Step): Lowered =>
  what.kind === 'element' && what.index >= 0n && what.index < 1n << 32n
    ? made('integer', (out) => out.element(place + PLACE.integers, Number(what.index)))
    : null;

const valueAt = (place: number, type: RecordedType | null, elements: readonly Step[]): Lowered => {
  const [step, ...more] = elements;
  if (type === null || more.length > 0) return null;
  if (type === 'integers' || step) return type === 'integers' && step ? elementOf(place, step) : null;
  const bring = (as: Kind) => [FIELD_OP[as], place + PLACE[as]] as const;
  if (type === 'any') return { kind: 'open', emit: (out, as) => out.of(...bring(as)) };
  return made(type, (out) => out.of(...bring(type)));
};

const compile = (root: Node, mentions: readonly Mention[], typeOf: (mention: Mention) => RecordedType | null) => {
  const code = compileExpression(root, (path) => {
    const mention = mentionOf(path);
    const at = mentions.findIndex((one) => same(one, mention));
    return valueAt(at * PLACES, typeOf(mention), path.global ? path.steps.slice(1) : path.steps);
  });
  return code && filterProgram([code]);
};

/** Of a checked expression. `compile`: the program for the events of one class; null: it is false for each of them. */
export const recordedFilter = (root: Node) => {
  const mentions = mentionsIn(root);
  return { mentions, compile: (typeOf: (mention: Mention) => RecordedType | null) => compile(root, mentions, typeOf) };
};
