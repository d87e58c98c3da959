import { setTimeout as sleep } from 'node:timers/promises'
import { IntegrationsError, shellWord } from '../../errors.ts'
import { failpoint } from '../../failpoint.ts'
import { type Instant, type Integration, refOf } from '../../integration.ts'
import { askPlatform } from '../../platforms/api-urls.ts'
import type { Renewal } from '../../platforms/platform.ts'
import type { Secret } from '../../secret.ts'
import type { Changes, Store } from '../../store/store.ts'
import { type AttemptState, leaseTime } from '../../store/tables/refresh-attempts.ts'
import { findIntegration } from '../find.ts'
import { leaseHeld, reauthorize, type Standing, standingOf, uncertain } from './eligibility.ts'
import { type Beginning, beginRefresh, isOthersTurn, type Lease, settle } from './lease.ts'
import { inTurn } from './queue.ts'
import { type NewTokens, prepareSpool, removeSpooled, writeSpool } from './spool.ts'
import { applyTokens } from './store-tokens.ts'

/** How to refresh tokens. */
export interface Refreshing extends Beginning {
  /** How long to wait while somebody else refreshes the token, in milliseconds. */
  readonly wait: number
  /** The folder in which new tokens are kept, sealed, until they are in the database. */
  readonly spool: string
  /** Does what must not be interrupted: a platform that was asked has to be heard. */
  readonly uninterrupted?: <T>(integration: Integration, work: () => Promise<T>) => Promise<T>
}

/** What came of it. */
export interface Refreshed {
  readonly outcome: 'refreshed' | 'not_due'
  readonly integration: Integration
  /** The new one, and when it ends; absent where the present one goes on. */
  readonly accessToken?: Secret
  readonly expiresAt: Instant | null
}

/** How tokens stand that are to be refreshed; asks nobody, and needs no key. @throws NOT_FOUND, AMBIGUOUS, BAD_INPUT */
export const lookAt = (
  store: Store,
  ref: string,
  due: Beginning,
): Promise<{ integration: Integration; standing: Standing }> =>
  inTurn(store, () =>
    store.read(async (rows) => {
      const integration = await findIntegration(rows, ref)
      return { integration, standing: await standingOf(rows, integration, due) }
    }),
  )

/**
 * Refreshes an access token, where it is due: hands the refresh token in, which can be done once, and stores what the
 * platform gives for it. However many processes do this at the same time, one of them asks; the others wait for it. What
 * came of an attempt is written down in the database before, and kept in a file until it is there: nothing is tried
 * again of which nobody knows how it ended.
 *
 * @throws NOT_FOUND, AMBIGUOUS, BAD_INPUT for what cannot be refreshed, LEASE_HELD when somebody else is at it for longer
 *   than `wait`, CREDENTIAL_REFUSED, PLATFORM_FAILED when the platform has changed nothing, UNCERTAIN when it may have
 */
export async function refreshOne(store: Store, ref: string, options: Refreshing): Promise<Refreshed> {
  const deadline = performance.now() + options.wait
  const { uninterrupted = (_, work) => work() } = options
  let awaited: string | undefined
  for (;;) {
    const { integration, standing: seen } = await lookAt(store, ref, { ...options, awaited })
    let standing: Awaited<ReturnType<typeof exchange>> | Standing = seen
    // Where it seems uncertain, the application may have written another refresh token, which only the keys can tell.
    if (/^(due|uncertain|needs_reauth)$/.test(seen.outcome)) {
      prepareSpool(options.spool)
      const turn = performance.now() < deadline ? options.turn : undefined
      standing = await uninterrupted(integration, () => exchange(store, integration.id, { ...options, turn, awaited }))
      if (standing.outcome === 'busy') {
        await turn?.wait()
        continue
      }
    }
    if ('error' in standing) throw standing.error
    if (standing.outcome === 'refreshed') return standing
    if (standing.outcome !== 'held') return { outcome: 'not_due', integration, expiresAt: integration.tokenExpiresAt }
    awaited = standing.attempt.id
    const pause = 100 + Math.random() * 300
    if (performance.now() + pause > deadline) throw leaseHeld(integration, standing.attempt)
    await sleep(pause)
    // A signal that came while others were refreshed ends this wait, too.
    await uninterrupted(integration, async () => {})
  }
}

async function exchange(
  store: Store,
  id: string,
  options: Refreshing,
): Promise<Exclude<Awaited<ReturnType<typeof beginRefresh>>, Lease> | Refreshed> {
  const lease = await begin(store, id, options)
  if (lease.outcome !== 'leased') return lease
  options.turn?.mine.add(lease.attempt.id)
  failpoint('lease committed')
  const { integration, platform, attempt, client, refreshToken } = lease
  const renewal = await ask(async () => {
    failpoint('before request')
    return platform.api.refresh?.(askPlatform(platform, integration.config, options.urls), client, refreshToken)
  }, lease)
  failpoint('answer received')
  if (renewal.outcome !== 'renewed') throw await settled(store, lease, renewal)
  const expiresAt =
    renewal.expiresIn === null
      ? null
      : // From before it was asked, by the database's clock: rather too early than too late.
        new Date(Date.parse(attempt.startedAt) + renewal.expiresIn * 1000).toISOString()
  await keep(store, lease, { ...renewal, expiresAt }, options)
  return { outcome: 'refreshed', integration, accessToken: renewal.accessToken, expiresAt }
}

/** Begins an attempt. Of one that may have been written down as begun, but was not, the platform is not asked. */
async function begin(store: Store, id: string, options: Refreshing): ReturnType<typeof beginRefresh> {
  let begun: Awaited<ReturnType<typeof beginRefresh>> | undefined
  const work = async (rows: Changes) => {
    begun = await beginRefresh(rows, id, options)
    return begun
  }
  try {
    return await inTurn(store, async () => {
      // Before it queues up for the database's lock.
      if (await store.read((rows) => isOthersTurn(rows, options.turn))) return { outcome: 'busy' }
      return store.mutate(work, { reading: true })
    })
  } catch (error) {
    if (begun?.outcome === 'leased' && error instanceof IntegrationsError && error.code === 'COMMIT_UNKNOWN')
      await writeDown(store, begun, 'failed', 'not_asked')
    throw error
  }
}

/** Asks, unless this process was held up for so long that it is about to be somebody else's turn. */
async function ask(work: () => Promise<Renewal | undefined>, { began }: Lease): Promise<Renewal> {
  if (Date.now() - began > leaseTime / 3) return { outcome: 'failed', code: 'held_up' }
  return (await work()) ?? { outcome: 'failed', code: 'unsupported' }
}

/** Keeps new tokens: in a file first, then in the database. */
async function keep(store: Store, lease: Lease, tokens: NewTokens, { spool, owner }: Refreshing): Promise<void> {
  const { attempt, integration, vault, database } = lease
  const path = await writeSpool(spool, vault.sealing, database, attempt, tokens).catch(() => undefined)
  failpoint('spool written')
  const by = { action: 'token.refresh', owner } as const
  const applied = await inTurn(store, () => store.mutate((rows) => applyTokens(rows, attempt, tokens, by))).catch(
    (error: unknown) => {
      const known = error instanceof IntegrationsError ? error : undefined
      throw new IntegrationsError(
        'UNCERTAIN',
        path === undefined
          ? `${refOf(integration)} has new tokens, and neither the database nor a file could take them${told(error)}`
          : `${refOf(integration)} has new tokens, and the database could not take them${told(error)}; they are kept, sealed, in ${path}`,
        `integrations recover ${shellWord(integration.id)}`,
        { cause: error, committed: known ? known.committed : false },
      )
    },
  )
  failpoint('applied')
  if (path !== undefined) removeSpooled(spool, path)
  failpoint('spool removed')
  if (applied === 'superseded')
    throw new IntegrationsError(
      'CONFLICT',
      `somebody else replaced or removed the refresh token of ${refOf(integration)} while it was being refreshed; that stays`,
      `integrations secrets list ${shellWord(integration.id)}`,
    )
}

const told = (error: unknown) => (error instanceof IntegrationsError ? ` (${error.message})` : '')

/** Writes down how an attempt ended that brought no tokens. @returns the error to tell of it */
async function settled(
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
  if (outcome === 'unknown') return uncertain(integration, 'uncertain', ` (${word})`)
  if (outcome === 'failed')
    return new IntegrationsError(
      'PLATFORM_FAILED',
      `${platform.title} did not refresh the token of ${refOf(integration)} (${word}); its refresh token is as it was`,
      'try again later',
    )
  return renewal.outcome === 'refused' && renewal.reauthorize
    ? new IntegrationsError(
        'CREDENTIAL_REFUSED',
        `${platform.title} refuses the refresh token of ${refOf(integration)} (${word})`,
        `${reauthorize(integration)}; or see that it is a token of the app ${shellWord(app)}`,
      )
    : new IntegrationsError(
        'CREDENTIAL_REFUSED',
        `${platform.title} refuses the client of the app ${app} (${word})`,
        `see its client id with integrations apps list; to put its secret in again, remove and add the app`,
      )
}

/** @throws UNCERTAIN when it cannot be written down: nobody could tell then that the platform has changed nothing */
async function writeDown(
  store: Store,
  { attempt, integration }: Lease,
  state: AttemptState,
  code: string | null,
): Promise<void> {
  await inTurn(store, () => store.mutate((rows) => settle(rows, attempt, state, code), { reading: true })).catch(
    (error: unknown) => {
      throw new IntegrationsError(
        'UNCERTAIN',
        `the refresh token of ${refOf(integration)} is as it was (${code ?? state}), but that could not be written down${told(error)}`,
        `integrations recover ${shellWord(integration.id)} --retry`,
        { cause: error, committed: false },
      )
    },
  )
}
