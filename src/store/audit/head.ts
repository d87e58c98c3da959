import { stateMac } from '../../crypto/hmac.ts'
import type { Keyring, KnownKey } from '../../crypto/keyring.ts'
import { type IntegrationsError, tampered } from '../../errors.ts'
import { type EncryptionMode, maxUnvouched, type Settings } from '../tables/keys.ts'
import { eventHash, type Head } from './events.ts'

/** How a database keeps secrets: the settings that only the holder of the keys may change. */
export interface DatabaseState extends Pick<Settings, 'id' | 'ownership'> {
  readonly mode: EncryptionMode | null
  readonly keys: readonly KnownKey[]
}

/**
 * What tells which previous values are accepted. `unrecorded`: their rows alone, as a version before left them; `recorded`:
 * the newest event about the integration, while the values have the form that receivers of the version before read;
 * `bound`: that event, and the header of each value.
 */
export type PreviousValues = 'unrecorded' | 'recorded' | 'bound'

/** Stands before the MAC of a head row while previous values have the form of the version before; the MAC covers it. */
const recordedMark = 'recorded:'

/** What the head row says of previous values. */
export function previousValuesOf({ mac }: Pick<Settings['head'], 'mac'>): PreviousValues {
  if (mac === null) return 'unrecorded'
  return mac.startsWith(recordedMark) ? 'recorded' : 'bound'
}

/** What the head row vouches with for a state and an end of the audit log. */
export function headMac(
  { auditKey }: Pick<Keyring, 'auditKey'>,
  { id, ownership, mode, keys }: DatabaseState,
  { seq, hash }: Head,
  previous: PreviousValues = 'bound',
): string {
  const mark = previous === 'recorded' ? [recordedMark] : []
  const mac = stateMac(auditKey, [
    id,
    ownership,
    mode,
    String(seq),
    hash,
    ...keys
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
      .flatMap(({ id, purpose, state, checkValue }) => [id, purpose, state, checkValue]),
    ...mark,
  ])
  return [...mark, mac].join('')
}

/** Whether the head row vouches for what the database says of itself. Before the first change of this version, it need not. */
export function isVouchedFor(keyring: Pick<Keyring, 'auditKey'>, settings: Settings): boolean {
  const { head } = settings
  return head.mac === null
    ? isFromBefore(keyring, head)
    : head.mac === headMac(keyring, settings, head, previousValuesOf(head))
}

/**
 * Whether a version before moved the head row last: the row names an event of such a version, and no event of this one, which
 * comes with a MAC, stands beyond. Rows that were put in without the audit key say nothing, but are not searched for ever.
 */
function isFromBefore(keyring: Pick<Keyring, 'auditKey'>, { seq, hash, unvouched }: Settings['head']): boolean {
  const genuine = unvouched.filter((event) => event.hash === eventHash(keyring, event.previousHash, event))
  return (
    unvouched.length < maxUnvouched &&
    genuine.some((event) => event.seq === String(seq) && event.hash === hash) &&
    genuine.every(({ format }) => format === null)
  )
}

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
