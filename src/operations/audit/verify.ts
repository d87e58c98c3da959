import { fingerprint } from '../../crypto/hmac.ts'
import type { KeySource } from '../../crypto/key-source.ts'
import { type Keyring, openKeyring } from '../../crypto/keyring.ts'
import { badInput, checkFailed, IntegrationsError, notFound } from '../../errors.ts'
import { type SecretField, secretColumns } from '../../integration.ts'
import type { Secret } from '../../secret.ts'
import { decryptStored } from '../../store/secrets/decrypt.ts'
import type { StoredValue } from '../../store/secrets/stored.ts'
import type { Reader, Store } from '../../store/store.ts'
import { allRows } from '../../store/tables/all-rows.ts'
import { clientSecretColumn, openClientSecret } from '../../store/tables/apps.ts'
import type { DamagedRow } from '../../store/tables/damaged-rows.ts'
import type { Head } from '../../store/tables/events.ts'
import type { EncryptionMode } from '../../store/tables/keys.ts'
import { type AcknowledgedProblem, type Checkpoint, type ClockStep, checkChain, type EventProblem } from './chain.ts'

/** A problem with an event, with the stored encryption mode, with a current value, or with another row of this program. */
export type Problem =
  | EventProblem
  | { readonly kind: 'mode'; readonly mode: EncryptionMode | null; readonly problem: string }
  | ({ readonly kind: 'value'; readonly problem: string } & Place)
  | ({ readonly kind: 'row' } & DamagedRow)

/** The column of a secret, in findings. */
export interface Place {
  /** Of the integration, or the app. */
  readonly id: string
  /** The workspace and name of the integration, or the name of the app. */
  readonly name: string
  readonly field: SecretField | 'clientSecret'
}

/** The result of verifying the log and the current values. */
export interface Verification {
  /** How many events were read. */
  readonly events: number
  /** The end of the log according to the head row. */
  readonly head: Head
  /** How many current values were checked. */
  readonly values: number
  readonly problems: readonly Problem[]
  /** Problems of events that a person has seen and explained, as events tell. */
  readonly acknowledged: readonly AcknowledgedProblem[]
  /** Values that the application has written, as it may in this mode, and that are not recorded yet. */
  readonly byApplication: readonly Place[]
  /** Where time runs backwards. It is not a problem of the log, which keeps such an event for ever. */
  readonly clockSteps: readonly ClockStep[]
}

const format = 'integrations-audit/v1'

/** A checkpoint as one line. */
export const checkpointText = ({ database, seq, hash }: Checkpoint): string => `${format} ${database} ${seq} ${hash}`

/** Reads a checkpoint. @throws BAD_INPUT */
export function parseCheckpoint(text: string): Checkpoint {
  const [, database, seq, hash] =
    /^integrations-audit\/v1 (\S{1,100}) ([1-9]\d{0,17}) ([0-9a-f]{64})$/.exec(text.trim()) ?? []
  if (database === undefined || seq === undefined || hash === undefined)
    throw badInput(
      'the checkpoint is malformed',
      `pass the whole line that integrations audit checkpoint printed: ${format} and three more words`,
    )
  return { database, seq: BigInt(seq), hash }
}

/** The current end of the log. @throws NOT_FOUND without events, CHECK_FAILED when the head row does not match the last event */
export const takeCheckpoint = (store: Store): Promise<Checkpoint> =>
  store.snapshot(async (db) => {
    const { id } = await db.keys.settings()
    const { seq, hash } = await db.audit.head()
    const [last] = await allRows(db.audit.list({}, { sort: 'seq', descending: true, limit: 1 }))
    if (!last && seq === 0n)
      throw notFound('the audit log has no events yet', 'take a checkpoint after the first change')
    if (last?.seq !== String(seq) || last.hash !== hash)
      throw checkFailed('the audit log does not end where its head row says', 'integrations audit verify')
    return { database: id, seq, hash }
  })

/**
 * Checks every event against the audit key and the event before it, the end of the log against the head row, and the
 * encryption mode and every current value against the log. Changes nothing.
 *
 * @param checkpoint an earlier end of this log, which must still be part of it
 * @throws BAD_INPUT for a checkpoint of another database, KEYS_MISSING, KEYS_INVALID, KEY_WRONG
 */
export async function verifyAudit(store: Store, keys: KeySource, checkpoint?: Checkpoint): Promise<Verification> {
  const set = await keys.load()
  return store.snapshot(async (db) => {
    const settings = await db.keys.settings()
    if (checkpoint && checkpoint.database !== settings.id)
      throw badInput(
        'the checkpoint belongs to another database',
        `the id of this database is ${settings.id}; choose the other database with --database`,
      )
    const head = await db.audit.head()
    const known = await db.keys.list()
    // The first change will make the keys. An attacker who deletes keys and log cannot take a checkpoint back.
    const untouched = known.length === 0 && head.seq === 0n && !checkpoint
    if (untouched && (await db.audit.count({}, { sort: 'seq', descending: false })) === 0)
      return { events: 0, head, values: 0, problems: [], acknowledged: [], byApplication: [], clockSteps: [] }
    if (set.size === 0) throw await keys.empty()
    const keyring = openKeyring(set, known, keys.name)
    const { mode, problems, ...counted } = await checkChain(db, { keyring, id: settings.id, head, checkpoint })
    // An attacker who can write to the database can set a mode in which the application may write values.
    const values = await checkValues(db, keyring, mode ?? 'required')
    const found: Problem[] = [
      ...problems,
      ...(mode === settings.mode ? [] : [wrongMode(settings.mode, mode)]),
      ...values.problems,
      ...(await db.damagedRows()).map((row) => ({ kind: 'row' as const, ...row })),
    ]
    return { ...values, ...counted, head, problems: found }
  })
}

const wrongMode = (mode: EncryptionMode | null, recorded: EncryptionMode | undefined): Problem => ({
  kind: 'mode',
  mode,
  problem: recorded === undefined ? 'no event sets the encryption mode' : `the log last set the mode ${recorded}`,
})

async function checkValues(
  db: Reader,
  keyring: Keyring,
  mode: EncryptionMode,
): Promise<Pick<Verification, 'values' | 'byApplication'> & { problems: Problem[] }> {
  let values = 0
  const problems: Problem[] = []
  const byApplication: Place[] = []
  for await (const page of db.storedValues.pages()) {
    const recorded = await db.audit.fingerprints([...new Set(page.values.map(({ id }) => id))])
    for (const value of page.values.filter(({ current }) => current)) {
      const { id, name, field, text } = value
      const place = { id, name, field }
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
