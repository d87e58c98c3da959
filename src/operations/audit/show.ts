/** What one event of the audit log tells: what was changed, from what to what. @module */
import type { KeySource } from '../../crypto/key-source.ts'
import { type Keyring, openKeyring } from '../../crypto/keyring.ts'
import type { Damageable } from '../../damage.ts'
import { IntegrationsError, notFound } from '../../errors.ts'
import { type Json, jsonOf } from '../../json.ts'
import type { RevisedConfig } from '../../store/audit/config-revisions.ts'
import { type AuditEvent, eventHash } from '../../store/audit/events.ts'
import { statefulTypes } from '../../store/audit/row-columns.ts'
import { hashOf, parseState, type RowState } from '../../store/audit/row-state.ts'
import type { Reader, Store } from '../../store/store.ts'
import { withActive } from './verify.ts'

/** A column that is another after an event, or a version of a secret; null for nothing. */
export interface FieldChange {
  /** As the log names it; one of another table has its name before it. */
  readonly field: string
  readonly before: Json
  readonly after: Json
}

/** An event, and what differs after it from the state that the event before it, about the same thing, keeps. */
export interface ShownEvent {
  readonly event: AuditEvent & Damageable
  /** null: the log does not hold the state before, or after. */
  readonly changes: readonly FieldChange[] | null
  /** Whether the MACs of the event, of the previous event about the same target, and the hash of the config after it match; null: not verified. */
  readonly verified: boolean | null
  /** Why they cannot. */
  readonly unverified: IntegrationsError | undefined
}

/**
 * Reads an event with what it changed. Works without a key set. What the application has changed of its own tables since
 * the event before is among the changes.
 *
 * @throws NOT_FOUND
 */
export async function showEvent(store: Store, keys: KeySource, seq: bigint): Promise<ShownEvent> {
  const { event, previous, revision } = await store.read(async (db) => {
    const event = await newest(db, { seq })
    const previous = event && (await newest(db, { before: event }))
    return { event, previous, revision: event && (await revisionOf(db, event)) }
  })
  if (!event) throw notFound(`the audit log has no event ${seq}`, 'integrations audit list')
  const told = { event, changes: withConfig(changesOf(event, previous), revision) }
  try {
    const keyring = await auditKeys(store, keys)
    const verified =
      [event, ...(previous ? [previous] : [])].every((one) => isGenuine(keyring, one)) &&
      (!revision || isOf(keyring, event, revision))
    return { ...told, verified, unverified: undefined }
  } catch (error) {
    if (!(error instanceof IntegrationsError)) throw error
    return { ...told, verified: null, unverified: error }
  }
}

/** The config before and after an event that changed it, where it is kept. */
async function revisionOf(
  db: Reader,
  { action, targetId, versionAfter }: AuditEvent,
): Promise<RevisedConfig | undefined> {
  if (action !== 'config.change' || targetId === null || versionAfter === null) return undefined
  return db.configRevisions.find(targetId, Number(versionAfter))
}

/** Whether the config after an event is the one that its state keeps a hash of. */
function isOf({ auditKey }: Keyring, { state, targetId }: AuditEvent, { after }: RevisedConfig): boolean {
  const hash = after === null ? undefined : hashOf(auditKey, { id: targetId ?? '', column: 'config', text: after })
  return parseState(state)?.columns.config === hash
}

const withConfig = (changes: FieldChange[] | null, revision: RevisedConfig | undefined): FieldChange[] | null =>
  (revision &&
    changes?.map((one) =>
      one.field === 'config' ? { ...one, before: configOf(revision.before), after: configOf(revision.after) } : one,
    )) ??
  changes

/** Of one that is not JSON, as an application may have stored it, the text. */
const configOf = (text: string | null): Json => (text === null ? null : (jsonOf(text) ?? text))

async function newest(
  db: Reader,
  filter: Parameters<Reader['audit']['list']>[0],
): Promise<(AuditEvent & Damageable) | undefined> {
  for await (const [event] of db.audit.list(filter, { sort: 'seq', descending: true, limit: 1 })) return event
  return undefined
}

async function auditKeys(store: Store, keys: KeySource): Promise<Keyring> {
  const known = await store.read((db) => db.keys.known())
  const set = await keys.load(known)
  if (set.size === 0) throw await keys.empty()
  return openKeyring(set, withActive(known.keys), keys.name)
}

const isGenuine = (keyring: Keyring, event: AuditEvent & Damageable) =>
  !event.damage && event.hash === eventHash(keyring, event.previousHash, event)

function changesOf(event: AuditEvent, previous: AuditEvent | undefined): FieldChange[] | null {
  if (!statefulTypes.some((type) => type === event.targetType)) return []
  const after = stateAfter(event)
  const before = previous ? stateAfter(previous) : /\.(add|ignore)$/.test(event.action) ? nothing : undefined
  // Of a row that another program has put in, the log keeps no columns but those that were written since.
  if (!before || !after || before.foreign !== after.foreign) return null
  return [...columnChanges(before, after), ...secretChanges(before, after)]
}

const nothing: RowState = { columns: {} }

/** The state that an event keeps; undefined for none, or for one of an older program. */
function stateAfter({ state, action }: AuditEvent): RowState | undefined {
  return state === null && /\.(remove|unignore)$/.test(action) ? nothing : parseState(state)
}

function columnChanges({ columns: before }: RowState, { columns: after }: RowState): FieldChange[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
  return names
    .filter((field) => before[field] !== after[field])
    .map((field) => ({ field, before: readValue(field, before[field]), after: readValue(field, after[field]) }))
}

function secretChanges({ secrets: before = [] }: RowState, { secrets: after = [] }: RowState): FieldChange[] {
  const named = (all: NonNullable<RowState['secrets']>) =>
    new Map(
      all.map(({ field, number, ...version }) => [
        `integration_secrets (${field} ${number})`,
        Object.fromEntries(
          Object.entries(version)
            .filter(([, value]) => value !== null)
            .map(([column, value]) => [column, readValue(column, value ?? undefined)]),
        ),
      ]),
    )
  const [was, is] = [named(before), named(after)]
  return [...new Set([...was.keys(), ...is.keys()])]
    .map((field) => ({ field, before: was.get(field) ?? null, after: is.get(field) ?? null }))
    .filter(({ before, after }) => JSON.stringify(before) !== JSON.stringify(after))
}

const numbers: readonly string[] = [
  ...['integration_versions.version', 'integration_refresh_attempts.fence'],
  ...['max_secret_age', 'max_token_age', 'expires_within', 'unused_after'],
]
const truths: readonly string[] = ['is_active', 'never_expires', 'expiry_required', 'owner_required']

/** The value of a column that is kept as a text. The databases write truth values in their own ways. */
function readValue(column: string, text: string | undefined): Json {
  if (text === undefined) return null
  if (numbers.includes(column)) return Number(text)
  return truths.includes(column) ? text === '1' || text === 'true' : text
}
