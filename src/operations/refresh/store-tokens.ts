import type { Instant, IntegrationId } from '../../brands.ts'
import { fingerprint } from '../../crypto/hmac.ts'
import { conflict, isDecryptionFailure } from '../../errors.ts'
import { failpoint } from '../../failpoint.ts'
import { type IntegrationView, secretColumns } from '../../integration.ts'
import type { Secret } from '../../secret.ts'
import type { FingerprintChange } from '../../store/audit/fingerprints.ts'
import type { CurrentSecret, UnreadableSecret } from '../../store/secrets/current.ts'
import type { Transaction } from '../../store/store.ts'
import type { RefreshAttempt } from '../../store/tables/refresh-attempts.ts'
import { changeWithin, type Facts } from '../change.ts'
import { commandLine } from '../texts.ts'
import { recordFailure } from './lease.ts'
import type { NewTokens } from './spool.ts'

/** How long an old access token without a known expiry stays in the history: the longest lifetime of a Slack token. */
const maxTokenLifetimeMs = 12 * 3_600_000

/** New tokens are stored now, were stored before, or are useless: another refresh token has been stored since. */
export type Applied = 'applied' | 'before' | 'superseded'

/** New tokens, who stores them, and the action in the audit log. */
export interface TokenUpdate {
  readonly tokens: NewTokens
  readonly action: 'token.refresh' | 'token.recover'
  readonly owner: string
}

/** The refresh token that was submitted, and when; `startedAt` is absent where the database has lost the attempt. */
type Submitted = Pick<RefreshAttempt, 'oldFingerprint'> & Partial<Pick<RefreshAttempt, 'startedAt'>>

/**
 * Replaces the tokens that an attempt has renewed, in every integration that holds them, within a transaction. The old
 * access token stays in the history until it expires; the old refresh token is invalid.
 *
 * @param attempt must still be the last attempt of its integration, or of another one that shares the refresh token
 * @returns the result for the integration of the attempt
 * @throws CONFLICT when another attempt has begun
 */
export async function commitRefresh(tx: Transaction, attempt: RefreshAttempt, update: TokenUpdate): Promise<Applied> {
  const id = attempt.integrationId
  const shared = await tx.refresh.shared(attempt.id)
  if (shared.find(({ integrationId }) => integrationId === id)?.state === 'applied') return 'before'
  if (shared.length === 0)
    throw conflict('another attempt to refresh the token has begun', commandLine('recover', [id]))
  const sharerIds = shared.filter(({ state }) => state !== 'applied').map(({ integrationId }) => integrationId)
  const { applied, superseded } = await updateSharers(tx, { id, sharerIds, submitted: attempt }, update)
  const { refreshToken } = update.tokens
  const used = refreshToken && fingerprint(tx.keyring.fingerprintKey, refreshToken) !== attempt.oldFingerprint
  await tx.refresh.close(attempt, { state: 'applied', code: used ? null : 'same_refresh_token' }, applied)
  const end = { state: 'failed', code: 'superseded' } as const
  for (const one of await tx.refresh.close(attempt, end, superseded)) await recordFailure(tx, one, end)
  failpoint('tokens written')
  return applied.includes(id) ? 'applied' : 'superseded'
}

/**
 * Replaces the tokens in every integration that holds the refresh token that was submitted.
 *
 * @param id the integration that is meant: a value of another integration that cannot be decrypted is skipped
 * @param sharerIds integrations that may hold the refresh token, besides those that are known to
 * @returns the integrations with the new tokens, and those that hold another refresh token or were removed
 * @throws DECRYPTION_FAILED, KEY_NOT_FOUND, and CONFLICT when the application writes at the same time
 */
export async function updateSharers(
  tx: Transaction,
  {
    id,
    sharerIds,
    submitted,
  }: { readonly id: IntegrationId; readonly sharerIds: readonly IntegrationId[]; submitted: Submitted },
  update: TokenUpdate,
): Promise<{ readonly applied: IntegrationId[]; readonly superseded: IntegrationId[] }> {
  const applied: IntegrationId[] = []
  const superseded: IntegrationId[] = []
  for (const one of new Set([...sharerIds, ...(await tx.secrets.sharing('refreshToken', submitted.oldFingerprint))])) {
    // An integration that was removed without foreign keys leaves its attempt behind.
    if ((await tx.integrations.match({ by: 'id', value: one }, 1)).length === 0) {
      superseded.push(one)
      continue
    }
    const replaced = await changeWithin(tx, { id: one }, async (integration) => ({
      facts: await updateOne(tx, integration, { ...submitted, ...update }),
      result: {},
    })).catch((error: unknown) => {
      if (one === id || !isDecryptionFailure(error)) throw error
      return undefined
    })
    if (replaced) (replaced.after === replaced.before ? superseded : applied).push(one)
  }
  return { applied, superseded }
}

async function updateOne(
  tx: Transaction,
  integration: IntegrationView,
  { oldFingerprint, startedAt, tokens, action, owner: setBy }: Submitted & TokenUpdate,
): Promise<Facts | undefined> {
  const { accessToken, refreshToken, expiresAt } = tokens
  const fingerprints: FingerprintChange[] = []
  const current: { [F in 'accessToken' | 'refreshToken']?: CurrentSecret | UnreadableSecret | undefined } = {
    ...(await tx.secrets.read(integration.id, ['refreshToken'])),
    // An access token that cannot be decrypted is replaced, too.
    ...(await tx.secrets.read(integration.id, ['accessToken']).catch(async (error: unknown) => {
      if (!isDecryptionFailure(error)) throw error
      return { accessToken: await tx.secrets.readRaw(integration.id, 'accessToken') }
    })),
  }
  // The application has stored another refresh token.
  if (current.refreshToken?.fingerprint !== oldFingerprint) return undefined
  const replace = async (field: 'accessToken' | 'refreshToken', value: Secret, previousValidUntil: Date) => {
    const old = current[field] ?? null
    const to = await tx.secrets.replace(integration.id, {
      field,
      old,
      value,
      origin: 'refreshed',
      setBy,
      expiry: field === 'accessToken' ? (expiresAt ?? 'unknown') : 'unknown',
      previousValidUntil,
    })
    if (to === undefined)
      throw conflict(
        'the application wrote a token while it was being replaced',
        commandLine('recover', [integration.id]),
      )
    fingerprints.push({ field: secretColumns[field], from: old?.fingerprint ?? null, to })
  }
  // An access token that was stored after the attempt began is newer than the platform's answer.
  const stored = await tx.secrets.current(integration.id, 'accessToken')
  const newer = startedAt !== undefined && stored !== undefined && stored.setAt > startedAt
  if (!newer) {
    await replace('accessToken', accessToken, expiryOf(integration.tokenExpiresAt, tx.now))
    await tx.integrations.update(integration.id, { tokenExpiresAt: expiresAt })
  }
  if (refreshToken) await replace('refreshToken', refreshToken, tx.now)
  const fields = [
    ...(newer ? [] : [secretColumns.accessToken]),
    ...(refreshToken ? [secretColumns.refreshToken] : []),
    ...(newer ? [] : ['token_expires_at']),
  ]
  return { action, fields, fingerprints }
}

/** Until when the platform may accept an old access token. */
const expiryOf = (tokenExpiresAt: Instant | null, now: Date): Date =>
  tokenExpiresAt === null ? new Date(now.getTime() + maxTokenLifetimeMs) : new Date(tokenExpiresAt)
