import { readUpTo } from '../streams.ts'

/** The outcome of a request to a platform's API. */
export type Answer =
  | { readonly answered: true; readonly status: number; readonly headers: Headers; readonly text: string }
  | {
      readonly answered: false
      /** Whether the request may have reached the platform. */
      readonly sent: boolean
      /** The reason in a word, as in `timeout`. */
      readonly why: string
    }

/** A request to a platform's API. */
export interface Question {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly headers?: { readonly [name: string]: string }
  /** A form, or JSON, whose type the headers name. */
  readonly body?: URLSearchParams | string
  /** Its answer must not be lost: it gets a connection of its own. */
  readonly once?: true
}

/** Sends a request to a platform's API; network errors are answers too, never thrown. @param path relative to the API's base */
export type Ask = (path: string, question: Question) => Promise<Answer>

/** No answer of a platform is read that is larger. */
export const maxAnswerBytes = 1_048_576

const requestTimeoutMs = 20_000

/**
 * Makes a client of the API at one address: it follows no redirects, reads at most 1 MiB of an answer, and never retries.
 *
 * @param base ends with a slash; `https:`, or a loopback address
 */
export const createClient =
  (base: URL, timeoutMs = requestTimeoutMs): Ask =>
  async (path, { method, headers, body, once }) => {
    let response: Response
    const signal = AbortSignal.timeout(timeoutMs)
    try {
      response = await fetch(new URL(path, base), {
        method,
        headers: {
          ...headers,
          'user-agent': 'integrations',
          // An idle connection may be closed at the moment of the request.
          ...(once ? { connection: 'close' } : {}),
        },
        redirect: 'manual',
        signal,
        ...(body ? { body } : {}),
      })
    } catch (error) {
      return networkFailure(error)
    }
    const { status } = response
    try {
      const bytes = await readUpTo(response.body ?? [], maxAnswerBytes)
      if (!bytes) return { answered: false, sent: true, why: 'too_large' }
      if (status >= 300 && status < 400) return { answered: false, sent: true, why: 'redirected' }
      return { answered: true, status, headers: response.headers, text: bytes.toString() }
    } catch (error) {
      return { ...networkFailure(error), sent: true }
    }
  }

/** Errors that occur before anything is sent, with the reason for each. */
const neverSent: { readonly [code: string]: string } = {
  ENOTFOUND: 'no_such_host',
  EAI_AGAIN: 'no_such_host',
  ECONNREFUSED: 'connection_refused',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  UND_ERR_CONNECT_TIMEOUT: 'connect_timeout',
}

function networkFailure(error: unknown): Extract<Answer, { answered: false }> {
  const { name, cause } = error as { name?: string; cause?: { code?: string; message?: string } }
  const code = cause?.code ?? ''
  const before = neverSent[code]
  if (before) return { answered: false, sent: false, why: before }
  // The Fetch standard forbids some ports: https://fetch.spec.whatwg.org/#port-blocking
  if (cause?.message === 'bad port') return { answered: false, sent: false, why: 'bad_port' }
  // OpenSSL's and Node's names for an invalid certificate: the handshake has failed.
  if (/^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS_|ERR_SSL_|EPROTO)/.test(code))
    return { answered: false, sent: false, why: 'tls_failed' }
  return { answered: false, sent: true, why: name === 'TimeoutError' ? 'timeout' : 'connection_lost' }
}

/** A platform's own error code; null for a value that does not look like a code, since a platform may send anything. */
export const codeOf = (text: unknown): string | null =>
  typeof text === 'string' && /^[\w.:-]{1,64}$/.test(text) ? text : null

/** About eleven days: a platform that names a longer time is not waited for. */
const maxRetryAfterSeconds = 999_999

/** A date in HTTP: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7 */
const httpDate = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/

/** The time after which a platform accepts requests again, from `retry-after` or other headers; empty for none. */
export function retryAfter(headers: Headers, ...names: readonly string[]): { retryAfterSeconds?: number } {
  const text = ['retry-after', ...names].map((name) => headers.get(name)).find((value) => value !== null) ?? ''
  if (httpDate.test(text)) return secondsUntil(Date.parse(text), headers)
  return /^\d{1,6}$/.test(text) ? { retryAfterSeconds: Number(text) } : {}
}

/** The seconds until a platform accepts requests again, by the platform's own clock. @param timeMs since 1970 */
export function secondsUntil(timeMs: number, headers: Headers): { retryAfterSeconds?: number } {
  const clock = headers.get('date') ?? ''
  const now = httpDate.test(clock) ? Date.parse(clock) : Date.now()
  const seconds = Math.max(0, Math.ceil((timeMs - now) / 1000))
  return seconds <= maxRetryAfterSeconds ? { retryAfterSeconds: seconds } : {}
}
