import { badInput } from '../../errors.ts'
import { jsonOf } from '../../json.ts'
import { type Platform, schemeOf } from '../../platforms/platform.ts'
import { platformOf } from '../../platforms/platforms.ts'
import { signedHeaders } from '../../platforms/signature.ts'
import type { Store } from '../../store/store.ts'
import { findIntegration } from '../find.ts'
import { openSigning, type Signer } from './secrets.ts'

/** A body to sign, and what to send with it. */
export interface SignedContent {
  readonly body: Uint8Array
  /** The event to name in a header; undefined: the event that the body tells. */
  readonly event?: string | undefined
  /** Headers to add, or to send in place of those that the platform would send. */
  readonly headers: readonly (readonly [name: string, value: string])[]
}

/**
 * The headers with which the platform would send a body to an integration's endpoint. Access to the secret is committed
 * to the audit log first; `now` is in milliseconds since 1970.
 *
 * @throws BAD_INPUT for a body that does not tell its event, NOT_FOUND when there is no such secret, AMBIGUOUS,
 *   DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export async function signWebhook(
  store: Store,
  ref: string,
  { signer, now, ...content }: SignedContent & { readonly signer: Signer; readonly now: number },
): Promise<{ readonly [header: string]: string }> {
  const unsigned = unsignedHeaders(platformOf(await store.read((db) => findIntegration(db, ref))), content)
  const { integration, platform, secret } = await openSigning(store, { ref, signer, action: 'webhook.sign' })
  const scheme = schemeOf(platform.webhooks, integration.config)
  return { ...unsigned, ...signedHeaders(scheme, { secret: secret.value, body: content.body, now }) }
}

/**
 * The headers that a platform sends besides the signature; receivers depend on the content type.
 *
 * @throws BAD_INPUT for a body that does not tell its event, and for headers that cannot be sent
 */
export function unsignedHeaders(platform: Platform, content: SignedContent): { readonly [header: string]: string } {
  const { webhooks } = platform
  const more = givenHeaders(platform, content)
  return {
    'content-type': contentType(content.body),
    ...(webhooks.event && more[webhooks.event.header] === undefined ? eventHeader(platform, content) : {}),
    ...webhooks.deliveryHeaders?.(),
    ...more,
  }
}

const contentType = (body: Uint8Array) =>
  jsonOf(Buffer.from(body).toString()) === undefined ? 'application/x-www-form-urlencoded' : 'application/json'

function eventHeader({ title, webhooks }: Platform, { body, event }: SignedContent): { [header: string]: string } {
  if (!webhooks.event) return {}
  const name = event ?? webhooks.event.of(body)
  if (name === undefined)
    throw badInput(
      `the body does not tell which event of ${title} it is`,
      `name the event with --event, as in --event ${webhooks.event.example}`,
    )
  return { [webhooks.event.header]: name }
}

/** Headers whose value is a list, which a request may have several times (RFC 9110). */
const ofLists =
  /^(accept|accept-(charset|encoding|language)|cache-control|content-(encoding|language)|forwarded|link|pragma|prefer|via|x-forwarded-(for|host|proto))$/

/** Of HTTP itself: each request has its own. */
const ofTransport = ['content-length', 'transfer-encoding', 'connection']

function givenHeaders({ title, webhooks }: Platform, { event, headers }: SignedContent): { [header: string]: string } {
  if (event !== undefined && !webhooks.event)
    throw badInput(`${title} names the event in the body, and not in a header`, 'leave --event out')
  const signed = webhooks.schemes.flatMap(({ header, timestamp, also }) => [
    ...[header, ...(timestamp ? [timestamp.header] : []), ...Object.keys(also ?? {})],
  ])
  const given = new Map<string, string>()
  for (const [name, value] of headers) {
    const before = given.get(name)
    if (before !== undefined && !ofLists.test(name))
      throw badInput(`the header ${name} is given twice`, 'leave one of the two out')
    given.set(name, before === undefined ? value : `${before}, ${value}`)
    if (signed.includes(name)) throw badInput(`the header ${name} belongs to the signature`, 'leave the header out')
    if (ofTransport.includes(name))
      throw badInput(`the header ${name} is made for each request`, 'leave the header out')
    if (name === webhooks.event?.header && event !== undefined)
      throw badInput(`the event is given twice, by --event and by the header ${name}`, 'leave one of them out')
    // Values are not quoted: they may be credentials.
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value))
      throw badInput(`the header ${name} has a character that HTTP does not allow`, 'write the value in ASCII')
  }
  return Object.fromEntries(given)
}
