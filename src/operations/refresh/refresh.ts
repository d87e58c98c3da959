import { setTimeout as sleep } from 'node:timers/promises'
import { serialize } from '../../concurrency.ts'
import { IntegrationsError, shellWord } from '../../errors.ts'
import { failpoint } from '../../failpoint.ts'
import { type Instant, type IntegrationView, refOf } from '../../integration.ts'
import { askPlatform } from '../../platforms/api-urls.ts'
import type { Renewal } from '../../platforms/platform.ts'
import type { Secret } from '../../secret.ts'
import type { Store, Transaction } from '../../store/store.ts'
import { type AttemptState, leaseTimeMs } from '../../store/tables/refresh-attempts.ts'
import { findIntegration } from '../find.ts'
import { type Eligibility, eligibilityOf, leaseHeld, outcomeUnknown, reauthorize } from './eligibility.ts'
import { beginRefresh, closeAttempt, isOthersTurn, type Lease, type LeaseOptions } from './lease.ts'
import { type NewTokens, prepareSpool, removeSpooled, writeSpool } from './spool.ts'
import { commitRefresh } from './store-tokens.ts'

/** How to refresh tokens. */
export interface RefreshOptions extends LeaseOptions {
  /** How long to wait while somebody else refreshes the token, in milliseconds. */
  readonly wait: number
  /** The folder in which new tokens are kept, sealed, until they are in the database. */
  readonly spool: string
  /** Does what must not be interrupted: a platform that was asked has to be heard. */
  readonly uninterrupted?: <T>(integration: IntegrationView, work: () => Promise<T>) => Promise<T>
}

/** What came of it. */
export interface Refreshed {
  readonly outcome: 'refreshed' | 'not_due'
  readonly integration: IntegrationView
  /** The new one, and when it ends; absent where the present one goes on. */
  readonly accessToken?: Secret
  readonly expiresAt: Instant | null
}

/** How tokens stand that are to be refreshed; asks nobody, and needs no key. @throws NOT_FOUND, AMBIGUOUS, BAD_INPUT */
export const inspect = (
  store: Store,
  ref: string,
  due: LeaseOptions,
): Promise<{ integration: IntegrationView; eligibility: Eligibility }> =>
  serialize(store, () =>
    store.read(async (db) => {
      const integration = await findIntegration(db, ref)
      return { integration, eligibility: await eligibilityOf(db, integration, due) }
    }),
  )

/**
 * Refreshes an access token, where it is due: hands the refresh token in, which can be done once, and stores what the
 * platform gives for it. However many processes do this at the same time, one of them asks; the others wait for it. What
 * came of an attempt is written down in the database before, and kept in a file until it is there: nothing is tried
 * again of which nobody knows how it ended.
 *
 * @throws NOT_FOUND, AMBIGUOUS, BAD_INPUT for what cannot be refreshed, LEASE_HELD when somebody else is at it for longer
 *   than `wait`, CREDENTIAL_REFUSED, PLATFORM_FAILED when the platform has changed nothing, OUTCOME_UNKNOWN when it may have
 */
export async function refreshOne(store: Store, ref: string, options: RefreshOptions): Promise<Refreshed> {
  const deadline = performance.now() + options.wait
  const { uninterrupted = (_, work) => work() } = options
  let awaited: string | undefined
  for (;;) {
    const { integration, eligibility: seen } = await inspect(store, ref, { ...options, awaited })
    let eligibility: Awaited<ReturnType<typeof exchange>> | Eligibility = seen
    // Where the outcome of the last refresh seems unknown, the application may have written another refresh token, which only the keys can tell.
    if (/^(due|outcome_unknown|needs_reauth)$/.test(seen.outcome)) {
      prepareSpool(options.spool)
      const turn = performance.now() < deadline ? options.turn : undefined
      eligibility = await uninterrupted(integration, () =>
        exchange(store, integration.id, { ...options, turn, awaited }),
      )
      if (eligibility.outcome === 'busy') {
        await turn?.wait()
        continue
      }
    }
    if ('error' in eligibility) throw eligibility.error
    if (eligibility.outcome === 'refreshed') return eligibility
    if (eligibility.outcome !== 'held')
      return { outcome: 'not_due', integration, expiresAt: integration.tokenExpiresAt }
    awaited = eligibility.attempt.id
    const pause = 100 + Math.random() * 300
    if (performance.now() + pause > deadline) throw leaseHeld(integration, eligibility.attempt)
    await sleep(pause)
    // A signal that came while others were refreshed ends this wait, too.
    await uninterrupted(integration, async () => {})
  }
}

async function exchange(
  store: Store,
  id: string,
  options: RefreshOptions,
): Promise<Exclude<Awaited<ReturnType<typeof beginRefresh>>, Lease> | Refreshed> {
  const lease = await begin(store, id, options)
  if (lease.outcome !== 'leased') return lease
  options.turn?.ownAttempts.add(lease.attempt.id)
  failpoint('lease committed')
  const { integration, platform, attempt, client, refreshToken } = lease
  const renewal = await ask(async () => {
    failpoint('before request')
    return platform.api.refresh?.(askPlatform(platform, integration.config, options.urls), client, refreshToken)
  }, lease)
  failpoint('answer received')
  if (renewal.outcome !== 'renewed') throw await closeFailed(store, lease, renewal)
  const expiresAt =
    renewal.expiresIn === null
      ? null
      : // From before it was asked, by the database's clock: rather too early than too late.
        new Date(Date.parse(attempt.startedAt) + renewal.expiresIn * 1000).toISOString()
  await storeTokens(store, lease, { ...renewal, expiresAt }, options)
  return { outcome: 'refreshed', integration, accessToken: renewal.accessToken, expiresAt }
}

/** Begins an attempt. Of one that may have been written down as begun, but was not, the platform is not asked. */
async function begin(store: Store, id: string, options: RefreshOptions): ReturnType<typeof beginRefresh> {
  let begun: Awaited<ReturnType<typeof beginRefresh>> | undefined
  const work = async (tx: Transaction) => {
    begun = await beginRefresh(tx, id, options)
    return begun
  }
  try {
    return await serialize(store, async () => {
      // Before it queues up for the database's lock.
      if (await store.read((db) => isOthersTurn(db, options.turn))) return { outcome: 'busy' }
      return store.mutate(work, { auditOnly: true })
    })
  } catch (error) {
    if (begun?.outcome === 'leased' && error instanceof IntegrationsError && error.code === 'COMMIT_UNKNOWN')
      await writeDown(store, begun, 'failed', 'not_asked')
    throw error
  }
}

/** Asks, unless this process was held up for so long that it is about to be somebody else's turn. */
async function ask(work: () => Promise<Renewal | undefined>, { began }: Lease): Promise<Renewal> {
  if (Date.now() - began > leaseTimeMs / 3) return { outcome: 'failed', code: 'held_up' }
  return (await work()) ?? { outcome: 'failed', code: 'unsupported' }
}

/** Keeps new tokens: in a file first, then in the database. */
async function storeTokens(
  store: Store,
  lease: Lease,
  tokens: NewTokens,
  { spool, owner }: RefreshOptions,
): Promise<void> {
  const { attempt, integration, vault, database } = lease
  const path = await writeSpool(spool, vault.encryptionKey, database, attempt, tokens).catch(() => undefined)
  failpoint('spool written')
  const by = { action: 'token.refresh', owner } as const
  const applied = await serialize(store, () => store.mutate((tx) => commitRefresh(tx, attempt, tokens, by))).catch(
    (error: unknown) => {
      const known = error instanceof IntegrationsError ? error : undefined
      throw new IntegrationsError({
        code: 'OUTCOME_UNKNOWN',
        message:
          path === undefined
            ? `${refOf(integration)} has new tokens, and neither the database nor a file could take them${told(error)}`
            : `${refOf(integration)} has new tokens, and the database could not take them${told(error)}; they are kept, sealed, in ${path}`,
        hint: `integrations recover ${shellWord(integration.id)}`,
        cause: error,
        committed: known ? known.committed : false,
      })
    },
  )
  failpoint('applied')
  if (path !== undefined) removeSpooled(spool, path)
  failpoint('spool removed')
  if (applied === 'superseded')
    throw new IntegrationsError({
      code: 'CONFLICT',
      message: `somebody else replaced or removed the refresh token of ${refOf(integration)} while it was being refreshed; that stays`,
      hint: `integrations secrets list ${shellWord(integration.id)}`,
    })
}

const told = (error: unknown) => (error instanceof IntegrationsError ? ` (${error.message})` : '')

/** Writes down how an attempt ended that brought no tokens. @returns the error to tell of it */
async function closeFailed(
  store: Store,
  lease: Lease,
  renewal: Exclude<Renewal, { outcome: 'renewed' }>,
): Promise<IntegrationsError> {
  const { integration, platform, app } = lease
  const { outcome, code } = renewal
  // One that is unknown is found so when its lease has ended, too.
  await writeDown(store, lease, outcome, code).catch((error: unknown) => {
    if (outcome !== 'unknown') throw error
  })
  const word = code ?? 'no reason given'
  if (outcome === 'unknown') return outcomeUnknown(integration, 'outcome_unknown', ` (${word})`)
  if (outcome === 'failed')
    return new IntegrationsError({
      code: 'PLATFORM_FAILED',
      message: `${platform.title} did not refresh the token of ${refOf(integration)} (${word}); its refresh token is as it was`,
      hint: 'try again later',
    })
  return renewal.outcome === 'refused' && renewal.reauthorize
    ? new IntegrationsError({
        code: 'CREDENTIAL_REFUSED',
        message: `${platform.title} refuses the refresh token of ${refOf(integration)} (${word})`,
        hint: `${reauthorize(integration)}; or see that it is a token of the app ${shellWord(app)}`,
      })
    : new IntegrationsError({
        code: 'CREDENTIAL_REFUSED',
        message: `${platform.title} refuses the client of the app ${app} (${word})`,
        hint: `see its client id with integrations apps list; to put its secret in again, remove and add the app`,
      })
}

/** @throws OUTCOME_UNKNOWN when it cannot be written down: nobody could tell then that the platform has changed nothing */
async function writeDown(
  store: Store,
  { attempt, integration }: Lease,
  state: AttemptState,
  code: string | null,
): Promise<void> {
  await serialize(store, () => store.mutate((tx) => closeAttempt(tx, attempt, state, code), { auditOnly: true })).catch(
    (error: unknown) => {
      throw new IntegrationsError({
        code: 'OUTCOME_UNKNOWN',
        message: `the refresh token of ${refOf(integration)} is as it was (${code ?? state}), but that could not be written down${told(error)}`,
        hint: `integrations recover ${shellWord(integration.id)} --retry`,
        cause: error,
        committed: false,
      })
    },
  )
}
