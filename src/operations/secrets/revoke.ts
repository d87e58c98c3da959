import type { SecretField } from '../../integration.ts'
import type { Store } from '../../store/store.ts'
import { auditOnly, type Changed, type ChangeOptions, changeWithin, findToChange } from '../change.ts'
import type { AskOptions } from '../check/token.ts'
import { type Ref, refText } from '../find.ts'
import { beginRevocation, type RevokedToken, revokerOf, revokeTokens } from './revocation.ts'
import { noSecret } from './values.ts'

/** Which current token to revoke. */
export interface CurrentRevocation extends ChangeOptions {
  readonly field: SecretField
  readonly asking: AskOptions
  /** Runs work that must not be interrupted: the answer of the platform must not be lost. */
  readonly uninterrupted: <T>(work: () => Promise<T>) => Promise<T>
}

/**
 * Has the platform revoke the current access token of an integration, which stays stored, as expired.
 *
 * @returns the integration before and after; undefined in place of the answer for a dry run
 * @throws NOT_FOUND also without a token, AMBIGUOUS, BAD_INPUT when no API of the platform revokes it, CONFLICT,
 *   DECRYPTION_FAILED, KEY_NOT_FOUND, OUTCOME_UNKNOWN when the answer cannot be recorded
 */
export async function revokeCurrent(
  store: Store,
  ref: Ref,
  { field, asking, uninterrupted, ifVersion, dryRun = false }: CurrentRevocation,
): Promise<Changed & { readonly revoked: RevokedToken | undefined }> {
  const found = await findToChange(store, ref)
  const { before, token } = await store.mutate(
    (tx) =>
      changeWithin(tx, { ...found, ifVersion }, async (integration) => {
        revokerOf(integration, field)
        const [token] = await beginRevocation(tx, integration, { scope: 'current', urls: asking.urls })
        if (!token) throw noSecret(integration, field, refText(ref))
        return { result: { token } }
      }),
    { ...auditOnly, dryRun },
  )
  if (dryRun) return { before, after: before, revoked: undefined }
  const [revoked] = await uninterrupted(() => revokeTokens(store, [token], asking))
  return { before, after: revoked?.expired.find(({ id }) => id === before.id) ?? before, revoked }
}
