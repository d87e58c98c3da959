import type { Fingerprint } from '../../brands.ts'
import { interrupted } from '../../errors.ts'
import { type IntegrationView, type ListedIntegration, type SecretField, secretFields } from '../../integration.ts'
import { isObject } from '../../json.ts'
import { findPlatform } from '../../platforms/platforms.ts'
import type { Reader, Store } from '../../store/store.ts'
import type { IntegrationFilter } from '../../store/tables/integration-filter.ts'
import { inspectConfig } from '../config/document.ts'
import { type Finding, isNew, type Severity } from './finding.ts'
import { type Facts, judge, judgeDatabase, type Setting } from './judge.ts'

/** What a report counted. */
export interface Counts {
  readonly integrations: number
  readonly findings: { readonly [S in Severity]: number }
  /** With a time of beginning asked for: how many findings were left out of which it is not known. */
  readonly undated: number
}

/** Which integrations a report is of, and what of it. */
export interface ReportOptions {
  readonly filter: IntegrationFilter
  /** Only what came true within so many milliseconds; absent: all that is true. */
  readonly newWithinMs?: number | undefined
  /** Takes findings as they are made, in the order of the integrations' ids. */
  readonly emit: (findings: readonly Finding[]) => Promise<void>
}

/** Tells what is wrong with integrations, will be, or is not known, all of one moment. Needs no keys, and writes nothing. */
export const report = (store: Store, { filter, newWithinMs, emit }: ReportOptions): Promise<Counts> => {
  let shown = 0
  return store.snapshot(async (db) => {
    // What was printed would be printed twice.
    if (shown > 0) throw interrupted(shown)
    const setting = await settingOf(db)
    const common = await commonOf(db, setting)
    const newSince = newWithinMs === undefined ? undefined : setting.now - newWithinMs
    const findings = { error: 0, warning: 0, unknown: 0 }
    let undated = 0
    const tell = async (all: readonly Finding[]) => {
      const told = all.filter((finding) => {
        const isTold = newSince === undefined || isNew(finding, newSince)
        if (isTold === undefined) undated++
        return isTold
      })
      for (const { severity } of told) findings[severity]++
      shown += told.length
      if (told.length > 0) await emit(told)
    }
    let integrations = 0
    for await (const batch of db.integrations.listed.list(filter, { sort: 'id', descending: false, inPages: true })) {
      integrations += batch.length
      await tell((await factsOf(db, batch, common)).flatMap((facts) => judge(facts, setting)))
    }
    if (integrations > 0 && Object.keys(filter).length === 0) await tell(judgeDatabase(setting))
    return { integrations, findings, undated }
  })
}

async function settingOf(db: Reader): Promise<Setting> {
  const { mode } = await db.keys.settings()
  const keys = await db.keys.rows()
  return {
    now: (await db.clock()).getTime(),
    required: mode === 'required',
    usableKeys: new Set(keys.flatMap(({ id, state }) => (state === 'retired' ? [] : [id]))),
    usesRecorded: await db.report.usesRecorded(),
    lastReport: await db.report.lastReport(),
  }
}

/** What concerns several integrations, read before them. */
interface Common {
  readonly sharedBy: ReadonlyMap<Fingerprint, number>
  /** Whether every value that is recorded is under a key that decrypts, or may be plain. */
  readonly hasUsableKeys: boolean
}

async function commonOf(db: Reader, { required, usableKeys }: Setting): Promise<Common> {
  const use = await db.keys.usage()
  return {
    sharedBy: await db.report.sharedFingerprints(),
    hasUsableKeys: use.every(({ keyId, current }) =>
      keyId === null ? !required || current === 0 : usableKeys.has(keyId),
    ),
  }
}

async function factsOf(
  db: Reader,
  integrations: readonly ListedIntegration[],
  { sharedBy, hasUsableKeys }: Common,
): Promise<Facts[]> {
  // Of all others there is nothing to note.
  const some = hasUsableKeys
    ? integrations.filter(({ webhookSecret }) => webhookSecret.previousValidUntil !== null)
    : integrations
  const noted = await db.report.noted(some.map(({ id }) => id))
  const notedOf = new Map<string, (typeof noted)[number][]>()
  for (const one of noted) notedOf.set(one.integrationId, [...(notedOf.get(one.integrationId) ?? []), one])
  const changedAt = await db.report.changedAt(
    integrations.flatMap(({ id, isActive, lastUsedAt }) => (isActive || lastUsedAt === null ? [] : [id])),
  )
  const facts: Facts[] = []
  for (const integration of integrations)
    facts.push({
      integration,
      noted: notedOf.get(integration.id) ?? [],
      shared: sharedValues(integration, sharedBy),
      configProblem: await configProblem(integration),
      changedAt: changedAt.get(integration.id),
    })
  return facts
}

function sharedValues(integration: IntegrationView, sharedBy: ReadonlyMap<Fingerprint, number>): Facts['shared'] {
  const platform = findPlatform(integration.platform)
  const shared: { [F in SecretField]?: number } = {}
  for (const field of secretFields) {
    const { fingerprint } = integration[field]
    const holders = fingerprint === null ? undefined : sharedBy.get(fingerprint)
    if (holders !== undefined && !platform?.secrets[field]?.ofApp) shared[field] = holders
  }
  return shared
}

/** The first thing that is wrong with a config; null for nothing. */
async function configProblem({ platform: id, config }: IntegrationView): Promise<string | null> {
  const platform = findPlatform(id)
  if (config === null || !platform) return null
  if (!isObject(config)) return 'the config is not a JSON object'
  const [error] = (await inspectConfig(platform, config)).filter(({ severity }) => severity === 'error')
  return error ? `${error.path} ${error.message}`.trim() : null
}
