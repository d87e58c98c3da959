import type { Json } from '../integration.ts'

/** What came of a request to a platform's API. */
export type Answer =
  | { readonly answered: true; readonly status: number; readonly headers: Headers; readonly text: string }
  | {
      readonly answered: false
      /** Whether it may have reached the platform all the same. */
      readonly sent: boolean
      /** In a word, as in `timeout`. */
      readonly why: string
    }

/** What is asked of a platform's API. */
export interface Question {
  readonly method: 'GET' | 'POST'
  readonly headers?: { readonly [name: string]: string }
  readonly body?: URLSearchParams
}

/** Asks a platform's API; never throws for what the network or the platform does. @param path relative to the API's base */
export type Ask = (path: string, question: Question) => Promise<Answer>

/** How much of an answer is read at most, in bytes. */
const longestAnswer = 1_048_576

/** How long a request may take, in milliseconds, unless told otherwise. */
const patience = 20_000

/**
 * Asks the API at one address and nowhere else: redirects are not followed, an answer is read to 1 MiB at most, and
 * nothing is asked again.
 *
 * @param base ends with a slash; `https:`, unless somebody has named a loopback address
 * @param timeout in milliseconds
 */
export const client =
  (base: URL, timeout = patience): Ask =>
  async (path, { method, headers, body }) => {
    let response: Response
    const signal = AbortSignal.timeout(timeout)
    try {
      response = await fetch(new URL(path, base), {
        method,
        headers: { ...headers, 'user-agent': 'integrations' },
        redirect: 'manual',
        signal,
        ...(body ? { body } : {}),
      })
    } catch (error) {
      return lost(error)
    }
    const { status } = response
    try {
      const text = await limited(response)
      if (text === undefined) return { answered: false, sent: true, why: 'too_large' }
      if (status >= 300 && status < 400) return { answered: false, sent: true, why: 'redirected' }
      return { answered: true, status, headers: response.headers, text }
    } catch (error) {
      return { ...lost(error), sent: true }
    }
  }

/** The text of an answer; undefined when it is longer than any that is meant. */
async function limited(response: Response): Promise<string | undefined> {
  const chunks: Uint8Array[] = []
  let length = 0
  // Leaving the loop ends the connection.
  for await (const chunk of response.body ?? []) {
    length += chunk.length
    if (length > longestAnswer) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/** What these errors say has happened before anything was sent. */
const neverSent: { readonly [code: string]: string } = {
  ENOTFOUND: 'no_such_host',
  EAI_AGAIN: 'no_such_host',
  ECONNREFUSED: 'connection_refused',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  UND_ERR_CONNECT_TIMEOUT: 'connect_timeout',
}

function lost(error: unknown): Extract<Answer, { answered: false }> {
  const { name, cause } = error as { name?: string; cause?: { code?: string; message?: string } }
  const code = cause?.code ?? ''
  const before = neverSent[code]
  if (before) return { answered: false, sent: false, why: before }
  // The Fetch standard forbids some ports: https://fetch.spec.whatwg.org/#port-blocking
  if (cause?.message === 'bad port') return { answered: false, sent: false, why: 'bad_port' }
  // OpenSSL's and Node's names for a certificate that will not do: the handshake has failed.
  if (/^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS_|ERR_SSL_|EPROTO)/.test(code))
    return { answered: false, sent: false, why: 'tls_failed' }
  return { answered: false, sent: true, why: name === 'TimeoutError' ? 'timeout' : 'connection_lost' }
}

/** A platform's own word for what happened, unless it is none: what a platform says may hold anything. */
export const codeOf = (text: unknown): string | null =>
  typeof text === 'string' && /^[\w.:-]{1,64}$/.test(text) ? text : null

/** Parses JSON; undefined when it is none. */
export function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json
  } catch {
    return undefined
  }
}

/** Nobody waits longer, in seconds: about eleven days. */
const longestPause = 999_999

/** A time as HTTP writes it: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7 */
const httpDate = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/

/** How many seconds a platform wants to be left alone, or until when; nothing where it does not say so. */
export function retryAfter(headers: Headers, ...names: readonly string[]): { retryAfter?: number } {
  const text = ['retry-after', ...names].map((name) => headers.get(name)).find((value) => value !== null) ?? ''
  if (httpDate.test(text)) return secondsUntil(Date.parse(text), headers)
  return /^\d{1,6}$/.test(text) ? { retryAfter: Number(text) } : {}
}

/**
 * How many seconds it is to a time at which a platform wants to be asked again, by the platform's own clock.
 *
 * @param time in milliseconds since 1970
 */
export function secondsUntil(time: number, headers: Headers): { retryAfter?: number } {
  const clock = headers.get('date') ?? ''
  const now = httpDate.test(clock) ? Date.parse(clock) : Date.now()
  const seconds = Math.max(0, Math.ceil((time - now) / 1000))
  return seconds <= longestPause ? { retryAfter: seconds } : {}
}
