/** The receiver for webhook endpoints: signatures, the integrations of webhooks, access tokens. @module */
import { homedir, hostname } from 'node:os'
import { join } from 'node:path'
import { semaphore } from '../concurrency.ts'
import type { KeySource } from '../crypto/key-source.ts'
import { badInput, IntegrationsError, is } from '../errors.ts'
import type { IntegrationView } from '../integration.ts'
import type { Json } from '../json.ts'
import { openDatabase } from '../library/database.ts'
import { withDeadline } from '../library/deadline.ts'
import { type Keys, keySource } from '../library/key-source.ts'
import { type ApiUrls, parseApiUrl } from '../platforms/api-urls.ts'
import type { WebhookEvent } from '../platforms/platform.ts'
import { type IntegrationPlatform, platforms, type tenantPlatformIds } from '../platforms/platforms.ts'
import { type Database, parseDatabaseUrl } from '../store/database/url.ts'
import { Duplicates } from './duplicates.ts'
import { AppSigners } from './lookup/app-signers.ts'
import { LookupCache } from './lookup/cache.ts'
import { SecretReader } from './lookup/secrets.ts'
import { warmUp } from './lookup/warm-up.ts'
import { type Outcome, rejected, type Token } from './outcome.ts'
import { type Parts, receive } from './receive.ts'
import { Refusals } from './refusals.ts'
import { BodyBudget } from './request/body-budget.ts'
import type { IncomingRequest } from './request/request.ts'
import { requireTables, Startup } from './startup.ts'
import { TokenProvider } from './tokens.ts'
import { UsageRecorder } from './usage.ts'

export { IntegrationsError } from '../errors.ts'
export type { Integration, IntegrationConfig, NewIntegration } from '../library/data-model.ts'
export type { Keys as ReceiverKeys } from '../library/key-source.ts'
export type { IgnoreReason, RejectReason } from './outcome.ts'
export { fromNode } from './request/request.ts'
export type { IncomingRequest, IntegrationPlatform, IntegrationView, Outcome, Token, WebhookEvent }

/** How long to wait for a busy database, or for another process that refreshes a token. */
const waitMs = 10_000

/** How long closing waits for tokens that are being refreshed, for what is left to write, and for the connections. */
const refreshDeadlineMs = 30_000
const usageDeadlineMs = 5000
const disconnectDeadlineMs = 3000

/** How long before its expiry a token is refreshed. */
const refreshMarginMs = 7_200_000

/** What a receiver works with. */
export interface ReceiverOptions {
  /** A URL, as in `postgresql://app@db.example.com/app` or `file:/srv/app/integrations.db`; a relative path is one of the working directory. */
  readonly database: string
  readonly keys: Keys
  /** How long secrets are remembered, in seconds: so long a revoked secret can still match. 5 by default, 60 at most. */
  readonly remember?: number
  /**
   * How long secrets are used while the database cannot be reached, is busy or does not answer, in seconds since they were
   * last read: so long a revoked secret can match then. 300 by default, 3600 at most, 0 for not at all.
   */
  readonly staleSeconds?: number
  /** The folder where new tokens are kept, encrypted, until they are in the database; by default the program's own folder. */
  readonly spool?: string
  /** URLs that stand in for a platform's own, by the platform's id: https, or this machine itself. */
  readonly apiUrls?: { readonly [P in IntegrationPlatform]?: string }
  /** Called with errors that no outcome tells: a value that cannot be decrypted, a use that cannot be written down. */
  readonly onError?: (error: Error & { readonly code?: string; readonly hint?: string }) => unknown
}

type Receive<P extends IntegrationPlatform> = P extends (typeof tenantPlatformIds)[number]
  ? <Payload = Json>(request: IncomingRequest) => Promise<Outcome<Payload>>
  : <Payload = Json>(request: IncomingRequest, sender: { readonly integrationId: string }) => Promise<Outcome<Payload>>

/**
 * Receives webhooks: a method for each platform, by its id. Where the platform does not say which integration a webhook is
 * for, the endpoint names it. Answer with the outcome's `status` and `body`. The methods never throw. `Payload` is the
 * application's own type of a payload, which is not checked.
 *
 * @example
 * const outcome = await receiver.slack(request)
 * if (outcome.kind === 'event') await handle(outcome.integration, outcome.event)
 * return new Response(outcome.body, { status: outcome.status })
 * @example
 * const outcome = await receiver.pylon(request, { integrationId })
 * @example
 * const outcome = await receiver.slack<{ event: { type: string; channel?: string } }>(request)
 */
export type Receiver = {
  readonly [P in IntegrationPlatform]: Receive<P>
} & {
  /**
   * Gives a valid access token of an integration. A token that expires within two hours is refreshed first, where the
   * platform has refresh tokens; however many processes ask, one of them refreshes it.
   *
   * @param ref the integration's id, `workspace/name` or unique name
   * @throws IntegrationsError: NOT_FOUND, AMBIGUOUS, BAD_INPUT for an inactive integration or a closed receiver,
   *   DECRYPTION_FAILED, KEY_NOT_FOUND, and when no token is valid any more CREDENTIAL_REFUSED, PLATFORM_FAILED,
   *   LEASE_HELD, OUTCOME_UNKNOWN, CONFLICT when the refresh token was replaced meanwhile, BAD_INPUT when the spool
   *   cannot be written or several apps may refresh the token
   * @example
   * const { token } = await receiver.token('Acme/support')
   * await fetch('https://slack.com/api/auth.test', { method: 'POST', headers: { authorization: `Bearer ${token}` } })
   */
  token(ref: string): Promise<Token>
  /**
   * Writes down how secrets were used, and which webhooks were refused, which is otherwise done once a minute: for
   * platforms that freeze a process after its answer. Never throws; `onError` is told what could not be written.
   *
   * @example
   * after(() => receiver.flush()) // Next.js
   * context.waitUntil(receiver.flush()) // Vercel and others
   */
  flush(): Promise<void>
  /**
   * Waits for tokens that are being refreshed, writes down what is left to be, and closes the connections.
   *
   * @example
   * process.once('SIGTERM', () => server.close(() => receiver.close()))
   */
  close(): Promise<void>
}

/**
 * Starts to receive: connects to the database, reads its keys, and reports in, so that `integrations rotate` knows that
 * previous secrets are accepted here during their grace periods. While the database cannot be reached, is busy or can only
 * be read, requests are answered with 503, and `onError` is told at each further attempt. `onError` is also told of tables
 * that the application has changed so that commands fail, though webhooks can be received.
 *
 * @throws IntegrationsError: DATABASE_MISSING, DATABASE_OUTDATED, DATABASE_TOO_NEW,
 *   DATABASE_INVALID, NOT_PERMITTED, KEYS_MISSING, KEYS_INVALID, KEY_WRONG, BAD_INPUT
 * @example
 * const receiver = await createReceiver({
 *   database: process.env.DATABASE_URL,
 *   keys: { file: process.env.INTEGRATIONS_KEYS_FILE },
 *   onError: (error) => console.error(error.code ?? error.name, error.message),
 * })
 */
export async function createReceiver(options: ReceiverOptions): Promise<Receiver> {
  // A failure of the application's own onError, which may be asynchronous, must not end its process.
  const onError = (error: unknown) => void (async () => options.onError?.(reportable(error)))().catch(() => {})
  const keys = keySource(options.keys, 'receiver')
  const urls = new Map(Object.entries(options.apiUrls ?? {}).map(([id, url]) => parseApiUrl(`${id}=${url}`)))
  const rememberMs = within(60, 'remember', options.remember ?? 5) * 1000
  const staleMs = within(3600, 'staleSeconds', options.staleSeconds ?? 300) * 1000
  const spool = options.spool ?? join(homedir(), '.local', 'state', 'integrations', 'spool')
  const database = parseDatabaseUrl(options.database, { cwd: process.cwd(), env: process.env })
  const lasting = {
    duplicates: new Duplicates(),
    unclaimed: semaphore(1),
    signers: new AppSigners(),
    bodies: new BodyBudget(),
  }
  const settings = { database, keys, urls, rememberMs, staleMs, spool, onError, lasting }
  const startup = new Startup(() => begin(settings), onError)
  await startup.start()
  const methods = platforms.map((platform) => [
    platform.id,
    async (incoming: IncomingRequest, sender?: { integrationId: string }) => {
      const begun = startup.look()
      if (begun) await begun
      return startup.working
        ? receive(startup.working.parts, { platform, incoming, integrationId: sender?.integrationId })
        : rejected(503, 'unavailable')
    },
  ])
  return {
    ...Object.fromEntries(methods),
    token: async (ref) => {
      const begun = startup.look()
      if (begun) await begun
      return startup.now().tokens.token(ref)
    },
    flush: async () => startup.working?.parts.usage.flush(),
    close: () => startup.close(),
  } as Receiver
}

/** What a receiver works with, with every default filled in. */
interface Settings {
  readonly database: Database
  readonly keys: KeySource
  readonly urls: ApiUrls
  readonly rememberMs: number
  readonly staleMs: number
  readonly spool: string
  readonly onError: (error: unknown) => void
  /** What goes on when the database is another. */
  readonly lasting: Pick<Parts, 'duplicates' | 'unclaimed' | 'signers' | 'bodies'>
}

/** A receiver that has its database. */
interface Working {
  readonly parts: Parts
  readonly tokens: TokenProvider
  replaced(): IntegrationsError | undefined
  abandon(): Promise<void>
  close(): Promise<void>
}

async function begin({
  database,
  keys,
  urls,
  rememberMs,
  staleMs,
  spool,
  onError,
  lasting,
}: Settings): Promise<Working> {
  const store = await openDatabase({ database, keys, wait: waitMs, declaredAs: 'receiver', onReadable: onError })
  const secrets = new SecretReader({ store, keys, onError })
  const limits = { remember: Math.ceil(rememberMs / 1000), stale: Math.ceil(staleMs / 1000) }
  const refusals = new Refusals()
  const usage = new UsageRecorder({ store, onError, limits, refusals, keyring: () => secrets.keyring() })
  const cache = new LookupCache((key) => secrets.lookUp(key), { rememberMs, staleMs }, onError)
  const owner = `receiver@${hostname()}:${process.pid}`
  const refresh = { withinMs: refreshMarginMs, wait: waitMs, owner, urls, spool }
  const tokens = new TokenProvider({ store, secrets, refresh, rememberMs, onError })
  const warming = new AbortController()
  // The answer of a platform must not be lost, nor a database that is silent keep an application from ending.
  const endRefreshes = () => withDeadline(refreshDeadlineMs, tokens.close()).catch(onError)
  const abandon = () => {
    warming.abort()
    usage.abandon()
    return endRefreshes()
  }
  const close = async () => {
    warming.abort()
    await endRefreshes()
    await usage.close(usageDeadlineMs)
    await withDeadline(disconnectDeadlineMs, store.close()).catch(onError)
  }
  try {
    await requireTables(store, onError)
    await secrets.keyring()
    await usage.reportIn().catch((error: unknown) => {
      // Webhooks can be verified, as at a standby. Reporting in is tried again every minute.
      if (!is(error, 'DATABASE_READ_ONLY', 'NOT_PERMITTED', 'DATABASE_TAMPERED')) throw error
      onError(error)
    })
  } catch (error) {
    await close()
    throw error
  }
  // In the background. What fails here fails again for the webhook that needs it, and is told then.
  if (rememberMs > 0 || staleMs > 0) warmUp({ store, secrets, cache }, warming.signal).catch(() => {})
  const parts: Parts = { store, cache, usage, refusals, onError, ...lasting }
  return { parts, tokens, replaced: store.replaced, abandon, close }
}

/** A number of seconds within bounds. @throws BAD_INPUT for a number that is not finite */
function within(maxSeconds: number, name: string, seconds: number): number {
  if (!Number.isFinite(seconds))
    throw badInput(`${name} is not a number of seconds`, `pass a number from 0 to ${maxSeconds} as ${name}`)
  return Math.min(Math.max(seconds, 0), maxSeconds)
}

/** What the application is told of an error: no cause, since a driver's own error may quote the row. */
function reportable(error: unknown): Error {
  if (error instanceof IntegrationsError) {
    const { code, message, hint, committed } = error
    return new IntegrationsError({ code, message, hint, committed })
  }
  return error instanceof Error ? error : new Error('a value was thrown that is not an error')
}
