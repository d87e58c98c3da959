import { schemeOf, type Webhooks } from '../../platforms/platform.ts'
import { signedHeaders } from '../../platforms/signature.ts'
import type { Store } from '../../store/store.ts'
import { openSigning, type Signer } from './secrets.ts'

/**
 * The headers with which the platform would send a body to an integration's endpoint. That the secret was read is
 * committed to the audit log before.
 *
 * @param now in milliseconds since 1970
 * @throws NOT_FOUND when there is no such secret, AMBIGUOUS, DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export async function signWebhook(
  store: Store,
  ref: string,
  signer: Signer,
  body: Uint8Array,
  now: number,
): Promise<{ readonly [header: string]: string }> {
  const {
    integration,
    platform: { webhooks },
    secret,
  } = await openSigning(store, ref, signer, { action: 'webhook.sign' })
  const scheme = schemeOf(webhooks, integration.config)
  return { ...unsignedHeaders(webhooks, body), ...signedHeaders(scheme, secret.value, body, now) }
}

/** The headers that a platform sends with a body beside its signature: without the right type, a body is read otherwise. */
export const unsignedHeaders = (webhooks: Webhooks, body: Uint8Array): { readonly [header: string]: string } => ({
  'content-type': contentType(body),
  ...webhooks.beside?.(body),
})

function contentType(body: Uint8Array): string {
  try {
    JSON.parse(Buffer.from(body).toString())
    return 'application/json'
  } catch {
    return 'application/x-www-form-urlencoded'
  }
}
