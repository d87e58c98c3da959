import { purposes } from '../../crypto/key-set.ts'
import type { KeySource } from '../../crypto/key-source.ts'
import { type KeyState, type KnownKey, openKeyring } from '../../crypto/keyring.ts'
import { badInput, checkFailed, type IntegrationsError, notFound } from '../../errors.ts'
import { allRows } from '../../store/all-rows.ts'
import type { Head } from '../../store/audit/events.ts'
import { headRemoved, isVouchedFor, keysRemoved, previousValuesOf } from '../../store/audit/head.ts'
import type { TriggerDifference } from '../../store/schema/triggers.ts'
import type { Reader, Store } from '../../store/store.ts'
import type { DamagedRow } from '../../store/tables/damaged-rows.ts'
import type { EncryptionMode } from '../../store/tables/keys.ts'
import {
  type AcknowledgedProblem,
  type Checkpoint,
  type ClockStep,
  checkChain,
  type EventProblem,
  lostSeen,
  newIdAction,
} from './chain.ts'
import { attributed, checkRows, type RowFinding } from './rows.ts'
import { checkValues, type Place, type ValueProblem } from './values.ts'

/** A problem with an event, with how the database keeps secrets, with a row, or with a value. */
export type Problem =
  | EventProblem
  | { readonly kind: 'mode'; readonly mode: EncryptionMode | null; readonly problem: string }
  | { readonly kind: 'key'; readonly keyId: string; readonly problem: string }
  | { readonly kind: 'database'; readonly problem: string }
  | { readonly kind: 'trigger'; readonly trigger: string; readonly problem: string }
  | ({ readonly kind: 'row' } & RowFinding)
  | ValueProblem
  | ({ readonly kind: 'damage' } & DamagedRow)

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
  /** Rows of an adopted database that are not as the log keeps them: the application has changed them. */
  readonly rowsByApplication: readonly RowFinding[]
  /** How many rows no event keeps the state of, so that nothing tells who changed them. */
  readonly notRecorded: number
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
  const database = await store.read((db) => db.keys.known())
  const { id } = database
  const set = await keys.load(database)
  // Before the moment that is shown: until then, no other process has seen a later end.
  const seen = store.seen.of(id)
  const verified = await store.snapshot<Verification>(async (db) => {
    const settings = await db.keys.settings()
    if (checkpoint && checkpoint.database !== settings.id) throw await otherDatabase(db, checkpoint, settings.id)
    const head = await db.audit.head()
    const known = await db.keys.list()
    // The first change will make the keys. An attacker who deletes keys and log cannot take a checkpoint back.
    const nothing = {
      events: 0,
      head,
      values: 0,
      problems: [],
      acknowledged: [],
      byApplication: [],
      rowsByApplication: [],
      notRecorded: 0,
      clockSteps: [],
    }
    if (!checkpoint && (await db.keys.isFresh())) return { ...nothing, problems: seen ? [lostSeen(seen)] : [] }
    const removed = settings.hasHead ? known.length === 0 && keysRemoved : headRemoved
    if (removed) return { ...nothing, problems: [{ kind: 'database', problem: removed }] }
    if (set.size === 0) throw await keys.empty()
    const keyring = openKeyring(set, withActive(known), keys.name)
    const { mode, keyStates, givenId, untrusted, problems, ...counted } = await checkChain(db, {
      keyring,
      id: settings.id,
      head,
      checkpoint,
      seen,
    })
    // An attacker who can write to the database can set a mode in which the application may write values.
    const previous = previousValuesOf(settings.head)
    const values = await checkValues(db, keyring, { mode: mode ?? 'required', previous })
    const state = [
      ...(mode === settings.mode ? [] : [wrongMode(settings.mode, mode)]),
      ...wrongKeys(settings.keys, keyStates),
      ...(givenId === undefined || givenId === settings.id ? [] : [wrongId(settings.id, givenId)]),
    ]
    if (state.length === 0 && !isVouchedFor(keyring, settings))
      state.push({ kind: 'database', problem: 'the head row does not vouch for the end of the log and the settings' })
    const adopted = settings.ownership === 'adopted'
    const rows = await checkRows(db, { key: keyring.auditKey, untrusted, adopted })
    const { problems: found, byApplication: rowsByApplication } = adopted
      ? attributed(rows.findings)
      : { problems: rows.findings, byApplication: [] }
    const triggers = (await db.triggerDifferences()).map(wrongTrigger)
    const damage = (await db.damagedRows()).map((one) => ({ kind: 'damage' as const, ...one }))
    return {
      ...values,
      ...counted,
      head,
      problems: [
        ...problems,
        ...state,
        ...triggers,
        ...found.map((one) => ({ kind: 'row' as const, ...one })),
        ...values.problems,
        ...damage,
      ],
      rowsByApplication,
      notRecorded: rows.notRecorded,
    }
  })
  if (verified.problems.length === 0) store.seen.keep(id, verified.head, seen)
  return verified
}

/** The keys with one of each purpose active: which one was, the log tells. */
export const withActive = (known: readonly KnownKey[]): KnownKey[] =>
  purposes.flatMap((purpose) => {
    const own = known.filter((one) => one.purpose === purpose)
    const active = own.find(({ state }) => state === 'active') ?? own[0]
    return own.map((one) => (one === active ? { ...one, state: 'active' } : one))
  })

/** The checkpoint of another database, or of this one before it got an id of its own. */
async function otherDatabase(db: Reader, { database }: Checkpoint, id: string): Promise<IntegrationsError> {
  const given = await allRows(db.audit.list({ action: newIdAction }, { sort: 'seq', descending: false }))
  if (given.some(({ fields }) => fields?.startsWith(`${database}>`)))
    return badInput(
      'the checkpoint is from before this database got an id of its own',
      'integrations audit checkpoint takes one of this database',
    )
  return badInput(
    'the checkpoint belongs to another database',
    `the id of this database is ${id}; choose the other database with --database`,
  )
}

const wrongId = (id: string, given: string): Problem => ({
  kind: 'database',
  problem: `the database says that its id is ${id}; the log last gave it ${given}`,
})

const wrongTrigger = ({ name, difference }: TriggerDifference): Problem => ({
  kind: 'trigger',
  trigger: name,
  problem: {
    missing: 'the trigger was removed',
    changed: 'the trigger was changed, or switched off',
    foreign: 'another program made the trigger',
  }[difference],
})

const wrongMode = (mode: EncryptionMode | null, recorded: EncryptionMode | undefined): Problem => ({
  kind: 'mode',
  mode,
  problem: recorded === undefined ? 'no event sets the encryption mode' : `the log last set the mode ${recorded}`,
})

/** Where the table of the encryption keys differs from what the log says. */
function wrongKeys(keys: readonly KnownKey[], recorded: ReadonlyMap<string, KeyState>): Problem[] {
  const known = new Map(keys.filter(({ purpose }) => purpose === 'encryption').map(({ id, state }) => [id, state]))
  return [...new Set([...recorded.keys(), ...known.keys()])].flatMap((keyId): Problem[] => {
    const [is, was] = [known.get(keyId), recorded.get(keyId)]
    if (is === was) return []
    const problem =
      is === undefined
        ? `the key was removed; the log last set it ${was}`
        : was === undefined
          ? 'no event added the key'
          : `the key is ${is}; the log last set it ${was}`
    return [{ kind: 'key', keyId, problem }]
  })
}
