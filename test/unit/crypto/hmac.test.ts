import { createHash, createHmac } from 'node:crypto'
import { expect, test } from 'vitest'
import { eventMac, fingerprint, hmacHex, reportMac, rowHash, stateMac } from '../../../src/crypto/hmac.ts'
import { newKey, type RootKey } from '../../../src/crypto/key-set.ts'
import { checkValue } from '../../../src/crypto/keyring.ts'
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

// Computed apart from this program, in Python: HKDF-SHA256 without a salt, then HMAC-SHA256 of UTF-8 text.
const known: RootKey = { id: 'audit-1', use: 'sig', bytes: Uint8Array.from({ length: 32 }, (_, i) => i) }

test('the hash of an event with text beyond ASCII is the known one', () => {
  const columns = ['1', '2026-01-02T03:04:05.678Z', null, 'secret.rotate', 'Östra/naïve – 東京 🔑', '']
  expect(eventMac(known, 'id-of-database', columns)).toBe(
    '86d0d0c97a97cedbca413f97efe1a00f1a40e56dd994a2ff203cd119a9882146',
  )
})

test('the fingerprint of a value beyond ASCII, and the check value of a key, are the known ones', () => {
  expect(fingerprint(known, new Secret('pässwörd-東京-🔑'))).toBe('e3a88fc3be5cc20b')
  expect(checkValue(known)).toBe('649a156229b00261eaf8e2a8ed0bae62726cf643d41e301535a7878866422171')
})

test('what vouches for a state and a report, and what stands for a row, are the known ones', () => {
  expect({
    state: stateMac(known, ['id', 'own', null, '7', 'ÿ']),
    report: reportMac(known, ['id', 'receiver:1', '{"at":"é"}']),
    row: rowHash(known, ['i', 'config', '{"ä":1}']),
  }).toEqual({
    state: '5af8ccdf12e7991aadccb520ebdae6bbcecbcd38823fb8291f006868f66d7236',
    report: '350156c9874c95e0b4d7e813977a02cd6694deca65a72efdd895f2b85ebf3519',
    row: '415b55bf9f42a4cf2b5c74f9a19596a9dff560173c71dcdb07dbfe62eb04699a',
  })
})
