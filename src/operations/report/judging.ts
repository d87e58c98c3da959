/** What a report finds of integrations, wherever that is asked for: by the same facts, and judged in the same way. @module */
import { type Fingerprint, type Instant, instantOf } from '../../brands.ts'
import { type IntegrationView, type ListedIntegration, type SecretField, secretFields } from '../../integration.ts'
import { isObject } from '../../json.ts'
import { findPlatform } from '../../platforms/platforms.ts'
import type { UnknownRevocation } from '../../store/audit/revocations.ts'
import type { Reader } from '../../store/store.ts'
import { inspectConfig } from '../config/document.ts'
import type { Finding } from './finding.ts'
import { lastIgnoredUntil } from './ignored.ts'
import { type Facts, judge, type Setting } from './judge.ts'
import { judgeRemoved } from './judge-revocations.ts'

/** Judges integrations of a database as it is at one moment. */
export interface Judging {
  readonly setting: Setting
  /** The findings of some integrations, in their order, each with the very object that was given. */
  of(integrations: readonly ListedIntegration[]): Promise<readonly Finding[]>
  /** The findings of integrations that are not there any more. */
  ofRemoved(): Promise<readonly Finding[]>
  /** Until when a finding is ignored; undefined: it is not. */
  ignoredUntil(finding: Finding): Instant | undefined
  /** Since when a finding has to be told: since it is true, and not ignored any more; null: that is not known. */
  toldSince(finding: Finding): Instant | null
}

/** Reads what concerns several integrations, to judge them then, some at a time. */
export async function beginJudging(db: Reader): Promise<Judging> {
  const now = await db.clock()
  const revocations = await db.revocations.unknown(instantOf(now.getTime() - revocationsMs))
  const setting = await settingOf(db, now)
  const lastIgnored = lastIgnoredUntil(await db.ignoredFindings.list())
  const common = { revocations, ...(await commonOf(db, setting)) }
  return {
    setting,
    of: async (integrations) => (await factsOf(db, integrations, common)).flatMap((facts) => judge(facts, setting)),
    ofRemoved: async () => judgeRemoved(await removedOf(db, revocations), setting.now),
    ignoredUntil: (finding) => {
      const until = lastIgnored(finding)
      return until !== undefined && Date.parse(until) > setting.now ? until : undefined
    },
    toldSince: (finding) => {
      const { since } = finding
      const ended = lastIgnored(finding)
      return since !== null && ended !== undefined && Date.parse(ended) > Date.parse(since) ? ended : since
    },
  }
}

/** Requests to revoke a token whose outcome is not known, by integration. */
type Revocations = ReadonlyMap<string, readonly UnknownRevocation[]>

/** The requests for integrations that are not there any more. */
async function removedOf(db: Reader, revocations: Revocations): Promise<UnknownRevocation[]> {
  const [first, ...others] = revocations.keys()
  if (first === undefined) return []
  const there = new Set<string>(await db.integrations.idsOf({ by: 'ids', ids: [first, ...others] }, revocations.size))
  return [...revocations].flatMap(([id, requests]) => (there.has(id) ? [] : requests))
}

async function settingOf(db: Reader, now: Date): Promise<Setting> {
  const { mode } = await db.keys.settings()
  const keys = await db.keys.rows()
  return {
    now: now.getTime(),
    required: mode === 'required',
    usableKeys: new Set(keys.flatMap(({ id, state }) => (state === 'retired' ? [] : [id]))),
    usesRecorded: await db.report.usesRecorded(),
    lastReport: await db.report.lastReport(),
    policies: await db.policies.list(),
  }
}

/**
 * For how long it is told that the outcome of a revocation is unknown, in milliseconds: of a token whose value is gone, no
 * command can learn more.
 */
const revocationsMs = 90 * 86_400_000

/** What concerns several integrations, read before them. */
interface Common {
  readonly revocations: Revocations
  readonly sharedBy: ReadonlyMap<Fingerprint, number>
  /** Whether every value that is recorded is under a key that decrypts, or may be plain. */
  readonly hasUsableKeys: boolean
}

async function commonOf(db: Reader, { required, usableKeys }: Setting): Promise<Omit<Common, 'revocations'>> {
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
  { revocations, sharedBy, hasUsableKeys }: Common,
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
      revocations: revocations.get(integration.id) ?? [],
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
