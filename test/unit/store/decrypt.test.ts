import { expect, test } from 'vitest'
import { fingerprint as fingerprintOf } from '../../../src/crypto/hmac.ts'
import { encrypt } from '../../../src/crypto/jwe.ts'
import { newKey } from '../../../src/crypto/key-set.ts'
import { IntegrationsError } from '../../../src/errors.ts'
import { Secret } from '../../../src/secret.ts'
import { decryptRecorded, decryptStored } from '../../../src/store/secrets/decrypt.ts'
import { type KnownVersion, unreadable } from '../../../src/store/secrets/stored.ts'
import type { EncryptionMode } from '../../../src/store/tables/keys.ts'

const [key, fingerprintKey, auditKey, foreignKey] = [
  newKey('encryption'),
  newKey('fingerprint'),
  newKey('audit'),
  newKey('encryption'),
]
const keyring = { keys: new Map([[key.id, key]]), encryptionKey: key, fingerprintKey, auditKey }
const context = { id: 'i', field: 'webhook_secret' }
const print = (value: string) => fingerprintOf(fingerprintKey, new Secret(value))
const encrypted = (value: string, by = key, field = context.field) =>
  encrypt(by, { ...context, field }, new Secret(value))

/** A version that is recorded as encrypted with the key. */
const known: KnownVersion = { number: 1, fingerprint: print('value'), keyId: key.id }
const plain: KnownVersion = { ...known, keyId: null }

/** What is read of a column, by what decrypts it; or the error. */
function read(
  mode: EncryptionMode,
  text: string,
  version: KnownVersion | null,
  decryptIt: typeof decryptStored = decryptStored,
) {
  try {
    const { value, ...more } = decryptIt({ keyring, mode }, { context, text, known: version })
    return { value: value.reveal(), ...more }
  } catch (error) {
    if (!(error instanceof IntegrationsError)) throw error
    return `${error.code}: ${error.message}; ${error.hint}`
  }
}

const replaceIt = 'find out who wrote it; then store the right value with integrations rotate --end-previous --grace 0'
const notEncrypted = `DECRYPTION_FAILED: the stored webhook secret is not encrypted, which this database requires: this program did not write it; ${replaceIt}`
const undecryptable = expect.stringMatching(/^DECRYPTION_FAILED: the stored webhook secret cannot be decrypted: /)

test('what is recorded as encrypted is decrypted in every mode, and nothing else is taken for it', () => {
  for (const mode of ['off', 'migrating', 'required'] as const)
    expect([
      read(mode, encrypted('value'), known),
      read(mode, encrypted('value', key, 'access_token'), known),
      read(mode, encrypted('value', foreignKey), known),
    ]).toEqual([{ value: 'value', keyId: key.id }, undecryptable, expect.stringMatching(/^KEY_NOT_FOUND: /)])
})

test('where all values are encrypted, a plain one is refused, and one that is not recorded as encrypted', () => {
  expect([read('required', 'value', known), read('required', 'value', null)]).toEqual([notEncrypted, notEncrypted])
  expect([read('required', encrypted('value'), plain), read('required', encrypted('value'), null)]).toEqual([
    notEncrypted,
    notEncrypted,
  ])
})

test('where the application may write, a value is what it wrote, unless this program encrypted it', () => {
  const looksEncrypted = encrypted('value', foreignKey)
  const elsewhere = encrypted('value', key, 'access_token')
  for (const mode of ['off', 'migrating'] as const) {
    expect([read(mode, 'value', known), read(mode, 'value', null)]).toEqual(
      Array(2).fill({ value: 'value', keyId: null }),
    )
    for (const text of [looksEncrypted, elsewhere]) expect(read(mode, text, null)).toEqual({ value: text, keyId: null })
    // Its version may be lost.
    expect(read(mode, encrypted('value'), null)).toEqual({ value: 'value', keyId: key.id })
    // Recorded as plain, it is the application's, whatever it looks like.
    expect(read(mode, encrypted('value'), plain)).toEqual({ value: expect.stringMatching(/^eyJ/), keyId: null })
  }
})

test('a value that is no text, or has a zero byte, is told of in every mode', () => {
  for (const mode of ['off', 'required'] as const)
    expect(read(mode, unreadable, known)).toBe(
      `DECRYPTION_FAILED: the stored webhook secret of the integration i is not a text, or has a zero byte in it: it cannot be read whole; ${replaceIt}`,
    )
})

test('where this program alone writes, a value is the recorded one', () => {
  const recorded = (mode: EncryptionMode, value: string, version: KnownVersion | null) =>
    read(mode, mode === 'off' ? value : encrypted(value), version, decryptRecorded)
  const found = (value: string, keyId: string | null = key.id) => ({ value, keyId, fingerprint: print(value) })
  expect([
    recorded('required', 'value', known),
    recorded('required', 'another', known),
    recorded('required', 'another', { ...known, fingerprint: null }),
    recorded('migrating', 'another', known),
    recorded('migrating', 'another', null),
    recorded('off', 'another', plain),
  ]).toEqual([
    found('value'),
    `DECRYPTION_FAILED: the stored webhook secret is not the recorded one: another program has replaced it; ${replaceIt}`,
    ...[found('another'), found('another'), found('another'), found('another', null)],
  ])
})
