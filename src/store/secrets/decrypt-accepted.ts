/** Decides which values of a secret are accepted. @module */
import type { Fingerprint, Instant } from '../../brands.ts'
import { fingerprint } from '../../crypto/hmac.ts'
import { decrypt } from '../../crypto/jwe.ts'
import type { Keyring } from '../../crypto/keyring.ts'
import { type Damageable, damaged } from '../../damage.ts'
import { databaseInvalid } from '../../errors.ts'
import { secretColumns } from '../../integration.ts'
import type { Secret } from '../../secret.ts'
import { type AuditEvent, eventHash } from '../audit/events.ts'
import { isFingerprint } from '../audit/fingerprints.ts'
import type { PreviousValues } from '../audit/head.ts'
import { parseState, type VersionState } from '../audit/row-state.ts'
import type { StoredAccepted } from './accepted.ts'
import { type Decryption, decryptRecorded, NotRecorded } from './decrypt.ts'

/** A value that is valid now. */
export interface ValidSecret {
  /** null: the application has written it, and it is not recorded yet. */
  readonly number: number | null
  readonly fingerprint: Fingerprint
  readonly value: Secret
  /** null: current */
  readonly validUntil: Instant | null
}

/** What the values of a database are decrypted with. */
export interface AcceptedDecryption extends Decryption {
  readonly previous: PreviousValues
}

/**
 * The versions that an event about an integration lists as current or accepted.
 *
 * @param newest the newest event about it; null for none
 * @returns undefined where an older version of this program recorded it, or none has
 * @throws DATABASE_INVALID when the event is not one of this program
 */
export function acceptedVersions(
  keyring: Pick<Keyring, 'auditKey'>,
  id: string,
  newest: (AuditEvent & Damageable) | null,
): readonly VersionState[] | undefined {
  if (newest === null) return undefined
  if (newest.damage || newest.hash !== eventHash(keyring, newest.previousHash, newest))
    throw databaseInvalid(
      `the newest event about the integration ${id} was changed, so which of its secrets are accepted is unknown`,
      'integrations audit verify; then store the secret again with integrations rotate',
    )
  if (newest.format === null) return undefined
  return parseState(newest.state)?.secrets ?? []
}

/**
 * Decrypts the values of a field that are valid now, the current one first.
 *
 * @param onError told why a value does not decrypt, or is not the recorded one: the others are valid all the same
 */
export function decryptAccepted(
  decryption: AcceptedDecryption,
  { id, field, current, versions, newest, damage }: StoredAccepted,
  onError: (error: unknown) => void,
): ValidSecret[] {
  const { keyring, mode, previous } = decryption
  const isRecorded = previous !== 'unrecorded'
  const context = { id, field: secretColumns[field] }
  const opened: ValidSecret[] = []
  if (damage) onError(damaged(id, damage))
  let listed: readonly VersionState[] | undefined
  try {
    listed = isRecorded
      ? acceptedVersions(keyring, id, newest)?.filter((one) => one.field === context.field)
      : undefined
  } catch (error) {
    onError(error)
    return []
  }
  const known = versions.find(({ validUntil }) => validUntil === null) ?? null
  // A fingerprint that is none would not be that of any value.
  const unreadable = versions.filter(({ fingerprint }) => fingerprint !== null && !isFingerprint(fingerprint))
  if (unreadable.length > 0) onError(damaged(id, ['fingerprint']))
  if (current !== null) {
    try {
      const { value, fingerprint: print } = decryptRecorded(decryption, { context, text: current, known })
      const number = known?.fingerprint === print ? known.number : null
      const isListed = listed?.some(({ valid_until, ...one }) => valid_until === null && one.fingerprint === print)
      // This program alone writes here, so that an event tells of it, if only one of an older version.
      if (mode === 'required' && isRecorded && !(isListed ?? newest !== null)) throw new NotRecorded(context)
      opened.push({ number, fingerprint: print, value, validUntil: null })
    } catch (error) {
      onError(error)
    }
  }
  for (const { number, fingerprint: known, sealed, validUntil } of versions) {
    if (sealed === null || validUntil === null) continue
    try {
      const listedOne = listed?.find((one) => one.number === number && one.valid_until === validUntil)
      if (isRecorded && !listedOne) throw new NotRecorded(context)
      const which = previous === 'bound' ? { previous: { number, until: validUntil } } : {}
      const value = decrypt(keyring.keys, { ...context, ...which }, sealed)
      const print = fingerprint(keyring.fingerprintKey, value)
      if (print !== (listedOne ? listedOne.fingerprint : (known ?? print))) throw new NotRecorded(context)
      opened.push({ number, fingerprint: print, value, validUntil })
    } catch (error) {
      onError(error)
    }
  }
  return opened
}
