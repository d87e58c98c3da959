import { instantOf } from '../../brands.ts'
import { isDecryptionFailure } from '../../errors.ts'
import type { IntegrationView, SecretField } from '../../integration.ts'
import type { Store, Transaction } from '../../store/store.ts'
import { auditOnly, type Changed, type ChangeOptions, changeWithin, findToChange } from '../change.ts'
import type { AskOptions } from '../check/token.ts'
import {
  beginRevocation,
  isRevoked,
  type RevocableToken,
  type RevokedToken,
  revokerOf,
  revokeTokens,
  sharersOf,
} from './revocation.ts'
import { noSecret } from './values.ts'

/** Which current token to revoke. */
export interface CurrentRevocation extends ChangeOptions {
  readonly field: SecretField
  readonly asking: AskOptions
  /** Runs work that must not be interrupted: the answer of the platform must not be lost. */
  readonly uninterrupted: <T>(work: () => Promise<T>) => Promise<T>
}

/**
 * Has the platform revoke the current access token of an integration, which stays stored; that it has expired is stored with
 * it, in every integration that has the same token.
 *
 * @returns the integration before and after; undefined in place of the answer for a dry run
 * @throws NOT_FOUND also without a token, AMBIGUOUS, BAD_INPUT when no API of the platform revokes it, CONFLICT,
 *   DECRYPTION_FAILED, KEY_NOT_FOUND, OUTCOME_UNKNOWN when the answer cannot be recorded
 */
export async function revokeCurrent(
  store: Store,
  ref: string,
  { field, asking, uninterrupted, ifVersion, dryRun = false }: CurrentRevocation,
): Promise<Changed & { readonly revoked: RevokedToken | undefined }> {
  const found = await findToChange(store, ref)
  const { before, token } = await store.mutate(
    (tx) =>
      changeWithin(tx, { ...found, ifVersion }, async (integration) => {
        revokerOf(integration, field)
        const [token] = await beginRevocation(tx, integration, { scope: 'current', urls: asking.urls })
        if (!token) throw noSecret(integration, field, ref)
        return { result: { token } }
      }),
    { ...auditOnly, dryRun },
  )
  if (dryRun) return { before, after: before, revoked: undefined }
  let after = before
  const [revoked] = await uninterrupted(() =>
    revokeTokens(store, [token], asking, async (tx, [one]) => {
      if (one && isRevoked(one.answer)) after = (await storeExpired(tx, token)) ?? before
    }),
  )
  return { before, after, revoked }
}

/** Stores that a token has expired, wherever it is current. @returns the integration that it was revoked for, unless it was removed meanwhile */
async function storeExpired(tx: Transaction, token: RevocableToken): Promise<IntegrationView | undefined> {
  const { id } = token.integration
  let shown: IntegrationView | undefined
  for (const holder of [id, ...(await sharersOf(tx, [token])).map((one) => one.id)]) {
    if ((await tx.integrations.match({ by: 'id', value: holder }, 1)).length === 0) continue
    const { after } = await changeWithin(tx, { id: holder }, async (integration) => {
      const held = await tx.secrets.read(holder, ['accessToken']).catch((error: unknown) => {
        // What cannot be read of another integration keeps the answer from nobody.
        if (!isDecryptionFailure(error)) throw error
        return undefined
      })
      const ends = integration.tokenExpiresAt
      const hasExpired = ends !== null && Date.parse(ends) <= tx.now.getTime()
      if (held?.accessToken?.fingerprint !== token.fingerprint || hasExpired) return { result: {} }
      await tx.secrets.setExpiry(holder, held.accessToken.number, instantOf(tx.now))
      return { facts: { action: 'integration.update', fields: ['token_expires_at'] }, result: {} }
    })
    if (holder === id) shown = after
  }
  return shown
}
