import type { Instant } from '../../brands.ts'
import { fingerprint } from '../../crypto/hmac.ts'
import type { KeySource } from '../../crypto/key-source.ts'
import { type Keyring, openKeyring } from '../../crypto/keyring.ts'
import type { Damageable } from '../../damage.ts'
import { badInput, checkFailed, IntegrationsError, notFound } from '../../errors.ts'
import { type SecretField, secretColumns } from '../../integration.ts'
import type { Secret } from '../../secret.ts'
import { eventHash } from '../../store/audit.ts'
import { decryptStored } from '../../store/secrets/decrypt.ts'
import type { StoredValue } from '../../store/secrets/stored.ts'
import type { Reader, Store } from '../../store/store.ts'
import { allRows } from '../../store/tables/all-rows.ts'
import { clientSecretColumn, openClientSecret } from '../../store/tables/apps.ts'
import type { AuditEvent, Head } from '../../store/tables/events.ts'
import { type EncryptionMode, modes, type Settings } from '../../store/tables/keys.ts'

/** The end of the log at a time, to compare the log with later. To be stored out of reach of the database's writers. */
export interface Checkpoint {
  /** The id of the database. */
  readonly database: string
  readonly seq: bigint
  readonly hash: string
}

/** The column of a secret, in findings. */
export interface Place {
  /** Of the integration, or the app. */
  readonly id: string
  /** The workspace and name of the integration, or the name of the app. */
  readonly name: string
  readonly field: SecretField | 'clientSecret'
}

/** A problem with an event, with the stored encryption mode, or with a current value. */
export type Problem = { readonly problem: string } & (
  | { readonly kind: 'event'; readonly seq: bigint }
  | { readonly kind: 'mode'; readonly mode: EncryptionMode | null }
  | ({ readonly kind: 'value' } & Place)
)

/** An event that is dated well before the previous event: the clock of one of the two was wrong. */
export interface ClockStep {
  readonly seq: bigint
  readonly at: Instant
  readonly previousAt: Instant
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
  /** Values that the application has written, as it may in this mode, and that are not recorded yet. */
  readonly byApplication: readonly Place[]
  /** Where time runs backwards. It is not a problem of the log, which keeps such an event for ever. */
  readonly clockSteps: readonly ClockStep[]
}

/** How far back a clock may step between two events: platforms' signatures tolerate as much, and a correction is less. */
const clockToleranceMs = 5 * 60_000

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
 * Checks every event against the audit key and the previous event, the end of the log against the head row, and the
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
      return { events: 0, head, values: 0, problems: [], byApplication: [], clockSteps: [] }
    if (set.size === 0) throw await keys.empty()
    const keyring = openKeyring(set, known, keys.name)
    const chain = await checkChain(db, { keyring, settings, head, checkpoint })
    const { mode, ...counted } = chain
    const problems = [...chain.problems, ...(mode === settings.mode ? [] : [wrongMode(settings.mode, mode)])]
    // An attacker who can write to the database can set a mode in which the application may write values.
    const values = await checkValues(db, keyring, mode ?? 'required')
    return { ...values, ...counted, head, problems: [...problems, ...values.problems] }
  })
}

/** What the log must agree with. */
interface Chain {
  readonly keyring: Keyring
  readonly settings: Settings
  readonly head: Head
  readonly checkpoint: Checkpoint | undefined
}

async function checkChain(
  db: Reader,
  { keyring, settings, head, checkpoint }: Chain,
): Promise<Pick<Verification, 'events' | 'problems' | 'clockSteps'> & { mode: EncryptionMode | undefined }> {
  let events = 0
  let last: Head = { seq: 0n, hash: settings.id }
  let first: Problem | undefined
  let kept: string | undefined
  let previousAt: Instant | undefined
  const clockSteps: ClockStep[] = []
  let mode: EncryptionMode | undefined
  for await (const batch of db.audit.list({}, { sort: 'seq', descending: false }))
    for (const event of batch) {
      events++
      const seq = event.damage?.includes('seq') ? last.seq : BigInt(event.seq)
      mode = modeSetBy(event) ?? mode
      if (seq === checkpoint?.seq) kept = event.hash
      first ??= wrong(keyring, last, event)
      last = { seq, hash: event.hash }
      const { at } = event
      if (previousAt && Date.parse(previousAt) - Date.parse(at) > clockToleranceMs)
        clockSteps.push({ seq, at, previousAt })
      previousAt = at
    }
  first ??= wrongEnd(last, head)
  const problems = first ? [first] : []
  if (checkpoint && kept !== checkpoint.hash)
    problems.push(
      atEvent(
        checkpoint.seq,
        kept === undefined
          ? 'the event of the checkpoint is missing: the log was truncated'
          : 'the event differs from the checkpoint: the log was rewritten',
      ),
    )
  return { events, mode, problems, clockSteps }
}

/** The encryption mode after an event that sets it. */
const modeSetBy = ({ action, fields }: AuditEvent): EncryptionMode | undefined =>
  action === 'keys.init' || action === 'keys.mode'
    ? modes.find((mode) => mode === fields?.split('>').at(-1))
    : undefined

const atEvent = (seq: bigint, problem: string): Problem => ({ kind: 'event', seq, problem })

const wrongMode = (mode: EncryptionMode | null, recorded: EncryptionMode | undefined): Problem => ({
  kind: 'mode',
  mode,
  problem: recorded === undefined ? 'no event sets the encryption mode' : `the log last set the mode ${recorded}`,
})

/** The problem of an event that follows another. */
function wrong(keyring: Keyring, last: Head, event: AuditEvent & Damageable): Problem | undefined {
  const seq = last.seq + 1n
  // Nor does the hash of an escape tell it from what it stands for.
  if (event.damage) return atEvent(seq, 'the event was changed: a column of it cannot be read')
  if (BigInt(event.seq) !== seq)
    return BigInt(event.seq) > seq
      ? atEvent(seq, 'the event is missing')
      : atEvent(BigInt(event.seq), 'the number of the event is not valid')
  if (event.previousHash !== last.hash) return atEvent(seq, 'the event does not follow the previous event')
  if (event.hash !== eventHash(keyring, last.hash, event))
    return atEvent(seq, 'the event was changed, or made without the audit key')
  return undefined
}

function wrongEnd(last: Head, head: Head): Problem | undefined {
  if (last.seq < head.seq) return atEvent(last.seq + 1n, `the event is missing: the log had ${head.seq} events`)
  if (last.seq > head.seq) return atEvent(head.seq + 1n, `the head row says that the log ends at ${head.seq}`)
  if (last.hash !== head.hash) return atEvent(last.seq, 'the head row has a different hash for the last event')
  return undefined
}

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
