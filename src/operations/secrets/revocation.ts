/** Revoking access tokens at their platform, which accepts them otherwise until they expire. @module */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Fingerprint, type IntegrationId, instantOf } from '../../brands.ts'
import { badInput, IntegrationsError, isDecryptionFailure } from '../../errors.ts'
import { failpoint } from '../../failpoint.ts'
import { type IntegrationView, refOf, type SecretField, secretColumns } from '../../integration.ts'
import { type ApiUrls, askPlatform, overridden } from '../../platforms/api-urls.ts'
import type { Platform, Revocation, TokenRevoker } from '../../platforms/platform.ts'
import { platformOf } from '../../platforms/platforms.ts'
import type { Secret } from '../../secret.ts'
import type { NewEvent } from '../../store/audit/events.ts'
import { decryptAccepted } from '../../store/secrets/decrypt-accepted.ts'
import type { Store, Transaction } from '../../store/store.ts'
import { changeWithin, targetOf } from '../change.ts'
import type { AskOptions } from '../check/token.ts'
import { type AnsweredToken, describeRevocation } from './revocation-answer.ts'
import { secretDefinition } from './values.ts'

/** A token that its platform is to revoke. Where the database no longer has it, this process alone does. */
export interface RevocableToken extends Omit<AnsweredToken, 'answer'> {
  readonly fingerprint: Fingerprint
  readonly value: Secret
}

/** A token, and what its platform answered. */
export interface RevokedToken extends AnsweredToken, Pick<RevocableToken, 'fingerprint'> {
  /** The integrations that still have the token, as they are now: it is stored with each that it has expired. */
  readonly expired: readonly IntegrationView[]
  /** The integrations that may have it, as their value cannot be decrypted. */
  readonly unread: readonly IntegrationView[]
}

/** The revocation of tokens before it happens. */
export interface RevocationPlan {
  readonly integration: IntegrationView
  readonly platform: Platform
  readonly revoker: TokenRevoker
  readonly count: number
  /** The other integrations that hold one of the tokens, as `workspace/name`. */
  readonly sharers: readonly string[]
}

/** Which access tokens of an integration: all that it has, the current one, or those before it that are kept. */
export type RevocationScope = 'all' | 'current' | 'previous'

/** The tokens that a change is to have revoked. */
export interface RevocationStart {
  readonly scope: RevocationScope
  /** The token that is current after the change; absent: the present one. */
  readonly current?: Fingerprint | undefined
  readonly urls: ApiUrls
}

/**
 * How the platform of an integration revokes a secret.
 *
 * @throws BAD_INPUT when no API of the platform does
 */
export function revokerOf(integration: IntegrationView, field: SecretField): TokenRevoker {
  const platform = platformOf(integration)
  const { label, page } = secretDefinition(platform, field)
  const { revoker } = platform.api
  if (revoker && field === 'accessToken') return revoker
  throw badInput(
    `no API of ${platform.title} revokes ${label}s`,
    `revoke the ${label} by hand at ${page}; without --revoke, a change is made here alone`,
  )
}

/**
 * What would be revoked.
 *
 * @param which `token`: the new token that takes the place of the current one, where it is known
 * @throws NOT_FOUND, BAD_INPUT when the platform cannot revoke a token, DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export const planRevocation = (
  store: Store,
  id: IntegrationId,
  { scope, token }: { readonly scope: RevocationScope; readonly token?: Secret | undefined },
): Promise<RevocationPlan> =>
  store.mutate(
    async (tx) => {
      const which = token ? { scope: 'previous' as const, current: tx.secrets.fingerprint(token) } : { scope }
      const { integration, tokens } = await changeWithin(tx, { id }, async (integration) => ({
        result: { integration, tokens: await tokensOf(tx, integration, which) },
      }))
      return {
        integration,
        platform: platformOf(integration),
        revoker: revokerOf(integration, 'accessToken'),
        count: tokens.length,
        sharers: (await sharersOf(tx, tokens)).map(refOf),
      }
    },
    { dryRun: true },
  )

/**
 * Reads tokens within a change, before the change deletes them, and records that they are about to be revoked.
 *
 * @throws BAD_INPUT when the platform cannot revoke a token, DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export async function beginRevocation(
  tx: Transaction,
  integration: IntegrationView,
  { urls, ...which }: RevocationStart,
): Promise<readonly RevocableToken[]> {
  const tokens = await tokensOf(tx, integration, which)
  for (const token of tokens) await tx.record(eventOf(token, urls))
  return tokens
}

/** @throws BAD_INPUT, DECRYPTION_FAILED, KEY_NOT_FOUND */
async function tokensOf(
  tx: Transaction,
  integration: IntegrationView,
  { scope, current: later }: Pick<RevocationStart, 'scope' | 'current'>,
): Promise<readonly RevocableToken[]> {
  const { id } = integration
  const { pattern } = revokerOf(integration, 'accessToken')
  // A token that the application has written is recorded first.
  await tx.secrets.read(id, ['accessToken'])
  const { keyring, settings, previousValues } = tx
  const { stored } = await tx.secrets.valid('accessToken', [id])
  const accepted = stored.flatMap((one) =>
    decryptAccepted({ keyring, mode: settings.mode, previous: previousValues }, one, (error) => {
      throw error
    }),
  )
  const current = later ?? accepted.find(({ validUntil }) => validUntil === null)?.fingerprint
  const chosen = accepted.filter(
    ({ fingerprint }) => scope === 'all' || (fingerprint === current) === (scope === 'current'),
  )
  // A token may have been current twice.
  const distinct = [...new Map(chosen.map((one) => [one.fingerprint, one])).values()]
  return distinct.map(({ fingerprint, value }) => {
    if (!pattern.test(value.reveal())) throw unknownForm(integration, fingerprint)
    const column = secretColumns.accessToken
    return { integration, fingerprint, value, field: fingerprint === current ? column : `previous_${column}` }
  })
}

function unknownForm(integration: IntegrationView, fingerprint: Fingerprint): IntegrationsError {
  const { title, secrets } = platformOf(integration)
  return badInput(
    `no API of ${title} revokes a token of the form that the one with the fingerprint ${fingerprint} has`,
    `revoke the token by hand at ${secrets.accessToken?.page}; without --revoke, a change is made here alone`,
  )
}

/** The other integrations that have one of some tokens. */
async function sharersOf(tx: Transaction, tokens: readonly RevocableToken[]): Promise<readonly IntegrationView[]> {
  const ids = new Set<IntegrationId>()
  for (const { integration, fingerprint, value } of tokens)
    for (const id of await tx.secrets.sharing('accessToken', fingerprint, value)) if (id !== integration.id) ids.add(id)
  const [first, ...others] = ids
  return first === undefined ? [] : tx.integrations.match({ by: 'ids', ids: [first, ...others] }, ids.size)
}

/** The event of a revocation: without an answer before the request, with it afterwards. */
const eventOf = (
  { integration, fingerprint, field }: Omit<RevocableToken, 'value'>,
  urls: ApiUrls,
  answer?: Revocation,
): NewEvent => ({
  action: 'secret.revoke',
  outcome: answer === undefined ? 'started' : isRevoked(answer) ? 'done' : 'failed',
  target: targetOf(integration),
  fields: [
    field,
    `fingerprint:${fingerprint}`,
    ...(answer === undefined ? [] : [`outcome:${answer.outcome}`]),
    ...(answer?.code ? [`code:${answer.code}`] : []),
    ...overridden(new Map([...urls].filter(([id]) => id === integration.platform))),
  ],
})

/** Whether a platform does not accept a token any more, or soon will not. */
const isRevoked = ({ outcome }: Revocation): boolean =>
  outcome === 'revoked' || outcome === 'accepted' || outcome === 'invalid'

/**
 * Has platforms revoke tokens, after the change that deleted them, or began this, and records their answers. A revoked token
 * has expired wherever it is still stored. A platform that names a time is asked again as long as `wait` allows.
 *
 * @throws OUTCOME_UNKNOWN when an answer cannot be recorded
 */
export async function revokeTokens(
  store: Store,
  tokens: readonly RevocableToken[],
  asking: AskOptions,
): Promise<readonly RevokedToken[]> {
  failpoint('revocation committed')
  const answers = new Map<Fingerprint, Revocation>()
  for (const token of tokens)
    if (!answers.has(token.fingerprint)) answers.set(token.fingerprint, await ask(token, asking))
  failpoint('revocation answered')
  if (tokens.length === 0) return []
  const answered = tokens.flatMap((token) => {
    const answer = answers.get(token.fingerprint)
    return answer ? [{ token, answer }] : []
  })
  try {
    return await store.mutate(async (tx) => {
      for (const { token, answer } of answered) await tx.record(eventOf(token, asking.urls, answer))
      const revoked: RevokedToken[] = []
      for (const { token, answer } of answered) {
        const { value: _, ...facts } = token
        const holders = isRevoked(answer) ? await storeExpired(tx, token) : { expired: [], unread: [] }
        revoked.push({ ...facts, answer, ...holders })
      }
      return revoked
    })
  } catch (error) {
    if (!(error instanceof IntegrationsError)) throw error
    const told = answered.map(({ token, answer }) => describeRevocation({ ...token, answer }))
    throw new IntegrationsError({
      code: 'OUTCOME_UNKNOWN',
      message: `${told.join('; ')}; but that could not be recorded in the audit log (${error.message})`,
      hint: 'write the answer down elsewhere: the audit log says that the revocation was started',
      cause: error,
    })
  }
}

/** Stores that a token has expired, wherever it is current. @returns the integrations that have it, and that may have it */
async function storeExpired(tx: Transaction, token: RevocableToken): Promise<Pick<RevokedToken, 'expired' | 'unread'>> {
  const expired: IntegrationView[] = []
  const unread: IntegrationView[] = []
  for (const id of [token.integration.id, ...(await sharersOf(tx, [token])).map((one) => one.id)]) {
    if ((await tx.integrations.match({ by: 'id', value: id }, 1)).length === 0) continue
    const { after, holds } = await changeWithin(tx, { id }, async (integration) => {
      const held = await tx.secrets.read(id, ['accessToken']).catch((error: unknown) => {
        // What cannot be read of another integration keeps the answer from nobody.
        if (!isDecryptionFailure(error)) throw error
        unread.push(integration)
        return undefined
      })
      const ends = integration.tokenExpiresAt
      const hasExpired = ends !== null && Date.parse(ends) <= tx.now.getTime()
      const holds = held?.accessToken?.fingerprint === token.fingerprint
      if (!held?.accessToken || !holds || hasExpired) return { result: { holds } }
      await tx.secrets.setExpiry(id, held.accessToken.number, instantOf(tx.now))
      return { facts: { action: 'integration.update', fields: ['token_expires_at'] }, result: { holds } }
    })
    if (holds) expired.push(after)
  }
  return { expired, unread }
}

async function ask({ integration, value }: RevocableToken, { urls, wait }: AskOptions): Promise<Revocation> {
  const { revoke } = revokerOf(integration, 'accessToken')
  const client = askPlatform(platformOf(integration), integration.config, urls)
  const deadline = performance.now() + wait
  for (;;) {
    const answer = await revoke(client, value)
    const pauseMs = Math.max(1, answer.retryAfterSeconds ?? Number.POSITIVE_INFINITY) * 1000
    if (answer.outcome !== 'failed' || performance.now() + pauseMs > deadline) return answer
    await sleep(pauseMs)
  }
}
