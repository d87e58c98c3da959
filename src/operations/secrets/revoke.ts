import { instantOf } from '../../brands.ts'
import type { IntegrationView, SecretField } from '../../integration.ts'
import type { Store } from '../../store/store.ts'
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
  return uninterrupted(async () => {
    const [revoked] = await revokeTokens(store, [token], asking)
    const after = revoked && isRevoked(revoked.answer) ? await storeExpired(store, token) : before
    return { before, after, revoked }
  })
}

/** Stores that a token has expired, wherever it is current. @returns the integration that it was revoked for */
const storeExpired = (store: Store, token: RevocableToken): Promise<IntegrationView> =>
  store.mutate(async (tx) => {
    const { id } = token.integration
    let shown = token.integration
    for (const holder of [id, ...(await sharersOf(tx, [token])).map((one) => one.id)]) {
      const { after } = await changeWithin(tx, { id: holder }, async (integration) => {
        const { accessToken } = await tx.secrets.read(holder, ['accessToken'])
        const ends = integration.tokenExpiresAt
        if (accessToken?.fingerprint !== token.fingerprint || (ends !== null && Date.parse(ends) <= tx.now.getTime()))
          return { result: {} }
        await tx.secrets.setExpiry(holder, accessToken.number, instantOf(tx.now))
        return { facts: { action: 'integration.update', fields: ['token_expires_at'] }, result: {} }
      })
      if (holder === id) shown = after
    }
    return shown
  })
