import { expect, test } from 'vitest'
import { type EncryptionContext, encrypt } from '../../../src/crypto/jwe.ts'
import { type KeyPurpose, type KeySet, keyFor, newKey, purposes, type RootKey } from '../../../src/crypto/key-set.ts'
import { checkValue, isKey, type KnownKey, openKeyring } from '../../../src/crypto/keyring.ts'
import { Secret } from '../../../src/secret.ts'

const setOf = (...keys: readonly RootKey[]): KeySet => new Map(keys.map((key) => [key.id, key]))

const known = (key: RootKey, purpose: KeyPurpose, state: KnownKey['state'] = 'active'): KnownKey => ({
  id: key.id,
  purpose,
  state,
  checkValue: checkValue(key),
})

test('a set serves each purpose with its last key, and encryption with one of an older name', () => {
  const [first, last, fingerprints, audit] = [
    newKey('encryption'),
    { ...newKey('encryption'), id: 'seal-000000000001' },
    newKey('fingerprint'),
    newKey('audit'),
  ]
  const set = setOf(first, audit, last, fingerprints)
  expect(purposes.map((purpose) => keyFor(set, purpose)?.id)).toEqual([last.id, fingerprints.id, audit.id])
  expect(purposes.map((purpose) => keyFor(setOf(audit), purpose)?.id)).toEqual([undefined, undefined, audit.id])
  const misnamed = setOf(audit, { ...newKey('encryption'), id: 'audit-000000000001' })
  expect(keyFor(misnamed, 'audit')?.id).toBe(audit.id)
})

test.each(purposes)('a key for %s is known by its bytes, not by its id alone', (purpose) => {
  const key = newKey(purpose)
  const other = { ...newKey(purpose), id: key.id }
  expect([isKey(key, known(key, purpose)), isKey(other, known(key, purpose))]).toEqual([true, false])
})

test('a key for another use is not the known one', () => {
  const key = newKey('audit')
  expect(isKey(key, known(key, 'encryption'))).toBe(false)
})

test('a keyring has the active key of each purpose, and refuses another one of the id of any that is in use', () => {
  const [encryption, next, fingerprints, audit] = [
    newKey('encryption'),
    newKey('encryption'),
    newKey('fingerprint'),
    newKey('audit'),
  ]
  const keys = setOf(encryption, next, fingerprints, audit)
  const all = [
    known(encryption, 'encryption', 'decrypt-only'),
    known(next, 'encryption'),
    known(fingerprints, 'fingerprint'),
    known(audit, 'audit'),
  ]
  const { encryptionKey, fingerprintKey, auditKey } = openKeyring(keys, all, 'the set')
  expect([encryptionKey.id, fingerprintKey.id, auditKey.id]).toEqual([next.id, fingerprints.id, audit.id])
  for (const { id, purpose } of all) {
    const wrong = new Map(keys).set(id, { ...newKey(purpose), id })
    const message = `the key ${id} in the key set (the set) is not the one that this database knows`
    expect(() => openKeyring(wrong, all, 'the set')).toThrow(expect.objectContaining({ code: 'KEY_WRONG', message }))
  }
  expect(() => openKeyring(setOf(encryption, fingerprints, audit), all, 'the set')).toThrow(
    expect.objectContaining({
      code: 'KEYS_MISSING',
      message: `the key ${next.id} of this database is not in the key set (the set)`,
    }),
  )
})

test('a retired key may be another one, and a purpose without an active key is told as changed by another program', () => {
  const [encryption, old, fingerprints, audit] = [
    newKey('encryption'),
    newKey('encryption'),
    newKey('fingerprint'),
    newKey('audit'),
  ]
  const all = [
    known(encryption, 'encryption'),
    known(old, 'encryption', 'retired'),
    known(fingerprints, 'fingerprint'),
    known(audit, 'audit'),
  ]
  const other = { ...newKey('encryption'), id: old.id }
  expect(openKeyring(setOf(encryption, other, fingerprints, audit), all, 'the set').encryptionKey).toBe(encryption)
  const inactive = all.map((one) => (one.id === audit.id ? { ...one, state: 'decrypt-only' as const } : one))
  expect(() => openKeyring(setOf(encryption, fingerprints, audit), inactive, 'the set')).toThrow(
    expect.objectContaining({
      code: 'DATABASE_TAMPERED',
      message: expect.stringMatching(/^the database has no active audit key: another program changed integration_keys/),
    }),
  )
  const wrong = setOf({ ...newKey('encryption'), id: encryption.id }, fingerprints, audit)
  expect(() => openKeyring(wrong, all, 'the set')).toThrow(
    expect.objectContaining({
      code: 'KEY_WRONG',
      message: `the key ${encryption.id} in the key set (the set) is not the one that this database knows`,
      hint: 'name the key set that this database was made with, with INTEGRATIONS_KEYS_FILE or INTEGRATIONS_KEYS_COMMAND',
    }),
  )
  expect(() => openKeyring(setOf(), all, 'the set')).toThrow(
    expect.objectContaining({
      hint: 'ask whoever has the keys of this database for the present key set, and name it with INTEGRATIONS_KEYS_FILE or INTEGRATIONS_KEYS_COMMAND',
    }),
  )
})

test('the check value of an encryption key is its own text in its own place', () => {
  const key = newKey('encryption')
  const made = (context: EncryptionContext, text: string) => ({
    ...known(key, 'encryption'),
    checkValue: encrypt(key, context, new Secret(text)),
  })
  const context = { id: key.id, field: 'check' }
  expect([
    isKey(key, made(context, 'integrations')),
    isKey(key, made(context, 'another')),
    isKey(key, made(context, '')),
    isKey(key, made({ ...context, field: '' }, 'integrations')),
    isKey(key, made({ ...context, id: '' }, 'integrations')),
  ]).toEqual([true, false, false, false, false])
})
