import { fingerprint } from '../../crypto/hmac.ts'
import { type Cell, open } from '../../crypto/jwe.ts'
import type { KeySet } from '../../crypto/key-set.ts'
import type { Vault } from '../../crypto/keyring.ts'
import { IntegrationsError } from '../../errors.ts'
import { Secret } from '../../secret.ts'
import type { SealingMode } from '../tables/keys.ts'
import { type KnownVersion, sealedBy, unreadable } from './stored.ts'

/**
 * Opens what the column of a secret holds.
 *
 * @param recordedKeyId the key that seals it, as its version is recorded; null for none
 * @returns the value, and the key that does seal it; null when nothing does
 * @throws SEAL_BROKEN, KEY_UNKNOWN
 */
export async function openStored(
  keys: KeySet,
  mode: SealingMode,
  cell: Cell,
  text: string,
  recordedKeyId: string | null,
): Promise<{ readonly value: Secret; readonly keyId: string | null }> {
  if (text === unreadable)
    throw new IntegrationsError(
      'SEAL_BROKEN',
      `the stored ${label(cell)} of the integration ${cell.id} is no text, or has a zero byte in it: it cannot be read whole`,
      'find out who wrote it; then put the right value in with integrations rotate --force --grace 0',
    )
  const keyId = sealedBy(text, recordedKeyId)
  if (keyId !== null) return { value: await open(keys, cell, text), keyId }
  if (mode !== 'required') return { value: new Secret(text), keyId }
  throw new IntegrationsError(
    'SEAL_BROKEN',
    `the stored ${label(cell)} is not sealed, which this database demands: this program did not write it`,
    'find out who did; then put the right value in with integrations rotate --force --grace 0',
  )
}

/**
 * Opens what the column of a secret holds, and compares it with what is recorded of it.
 *
 * @param known the version that is recorded; null for none
 * @returns also the fingerprint; where the application may write, it can be another than the recorded one
 * @throws SEAL_BROKEN, KEY_UNKNOWN
 */
export async function openKnown(
  vault: Vault,
  mode: SealingMode,
  cell: Cell,
  text: string,
  known: KnownVersion | null,
): Promise<{ readonly value: Secret; readonly keyId: string | null; readonly fingerprint: string }> {
  const { value, keyId } = await openStored(vault.keys, mode, cell, text, known?.keyId ?? null)
  const print = fingerprint(vault.fingerprinting, value)
  // An old value that somebody put back opens in its cell as well; nobody but this program writes here.
  if (mode === 'required' && known && known.fingerprint !== null && known.fingerprint !== print) throw notRecorded(cell)
  return { value, keyId, fingerprint: print }
}

/** Somebody who is not this program has put a value where nobody else writes. */
export const notRecorded = (cell: Cell): IntegrationsError =>
  new IntegrationsError(
    'SEAL_BROKEN',
    `the stored ${label(cell)} is not the one that was recorded: somebody has put another in its place`,
    'find out who did; then put the right value in with integrations rotate --force --grace 0',
  )

const label = ({ field }: Cell) => field.replaceAll('_', ' ')
