import { fingerprint } from '../../crypto/hmac.ts'
import { IntegrationsError, isDecryptionFailure, shellWord } from '../../errors.ts'
import { failpoint } from '../../failpoint.ts'
import { type Instant, type IntegrationView, secretColumns } from '../../integration.ts'
import type { CurrentSecret, UnreadableSecret } from '../../store/secrets/current.ts'
import type { Transaction } from '../../store/store.ts'
import type { FingerprintChange } from '../../store/tables/fingerprints.ts'
import type { RefreshAttempt } from '../../store/tables/refresh-attempts.ts'
import { changeWithin, type Facts } from '../change.ts'
import { recordFailure } from './lease.ts'
import type { NewTokens } from './spool.ts'

/** How long an old access token is taken to be good for where nobody knows, in milliseconds: Slack's longest. */
const longestToken = 12 * 3_600_000

/** How new tokens fared: stored now, stored before, or of no use since somebody else has put another refresh token in. */
export type Applied = 'applied' | 'before' | 'superseded'

/**
 * Puts new tokens in the place of those that the platform has replaced, in every integration that holds them, within a
 * transaction. The old access token stays in the history until its own end; the old refresh token is dead.
 *
 * @param attempt of the integration that is meant; it must still be the last one of this or of another that shares it
 * @returns how it went with the integration that is meant
 * @throws CONFLICT when another attempt has begun
 */
export async function commitRefresh(
  tx: Transaction,
  attempt: RefreshAttempt,
  tokens: NewTokens,
  by: Renewing,
): Promise<Applied> {
  const id = attempt.integrationId
  const shared = await tx.refresh.shared(attempt.id)
  if (shared.find(({ integrationId }) => integrationId === id)?.state === 'applied') return 'before'
  if (shared.length === 0)
    throw new IntegrationsError({
      code: 'CONFLICT',
      message: 'another attempt to refresh the token has begun',
      hint: `integrations recover ${shellWord(id)}`,
    })
  const open = shared.filter(({ state }) => state !== 'applied').map(({ integrationId }) => integrationId)
  const { applied, superseded } = await updateSharers(tx, id, open, attempt, tokens, by)
  const { fingerprintKey } = tx.vault
  const used = tokens.refreshToken && fingerprint(fingerprintKey, tokens.refreshToken) !== attempt.oldFingerprint
  await tx.refresh.settle(attempt, { state: 'applied', code: used ? null : 'same_refresh_token' }, applied)
  for (const one of await tx.refresh.settle(attempt, { state: 'failed', code: 'superseded' }, superseded))
    await recordFailure(tx, one, 'failed', 'superseded')
  failpoint('tokens written')
  return applied.includes(id) ? 'applied' : 'superseded'
}

/** On whose behalf tokens are stored, and how the audit log calls it. */
export interface Renewing {
  readonly action: 'token.refresh' | 'token.recover'
  readonly owner: string
}

/** The refresh token that was handed in, and when; undefined where the database has lost that. */
type Handed = Pick<RefreshAttempt, 'oldFingerprint'> & Partial<Pick<RefreshAttempt, 'startedAt'>>

/**
 * Puts new tokens in the place of old ones, in every integration that holds the refresh token that was handed in.
 *
 * @param id the integration that is meant: a broken value of another must not keep the tokens out of it
 * @param among where it may be, beside those that are known to have it
 * @returns those that have the new tokens now, and those that hold another refresh token, or are gone
 */
export async function updateSharers(
  tx: Transaction,
  id: string,
  among: readonly string[],
  attempt: Handed,
  tokens: NewTokens,
  by: Renewing,
): Promise<{ readonly applied: string[]; readonly superseded: string[] }> {
  const applied: string[] = []
  const superseded: string[] = []
  for (const one of new Set([...among, ...(await tx.secrets.sharing('refreshToken', attempt.oldFingerprint))])) {
    // Whoever removed it without foreign keys has left what names it.
    if ((await tx.integrations.match({ id: one }, 1)).length === 0) {
      superseded.push(one)
      continue
    }
    const replaced = await changeWithin(tx, one, undefined, async (integration) => ({
      facts: await updateOne(tx, integration, attempt, tokens, by),
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
  { oldFingerprint, startedAt }: Handed,
  { accessToken, refreshToken, expiresAt }: NewTokens,
  { action, owner: setBy }: Renewing,
): Promise<Facts | undefined> {
  const fingerprints: FingerprintChange[] = []
  const held: { [F in 'accessToken' | 'refreshToken']?: CurrentSecret | UnreadableSecret | undefined } = {
    ...(await tx.secrets.read(integration.id, ['refreshToken'])),
    // One that does not open is replaced all the same: its time is over.
    ...(await tx.secrets.read(integration.id, ['accessToken']).catch(async (error: unknown) => {
      if (!isDecryptionFailure(error)) throw error
      return { accessToken: await tx.secrets.readRaw(integration.id, 'accessToken') }
    })),
  }
  // The application has given this one another value since.
  if (held.refreshToken?.fingerprint !== oldFingerprint) return undefined
  const replace = async (
    field: 'accessToken' | 'refreshToken',
    value: NewTokens['accessToken'],
    previousValidUntil: Date,
  ) => {
    const old = held[field] ?? null
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
      throw new IntegrationsError({
        code: 'CONFLICT',
        message: 'the application wrote a token while it was being replaced',
        hint: `integrations recover ${shellWord(integration.id)}`,
      })
    fingerprints.push({ field: secretColumns[field], from: old?.fingerprint ?? null, to })
  }
  // An access token that was put in since the refresh token was handed in is newer than what came for that.
  const newer = startedAt !== undefined && (await tx.secrets.setSince(integration.id, 'accessToken', startedAt))
  if (!newer) {
    await replace('accessToken', accessToken, endOf(integration.tokenExpiresAt, tx.now))
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

/** Until when an old access token may still be accepted at the platform. */
const endOf = (tokenExpiresAt: Instant | null, now: Date): Date =>
  tokenExpiresAt === null ? new Date(now.getTime() + longestToken) : new Date(tokenExpiresAt)
