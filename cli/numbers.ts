/** SIZE and TIME arguments, as lttng(1) reads them. Null: not one. */

const SIZE_UNITS: Readonly<Record<string, bigint>> = { '': 1n, k: 1n << 10n, K: 1n << 10n, M: 1n << 20n, G: 1n << 30n };
const TIME_UNITS: Readonly<Record<string, bigint>> = {
  '': 1n,
  us: 1n,
  ms: 1000n,
  s: 1_000_000n,
  m: 60_000_000n,
  h: 3_600_000_000n,
};
const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, y: 365 * 86_400 };
const LIMIT = BigInt(Number.MAX_SAFE_INTEGER);

const integer = (digits: string): bigint | null => {
  if (/^0[xX][0-9a-fA-F]+$/.test(digits)) return BigInt(digits);
  if (/^0[0-7]+$/.test(digits)) return BigInt(`0o${digits.slice(1)}`);
  return /^(0|[1-9]\d*)$/.test(digits) ? BigInt(digits) : null;
};

const scaled = (value: bigint | null, unit: bigint | undefined): number | null => {
  if (value === null || unit === undefined || value * unit > LIMIT) return null;
  return Number(value * unit);
};

/** Bytes: decimal, 0x hexadecimal or 0 octal, with k/K, M or G. */
export const parseSize = (text: string): number | null => {
  const match = /^(0[xX][0-9a-fA-F]+|\d+)([kKMG]?)$/.exec(text);
  return match ? scaled(integer(match[1]!), SIZE_UNITS[match[2]!]) : null;
};

/** Microseconds: decimal, with us, ms, s, m or h. */
export const parseTime = (text: string): number | null => {
  const match = /^(\d+)(us|ms|s|m|h|)$/.exec(text);
  return match ? scaled(BigInt(match[1]!), TIME_UNITS[match[2]!]) : null;
};

/** Seconds of what lasts for long (keys, kept traces): the unit is demanded, for 30 without one would be taken for days by one and for seconds by another. */
export const parseAge = (text: string): number | null => {
  const [, count, unit] = /^(\d{1,9})([smhdy])$/.exec(text) ?? [];
  return count === undefined || Number(count) === 0 ? null : Number(count) * SECONDS[unit!]!;
};
