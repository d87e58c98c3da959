import { hkdfSync } from 'node:crypto'
import { IntegrationsError } from '../errors.ts'
import { Secret } from '../secret.ts'
import { keyIdOf } from './jwe-format.ts'
import type { KeySet, RootKey } from './key-set.ts'

/** Where a value belongs. A sealed value opens in its own cell only. */
export interface Cell {
  /** Of the integration. */
  readonly id: string
  /** The column, as in `webhook_secret`. */
  readonly field: string
}

/**
 * Seals a value for its cell: JWE compact serialization with a direct key, which HKDF derives from a root key for this
 * cell alone. https://www.rfc-editor.org/rfc/rfc7516, https://www.rfc-editor.org/rfc/rfc5869
 */
export async function seal(key: RootKey, cell: Cell, value: Secret): Promise<string> {
  const { CompactEncrypt } = await import('jose')
  return new CompactEncrypt(new TextEncoder().encode(value.reveal()))
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: key.id })
    .encrypt(cellKey(key, cell))
}

/**
 * Opens a sealed value in its cell, with the key that its header names and no other.
 *
 * @throws KEY_UNKNOWN when the set lacks that key, SEAL_BROKEN when the value was changed, or belongs elsewhere
 */
export async function open(keys: KeySet, cell: Cell, text: string): Promise<Secret> {
  const id = keyIdOf(text)
  if (id === undefined) throw broken(cell)
  const key = keys.get(id)
  if (key?.use !== 'enc')
    throw new IntegrationsError(
      'KEY_UNKNOWN',
      `a value is sealed with the key ${id}, which is not in the key set`,
      'add the key to the set that INTEGRATIONS_KEYS_FILE or INTEGRATIONS_KEYS_COMMAND names',
    )
  const { compactDecrypt } = await import('jose')
  try {
    const { plaintext } = await compactDecrypt(text, cellKey(key, cell), {
      keyManagementAlgorithms: ['dir'],
      contentEncryptionAlgorithms: ['A256GCM'],
      maxDecompressedLength: 0,
    })
    return new Secret(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plaintext))
  } catch {
    throw broken(cell)
  }
}

const cellKey = ({ bytes }: RootKey, { id, field }: Cell): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', bytes, '', `integrations/v1\0${id}\0${field}`, 32))

const broken = ({ field }: Cell) =>
  new IntegrationsError(
    'SEAL_BROKEN',
    `the stored ${field.replaceAll('_', ' ')} does not open: it was changed, or belongs to another row`,
    'integrations audit verify tells since when; put the value in again with integrations rotate --force --grace 0',
  )
