/**
 * Signing the server's challenge with an nkey seed by node:crypto. The nkeys library does it in JavaScript, which costs a command line
 * that signs once more than 10 ms; the format is NATS' (base32 of two prefix bytes, 32 seed bytes, CRC-16).
 */
import { createPrivateKey, type KeyObject, sign } from 'node:crypto';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const PREFIX_BYTES = 2;
const SEED_BYTES = 32;
/** PKCS #8 around an Ed25519 seed (RFC 8410). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

const base32 = (text: string): Buffer => {
  const bytes: number[] = [];
  let bits = 0;
  let value = 0;
  for (const character of text) {
    const digit = ALPHABET.indexOf(character);
    if (digit < 0) throw new Error('this is no nkey seed');
    value = ((value << 5) | digit) & 0xffff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((value >> bits) & 0xff);
    }
  }
  return Buffer.from(bytes);
};

const keyOf = (seed: string): KeyObject => {
  const raw = base32(seed).subarray(PREFIX_BYTES, PREFIX_BYTES + SEED_BYTES);
  if (raw.length !== SEED_BYTES) throw new Error('this is no nkey seed');
  return createPrivateKey({ key: Buffer.concat([PKCS8, raw]), format: 'der', type: 'pkcs8' });
};

/** Base64url, as a client's CONNECT carries it. */
export const signChallenge = (seed: string, nonce: string): string =>
  sign(null, Buffer.from(nonce), keyOf(seed)).toString('base64url');
