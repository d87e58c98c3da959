import { fingerprint } from '../../crypto/hmac.ts'
import { decrypt } from '../../crypto/jwe.ts'
import type { Keyring } from '../../crypto/keyring.ts'
import { IntegrationsError } from '../../errors.ts'
import { type SecretField, secretColumns } from '../../integration.ts'
import type { Secret } from '../../secret.ts'
import type { PreviousValues } from '../../store/audit/head.ts'
import { decryptStored } from '../../store/secrets/decrypt.ts'
import type { AcceptedDecryption } from '../../store/secrets/decrypt-accepted.ts'
import type { StoredValue } from '../../store/secrets/stored.ts'
import type { Reader } from '../../store/store.ts'
import { clientSecretColumn, openClientSecret } from '../../store/tables/apps.ts'
import type { EncryptionMode } from '../../store/tables/keys.ts'

/** The column of a secret, in findings. */
export interface Place {
  /** Of the integration, or the app. */
  readonly id: string
  /** The workspace and name of the integration, or the name of the app. */
  readonly name: string
  readonly field: SecretField | 'clientSecret'
}

/** A value that is not as the log says, or cannot be decrypted. */
export type ValueProblem = { readonly kind: 'value'; readonly problem: string } & Place

/** The values beside what the audit log says of them. */
interface ValueCheck {
  /** How many current values were checked. */
  readonly values: number
  readonly problems: readonly ValueProblem[]
  /** Values that the application has written, as it may in this mode, and that are not recorded yet. */
  readonly byApplication: readonly Place[]
}

/** Compares every value with what the log says of it. @param options the mode by the log, and how previous values are there */
export async function checkValues(
  db: Reader,
  keyring: Keyring,
  { mode, previous }: Pick<AcceptedDecryption, 'mode' | 'previous'>,
): Promise<ValueCheck> {
  let values = 0
  const problems: ValueProblem[] = []
  const byApplication: Place[] = []
  for await (const page of db.storedValues.pages()) {
    const recorded = await db.audit.fingerprints([...new Set(page.values.map(({ id }) => id))])
    for (const value of page.values) {
      const { id, name, field, text } = value
      const place = { id, name, field }
      if (!value.current) {
        const problem = previous === 'unrecorded' ? undefined : previousProblem(keyring, value, previous)
        if (problem !== undefined) problems.push({ kind: 'value', ...place, problem })
        continue
      }
      if (text !== null) values++
      const print = currentFingerprint(keyring, mode, value)
      if (print instanceof IntegrationsError) problems.push({ kind: 'value', ...place, problem: print.message })
      else if (print === (recorded.get(id)?.get(secretColumns[field]) ?? null)) continue
      else if (mode !== 'required') byApplication.push(place)
      else {
        const what = text === null ? 'value was removed without an event' : 'current value does not match the log'
        problems.push({ kind: 'value', ...place, problem: `the ${what}` })
      }
    }
  }
  const apps = await db.apps.stored()
  const recorded = await db.audit.fingerprints(apps.map(({ id }) => id))
  for (const app of apps) {
    const print = fingerprintOf(keyring, () => openClientSecret(keyring, app))
    const problem = print instanceof IntegrationsError ? print.message : 'the secret of the app does not match the log'
    if (print !== recorded.get(app.id)?.get(clientSecretColumn))
      problems.push({ kind: 'value', id: app.id, name: app.name, field: 'clientSecret', problem })
  }
  return { values: values + apps.length, problems, byApplication }
}

/** Why the value of a previous version is not the recorded one; undefined: it is. */
function previousProblem(
  keyring: Keyring,
  { id, field, text, version, validUntil }: StoredValue,
  previous: PreviousValues,
): string | undefined {
  const isBound = previous === 'bound' && version && validUntil
  const print = fingerprintOf(keyring, () => {
    const which = isBound ? { previous: { number: version.number, until: validUntil } } : {}
    return decrypt(keyring.keys, { id, field: secretColumns[field], ...which }, text ?? '')
  })
  if (print instanceof IntegrationsError) return print.message
  return print === version?.fingerprint ? undefined : 'the previous value is not the recorded one'
}

/** The fingerprint of a current value, null for none; or why the value cannot be decrypted. */
function currentFingerprint(
  keyring: Keyring,
  mode: EncryptionMode,
  { id, field, text, version }: StoredValue,
): string | null | IntegrationsError {
  if (text === null) return null
  const context = { id, field: secretColumns[field] }
  return fingerprintOf(keyring, () => decryptStored({ keyring, mode }, { context, text, known: version }).value)
}

/** The fingerprint of a decrypted value; or why the value cannot be decrypted. */
function fingerprintOf(keyring: Keyring, open: () => Secret): string | IntegrationsError {
  try {
    return fingerprint(keyring.fingerprintKey, open())
  } catch (error) {
    if (error instanceof IntegrationsError) return error
    throw error
  }
}
