import type { Instant } from '../../brands.ts'
import { hmacHex } from '../../crypto/hmac.ts'
import type { Keyring, KeyState } from '../../crypto/keyring.ts'
import type { Damageable } from '../../damage.ts'
import { type AuditEvent, eventColumns, eventHash, type Head } from '../../store/audit/events.ts'
import { acknowledgeAction } from '../../store/audit/log.ts'
import type { Reader } from '../../store/store.ts'
import { type EncryptionMode, modes } from '../../store/tables/keys.ts'

/** The end of the log at a time, to compare the log with later. To be stored out of reach of the database's writers. */
export interface Checkpoint {
  /** The id of the database. */
  readonly database: string
  readonly seq: bigint
  readonly hash: string
}

/** What is wrong with a row of the log, or with the place of one that is missing. */
export interface EventProblem {
  /**
   * `lost`: events that were part of the chain and are not any more, because the head row was rolled back; `seen`: an event
   * that this machine saw at the end of the log, which is not part of it any more.
   */
  readonly kind: 'event' | 'lost' | 'seen'
  readonly seq: bigint
  readonly problem: string
  /** Tells this damage from another at the same place. */
  readonly mark: string
}

/** A problem that a person has seen and explained. */
export interface AcknowledgedProblem extends EventProblem {
  /** The number of the event that tells so. */
  readonly by: bigint
  readonly reason: string | null
}

/** An event that is dated well before the previous event: the clock of one of the two was wrong. */
export interface ClockStep {
  readonly seq: bigint
  readonly at: Instant
  readonly previousAt: Instant
}

/** What the chain of events shows. */
export interface Chain {
  /** How many rows were read. */
  readonly events: number
  readonly problems: readonly EventProblem[]
  readonly acknowledged: readonly AcknowledgedProblem[]
  readonly clockSteps: readonly ClockStep[]
  /** The encryption mode that an event set last. */
  readonly mode: EncryptionMode | undefined
  /** The numbers of the rows of the log that are none of this program's, or were changed. */
  readonly untrusted: ReadonlySet<bigint>
  /** The states of the encryption keys, by id, as events have set them. */
  readonly keyStates: ReadonlyMap<string, KeyState>
  /** The id that an event gave the database last. */
  readonly givenId: string | undefined
}

/** What the chain is checked with. */
interface ChainOptions {
  readonly keyring: Keyring
  /** The id of the database; the chain begins with its first. */
  readonly id: string
  readonly head: Head
  readonly checkpoint?: Checkpoint | undefined
  /** Where this machine saw the log end. */
  readonly seen?: Head | undefined
}

/** The action of an event that gives the database another id; its fields are the former id, > and the id. */
export const newIdAction = 'database.new_id'

/** How far back a clock may step between two events: platforms' signatures tolerate as much, and a correction is less. */
const clockToleranceMs = 5 * 60_000

/**
 * Follows the chain of events from the first to the one that the head row names. Every row that has no part in it is a
 * problem, and so is every place where one is missing; the chain goes on behind it.
 */
export async function checkChain(db: Reader, options: ChainOptions): Promise<Chain> {
  const { keyring, id, head, checkpoint, seen } = options
  const problems: EventProblem[] = []
  const acknowledged = new Map<string, Pick<AcknowledgedProblem, 'by' | 'reason'>>()
  const clockSteps: ClockStep[] = []
  let events = 0
  let last: Head = { seq: 0n, hash: '' }
  let foreign: bigint[] = []
  let kept: string | undefined
  let seenHash: string | undefined
  let beginning: Beginning | undefined
  let ids: { readonly first: string; readonly given: string } | undefined
  let previousAt: Instant | undefined
  let mode: EncryptionMode | undefined
  const keyStates = new Map<string, KeyState>()
  const untrusted = new Set<bigint>()
  for await (const batch of db.audit.list({}, { sort: 'seq', descending: false }))
    for (const event of batch) {
      events++
      // SQLite takes a fraction for a number, too.
      const seq = /^-?\d+$/.test(event.seq) ? BigInt(event.seq) : last.seq + 1n
      if (seq === checkpoint?.seq) kept = event.hash
      if (seq === seen?.seq) seenHash = event.hash
      if (event.damage || event.hash !== eventHash(keyring, event.previousHash, event)) {
        problems.push(changedEvent(keyring, seq, event))
        untrusted.add(seq)
        foreign.push(seq)
        continue
      }
      if (last.hash === '')
        beginning = { seq, previousHash: event.previousHash, followed: { last, foreign }, place: problems.length }
      else if (event.previousHash !== last.hash)
        problems.push(...(await gapBefore(db, seq, event.previousHash, { last, foreign })))
      last = { seq, hash: event.hash }
      foreign = []
      mode = modeSetBy(event) ?? mode
      trackKeys(keyStates, event)
      if (event.action === newIdAction) {
        const [former = '', given = ''] = event.fields?.split('>') ?? []
        ids = { first: ids?.first ?? former, given }
      }
      if (event.action === acknowledgeAction)
        for (const mark of event.fields?.split(',') ?? []) acknowledged.set(mark, { by: seq, reason: event.reason })
      const { at } = event
      if (previousAt && Date.parse(previousAt) - Date.parse(at) > clockToleranceMs)
        clockSteps.push({ seq, at, previousAt })
      previousAt = at
    }
  const first = ids?.first ?? id
  if (beginning && beginning.previousHash !== first) {
    const { seq, previousHash, followed, place } = beginning
    problems.splice(place, 0, ...(await gapBefore(db, seq, previousHash, followed)))
  }
  problems.push(...wrongEnd(head, { last: beginning ? last : { seq: 0n, hash: first }, foreign }))
  if (checkpoint && kept !== checkpoint.hash) problems.push(wrongCheckpoint(checkpoint, kept))
  if (seen && seenHash !== seen.hash) problems.push(lostSeen(seen))
  return {
    events,
    mode,
    keyStates,
    untrusted,
    givenId: ids?.given,
    clockSteps,
    problems: problems.filter(({ mark }) => !acknowledged.has(mark)),
    acknowledged: problems.flatMap((one) => {
      const told = acknowledged.get(one.mark)
      return told ? [{ ...one, ...told }] : []
    }),
  }
}

/** The encryption mode after an event that sets it. */
const modeSetBy = ({ action, fields }: AuditEvent): EncryptionMode | undefined =>
  action === 'keys.init' || action === 'keys.mode'
    ? modes.find((mode) => mode === fields?.split('>').at(-1))
    : undefined

/** Follows the states of the encryption keys. */
function trackKeys(states: Map<string, KeyState>, { action, keyId }: AuditEvent): void {
  if (keyId === null) return
  if (action === 'keys.init') states.set(keyId, 'active')
  if (action === 'keys.add') states.set(keyId, 'decrypt-only')
  if (action === 'keys.retire') states.set(keyId, 'retired')
  if (action !== 'keys.activate') return
  for (const [id, state] of states) if (state === 'active') states.set(id, 'decrypt-only')
  states.set(keyId, 'active')
}

/** A row that no change of this program has made, or that was changed since. */
function changedEvent(keyring: Keyring, seq: bigint, event: AuditEvent & Damageable): EventProblem {
  const columns = (Object.keys(eventColumns) as (keyof AuditEvent)[]).map((column) => event[column])
  const problem = event.damage
    ? 'the event was changed: a column of it cannot be read'
    : 'the event was changed, or made without the audit key'
  // The row as it is: acknowledged is what was seen, and nothing that takes its place.
  const row = hmacHex(keyring.auditKey, 'acknowledge/v1', JSON.stringify(columns)).slice(0, 32)
  return { kind: 'event', seq, problem, mark: `${seq}:${row}` }
}

const missingEvent = (seq: bigint, problem = 'the event is missing'): EventProblem => ({
  kind: 'event',
  seq,
  problem,
  mark: `${seq}:missing`,
})

const lostEvents = (from: bigint, to: bigint, problem: string): EventProblem => ({
  kind: 'lost',
  seq: from,
  problem,
  mark: `${from}-${to}:lost`,
})

/** How far the chain was followed. */
interface Followed {
  readonly last: Head
  /** The numbers of rows since then that have no part in it. */
  readonly foreign: readonly bigint[]
}

/** The first event that is part of the chain, until the first id of the database is known. */
interface Beginning {
  readonly seq: bigint
  readonly previousHash: string
  readonly followed: Followed
  /** After how many problems it comes. */
  readonly place: number
}

/** The lowest number since the last event, up to another, that no row has. */
function firstMissing(to: bigint, { last, foreign }: Followed): bigint | undefined {
  const taken = new Set(foreign)
  for (let n = last.seq + 1n; n <= to; n++) if (!taken.has(n)) return n
  return undefined
}

/** What is wrong where an event does not follow the last one. */
async function gapBefore(db: Reader, seq: bigint, previousHash: string, followed: Followed): Promise<EventProblem[]> {
  const { last, foreign } = followed
  const missing = firstMissing(seq - 1n, followed)
  if (missing !== undefined) return [missingEvent(missing)]
  // A row in between was changed, and is told already.
  if (foreign.length > 0) return []
  const back = await db.audit.numberOf(previousHash)
  return back !== undefined && back < last.seq
    ? [lostEvents(back + 1n, last.seq, `the log was rolled back to event ${back}, and continues from there`)]
    : [missingEvent(seq, 'the event does not follow the previous event')]
}

function wrongEnd(head: Head, followed: Followed): EventProblem[] {
  const { last } = followed
  const missing = firstMissing(head.seq, followed)
  if (missing !== undefined) return [missingEvent(missing, `the event is missing: the log had ${head.seq} events`)]
  if (last.seq > head.seq)
    return [lostEvents(head.seq + 1n, last.seq, `the head row says that the log ends at ${head.seq}`)]
  if (last.seq === head.seq && last.hash !== head.hash)
    return [missingEvent(last.seq, 'the head row has a different hash for the last event')]
  return []
}

const wrongCheckpoint = ({ seq }: Checkpoint, kept: string | undefined): EventProblem => ({
  kind: 'event',
  seq,
  problem:
    kept === undefined
      ? 'the event of the checkpoint is missing: the log was truncated'
      : 'the event differs from the checkpoint: the log was rewritten',
  mark: `${seq}:checkpoint`,
})

/** The end that this machine saw is not part of the log any more. */
export const lostSeen = ({ seq, hash }: Head): EventProblem => ({
  kind: 'seen',
  seq,
  problem:
    'this machine saw this event, which the log does not hold any more: the database was rolled back, or is another copy',
  mark: `${seq}:seen-${hash.slice(0, 32)}`,
})
