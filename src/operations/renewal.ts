import { IntegrationsError, shellWord } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import type { Instant, Integration } from '../integration.ts'
import type { FingerprintChanges } from '../store/fingerprints.ts'
import type { RefreshAttempt } from '../store/refresh-attempts.ts'
import { secretColumns } from '../store/secret-facts.ts'
import type { BrokenSecret, HeldSecret } from '../store/secrets.ts'
import type { Changes } from '../store/store.ts'
import { changeWithin, type Facts } from './change.ts'
import { recordFailure } from './refresh-lease.ts'
import type { NewTokens } from './spool.ts'

/** How long an old access token is taken to be good for where nobody knows, in milliseconds: Slack's longest. */
const longestToken = 12 * 3_600_000

/** How new tokens fared: stored now, stored before, or of no use since somebody else has put another refresh token in. */
export type Applied = 'applied' | 'before' | 'superseded'

/**
 * Puts new tokens in the place of those that the platform has replaced, in every integration that holds them, within a
 * transaction. The old access token stays in the history until its own end; the old refresh token is dead.
 *
 * @param attempt which must still be the last one of its integration
 * @param oldFingerprint of the refresh token that was handed in
 * @throws CONFLICT when another attempt has begun
 */
export async function applyTokens(
  rows: Changes,
  attempt: RefreshAttempt,
  oldFingerprint: string,
  tokens: NewTokens,
  by: { readonly action: 'token.refresh' | 'token.recover'; readonly owner: string },
): Promise<Applied> {
  const id = attempt.integrationId
  const present = await rows.refresh.of(id)
  if (present?.id === attempt.id && present.state === 'applied') return 'before'
  if (present?.id !== attempt.id || present.fence !== attempt.fence)
    throw new IntegrationsError(
      'CONFLICT',
      'another attempt to refresh the token has begun',
      `integrations recover ${shellWord(id)}`,
    )
  await rows.integrations.lock(id)
  const noticed: FingerprintChanges[number][] = []
  const { refreshToken: held } = await rows.secrets.read(id, ['refreshToken'], (changes) => noticed.push(...changes))
  if (held?.fingerprint !== oldFingerprint) {
    await rows.refresh.settle(attempt, 'failed', 'superseded')
    await recordFailure(rows, id, 'failed', 'superseded', noticed)
    return 'superseded'
  }
  await storeTokens(rows, id, held, tokens, by)
  await rows.refresh.settle(attempt, 'applied', null)
  failpoint('tokens written')
  return 'applied'
}

/**
 * Puts new tokens in the place of old ones in an integration, and in the others that hold the same refresh token.
 *
 * @param held the refresh token that was handed in
 */
export async function storeTokens(
  rows: Changes,
  id: string,
  held: HeldSecret,
  tokens: NewTokens,
  by: { readonly action: 'token.refresh' | 'token.recover'; readonly owner: string },
): Promise<void> {
  for (const one of [id, ...(await rows.secrets.sharing('refreshToken', held)).filter((sharer) => sharer !== id)])
    await changeWithin(rows, one, undefined, (integration) =>
      replaceTokens(rows, integration, held.fingerprint, tokens, by).catch((error: unknown) => {
        // Another's broken value must not keep the new tokens out of this one.
        if (one === id || !isBroken(error)) throw error
        return undefined
      }),
    )
}

const isBroken = (error: unknown): boolean =>
  error instanceof IntegrationsError && (error.code === 'SEAL_BROKEN' || error.code === 'KEY_UNKNOWN')

async function replaceTokens(
  rows: Changes,
  integration: Integration,
  oldFingerprint: string,
  { accessToken, refreshToken, expiresAt }: NewTokens,
  { action, owner: setBy }: { readonly action: string; readonly owner: string },
): Promise<Facts | undefined> {
  const fingerprints: FingerprintChanges[number][] = []
  const read = (field: 'accessToken' | 'refreshToken') =>
    rows.secrets.read(integration.id, [field], (changes) => fingerprints.push(...changes))
  const held: { [F in 'accessToken' | 'refreshToken']?: HeldSecret | BrokenSecret | undefined } = {
    ...(await read('refreshToken')),
    // One that does not open is replaced all the same: its time is over.
    ...(await read('accessToken').catch(async (error: unknown) => {
      if (!isBroken(error)) throw error
      return { accessToken: await rows.secrets.broken(integration.id, 'accessToken') }
    })),
  }
  // The application has given this one another value since.
  if (held.refreshToken?.fingerprint !== oldFingerprint) return undefined
  const replace = async (
    field: 'accessToken' | 'refreshToken',
    value: NewTokens['accessToken'],
    oldValidUntil: Date,
  ) => {
    const old = held[field] ?? null
    const to = await rows.secrets.replace(integration.id, {
      field,
      old,
      value,
      origin: 'refreshed',
      setBy,
      expiry: field === 'accessToken' ? (expiresAt ?? 'unknown') : 'unknown',
      oldValidUntil,
    })
    if (to === undefined)
      throw new IntegrationsError(
        'CONFLICT',
        'the application wrote a token while it was being replaced',
        `integrations recover ${shellWord(integration.id)}`,
      )
    fingerprints.push({ field: secretColumns[field], from: old?.fingerprint ?? null, to })
  }
  await replace('accessToken', accessToken, endOf(integration.tokenExpiresAt, rows.now))
  if (refreshToken) await replace('refreshToken', refreshToken, rows.now)
  await rows.integrations.update(integration.id, { tokenExpiresAt: expiresAt })
  const fields = [secretColumns.accessToken, ...(refreshToken ? [secretColumns.refreshToken] : []), 'token_expires_at']
  return { action, fields, fingerprints }
}

/** Until when an old access token may still be accepted at the platform. */
const endOf = (tokenExpiresAt: Instant | null, now: Date): Date =>
  tokenExpiresAt === null ? new Date(now.getTime() + longestToken) : new Date(tokenExpiresAt)
