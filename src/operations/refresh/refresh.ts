import { setTimeout as sleep } from 'node:timers/promises'
import { type Instant, type IntegrationId, instantOf } from '../../brands.ts'
import { serialize } from '../../concurrency.ts'
import { conflict, IntegrationsError, shellWord } from '../../errors.ts'
import { failpoint } from '../../failpoint.ts'
import { type IntegrationView, refOf } from '../../integration.ts'
import { askPlatform } from '../../platforms/api-urls.ts'
import type { Renewal } from '../../platforms/platform.ts'
import type { Secret } from '../../secret.ts'
import type { Store } from '../../store/store.ts'
import { type AttemptEnd, leaseTimeMs } from '../../store/tables/refresh-attempts.ts'
import { auditOnly } from '../change.ts'
import { findIntegration } from '../find.ts'
import { commandLine, secretsCommand } from '../texts.ts'
import { type Eligibility, eligibilityOf, leaseHeld, mayBeDue, outcomeUnknown, reauthorize } from './eligibility.ts'
import { beginRefresh, closeAttempt, isOthersTurn, type Lease, type LeaseOptions, type NoLease } from './lease.ts'
import { type NewTokens, prepareSpool, removeSpooled, reserveSpool, writeSpool } from './spool.ts'
import { commitRefresh } from './store-tokens.ts'

/** How to refresh tokens. */
export interface RefreshOptions extends LeaseOptions {
  /** How long to wait while another process refreshes the token, in milliseconds. */
  readonly wait: number
  /** The folder that keeps new tokens, encrypted, until they are in the database. */
  readonly spool: string
  /** Runs work that must not be interrupted: the answer of a platform that was asked must not be lost. */
  readonly uninterrupted?: <T>(integration: IntegrationView, work: () => Promise<T>) => Promise<T>
}

/** The result of a refresh. */
export interface Refreshed {
  readonly outcome: 'refreshed' | 'not_due'
  readonly integration: IntegrationView
  /** The new access token; absent where the current token stays. */
  readonly accessToken?: Secret
  /** When the access token expires; null: unknown. */
  readonly expiresAt: Instant | null
}

/** Whether an integration's token is due; asks no platform, and needs no key. @throws NOT_FOUND, BAD_INPUT */
const inspect = (
  store: Store,
  id: IntegrationId,
  due: LeaseOptions,
): Promise<{ integration: IntegrationView; eligibility: Eligibility }> =>
  serialize(store, () =>
    store.read(async (db) => {
      const integration = await findIntegration(db, { id })
      return { integration, eligibility: await eligibilityOf(db, integration, due) }
    }),
  )

/**
 * Refreshes an access token that is due: submits the refresh token, which works once, and stores the new tokens. However
 * many processes do this at the same time, one of them asks the platform, and the others wait. The attempt is stored
 * before the platform is asked, and its answer is kept in a file until it is in the database: an attempt whose outcome is
 * unknown is never retried.
 *
 * @throws NOT_FOUND, BAD_INPUT for an integration that cannot be refreshed, LEASE_HELD when another process
 *   holds the lease for longer than `wait`, CREDENTIAL_REFUSED, PLATFORM_FAILED when the platform has changed nothing,
 *   OUTCOME_UNKNOWN when it may have, CONFLICT when the refresh token was replaced meanwhile
 */
export async function refreshOne(store: Store, id: IntegrationId, options: RefreshOptions): Promise<Refreshed> {
  const deadline = performance.now() + options.wait
  const { uninterrupted = (_, work) => work() } = options
  let awaited: string | undefined
  for (;;) {
    const { integration, eligibility } = await inspect(store, id, { ...options, awaited })
    const turn = performance.now() < deadline ? options.turn : undefined
    const result = mayBeDue(eligibility)
      ? await uninterrupted(integration, () => exchange(store, integration.id, { ...options, turn, awaited }))
      : eligibility
    switch (result.outcome) {
      case 'refreshed':
        return result
      case 'not_due':
        return { outcome: 'not_due', integration, expiresAt: integration.tokenExpiresAt }
      case 'busy':
        await turn?.wait()
        continue
      case 'held':
        break
      default:
        throw result.error
    }
    awaited = result.attempt.id
    const pauseMs = 100 + Math.random() * 300
    if (performance.now() + pauseMs > deadline) throw leaseHeld(integration, result.attempt)
    await sleep(pauseMs)
    // A signal that came while other tokens were refreshed ends this wait, too.
    await uninterrupted(integration, async () => {})
  }
}

/** Begins an attempt, asks the platform, and stores its answer. */
async function exchange(
  store: Store,
  id: IntegrationId,
  options: RefreshOptions,
): Promise<NoLease | (Refreshed & { readonly outcome: 'refreshed' })> {
  prepareSpool(options.spool)
  const lease = await begin(store, id, options)
  if (lease.outcome !== 'leased') return lease
  options.turn?.ownAttempts.add(lease.attempt.id)
  failpoint('lease committed')
  const { integration, platform, attempt, client, refreshToken } = lease
  const path = await reserve(store, lease, options)
  const renewal = await ask(async () => {
    failpoint('before request')
    return platform.api.refresh?.(askPlatform(platform, integration.config, options.urls), client, refreshToken)
  }, lease)
  failpoint('answer received')
  if (renewal.outcome !== 'renewed') {
    removeSpooled(options.spool, path)
    throw await closeFailed(store, lease, renewal)
  }
  const { accessToken, expiresIn } = renewal
  // Counted from before the request, by the database's clock: rather too early than too late.
  const expiresAt = expiresIn === null ? null : instantOf(Date.parse(attempt.startedAt) + expiresIn * 1000)
  await storeTokens(store, lease, { ...options, path, tokens: { ...renewal, expiresAt } })
  return { outcome: 'refreshed', integration, accessToken, expiresAt }
}

/** Begins an attempt. After a COMMIT that may have failed, the attempt is closed, and the platform is not asked. */
async function begin(store: Store, id: IntegrationId, options: RefreshOptions): Promise<Lease | NoLease> {
  let begun: Lease | NoLease | undefined
  try {
    return await serialize(store, async () => {
      // Checked before waiting for the database's lock, too.
      if (await store.read((db) => isOthersTurn(db, options.turn))) return { outcome: 'busy' }
      return store.mutate(async (tx) => {
        begun = await beginRefresh(tx, id, options)
        return begun
      }, auditOnly)
    })
  } catch (error) {
    if (begun?.outcome === 'leased' && error instanceof IntegrationsError && error.code === 'COMMIT_UNKNOWN')
      await close(store, begun, { state: 'failed', code: 'not_asked' })
    throw error
  }
}

/** Reserves the room for the platform's answer. Where there is none, the attempt is closed, and the platform is not asked. */
async function reserve(store: Store, lease: Lease, { spool }: Pick<RefreshOptions, 'spool'>): Promise<string> {
  try {
    return reserveSpool(spool, lease.attempt.id)
  } catch (error) {
    await close(store, lease, { state: 'failed', code: 'not_asked' })
    throw error
  }
}

/** Asks the platform, unless this process was suspended for so long that its lease is about to expire. */
async function ask(work: () => Promise<Renewal | undefined>, { beganAtMs }: Lease): Promise<Renewal> {
  if (Date.now() - beganAtMs > leaseTimeMs / 3) return { outcome: 'failed', code: 'held_up' }
  return (await work()) ?? { outcome: 'failed', code: 'unsupported' }
}

/** Keeps new tokens: in a file first, then in the database. */
async function storeTokens(
  store: Store,
  { attempt, integration, keyring, database }: Lease,
  {
    tokens,
    path,
    spool,
    owner,
  }: Pick<RefreshOptions, 'spool' | 'owner'> & { readonly tokens: NewTokens; readonly path: string },
): Promise<void> {
  const key = keyring.encryptionKey
  // Even a file that could not be written to its end stays until the database has the tokens.
  const written = await writeSpool(spool, { key, database, attempt, tokens }).then(
    () => true,
    () => false,
  )
  failpoint('spool written')
  const ref = refOf(integration)
  const update = { tokens, action: 'token.refresh', owner } as const
  const applied = await serialize(store, () => store.mutate((tx) => commitRefresh(tx, attempt, update))).catch(
    (error: unknown) => {
      throw new IntegrationsError({
        code: 'OUTCOME_UNKNOWN',
        message: written
          ? `the new tokens of ${ref} could not be stored in the database${detail(error)}; they are kept, encrypted, in ${path}`
          : `the new tokens of ${ref} could be stored neither in the database nor in a file${detail(error)}`,
        hint: commandLine('recover', [integration.id]),
        cause: error,
        committed: error instanceof IntegrationsError ? error.committed : false,
      })
    },
  )
  failpoint('applied')
  removeSpooled(spool, path)
  failpoint('spool removed')
  if (applied === 'superseded')
    throw conflict(
      `the refresh token of ${ref} was replaced or removed during the refresh; that change was kept`,
      secretsCommand(integration.id),
    )
}

const detail = (error: unknown) => (error instanceof IntegrationsError ? ` (${error.message})` : '')

/** Closes an attempt that brought no tokens. @returns the error to throw */
async function closeFailed(
  store: Store,
  lease: Lease,
  renewal: Exclude<Renewal, { outcome: 'renewed' }>,
): Promise<IntegrationsError> {
  const { integration, platform, app } = lease
  const { outcome, code } = renewal
  // An attempt that cannot be closed as unknown becomes unknown when its lease expires.
  await close(store, lease, { state: outcome, code }).catch((error: unknown) => {
    if (outcome !== 'unknown') throw error
  })
  const reason = code ?? 'no reason given'
  const ref = refOf(integration)
  if (outcome === 'unknown') return outcomeUnknown(integration, 'outcome_unknown', ` (${reason})`)
  if (outcome === 'failed')
    return new IntegrationsError({
      code: 'PLATFORM_FAILED',
      message: `${platform.title} did not refresh the token of ${ref} (${reason}); its refresh token is unused`,
      hint: 'try again later',
    })
  const invalidToken = renewal.outcome === 'refused' && renewal.reauthorize
  return new IntegrationsError({
    code: 'CREDENTIAL_REFUSED',
    message: `${platform.title} refuses the ${invalidToken ? `refresh token of ${ref}` : `client of the app ${app}`} (${reason})`,
    hint: invalidToken
      ? `${reauthorize(integration)}; or check that the refresh token belongs to the app ${shellWord(app)}`
      : 'check its client id with integrations apps list; to replace its secret, remove the app and add it again',
  })
}

/** Stores how an attempt ended that brought no tokens. @throws OUTCOME_UNKNOWN when that cannot be stored */
async function close(store: Store, { attempt, integration }: Lease, end: AttemptEnd): Promise<void> {
  await serialize(store, () => store.mutate((tx) => closeAttempt(tx, attempt, end), auditOnly)).catch(
    (error: unknown) => {
      throw new IntegrationsError({
        code: 'OUTCOME_UNKNOWN',
        message: `the refresh of ${refOf(integration)} brought no tokens (${end.code ?? end.state}), but that could not be stored${detail(error)}`,
        hint: commandLine('recover', [integration.id], ['--retry']),
        cause: error,
        committed: false,
      })
    },
  )
}
