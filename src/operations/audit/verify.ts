import { fingerprint } from '../../crypto/hmac.ts'
import type { KeySource } from '../../crypto/key-source.ts'
import { type Keyring, openKeyring } from '../../crypto/keyring.ts'
import { badInput, IntegrationsError } from '../../errors.ts'
import { type SecretField, secretColumns } from '../../integration.ts'
import type { Secret } from '../../secret.ts'
import { eventHash } from '../../store/audit.ts'
import { decryptStored } from '../../store/secrets/decrypt.ts'
import type { StoredValue } from '../../store/secrets/stored.ts'
import type { Reader, Store } from '../../store/store.ts'
import { clientSecretColumn, openClientSecret } from '../../store/tables/apps.ts'
import type { AuditEvent, Head } from '../../store/tables/events.ts'
import type { EncryptionMode, Settings } from '../../store/tables/keys.ts'
import { allRows } from '../../store/tables/page.ts'
import { modes } from '../keys/mode.ts'

/** A place in the log to compare it with later: it is kept where whoever can write to the database cannot. */
export interface Checkpoint {
  /** The id of the database. */
  readonly database: string
  readonly seq: bigint
  readonly hash: string
}

/** A secret's column, as findings name it. */
export interface Place {
  /** The integration's, or the app's. */
  readonly id: string
  /** Workspace and name, or the name of the app. */
  readonly name: string
  readonly field: SecretField | 'clientSecret'
}

/** Something that should not be: at an event, with the sealing mode as it is stored, or with a current value. */
export type Problem = { readonly problem: string } & (
  | { readonly seq: bigint }
  | { readonly mode: EncryptionMode | null }
  | Place
)

/** What comparing the log with itself and with the current values gave. */
export interface Verification {
  /** How many events were read. */
  readonly events: number
  /** Where the log ends, as the head row says. */
  readonly head: Head
  /** How many current values were opened. */
  readonly values: number
  readonly problems: readonly Problem[]
  /** Where the application, which may write secrets in this database, has written one that is not recorded yet. */
  readonly byApplication: readonly Place[]
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
      'this is not a checkpoint of an audit log',
      `give the whole line that integrations audit checkpoint printed: ${format}, and three words more`,
    )
  return { database, seq: BigInt(seq), hash }
}

/** Where the log ends now. @throws NOT_FOUND without any event, CHECK_FAILED when the head row names no event */
export const takeCheckpoint = (store: Store): Promise<Checkpoint> =>
  store.snapshot(async (db) => {
    const { id } = await db.keys.settings()
    const { seq, hash } = await db.audit.head()
    const [last] = await allRows(db.audit.list({}, { sort: 'seq', descending: true, limit: 1 }))
    if (!last && seq === 0n)
      throw new IntegrationsError({
        code: 'NOT_FOUND',
        message: 'the audit log has no event yet, so there is nothing to keep',
        hint: 'take a checkpoint after the first change',
      })
    if (last?.seq !== String(seq) || last.hash !== hash)
      throw new IntegrationsError({
        code: 'CHECK_FAILED',
        message: 'the audit log does not end where its head row says',
        hint: 'integrations audit verify',
      })
    return { database: id, seq, hash }
  })

/**
 * Checks every event against the audit key and the event before it, where the log ends, and that the log explains the
 * sealing mode and every current value. Changes nothing.
 *
 * @param checkpoint an earlier end of this log, which must still be in it
 * @throws BAD_INPUT for a checkpoint of another database, KEYS_MISSING, KEYS_INVALID, KEY_WRONG
 */
export async function verifyAudit(store: Store, keys: KeySource, checkpoint?: Checkpoint): Promise<Verification> {
  const set = await keys.load()
  return store.snapshot(async (db) => {
    const settings = await db.keys.settings()
    if (checkpoint && checkpoint.database !== settings.id)
      throw badInput(
        'the checkpoint is of another database',
        `this one is ${settings.id}; name the right one with --database`,
      )
    const head = await db.audit.head()
    const known = await db.keys.list()
    // Its first change will make them. Whoever deletes them, and the log, cannot take a checkpoint back.
    const untouched = known.length === 0 && head.seq === 0n && !checkpoint
    if (untouched && (await db.audit.count({}, { sort: 'seq', descending: false })) === 0)
      return { events: 0, head, values: 0, problems: [], byApplication: [] }
    if (set.size === 0) throw await keys.empty()
    const vault = await openKeyring(set, known, keys.name)
    const chain = await checkChain(db, vault, settings, head, checkpoint)
    const { mode } = chain
    const problems = [...chain.problems, ...(mode === settings.mode ? [] : [wrongMode(settings.mode, mode)])]
    // Whoever can write to the database can set the mode to one in which values need not be explained.
    const values = await checkValues(db, vault, mode ?? 'required')
    return { ...values, events: chain.events, head, problems: [...problems, ...values.problems] }
  })
}

async function checkChain(
  db: Reader,
  vault: Keyring,
  settings: Settings,
  head: Head,
  checkpoint: Checkpoint | undefined,
): Promise<{ events: number; mode: EncryptionMode | undefined; problems: Problem[] }> {
  let events = 0
  let last: Head = { seq: 0n, hash: settings.id }
  let first: Problem | undefined
  let kept: string | undefined
  let mode: EncryptionMode | undefined
  for await (const batch of db.audit.list({}, { sort: 'seq', descending: false }))
    for (const event of batch) {
      events++
      const seq = BigInt(event.seq)
      mode = modeTold(event) ?? mode
      if (seq === checkpoint?.seq) kept = event.hash
      first ??= wrong(vault, last, event)
      last = { seq, hash: event.hash }
    }
  first ??= wrongEnd(last, head)
  const problems = first ? [first] : []
  if (checkpoint && kept !== checkpoint.hash)
    problems.push({
      seq: checkpoint.seq,
      problem:
        kept === undefined
          ? 'the event of the checkpoint is missing: the log was cut off'
          : 'the event is not the one of the checkpoint: the log was written anew',
    })
  return { events, mode, problems }
}

/** The sealing mode after an event that tells it. */
const modeTold = ({ action, fields }: AuditEvent): EncryptionMode | undefined =>
  action === 'keys.init' || action === 'keys.mode'
    ? modes.find((mode) => mode === fields?.split('>').at(-1))
    : undefined

const wrongMode = (mode: EncryptionMode | null, told: EncryptionMode | undefined): Problem => ({
  mode,
  problem:
    told === undefined ? 'no event tells the sealing mode' : `the last event that tells the sealing mode says ${told}`,
})

/** What is wrong with the event after another. */
function wrong(vault: Keyring, last: Head, event: AuditEvent): Problem | undefined {
  const seq = last.seq + 1n
  if (BigInt(event.seq) !== seq)
    return BigInt(event.seq) > seq
      ? { seq, problem: 'the event is missing' }
      : { seq: BigInt(event.seq), problem: 'the event has a number that none can have' }
  if (event.previousHash !== last.hash) return { seq, problem: 'the event does not follow the one before it' }
  if (event.hash !== eventHash(vault, last.hash, event))
    return { seq, problem: 'the event was changed, or made without the audit key' }
  return undefined
}

function wrongEnd(last: Head, head: Head): Problem | undefined {
  if (last.seq < head.seq)
    return { seq: last.seq + 1n, problem: `the event is missing: the log had ${head.seq} events` }
  if (last.seq > head.seq) return { seq: head.seq + 1n, problem: `the head row says that the log ends at ${head.seq}` }
  if (last.hash !== head.hash) return { seq: last.seq, problem: 'the head row has another hash for the last event' }
  return undefined
}

async function checkValues(
  db: Reader,
  vault: Keyring,
  mode: EncryptionMode,
): Promise<Pick<Verification, 'values' | 'byApplication'> & { problems: Problem[] }> {
  let values = 0
  const problems: Problem[] = []
  const byApplication: Place[] = []
  for await (const page of db.storedValues.pages()) {
    const told = await db.audit.fingerprints([...new Set(page.values.map(({ id }) => id))])
    for (const value of page.values.filter(({ current }) => current)) {
      const { id, name, field, text } = value
      if (text !== null) values++
      const print = await currentFingerprint(vault, mode, value)
      if (print instanceof IntegrationsError) problems.push({ id, name, field, problem: print.message })
      else if (print === (told.get(id)?.get(secretColumns[field]) ?? null)) continue
      else if (mode !== 'required') byApplication.push({ id, name, field })
      else
        problems.push({
          id,
          name,
          field,
          problem:
            text === null
              ? 'the value was taken away, and no event tells of it'
              : 'no event explains the current value',
        })
    }
  }
  const apps = await db.apps.stored()
  const told = await db.audit.fingerprints(apps.map(({ id }) => id))
  for (const app of apps) {
    const print = await fingerprintOf(vault, () => openClientSecret(vault, app))
    const problem = print instanceof IntegrationsError ? print.message : 'no event explains the secret of the app'
    if (print !== told.get(app.id)?.get(clientSecretColumn))
      problems.push({ id: app.id, name: app.name, field: 'clientSecret', problem })
  }
  return { values: values + apps.length, problems, byApplication }
}

/** The fingerprint of a current value, null for none; or why it does not open. */
async function currentFingerprint(
  vault: Keyring,
  mode: EncryptionMode,
  { id, field, text, version }: StoredValue,
): Promise<string | null | IntegrationsError> {
  if (text === null) return null
  const cell = { id, field: secretColumns[field] }
  return fingerprintOf(
    vault,
    async () => (await decryptStored(vault.keys, mode, cell, text, version?.keyId ?? null)).value,
  )
}

/** The fingerprint of what a value opens to; or why it does not open. */
async function fingerprintOf(vault: Keyring, open: () => Promise<Secret>): Promise<string | IntegrationsError> {
  try {
    return fingerprint(vault.fingerprintKey, await open())
  } catch (error) {
    if (error instanceof IntegrationsError) return error
    throw error
  }
}
