import { createHash, createHmac } from 'node:crypto'
import { expect, test } from 'vitest'
import { eventMac, fingerprint, hmacHex } from '../../../src/crypto/hmac.ts'
import { newKey } from '../../../src/crypto/key-set.ts'
import { Secret } from '../../../src/secret.ts'
import { signingSecret } from '../../support/samples.ts'

const [key, other] = [newKey('fingerprint'), newKey('fingerprint')]

test('fingerprints are of the value and of the key', () => {
  const value = new Secret(signingSecret())
  const print = fingerprint(key, value)
  expect(print).toMatch(/^[0-9a-f]{16}$/)
  expect(fingerprint(key, new Secret(signingSecret()))).toBe(print)
  expect(fingerprint(key, new Secret(signingSecret(2)))).not.toBe(print)
  expect(fingerprint(other, value)).not.toBe(print)
  // Neither who has no key can make it, nor what else the key is used for.
  for (const hash of [
    createHash('sha256').update(value.reveal()).digest('hex'),
    createHmac('sha256', key.bytes).update(value.reveal()).digest('hex'),
    hmacHex(key, 'audit/v1', value.reveal()),
    hmacHex(key, 'check/v1', value.reveal()),
  ])
    expect(hash.slice(0, 16)).not.toBe(print)
})

const letters = ['1', '2', '0', ':', ';', '-'] as const

test('no two events of few letters have the same hash', () => {
  const texts = ['', ...letters, ...letters.flatMap((a) => letters.map((b) => `${a}${b}`)), null]
  const hashes = new Set<string>()
  let events = 0
  for (const a of texts)
    for (const b of texts) {
      events += 2
      hashes.add(eventMac(key, 'x', [a, b]))
      hashes.add(eventMac(key, 'x', [a, b, null]))
    }
  expect(hashes.size).toBe(events)
})
