import { request as overHttp } from 'node:http'
import { request as overHttps } from 'node:https'
import type { LookupFunction } from 'node:net'
import { badInput, IntegrationsError, systemCode } from '../../errors.ts'
import type { IntegrationView } from '../../integration.ts'
import { jsonOf, objectOf } from '../../json.ts'
import { type Platform, schemeOf } from '../../platforms/platform.ts'
import { platformOf } from '../../platforms/platforms.ts'
import { signedHeaders } from '../../platforms/signature.ts'
import type { ValidSecret } from '../../store/secrets/decrypt-accepted.ts'
import type { Store } from '../../store/store.ts'
import { auditOnly, targetOf } from '../change.ts'
import { findIntegration } from '../find.ts'
import { openSigning, type Signer, signedWith } from './secrets.ts'
import { type SignedContent, unsignedHeaders } from './sign.ts'
import { type Destination, findDestination, parseAddress } from './web-address.ts'

/** How to send a webhook. */
export interface Sending {
  /** The URL of the endpoint. */
  readonly address: string
  readonly signer: Signer
  /** The name of a platform's sample; default: the first sample. */
  readonly sample?: string | undefined
  /** What to send in place of a sample. */
  readonly body?: Uint8Array | undefined
  /** The event of that body. */
  readonly event?: SignedContent['event']
  readonly headers: SignedContent['headers']
  readonly allowPrivate: boolean
  /** Is told when the result cannot be recorded. */
  warn(text: string): void
}

/** The answer of an endpoint. */
export interface EndpointAnswer {
  readonly status: number
  /** The target of a redirect, which is not followed. */
  readonly location: string | null
  /** The first bytes of the body, as UTF-8. */
  readonly body: string
  /** Whether the body is longer. */
  readonly truncated: boolean
  /** Until the headers arrived. */
  readonly milliseconds: number
}

/** The result of sending a webhook. */
export interface Sent {
  readonly integration: IntegrationView
  /** null when a body was given. */
  readonly sample: string | null
  readonly secret: Omit<ValidSecret, 'value'>
  readonly host: string
  readonly answer: EndpointAnswer
  /** Whether the answer has the challenge that the body asks to be sent back; null for a body without a challenge. */
  readonly challengeReturned: boolean | null
}

/** How long an endpoint may take for its whole answer. Slack waits for 3 seconds. */
const requestTimeoutMs = 20_000

/** How many bytes of an answer are read and shown. */
const shownBytes = 1000

/**
 * Posts a signed webhook to an endpoint, as the platform would. The start is committed to the audit log first, and the
 * result afterwards, with the host alone of the URL. The webhook cannot be taken back: a result that cannot be recorded
 * is the answer all the same, with a warning.
 *
 * @throws BAD_INPUT, NOT_FOUND, AMBIGUOUS, DECRYPTION_FAILED, KEY_NOT_FOUND, PLATFORM_FAILED without an answer
 */
export async function sendWebhook(store: Store, ref: string, sending: Sending): Promise<Sent> {
  const { signer } = sending
  const url = parseAddress(sending.address)
  const { sample, headers, body } = await contentOf(store, ref, sending)
  const destination = await findDestination(url, sending.allowPrivate)
  // The audit log separates fields by commas.
  const host = `host:${url.host.replaceAll(',', '%2C')}`
  const event = { action: 'webhook.send' as const, fields: [host] }
  const { integration, platform, secret } = await openSigning(store, { ...event, ref, signer, outcome: 'started' })
  const record = async (outcome: 'done' | 'failed', ...more: readonly string[]) => {
    const fields = [signedWith(signer), host, ...more]
    const ended = { ...event, outcome, target: targetOf(integration), fields }
    try {
      await store.mutate((tx) => tx.record(ended), auditOnly)
    } catch (error) {
      if (!(error instanceof IntegrationsError)) throw error
      sending.warn(`the audit log does not record how the endpoint answered: ${error.message}`)
    }
  }
  const scheme = schemeOf(platform.webhooks, integration.config)
  const signature = signedHeaders(scheme, { secret: secret.value, body, now: Date.now() })
  const answer = await post(destination, { ...headers, ...signature }, body).catch(async (error) => {
    await record('failed')
    throw error
  })
  const read = platform.webhooks.read({ headers: new Headers(headers), body }, integration)
  const challenge = read.kind === 'answer' ? read.body : ''
  const challengeReturned = challenge === '' ? null : returns(answer, challenge)
  await record(
    accepted({ answer, challengeReturned }) ? 'done' : 'failed',
    `status:${answer.status}`,
    ...(challengeReturned === false ? ['challenge:missing'] : []),
  )
  const { number, fingerprint, validUntil } = secret
  const signedBy = { number, fingerprint, validUntil }
  return { integration, sample, secret: signedBy, host: url.host, answer, challengeReturned }
}

/** Whether an endpoint accepted a webhook: by its status, and where the platform asks for a challenge, by that too. */
export const accepted = ({
  answer: { status },
  challengeReturned,
}: Pick<Sent, 'answer' | 'challengeReturned'>): boolean => status >= 200 && status < 300 && challengeReturned !== false

/** Whether an answer has a challenge, in one of the forms that platforms take: as it is, as JSON, or as a form. */
const returns = ({ body }: EndpointAnswer, challenge: string): boolean =>
  body.trim() === challenge ||
  objectOf(jsonOf(body))?.challenge === challenge ||
  new URLSearchParams(body).get('challenge') === challenge

async function contentOf(store: Store, ref: string, { sample, body, event, headers }: Sending) {
  const integration = await store.read((db) => findIntegration(db, ref))
  const platform = platformOf(integration)
  const made = body ? { sample: null, body } : makeSample(platform, integration, sample)
  return { ...made, headers: unsignedHeaders(platform, { body: made.body, event, headers }) }
}

function makeSample({ title, webhooks }: Platform, integration: IntegrationView, wanted: string | undefined) {
  const names = Object.keys(webhooks.samples)
  const sample = wanted ?? names[0] ?? ''
  const make = Object.hasOwn(webhooks.samples, sample) ? webhooks.samples[sample] : undefined
  if (!make)
    throw badInput(
      `${title} has no sample ${JSON.stringify(sample)}`,
      `the samples of ${title} are ${names.join(', ')}`,
    )
  return { sample, body: Buffer.from(make(integration, new Date())) }
}

/** Posts to the resolved addresses without another name lookup. @throws PLATFORM_FAILED */
function post(
  { url, addresses }: Destination,
  headers: { readonly [name: string]: string },
  body: Uint8Array,
): Promise<EndpointAnswer> {
  const pinned: LookupFunction = (_, { all }, found) =>
    all ? found(null, [...addresses]) : found(null, addresses[0].address, addresses[0].family)
  const began = performance.now()
  return new Promise((answered, failed) => {
    const request = (url.protocol === 'https:' ? overHttps : overHttp)(url, {
      method: 'POST',
      headers: { 'user-agent': 'integrations', ...headers, 'content-length': body.length },
      lookup: pinned,
      agent: false,
      signal: AbortSignal.timeout(requestTimeoutMs),
    })
    let begun = false
    // An error after the headers only ends the body.
    request.on('error', (error) => begun || failed(notReached(url, error)))
    request.on('response', (response) => {
      begun = true
      const milliseconds = Math.round(performance.now() - began)
      const chunks: Buffer[] = []
      let length = 0
      const done = () => {
        answered({
          status: response.statusCode ?? 0,
          location: response.headers.location ?? null,
          body: Buffer.concat(chunks).subarray(0, shownBytes).toString(),
          truncated: length > shownBytes || !response.complete,
          milliseconds,
        })
        request.destroy()
      }
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        length += chunk.length
        if (length > shownBytes) done()
      })
      // The headers have arrived, however the body ends.
      response.on('error', done).on('close', done)
    })
    request.end(body)
  })
}

const reasons: { readonly [code: string]: string } = {
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was lost',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to the host',
  ETIMEDOUT: 'the connection timed out',
  ABORT_ERR: `no answer within ${requestTimeoutMs / 1000} seconds`,
}

function notReached(url: URL, error: unknown): IntegrationsError {
  // Codes are Node's and OpenSSL's own; messages may contain text of the other side.
  const code = systemCode(error)
  const reason =
    reasons[code] ?? (url.protocol === 'https:' ? `no secure connection (${code})` : `the request failed (${code})`)
  return new IntegrationsError({
    code: 'PLATFORM_FAILED',
    message: `${url.host} was not reached: ${reason}`,
    hint: 'check that the endpoint runs, and that this machine can reach it',
  })
}
