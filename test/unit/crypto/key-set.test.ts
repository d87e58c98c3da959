import { expect, test } from 'vitest'
import { keySetText, newKey, parseKeySet } from '../../../src/crypto/key-set.ts'

const k = Buffer.alloc(32, 7).toString('base64url')
/** Stands in every set that is refused, and must not be in what is said of it. */
const canary = 'Canary7'.repeat(6).slice(0, 42)
const jwk = { kty: 'oct', kid: 'seal-1', use: 'enc', k }
const setOf = (...keys: unknown[]) => JSON.stringify({ keys })

test.each([
  ['no JSON', `{"keys":[{"k":"${canary}"`, 'is not JSON'],
  ['empty', '', 'is not JSON'],
  ['null', 'null', 'is not a JWK Set: it has no array "keys"'],
  ['a key alone', JSON.stringify({ ...jwk, k: canary }), 'is not a JWK Set: it has no array "keys"'],
  ['keys by name', JSON.stringify({ keys: { [canary]: jwk } }), 'is not a JWK Set: it has no array "keys"'],
  [
    'no id',
    setOf({ ...jwk, kid: undefined }),
    'has a key (number 1) whose "kid" is not 1 to 64 letters, digits and . _ : -',
  ],
  [
    'an id with a space',
    setOf(jwk, { ...jwk, kid: `a ${canary}` }),
    'has a key (number 2) whose "kid" is not 1 to 64 letters, digits and . _ : -',
  ],
  [
    'an id of 65',
    setOf({ ...jwk, kid: 'x'.repeat(65) }),
    'has a key (number 1) whose "kid" is not 1 to 64 letters, digits and . _ : -',
  ],
  ['no use', setOf({ ...jwk, use: undefined }), 'has a key (number 1) whose "use" is neither enc nor sig'],
  ['another use', setOf({ ...jwk, use: canary }), 'has a key (number 1) whose "use" is neither enc nor sig'],
  ['no bytes', setOf({ ...jwk, k: undefined }), 'has a key (number 1) whose "k" is not 256 bits'],
  ['bytes in a list', setOf({ ...jwk, k: [k] }), 'has a key (number 1) whose "k" is not 256 bits'],
  ['too few bytes', setOf({ ...jwk, k: canary }), 'has a key (number 1) whose "k" is not 256 bits'],
  ['too many bytes', setOf({ ...jwk, k: `${canary}AA` }), 'has a key (number 1) whose "k" is not 256 bits'],
  ['other base64', setOf({ ...jwk, k: `${canary}/` }), 'has a key (number 1) whose "k" is not 256 bits'],
  ['an id twice', setOf(jwk, { ...jwk, k: `${canary}A` }), 'has two keys seal-1'],
])('a set is refused: %s', (_, text, why) => {
  let refusal: unknown
  try {
    parseKeySet(text, 'the key file /keys.json')
  } catch (error) {
    refusal = error
  }
  expect(refusal).toMatchObject({
    code: 'KEYS_INVALID',
    message: `the key file /keys.json ${why}`,
    hint: 'ask whoever has the keys of this database for the key set, or name another',
  })
  expect(String((refusal as Error).stack)).not.toContain(canary)
  expect(String((refusal as Error).stack)).not.toContain(k)
})

test('what is written is read again, and keys of another kind are left out', () => {
  const keys = [newKey('encryption'), newKey('fingerprint'), newKey('audit')]
  expect(keys.map(({ id, use, bytes }) => [id.replace(/[0-9a-f]{12}$/, '<id>'), use, bytes.length])).toEqual([
    ['enc-<id>', 'enc', 32],
    ['fingerprint-<id>', 'sig', 32],
    ['audit-<id>', 'sig', 32],
  ])
  const { keys: written } = JSON.parse(keySetText(keys))
  const others = [{ kty: 'RSA', kid: 'seal-1', use: 'enc' }, { kty: 'EC' }, null, 1]
  const read = parseKeySet(setOf(...others, ...written), 'it')
  expect([...read.values()].map((key) => ({ ...key, bytes: Buffer.from(key.bytes).toString('hex') }))).toEqual(
    keys.map((key) => ({ ...key, bytes: Buffer.from(key.bytes).toString('hex') })),
  )
})
