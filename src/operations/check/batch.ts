import { semaphore } from '../../concurrency.ts'
import { type ErrorCode, isDecryptionFailure } from '../../errors.ts'
import { columnOf, type IntegrationView, type PlatformColumn } from '../../integration.ts'
import type { ApiUrls } from '../../platforms/api-urls.ts'
import type { Platform, Verdict } from '../../platforms/platform.ts'
import { findPlatform } from '../../platforms/platforms.ts'
import type { CurrentSecret } from '../../store/secrets/current.ts'
import type { Store, Transaction } from '../../store/store.ts'
import type { IntegrationChange } from '../../store/tables/integrations.ts'
import { changeWithin, type Decision, targetOf } from '../change.ts'
import { type Answered, type Asking, askAbout, type Difference, differences, eventOf, usableIds } from './token.ts'

/** What came of checking one integration. */
export interface Checked extends Answered {
  readonly integration: IntegrationView
  readonly findings: readonly Difference[]
  /** The fields that were empty, and were filled in. */
  readonly filled: readonly string[]
  /** What is wrong; null for nothing. */
  readonly error: ErrorCode | null
}

/** How integrations are checked. */
export interface Checking extends Asking {
  /** Fill in what is empty: the platform's ids, and when the token ends. */
  readonly fill: boolean
}

/** How many platforms are asked at the same time. */
const atOnce = 8

/** How many integrations are read, or recorded, in one change at most: others wait for it. */
const inOneChange = 100

/** How long an answer waits for others to be recorded with, in milliseconds. */
const soon = 100

/**
 * Asks the platforms about the access tokens of integrations, eight at a time. That a token was read is committed to the
 * audit log before it is used, and what came of it after. One that was removed meanwhile is left out.
 *
 * @param ids in the order of the answers, which are handed on as they come
 * @param emit given some answers
 * @throws what the store throws; what a platform does is an answer
 */
export async function checkIntegrations(
  store: Store,
  ids: readonly string[],
  checking: Checking,
  emit: (checked: readonly Checked[]) => Promise<void>,
): Promise<void> {
  const alone = semaphore(1)
  const ordered = inOrder(ids, emit)
  const answered: Asked[] = []
  let begun: Step[] = []
  let next = 0
  let settling: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let failure: { readonly error: unknown } | undefined
  const fail = (error: unknown) => {
    failure ??= { error }
  }

  /** What is next; undefined at the end. After a failure, what was asked is recorded, and no more is asked. */
  async function take(): Promise<Step | undefined> {
    while (begun.length === 0 && next < ids.length && !failure)
      await alone(async () => {
        const [first, ...others] = ids.slice(next, next + inOneChange)
        // Somebody else was first.
        if (begun.length > 0 || first === undefined || failure) return
        begun = await begin(store, [first, ...others], checking)
        next += inOneChange
      })
    return failure ? undefined : begun.shift()
  }
  /** Records what was answered by the time that it is its turn. */
  const settle = () => {
    settling ??= alone(async () => {
      settling = undefined
      clearTimeout(timer)
      timer = undefined
      const some = answered.splice(0)
      if (some.length > 0) for (const one of await finish(store, some, checking)) ordered.add(one.integration.id, one)
      await ordered.flush()
    }).catch(fail)
    return settling
  }

  async function work(): Promise<void> {
    for (let one = await take(); one !== undefined; one = await take()) {
      if (typeof one === 'string') ordered.add(one, undefined)
      else if ('held' in one) {
        const { platform, integration, held } = one
        answered.push({ ...one, answer: await askAbout(platform, integration.config, held.value, checking) })
      } else ordered.add(one.integration.id, one)
      timer ??= setTimeout(settle, soon)
      if (answered.length >= inOneChange) await settle()
    }
  }

  await Promise.all(Array.from({ length: Math.min(atOnce, ids.length) }, () => work().catch(fail)))
  await settle()
  if (failure) throw failure.error
}

/** An integration whose token is to be asked about. */
interface Begun {
  readonly integration: IntegrationView
  readonly platform: Platform
  readonly held: CurrentSecret
}

interface Asked extends Begun {
  readonly answer: Answered
}

/** What to ask, what is known without asking, or the id of an integration that is gone. */
type Step = Begun | Checked | string

/** Reads tokens, and records that. */
const begin = (store: Store, ids: readonly [string, ...string[]], { urls }: Checking): Promise<Step[]> =>
  store.mutate(
    async (tx) => {
      const integrations = new Map((await tx.integrations.match({ ids }, ids.length)).map((one) => [one.id, one]))
      const open = await tx.secrets.readMany(ids, 'accessToken')
      const begun: Step[] = []
      for (const id of ids) {
        const integration = integrations.get(id)
        if (!integration) {
          begun.push(id)
          continue
        }
        const platform = findPlatform(integration.platform)
        begun.push(
          platform
            ? await beginOne(tx, open, integration, platform, urls)
            : notAsked(integration, 'unknown_platform', 'this version does not know the platform'),
        )
      }
      return begun
    },
    { auditOnly: true },
  )

async function beginOne(
  tx: Transaction,
  open: Awaited<ReturnType<Transaction['secrets']['readMany']>>,
  integration: IntegrationView,
  platform: Platform,
  urls: ApiUrls,
): Promise<Begun | Checked> {
  try {
    const held = await open(integration.id)
    if (!held) return notAsked(integration, 'no_token', 'it has no access token')
    await tx.record(eventOf(targetOf(integration), platform, urls))
    return { integration, platform, held }
  } catch (error) {
    // One value that does not open must not keep the others from being checked.
    if (isDecryptionFailure(error)) return notAsked(integration, error.code, error.message, error.code)
    throw error
  }
}

const notAsked = (
  integration: IntegrationView,
  code: string,
  reason: string,
  error: ErrorCode = 'CHECK_FAILED',
): Checked => ({
  integration,
  verdict: 'unknown',
  code,
  reason,
  ids: {},
  scopes: null,
  expiresAt: null,
  findings: [],
  filled: [],
  error,
})

/** Records answers, and fills in what they tell. */
const finish = (store: Store, asked: readonly Asked[], { urls, fill }: Checking): Promise<Checked[]> => {
  const filling = asked.map((one) => (fill ? missing(one, one.integration) : {}))
  return store.mutate(
    async (tx) => {
      const checked: Checked[] = []
      for (const [i, one] of asked.entries()) {
        const { integration, platform, answer } = one
        const filled = Object.keys(filling[i] ?? {}).length > 0 ? await fillIn(tx, one) : []
        await tx.record(eventOf(targetOf(integration), platform, urls, answer))
        const findings = differences(platform, integration, answer)
        checked.push({ ...answer, integration, findings, filled, error: wrong(answer.verdict, findings) })
      }
      return checked
    },
    { auditOnly: filling.every((change) => Object.keys(change).length === 0) },
  )
}

/** What is empty in an integration and told by the platform. */
function missing({ platform, answer }: Asked, integration: IntegrationView): IntegrationChange {
  if (answer.verdict !== 'ok') return {}
  const ids = Object.entries(usableIds(platform, answer.ids)).filter(
    ([column]) => integration[column as PlatformColumn] === null,
  )
  const ends = answer.expiresAt !== null && integration.tokenExpiry === 'unknown'
  return { ...Object.fromEntries(ids), ...(ends ? { tokenExpiresAt: answer.expiresAt } : {}) }
}

/** Fills in what is empty still, unless the integration or its token has changed meanwhile. @returns the fields */
async function fillIn(tx: Transaction, asked: Asked): Promise<readonly string[]> {
  const { integration, held } = asked
  // It was removed meanwhile.
  if ((await tx.integrations.match({ id: integration.id }, 1)).length === 0) return []
  const unchanged: Decision<{ filled: readonly string[] }> = { facts: undefined, result: { filled: [] } }
  const { filled } = await changeWithin(tx, integration.id, undefined, async (now) => {
    if (now.version !== integration.version) return unchanged
    const { accessToken } = await tx.secrets.read(now.id, ['accessToken'])
    if (accessToken?.fingerprint !== held.fingerprint) return unchanged
    const change = missing(asked, now)
    const fields = Object.keys(change)
    if (fields.length === 0) return unchanged
    await tx.integrations.update(now.id, change)
    return { facts: { action: 'integration.fill', fields: fields.map(columnOf) }, result: { filled: fields } }
  })
  return filled
}

function wrong(verdict: Verdict, findings: readonly Difference[]): ErrorCode | null {
  if (verdict === 'refused' || verdict === 'expired') return 'CREDENTIAL_REFUSED'
  if (verdict === 'unreachable') return 'PLATFORM_FAILED'
  return verdict === 'ok' && findings.length === 0 ? null : 'CHECK_FAILED'
}

/** Hands answers on in the order of ids, each as soon as those before it are there. */
function inOrder(ids: readonly string[], emit: (checked: readonly Checked[]) => Promise<void>) {
  const waiting = new Map<string, Checked | undefined>()
  let next = 0
  return {
    add: (id: string, checked: Checked | undefined) => void waiting.set(id, checked),
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
