import { expect, test } from 'vitest'
import { type KeyPurpose, type KeySet, keyFor, newKey, purposes, type RootKey } from '../../../src/crypto/key-set.ts'
import { checkValue, isKey, type KnownKey, openKeyring } from '../../../src/crypto/keyring.ts'

const setOf = (...keys: readonly RootKey[]): KeySet => new Map(keys.map((key) => [key.id, key]))

const known = async (key: RootKey, purpose: KeyPurpose, state: KnownKey['state'] = 'active'): Promise<KnownKey> => ({
  id: key.id,
  purpose,
  state,
  checkValue: await checkValue(key),
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
})

test.each(purposes)('a key for %s is known by its bytes, not by its id alone', async (purpose) => {
  const key = newKey(purpose)
  const other = { ...newKey(purpose), id: key.id }
  expect([await isKey(key, await known(key, purpose)), await isKey(other, await known(key, purpose))]).toEqual([
    true,
    false,
  ])
})

test('a key for another use is not the known one', async () => {
  const key = newKey('audit')
  expect(await isKey(key, await known(key, 'encryption'))).toBe(false)
})

test('a keyring has the active key of each purpose, and refuses another one of its id', async () => {
  const [encryption, next, fingerprints, audit] = [
    newKey('encryption'),
    newKey('encryption'),
    newKey('fingerprint'),
    newKey('audit'),
  ]
  const keys = setOf(encryption, next, fingerprints, audit)
  const all = [
    await known(encryption, 'encryption', 'decrypt-only'),
    await known(next, 'encryption'),
    await known(fingerprints, 'fingerprint'),
    await known(audit, 'audit'),
  ]
  const { encryptionKey, fingerprintKey, auditKey } = await openKeyring(keys, all, 'the set')
  expect([encryptionKey.id, fingerprintKey.id, auditKey.id]).toEqual([next.id, fingerprints.id, audit.id])
  const wrong = new Map(keys).set(audit.id, { ...newKey('audit'), id: audit.id })
  await expect(openKeyring(wrong, all, 'the set')).rejects.toMatchObject({ code: 'KEY_WRONG' })
  await expect(openKeyring(setOf(encryption, fingerprints, audit), all, 'the set')).rejects.toMatchObject({
    code: 'KEYS_MISSING',
    message: `the key ${next.id} of this database is not in the key set (the set)`,
  })
})
