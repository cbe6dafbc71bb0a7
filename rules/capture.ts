/**
 * Capture descriptors of triggers (`a`, `a[3]`, `$ctx.vpid`, `$app.provider:name`): what of an event a notification carries. They are
 * names and no expressions. Resolved for one point: what that point cannot have is captured as unavailable.
 */
import type { PointDescription } from '../machines/document.ts';
import { contextNamed } from './filter/contexts.ts';

export type Capture =
  | { readonly kind: 'field'; readonly name: string; readonly index: number | null }
  | { readonly kind: 'context'; readonly name: string }
  | { readonly kind: 'application'; readonly name: string };

/** A capture where its value lies, as native/ust/wire.h has it. */
export type PlacedCapture =
  | { readonly kind: 'unavailable' }
  | { readonly kind: 'field'; readonly field: number }
  | { readonly kind: 'element'; readonly field: number; readonly index: number }
  | { readonly kind: 'context'; readonly context: number }
  | { readonly kind: 'application'; readonly name: string };

export type ParsedCapture = { readonly ok: true; readonly capture: Capture } | { readonly ok: false; readonly cause: string };

const INDEX_MAX = 2 ** 32 - 1;

const wrong = (cause: string): ParsedCapture => ({ ok: false, cause });

export const parseCapture = (text: string): ParsedCapture => {
  const context = /^\$ctx\.([A-Za-z_][\w:]*)$/.exec(text)?.[1];
  if (context !== undefined) return { ok: true, capture: { kind: 'context', name: context } };
  const application = /^\$app\.([^\s:]+:\S+)$/.exec(text)?.[1];
  if (application !== undefined) return { ok: true, capture: { kind: 'application', name: application } };
  if (text.startsWith('$')) return wrong('after `$` only `ctx.NAME` and `app.PROVIDER:NAME` are known');
  const field = /^([A-Za-z_][\w:]*)(?:\[(\d+)\])?$/.exec(text);
  if (!field) return wrong('it is no field, field[INDEX], $ctx.NAME or $app.PROVIDER:NAME; operators cannot be captured');
  const index = field[2] === undefined ? null : Number(field[2]);
  if (index !== null && index > INDEX_MAX) return wrong(`the index is above ${INDEX_MAX}`);
  return { ok: true, capture: { kind: 'field', name: field[1]!, index } };
};

const UNAVAILABLE = { kind: 'unavailable' } as const;

export const placeCapture = (capture: Capture, { fields }: PointDescription): PlacedCapture => {
  if (capture.kind === 'application') return capture;
  if (capture.kind === 'context') {
    const context = contextNamed(capture.name);
    return context ? { kind: 'context', context: context.id } : UNAVAILABLE;
  }
  const field = fields.findIndex(({ name }) => name === capture.name);
  if (field < 0) return UNAVAILABLE;
  return capture.index === null ? { kind: 'field', field } : { kind: 'element', field, index: capture.index };
};
