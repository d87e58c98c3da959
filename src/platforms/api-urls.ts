import { badInput } from '../errors.ts'
import type { Json } from '../json.ts'
import { type Ask, createClient } from './http.ts'
import type { Platform } from './platform.ts'
import { platformById } from './platforms.ts'

/** API URLs in place of the platforms' own, by the id of the platform. */
export type ApiUrls = ReadonlyMap<string, URL>

/**
 * Parses the API URL of a platform, as in `slack=http://127.0.0.1:1234/`: https, or http on a loopback address.
 *
 * @throws BAD_INPUT, which never quotes the URL: it may hold a password
 */
export function parseApiUrl(text: string): readonly [platform: string, url: URL] {
  const equals = text.indexOf('=')
  // Text before "=" that is not a word may be part of a URL.
  if (!/^[\w-]+=/.test(text))
    throw badInput('an API URL lacks the name of a platform', 'write it as in slack=http://127.0.0.1:1234/')
  const id = text.slice(0, equals)
  platformById(id)
  const url = URL.canParse(text.slice(equals + 1)) ? new URL(text.slice(equals + 1)) : undefined
  const refuse = (why: string, hint = `write it as in ${id}=https://example.com/api/`) =>
    badInput(`the API URL of ${id} ${why}`, hint)
  if (!url) throw refuse('is not a URL')
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refuse('is neither https nor http')
  if (url.protocol === 'http:' && !isLoopback(url))
    throw refuse('is not encrypted', 'use https; http is for 127.0.0.1, ::1 and localhost')
  if (url.username !== '' || url.password !== '') throw refuse('contains a user name or a password')
  // The audit log keeps the URL in a list with commas.
  if (/[?#,]/.test(url.href)) throw refuse('has a query, a fragment or a comma')
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return [id, url]
}

/** Whether a URL is this machine's own. `URL` normalizes every spelling of an IPv4 address. */
const isLoopback = ({ hostname }: URL) => /^(?:127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(hostname)

/** Refuses to send a token where TLS proves nothing. @throws BAD_INPUT */
export function refuseUnverifiedTls(env: { readonly [name: string]: string | undefined }): void {
  if (env.NODE_TLS_REJECT_UNAUTHORIZED === '0')
    throw badInput(
      'NODE_TLS_REJECT_UNAUTHORIZED=0 lets any server pose as a platform, so no token is sent',
      'unset the variable; for a certificate authority of your own, name its certificate in NODE_EXTRA_CA_CERTS',
    )
}

/** The client of a platform's API, for an integration of this config: at the given URL, else at the platform's own. */
export const askPlatform = (platform: Platform, config: Json, urls: ApiUrls): Ask =>
  createClient(urls.get(platform.id) ?? new URL(platform.api.url(config)))

/** The API URLs in place of the platforms' own, as the audit log keeps them. */
export const overridden = (urls: ApiUrls): string[] => [...urls].map(([id, { href }]) => `api_url:${id}=${href}`)
