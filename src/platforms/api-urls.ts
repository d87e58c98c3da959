import { badInput } from '../errors.ts'
import type { Json } from '../integration.ts'
import { type Ask, client } from './http.ts'
import type { Platform } from './platform.ts'
import { platformById } from './platforms.ts'

/** Where somebody wants platforms to be asked, in place of their own addresses: by the id of the platform. */
export type ApiUrls = ReadonlyMap<string, URL>

/**
 * Reads where a platform is to be asked, as in `slack=http://127.0.0.1:1234/`: https, or this machine itself.
 *
 * @throws BAD_INPUT, which never quotes the address: it may hold a password
 */
export function parseApiUrl(text: string): readonly [platform: string, url: URL] {
  const equals = text.indexOf('=')
  // What is no word may be an address, up to its query.
  if (!/^[\w-]+=/.test(text))
    throw badInput('an API address does not say of which platform', 'write it as in slack=http://127.0.0.1:1234/')
  const id = text.slice(0, equals)
  platformById(id)
  const url = URL.canParse(text.slice(equals + 1)) ? new URL(text.slice(equals + 1)) : undefined
  const refuse = (why: string, hint = `write it as in ${id}=https://example.com/api/`) =>
    badInput(`the API address of ${id} ${why}`, hint)
  if (!url) throw refuse('is no URL')
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refuse('is neither https nor http')
  if (url.protocol === 'http:' && !isLoopback(url))
    throw refuse('is http, which others on the way can read', 'use https; http is for 127.0.0.1, ::1 and localhost')
  if (url.username !== '' || url.password !== '') throw refuse('holds a user name or a password')
  // The audit log keeps it in a list with commas.
  if (/[?#,]/.test(url.href)) throw refuse('has a query, a fragment or a comma')
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return [id, url]
}

/** Whether an address is this machine's own. URL has brought every way to write an IPv4 address to one. */
const isLoopback = ({ hostname }: URL) => /^(?:127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(hostname)

/** What asks a platform's API: where somebody wants it asked, else where it is for an integration of this config. */
export const askPlatform = (platform: Platform, config: Json, urls: ApiUrls): Ask =>
  client(urls.get(platform.id) ?? new URL(platform.api.url(config)))

/** The addresses in place of the platforms' own, as the audit log keeps them. */
export const overridden = (urls: ApiUrls): string[] => [...urls].map(([id, { href }]) => `api_url:${id}=${href}`)
