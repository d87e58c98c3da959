import { jsonOf } from '../../json.ts'
import { schemeOf, type Webhooks } from '../../platforms/platform.ts'
import { signedHeaders } from '../../platforms/signature.ts'
import type { Store } from '../../store/store.ts'
import { openSigning, type Signer } from './secrets.ts'

/**
 * The headers with which the platform would send a body to an integration's endpoint. Access to the secret is committed
 * to the audit log first; `now` is in milliseconds since 1970.
 *
 * @throws NOT_FOUND when there is no such secret, AMBIGUOUS, DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export async function signWebhook(
  store: Store,
  ref: string,
  { signer, body, now }: { readonly signer: Signer; readonly body: Uint8Array; readonly now: number },
): Promise<{ readonly [header: string]: string }> {
  const {
    integration,
    platform: { webhooks },
    secret,
  } = await openSigning(store, { ref, signer, action: 'webhook.sign' })
  const scheme = schemeOf(webhooks, integration.config)
  return { ...unsignedHeaders(webhooks, body), ...signedHeaders(scheme, { secret: secret.value, body, now }) }
}

/** The headers that a platform sends besides the signature; receivers depend on the content type. */
export const unsignedHeaders = (webhooks: Webhooks, body: Uint8Array): { readonly [header: string]: string } => ({
  'content-type': contentType(body),
  ...webhooks.deliveryHeaders?.(body),
})

const contentType = (body: Uint8Array) =>
  jsonOf(Buffer.from(body).toString()) === undefined ? 'application/x-www-form-urlencoded' : 'application/json'
