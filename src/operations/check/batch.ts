import { setImmediate as turn } from 'node:timers/promises'
import type { Fingerprint, IntegrationId } from '../../brands.ts'
import { semaphore } from '../../concurrency.ts'
import { damageText } from '../../damage.ts'
import { type ErrorCode, isDecryptionFailure, RowsTooLong } from '../../errors.ts'
import { columnOf, entriesOf, type IntegrationView } from '../../integration.ts'
import type { ApiUrls } from '../../platforms/api-urls.ts'
import type { Platform, Verdict } from '../../platforms/platform.ts'
import { findPlatform } from '../../platforms/platforms.ts'
import type { CheckVerdict } from '../../store/activity/health.ts'
import type { CurrentSecret, OpenCurrent } from '../../store/secrets/current.ts'
import type { Store, Transaction } from '../../store/store.ts'
import type { IntegrationChange } from '../../store/tables/integrations.ts'
import { auditOnly, changeWithin, type Decision } from '../change.ts'
import { withoutConfig } from '../find.ts'
import {
  type AskOptions,
  askAbout,
  type Difference,
  differences,
  eventOf,
  type TokenAnswer,
  usableIds,
  verdictToKeep,
} from './token.ts'

/** The result of a check for one integration. */
export interface Checked extends TokenAnswer {
  readonly integration: IntegrationView
  readonly findings: readonly Difference[]
  /** The fields that were empty, and were filled in. */
  readonly filled: readonly string[]
  /** What is wrong; null: nothing. */
  readonly error: ErrorCode | null
}

/** How to check a batch. */
export interface CheckOptions extends AskOptions {
  /** Fill in empty fields: the platform's ids, and the expiry of the token. */
  readonly fill: boolean
}

type Emit = (checked: readonly Checked[]) => Promise<void>

/** How many requests to platforms run at a time. */
const maxConcurrency = 8

/** How many integrations one change reads or records: other processes wait for it. */
const maxBatch = 100

/** How long an answer waits, so that several are recorded in one change. */
const flushIntervalMs = 100

/**
 * Asks the platforms about the access tokens of integrations, eight at a time. The audit log records the access to a
 * token before the platform is asked, and the verdict after. An integration that was removed meanwhile is left out.
 *
 * @param ids in the order of the rows
 * @param options `emit` receives rows as soon as all rows before them are known
 * @throws what the store and `emit` throw; errors of a platform are verdicts
 */
export async function checkMany(
  store: Store,
  ids: readonly IntegrationId[],
  { emit, ...options }: CheckOptions & { readonly emit: Emit },
): Promise<void> {
  const mutex = semaphore(1)
  const ordered = inOrder(ids, emit)
  const answered: Asked[] = []
  let begun: Ask[] = []
  let next = 0
  let size = maxBatch
  let flushing: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let failure: { readonly error: unknown } | undefined
  const fail = (error: unknown) => {
    failure ??= { error }
  }

  /** The next request; undefined at the end, and after a failure. Answers that have come by then are recorded all the same. */
  async function take(): Promise<Ask | undefined> {
    while (begun.length === 0 && next < ids.length && !failure)
      await mutex(async () => {
        // Another worker may have been first.
        if (begun.length > 0 || next === ids.length || failure) return
        // Where no platform is asked, nothing else lets the event loop turn, and libsql frees nothing before.
        await turn()
        const steps = await beginFirst(store, ids.slice(next, next + size), options)
        next += steps.length
        // Those that follow long ones may be long, too.
        size = Math.min(2 * steps.length, maxBatch)
        for (const step of steps) if (step.kind === 'known') ordered.add(step.id, step.row)
        begun = steps.filter((step) => step.kind === 'ask')
        if (begun.length === 0) await ordered.flush()
      })
    return failure ? undefined : begun.shift()
  }
  const flushAnswers = () => {
    flushing ??= mutex(async () => {
      flushing = undefined
      clearTimeout(timer)
      timer = undefined
      const asked = answered.splice(0)
      if (asked.length > 0) for (const row of await finish(store, asked, options)) ordered.add(row.integration.id, row)
      await ordered.flush()
    }).catch(fail)
    return flushing
  }

  async function work(): Promise<void> {
    for (let step = await take(); step; step = await take()) {
      answered.push(await ask(step, options))
      timer ??= setTimeout(flushAnswers, flushIntervalMs)
      if (answered.length >= maxBatch) await flushAnswers()
    }
  }

  await Promise.all(Array.from({ length: Math.min(maxConcurrency, ids.length) }, () => work().catch(fail)))
  await flushAnswers()
  if (failure) throw failure.error
}

/** A platform that is to be asked about a token. */
interface Ask {
  readonly kind: 'ask'
  readonly integration: IntegrationView
  readonly platform: Platform
  readonly token: CurrentSecret
}

/** What is kept until the answer is recorded: neither the token nor the config, either of which may be long. */
interface Asked extends Omit<Ask, 'token'> {
  readonly fingerprint: Fingerprint
  readonly answer: TokenAnswer
}

async function ask({ token, ...step }: Ask, options: CheckOptions): Promise<Asked> {
  const answer = await askAbout({ ...step, token: token.value }, options)
  return { ...step, integration: withoutConfig(step.integration), fingerprint: token.fingerprint, answer }
}

/** A request, or a result without any; its row is undefined for an integration that was removed. */
type Step = Ask | { readonly kind: 'known'; readonly id: IntegrationId; readonly row: Checked | undefined }

/** Begins with some integrations; where they are too long to be read at once, with half of them. */
async function beginFirst(store: Store, ids: readonly IntegrationId[], options: CheckOptions): Promise<Step[]> {
  const [first, ...others] = ids
  if (first === undefined) return []
  try {
    return await begin(store, [first, ...others], options)
  } catch (error) {
    if (others.length === 0 || !(error instanceof RowsTooLong)) throw error
    return beginFirst(store, ids.slice(0, ids.length / 2), options)
  }
}

/** Reads tokens, and records the access. */
const begin = (
  store: Store,
  ids: readonly [IntegrationId, ...IntegrationId[]],
  { urls }: CheckOptions,
): Promise<Step[]> =>
  store.mutate(async (tx) => {
    const found = await tx.integrations.match({ by: 'ids', ids }, ids.length)
    const integrations = new Map(found.map((one) => [one.id, one]))
    const read = await tx.secrets.readMany(ids, 'accessToken')
    const steps: Step[] = []
    for (const id of ids) {
      const integration = integrations.get(id)
      steps.push(integration ? await beginOne(tx, integration, { read, urls }) : { kind: 'known', id, row: undefined })
    }
    return steps
  }, auditOnly)

async function beginOne(
  tx: Transaction,
  integration: IntegrationView,
  { read, urls }: { readonly read: OpenCurrent; readonly urls: ApiUrls },
): Promise<Step> {
  const { id, damage } = integration
  if (damage)
    return notAsked(integration, {
      code: 'DATABASE_INVALID',
      reason: damageText(id, damage),
      error: 'DATABASE_INVALID',
    })
  const platform = findPlatform(integration.platform)
  if (!platform)
    return notAsked(integration, { code: 'unknown_platform', reason: 'this version does not know the platform' })
  try {
    const token = await read(integration.id)
    if (!token) return notAsked(integration, { code: 'no_token', reason: 'the integration has no access token' })
    await tx.record(eventOf(integration, urls))
    return { kind: 'ask', integration, platform, token }
  } catch (error) {
    // A value that cannot be decrypted must not keep the others from being checked.
    if (isDecryptionFailure(error))
      return notAsked(integration, { code: error.code, reason: error.message, error: error.code })
    throw error
  }
}

function notAsked(
  integration: IntegrationView,
  { code, reason, error = 'CHECK_FAILED' }: { code: string; reason: string; error?: ErrorCode },
): Step {
  const answer = { verdict: 'unknown', code, reason, ids: {}, scopes: null, expiresAt: null } as const
  const row = { ...answer, integration: withoutConfig(integration), findings: [], filled: [], error }
  return { kind: 'known', id: integration.id, row }
}

/** Records answers, and fills in empty fields. */
const finish = (store: Store, asked: readonly Asked[], { urls, fill }: CheckOptions): Promise<Checked[]> => {
  const filling = asked.map((one) => (fill ? missing(one, one.integration) : {}))
  return store.mutate(
    async (tx) => {
      const checked: Checked[] = []
      const verdicts: [IntegrationId, CheckVerdict][] = []
      for (const [i, one] of asked.entries()) {
        const { integration, platform, answer } = one
        const filled = Object.keys(filling[i] ?? {}).length > 0 ? await fillIn(tx, one) : []
        await tx.record(eventOf(integration, urls, answer))
        const findings = differences(platform, integration, answer)
        checked.push({ ...answer, integration, findings, filled, error: errorOf(answer.verdict, findings) })
        const verdict = verdictToKeep(answer, findings, one.fingerprint)
        if (verdict) verdicts.push([integration.id, verdict])
      }
      // In the order in which receivers write, so that neither waits for the other.
      for (const [id, verdict] of verdicts.sort(([a], [b]) => (a < b ? -1 : 1))) await tx.health.checked(id, verdict)
      return checked
    },
    { auditOnly: filling.every((change) => Object.keys(change).length === 0) },
  )
}

/** The empty fields of an integration, as the platform fills them. */
function missing({ platform, answer }: Asked, integration: IntegrationView): IntegrationChange {
  if (answer.verdict !== 'ok') return {}
  const ids = entriesOf(usableIds(platform, answer.ids)).filter(([column]) => integration[column] === null)
  const expires = answer.expiresAt !== null && integration.tokenExpiry === 'unknown'
  return { ...Object.fromEntries(ids), ...(expires ? { tokenExpiresAt: answer.expiresAt } : {}) }
}

/** Fills in empty fields, unless the integration or its token was changed meanwhile. @returns the fields */
async function fillIn(tx: Transaction, asked: Asked): Promise<readonly string[]> {
  const { integration, fingerprint } = asked
  // The integration was removed meanwhile.
  if ((await tx.integrations.match({ by: 'id', value: integration.id }, 1)).length === 0) return []
  const unchanged: Decision<{ filled: readonly string[] }> = { result: { filled: [] } }
  const { filled } = await changeWithin(tx, { id: integration.id }, async (now) => {
    if (now.version !== integration.version) return unchanged
    const { accessToken } = await tx.secrets.read(now.id, ['accessToken'])
    if (accessToken?.fingerprint !== fingerprint) return unchanged
    const change = missing(asked, now)
    const fields = Object.keys(change)
    if (fields.length === 0) return unchanged
    await tx.integrations.update(now.id, change)
    return { facts: { action: 'integration.fill', fields: fields.map(columnOf) }, result: { filled: fields } }
  })
  return filled
}

function errorOf(verdict: Verdict, findings: readonly Difference[]): ErrorCode | null {
  if (verdict === 'refused' || verdict === 'expired') return 'CREDENTIAL_REFUSED'
  if (verdict === 'unreachable') return 'PLATFORM_FAILED'
  return verdict === 'ok' && findings.length === 0 ? null : 'CHECK_FAILED'
}

/** Emits rows in the order of ids, each as soon as all rows before it are known. */
function inOrder(ids: readonly IntegrationId[], emit: Emit) {
  const waiting = new Map<IntegrationId, Checked | undefined>()
  let next = 0
  return {
    add: (id: IntegrationId, checked: Checked | undefined) => void waiting.set(id, checked),
    async flush(): Promise<void> {
      const ready: Checked[] = []
      for (let id = ids[next]; id !== undefined && waiting.has(id); id = ids[++next]) {
        const checked = waiting.get(id)
        waiting.delete(id)
        if (checked) ready.push(checked)
      }
      if (ready.length > 0) await emit(ready)
    },
  }
}
