/** Bodies that nearly are what they should be: seeded, so that what failed once fails again. */

import type { Body } from '../../transport/bus.ts';
import { type Encoding, encodeBody } from '../../transport/codec.ts';

export type Random = (below: number) => number;

/** Numbers of one seed (mulberry32). */
export const randomOf = (seed: number): Random => {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
};

const STRANGE: readonly unknown[] = [
  null,
  true,
  -1,
  1.5,
  2 ** 53,
  '',
  '../../x',
  '\u0000',
  'x'.repeat(70_000),
  [],
  {},
  [[[[]]]],
  { constructor: { prototype: 1 } },
  Uint8Array.of(0, 255),
];

/** Another value, a field less, or one that nobody knows. */
const changedField = (body: Body, random: Random): Body => {
  const names = Object.keys(body);
  const name = names[random(names.length)]!;
  const strange = STRANGE[random(STRANGE.length)];
  if (random(4) === 0) return Object.fromEntries(Object.entries(body).filter(([key]) => key !== name));
  return { ...body, [random(8) === 0 ? 'unknown' : name]: strange };
};

const changedBytes = (bytes: Uint8Array, random: Random): Uint8Array => {
  const at = random(bytes.length);
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  const noise = Uint8Array.from({ length: 1 + random(16) }, () => random(256));
  switch (random(4)) {
    case 0:
      return before;
    case 1:
      return Buffer.concat([before, noise, after]);
    case 2:
      return Buffer.concat([before, after, after]);
    default:
      return Buffer.concat([before, noise, after.subarray(noise.length)]);
  }
};

const bytesOf = (body: Body, encoding: Encoding): Uint8Array => {
  const encoded = encodeBody(body, encoding);
  if (!encoded.ok) throw new Error(encoded.fault.message);
  return encoded.bytes;
};

/** Of one of the valid bodies, in either encoding; half of them still are bodies. */
export const mutated = (valid: readonly Body[], random: Random): Uint8Array => {
  const body = valid[random(valid.length)]!;
  const encoding = random(2) === 0 ? 'json' : 'msgpack';
  if (random(2) === 0) return bytesOf(changedField(body, random), encoding);
  return changedBytes(bytesOf(body, encoding), random);
};
