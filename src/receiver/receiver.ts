import { homedir, hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import packageJson from '../../package.json' with { type: 'json' }
import { parseKeySet } from '../crypto/key-set.ts'
import type { KeySource } from '../crypto/key-source.ts'
import { IntegrationsError } from '../errors.ts'
import type { IntegrationView } from '../integration.ts'
import { keyFile } from '../keys/file.ts'
import { parseApiUrl } from '../platforms/api-urls.ts'
import type { Platform, WebhookEvent } from '../platforms/platform.ts'
import { type IntegrationPlatform, platforms } from '../platforms/platforms.ts'
import { parseDatabaseUrl } from '../store/database/url.ts'
import { openStore } from '../store/store.ts'
import { createLookup } from './cache.ts'
import { createDuplicateFilter } from './duplicates.ts'
import type { IgnoreReason, Outcome, Refusal, Token } from './outcome.ts'
import { type Parts, receive } from './receive.ts'
import type { IncomingRequest } from './request.ts'
import { createTokenProvider } from './tokens.ts'
import { createUsageRecorder } from './usage.ts'

export { IntegrationsError } from '../errors.ts'
export { fromNode } from './request.ts'
export type { IgnoreReason, IncomingRequest, IntegrationView, Outcome, Refusal, Token, WebhookEvent }

/** Where the keys of the database are. */
export type ReceiverKeys =
  /** A file that holds a JWK Set, readable by this user alone. */
  | { readonly file: string }
  /** The text of one, or what gets it, from a vault for instance: asked again, now and then, when a new key is met. */
  | { readonly set: string | (() => string | Promise<string>) }

/** What a receiver works with. */
export interface ReceiverOptions {
  /** A URL, as in `postgresql://app@db.example.com/app` or `file:/srv/app/integrations.db`. */
  readonly database: string
  readonly keys: ReceiverKeys
  /** For how many seconds secrets are remembered: so long one that was revoked can still match. 5 unless told otherwise, 60 at most. */
  readonly remember?: number
  /** Where new tokens are kept, sealed, until they are in the database; the folder that the program uses, unless told otherwise. */
  readonly spool?: string
  /** Where to ask a platform in place of its own address, by its id: https, or this machine itself. */
  readonly apiUrls?: { readonly [P in IntegrationPlatform]?: string }
  /** Told of what went wrong beside a request: a value that does not open, a use that could not be written down. */
  readonly onError?: (error: Error & { readonly code?: string; readonly hint?: string }) => unknown
}

type Receive<P extends Platform> = P extends { readonly webhooks: { readonly tenant: object } }
  ? (request: IncomingRequest) => Promise<Outcome>
  : (request: IncomingRequest, sender: { readonly integrationId: string }) => Promise<Outcome>

/** Receives webhooks: a method for each platform, by its id. */
export type Receiver = {
  readonly [P in IntegrationPlatform]: Receive<Extract<(typeof platforms)[number], { readonly id: P }>>
} & {
  /**
   * A valid access token of an integration: by its id, `workspace/name` or unique name. One that ends within two hours is
   * refreshed first, where the platform has refresh tokens; however many processes ask, one of them does it.
   *
   * @throws IntegrationsError: NOT_FOUND, AMBIGUOUS, and when none is valid any more CREDENTIAL_REFUSED, PLATFORM_FAILED,
   *   LEASE_HELD, OUTCOME_UNKNOWN
   */
  token(ref: string): Promise<Token>
  /** Waits for tokens that are being refreshed, writes down what is left to be, and closes the connections. */
  close(): Promise<void>
}

/**
 * Starts to receive: connects to the database, reads its keys, and reports in, so that `integrations rotate` knows that
 * old values are accepted here for a while.
 *
 * @throws IntegrationsError: DATABASE_UNREACHABLE, DATABASE_MISSING, DATABASE_OUTDATED, KEYS_MISSING, KEYS_INVALID, BAD_INPUT
 */
export async function createReceiver(options: ReceiverOptions): Promise<Receiver> {
  const problem = told(options.onError)
  const keys = keySource(options.keys)
  const store = await openStore({
    database: parseDatabaseUrl(options.database, '/'),
    wait: 10_000,
    neverBlock: true,
    create: false,
    readOnly: false,
    notice: () => {},
    keys,
    attribution: {
      ciIdentity: null,
      osUser: userName(),
      host: hostname(),
      pid: process.pid,
      declaredAs: 'receiver',
      reason: null,
      programVersion: packageJson.version,
    },
  })
  const keep = Math.min(Math.max(options.remember ?? 5, 0), 60) * 1000
  const recipients = createLookup(store, keys, keep, problem)
  const uses = createUsageRecorder(store, problem)
  const duplicates = createDuplicateFilter()
  try {
    await recipients.ready()
    await uses.reportIn()
  } catch (error) {
    await uses.close()
    await store.close()
    throw error
  }
  const parts: Parts = { store, recipients, uses, duplicates, problem }
  const methods = platforms.map((platform) => [
    platform.id,
    (request: IncomingRequest, sender?: { readonly integrationId: string }) =>
      receive(parts, platform, request, sender?.integrationId),
  ])
  const tokens = createTokenProvider(
    store,
    recipients.current,
    {
      withinMs: 7_200_000,
      wait: 10_000,
      owner: `receiver@${hostname()}:${process.pid}`,
      urls: new Map(Object.entries(options.apiUrls ?? {}).map(([id, url]) => parseApiUrl(`${id}=${url}`))),
      spool: options.spool ?? join(homedir(), '.local', 'state', 'integrations', 'spool'),
    },
    keep,
    problem,
  )
  return {
    ...Object.fromEntries(methods),
    token: tokens.token,
    close: async () => {
      await tokens.close()
      await uses.close()
      await store.close()
    },
  } as Receiver
}

/** Tells the application of an error; what it makes of that must not end its process. */
const told =
  (onError: ReceiverOptions['onError']) =>
  (error: unknown): void => {
    // A driver's own error may quote the row.
    const shown =
      error instanceof IntegrationsError
        ? error.with({ cause: undefined })
        : error instanceof Error
          ? error
          : new Error('something was thrown that is no error')
    // An onError that is asynchronous, too, has its failures to itself.
    void (async () => onError?.(shown))().catch(() => {})
  }

function userName(): string {
  try {
    return userInfo().username
  } catch {
    // A container may run as a user id that has no name.
    return String(process.getuid?.() ?? '')
  }
}

function keySource(keys: ReceiverKeys): KeySource {
  if ('file' in keys) return keyFile(keys.file, process.getuid?.())
  const { set } = keys
  const name = 'the key set that the receiver was given'
  const missing = (what: string) =>
    new IntegrationsError({ code: 'KEYS_MISSING', message: what, hint: 'integrations keys status' })
  return {
    name,
    writable: false,
    load: async () => parseKeySet(typeof set === 'string' ? set : await set(), name, 'hand it the text of a JWK Set'),
    empty: async () => missing(`${name} is empty`),
    add: async () => {
      throw missing('this database knows no keys yet')
    },
  }
}
