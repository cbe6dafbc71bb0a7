import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createUser, fromPublic, fromSeed } from '@nats-io/nkeys';
import { signChallenge } from '../../transport/nkey-signature.ts';

test('a challenge is signed as the nkeys library signs it', () => {
  for (let round = 0; round < 20; round++) {
    const user = createUser();
    const seed = new TextDecoder().decode(user.getSeed());
    const nonce = `nonce-${round}`;
    const signature = Buffer.from(signChallenge(seed, nonce), 'base64url');
    assert.ok(fromPublic(user.getPublicKey()).verify(new TextEncoder().encode(nonce), signature));
    assert.deepEqual([...signature], [...fromSeed(user.getSeed()).sign(new TextEncoder().encode(nonce))]);
  }
});

test('what is no seed is refused', () => {
  assert.throws(() => signChallenge('nonsense!', 'n'), /no nkey seed/);
  assert.throws(() => signChallenge('SUAA', 'n'), /no nkey seed/);
});
