import type { KeySource } from '../../crypto/key-source.ts'
import { openKeyring } from '../../crypto/keyring.ts'
import { IntegrationsError, is } from '../../errors.ts'
import { allRows } from '../../store/all-rows.ts'
import type { AuditEvent } from '../../store/audit/events.ts'
import { isVouchedFor } from '../../store/audit/head.ts'
import { isLost } from '../../store/audit/seen.ts'
import { commandOn, type Database } from '../../store/database/url.ts'
import { missingOf } from '../../store/schema/indexes.ts'
import type { Pooling } from '../../store/schema/pooling.ts'
import type { DatabaseStatus } from '../../store/schema/status.ts'
import type { Store } from '../../store/store.ts'
import { keyStatus } from '../keys/status.ts'
import { readSpool } from '../refresh/spool.ts'

/** One check of this machine, or of the database. */
export interface Check {
  readonly check: string
  /** `unknown`: it cannot be told from here, and counts as neither. */
  readonly state: 'ok' | 'warning' | 'problem' | 'unknown'
  readonly detail: string
  /** What to type or to do; null: nothing. */
  readonly hint: string | null
}

/** How far a clock may be off, in milliseconds. Slack's signatures are accepted for five minutes. */
const toleranceMs = 60_000

/** What an error of ours says, as a check. */
export function failed(check: string, error: unknown, state: Check['state'] = 'problem'): Check {
  if (!(error instanceof IntegrationsError)) throw error
  return { check, state, detail: error.message, hint: error.hint }
}

/** How a database stands, as `db status` reads it. @param pooling undefined where it cannot be told */
export function checkStatus(database: Database, status: DatabaseStatus, pooling: Pooling | undefined): Check[] {
  const { reason, adopted, url, provider, version, migrations } = status
  const missing = missingOf(status.indexes)
  return [
    { check: 'database', state: 'ok', detail: `${url} answers (${provider} ${version})`, hint: null },
    reason
      ? failed('tables', reason)
      : {
          check: 'tables',
          state: 'ok',
          detail: `${adopted ? "the application's" : 'of this program'}, ${migrations.applied.length} migrations`,
          hint: null,
        },
    ...(!adopted || reason
      ? []
      : [
          missing.length === 0
            ? ({ check: 'indexes', state: 'ok', detail: 'all are there', hint: null } as const)
            : ({
                check: 'indexes',
                state: 'warning',
                detail: `large tables need ${missing.map(({ name }) => name).join(', ')}`,
                hint: commandOn(database, 'db index --create'),
              } as const),
        ]),
    ...(provider === 'sqlite' ? [] : [rolesCheck(database, status.outdatedRoles), poolerCheck(pooling)]),
  ]
}

function rolesCheck(database: Database, outdated: readonly string[]): Check {
  const check = 'roles'
  if (outdated.length === 0) return { check, state: 'ok', detail: 'none lacks a right that db roles gives', hint: null }
  return {
    check,
    state: 'warning',
    detail: `of a version before, without rights that are needed now: ${outdated.join(', ')}`,
    hint: `run the SQL of ${commandOn(database, 'db roles')} once more, as the owner of the tables`,
  }
}

function poolerCheck(pooling: Pooling | undefined): Check {
  const check = 'pooler'
  if (pooling === undefined) return { check, state: 'unknown', detail: 'the server did not tell', hint: null }
  if (pooling === 'statement')
    return {
      check,
      state: 'problem',
      detail: 'a pooler in statement mode: nothing can be changed',
      hint: 'set pool_mode to transaction or session, or connect to the server itself',
    }
  return { check, state: 'ok', detail: pooling === 'none' ? 'none' : 'in transaction or session mode', hint: null }
}

/**
 * What a database holds that is ready, beside this machine: clocks, versions, keys, the end of the audit log, and files that
 * refreshes have left here. Changes nothing and decrypts no secret. A check that fails is a problem, and the others go on.
 *
 * @param spool where this machine keeps new tokens; undefined where it cannot
 */
export async function checkContents(
  store: Store,
  {
    source,
    spool,
    version,
  }: { readonly source: KeySource; readonly spool: string | undefined; readonly version: string },
): Promise<Check[]> {
  const [last] = await store.snapshot((db) => allRows(db.audit.list({}, newest)))
  const checks: readonly (readonly [check: string, work: () => Promise<Check | readonly Check[]>])[] = [
    ['clock', async () => clockCheck(await skewOf(store), last)],
    ['program', async () => versionCheck(version, last)],
    ['keys', () => keyChecks(store, source)],
    ['audit log', () => logCheck(store, source)],
    ['refreshes', async () => spoolCheck(await store.read(({ keys }) => keys.id()), spool)],
  ]
  const told: Check[] = []
  for (const [check, work] of checks)
    told.push(...[await work().catch((error: unknown) => failed(check, error))].flat())
  return told
}

const newest = { sort: 'seq', descending: true, limit: 1 } as const

/** By how much this machine's clock is behind that of the database, in milliseconds. */
async function skewOf(store: Store): Promise<number> {
  const sent = Date.now()
  const clock = await store.read((db) => db.clock())
  return clock.getTime() - (sent + Date.now()) / 2
}

function clockCheck(skewMs: number, last: AuditEvent | undefined): Check {
  const check = 'clock'
  const seconds = Math.round(Math.abs(skewMs) / 1000)
  const hint = 'set the clocks by NTP: secrets and signatures expire by them'
  if (Math.abs(skewMs) > toleranceMs)
    return {
      check,
      state: 'problem',
      detail: `this machine is ${seconds} s ${skewMs > 0 ? 'behind' : 'ahead of'} the database`,
      hint,
    }
  if (last && Date.parse(last.at) - Date.now() > toleranceMs)
    return { check, state: 'problem', detail: `the newest event of the audit log is from the future: ${last.at}`, hint }
  return { check, state: 'ok', detail: `within ${Math.max(1, seconds)} s of the database`, hint: null }
}

async function versionCheck(version: string, last: AuditEvent | undefined): Promise<Check> {
  const { default: semver } = await import('semver')
  const theirs = semver.valid(last?.programVersion)
  const check = 'program'
  if (theirs === null || semver.lte(theirs, version))
    return { check, state: 'ok', detail: `version ${version}, not behind the last change`, hint: null }
  return {
    check,
    state: 'warning',
    detail: `version ${version}; the last change is of version ${theirs}`,
    hint: 'upgrade the integrations command on this machine',
  }
}

async function keyChecks(store: Store, source: KeySource): Promise<Check[]> {
  const { mode, problems, keySet } = await keyStatus(store, source)
  const check = 'keys'
  if (problems.length > 0)
    return problems.map(({ problem, hint }) => ({ check, state: 'problem', detail: problem, hint }))
  const detail = mode === null ? 'none yet: the first change makes them' : `${keySet} fits; the mode is ${mode}`
  return [{ check, state: 'ok', detail, hint: null }]
}

/** Whether the log ends where the database vouches for, and holds the last event that this machine saw. */
async function logCheck(store: Store, source: KeySource): Promise<Check> {
  const check = 'audit log'
  const known = await store.read((db) => db.keys.known())
  const seen = store.seen.of(known.id)
  const { settings, lost } = await store.snapshot(async (db) => {
    const settings = await db.keys.settings()
    return { settings, lost: seen !== undefined && (await isLost(db.audit, seen, settings.head)) }
  })
  const verify = 'integrations audit verify'
  if (lost)
    return { check, state: 'problem', detail: `this machine saw event ${seen?.seq}, which it lacks`, hint: verify }
  if (known.keys.length === 0) return { check, state: 'ok', detail: 'no events yet', hint: null }
  try {
    const keyring = openKeyring(await source.load(known), known.keys, source.name)
    if (!isVouchedFor(keyring, settings))
      return { check, state: 'problem', detail: 'another program changed its end, or the settings', hint: verify }
  } catch (error) {
    if (is(error, 'KEYS_MISSING', 'KEYS_INVALID', 'KEY_WRONG', 'NOT_PERMITTED'))
      return { check, state: 'unknown', detail: 'its end cannot be checked without the keys', hint: null }
    return failed(check, error)
  }
  return { check, state: 'ok', detail: `ends at event ${settings.head.seq}, as the database vouches`, hint: null }
}

function spoolCheck(database: string, spool: string | undefined): Check {
  const check = 'refreshes'
  if (spool === undefined)
    return { check, state: 'unknown', detail: 'there is no home directory that may hold new tokens', hint: null }
  try {
    const files = readSpool(spool)
    const own = files.filter(({ content }) => content?.database === database).length
    if (own > 0)
      return {
        check,
        state: 'problem',
        detail: `${own === 1 ? 'one refresh has' : `${own} refreshes have`} left new tokens in ${spool}`,
        hint: 'integrations recover --all',
      }
    const others = files.filter(({ content }) => content && content.database !== database).length
    if (others > 0)
      return {
        check,
        state: 'warning',
        detail: `refreshes of other databases have left new tokens in ${spool}: ${others}`,
        hint: 'integrations recover --all --database <url>',
      }
  } catch (error) {
    return failed(check, error)
  }
  return { check, state: 'ok', detail: 'no new tokens wait on this machine', hint: null }
}
