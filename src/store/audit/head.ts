import { stateMac } from '../../crypto/hmac.ts'
import type { Keyring, KnownKey } from '../../crypto/keyring.ts'
import { type IntegrationsError, tampered } from '../../errors.ts'
import type { EncryptionMode, Settings } from '../tables/keys.ts'
import type { Head } from './events.ts'

/** How a database keeps secrets: the settings that only the holder of the keys may change. */
export interface DatabaseState extends Pick<Settings, 'id' | 'ownership'> {
  readonly mode: EncryptionMode | null
  readonly keys: readonly KnownKey[]
}

/** What the head row vouches with for a state and an end of the audit log. */
export const headMac = (
  { auditKey }: Pick<Keyring, 'auditKey'>,
  { id, ownership, mode, keys }: DatabaseState,
  { seq, hash }: Head,
): string =>
  stateMac(auditKey, [
    id,
    ownership,
    mode,
    String(seq),
    hash,
    ...keys
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
      .flatMap(({ id, purpose, state, checkValue }) => [id, purpose, state, checkValue]),
  ])

/** Whether the head row vouches for what the database says of itself. Before the first change of this version, it need not. */
export const isVouchedFor = (keyring: Pick<Keyring, 'auditKey'>, settings: Settings): boolean =>
  settings.head.mac === null ? !settings.head.needsMac : settings.head.mac === headMac(keyring, settings, settings.head)

/** @throws DATABASE_TAMPERED when the head row does not vouch for what the database says of itself */
export function requireState(keyring: Pick<Keyring, 'auditKey'>, settings: Settings): void {
  if (!isVouchedFor(keyring, settings))
    throw tampered('another program changed the encryption mode, the keys or the end of the audit log')
}

/** @throws DATABASE_TAMPERED for a database with a history whose keys were removed, or its head row */
export function requireKnownKeys({ keys, hasHead }: Settings): void {
  if (!hasHead) throw tampered(headRemoved)
  if (keys.length === 0) throw tampered(keysRemoved)
}

/** What is gone of a database with a history. */
export const headRemoved = 'the head row of integration_settings was removed'
export const keysRemoved = 'the keys were removed from integration_keys'

/** A database that is older than it was. */
export const rolledBack = (seen: bigint, seq: bigint): IntegrationsError =>
  tampered(
    `the audit log ended at ${seen} and ends at ${seq} now: this is an older copy of the database`,
    'restart the receiver if the database was restored on purpose, or after a failover',
  )
