/**
 * What the schemas of messages are made of, and how a message is held against one: the fault says which field is wrong. Unknown
 * fields are ignored; another `v` is refused, for it may mean something else.
 */
import { z } from 'zod';
import type { Body, Fault } from './bus.ts';
import { MESSAGE_VERSION } from './codec.ts';
import { fault } from './errors.ts';

/**
 * Without compiled parsers: making one takes milliseconds of the first message of each kind, which is when somebody waits (all hosts
 * of a fleet begin at once, a command line parses a message or two), and they are no faster for messages as small as ours.
 */
z.config({ jitless: true });

/** A 64-bit count: bigint here, an integer in msgpack, a decimal string in JSON. */
export const count64 = z
  .union([z.bigint().nonnegative(), z.int().nonnegative(), z.string().regex(/^\d{1,20}$/)])
  .transform((value) => BigInt(value))
  .meta({ description: 'unsigned 64-bit integer; in JSON a decimal string' });

/** Text of a name, a path or a pattern; the rules of each are checked by whoever owns it, with a code of its own. */
export const text = z.string().max(4096);
export const uid = z.int().min(0).max(0xffff_ffff);
export const hexId = z.string().regex(/^[0-9a-f]{32}$/, '32 hex digits are needed');

/** On every message. `id` is the request's, chosen by the caller, and given back in the answer. */
export const envelope = { v: z.literal(MESSAGE_VERSION), id: z.string().min(1).max(128) };

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly fault: Fault };

const versionFault = (body: Body): Fault | null =>
  typeof body.v === 'number' && body.v !== MESSAGE_VERSION ? fault('unsupported', { what: `Message version ${body.v}` }) : null;

const nameOf = (path: readonly PropertyKey[]): string =>
  path.map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index ? '.' : ''}${String(part)}`)).join('') ||
  '(body)';

export const parseMessage = <S extends z.ZodType>(schema: S, body: Body): Parsed<z.output<S>> => {
  const parsed = schema.safeParse(body);
  if (parsed.success) return { ok: true, value: parsed.data };
  const issue = parsed.error.issues[0]!;
  const cause = issue.message.replace(/\.$/, '');
  return { ok: false, fault: versionFault(body) ?? fault('bad-message', { field: nameOf(issue.path), cause }) };
};

const jsonSchemas = new WeakMap<z.ZodType, Body>();

/** The schema as others read it, in the metadata of the service. Made once: that takes longer than all else of a service's start. */
export const jsonSchema = (schema: z.ZodType): Body => {
  const known = jsonSchemas.get(schema);
  if (known) return known;
  const made = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema: target }) => {
      if (zodSchema._zod.def.type === 'bigint') target.type = 'integer';
    },
  }) as unknown as Body;
  jsonSchemas.set(schema, made);
  return made;
};
