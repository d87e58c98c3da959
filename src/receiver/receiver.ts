import { homedir, hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import packageJson from '../../package.json' with { type: 'json' }
import { IntegrationsError } from '../errors.ts'
import type { Integration } from '../integration.ts'
import { parseApiUrl } from '../operations/api-urls.ts'
import { keyFile } from '../operations/key-source.ts'
import { setActive } from '../operations/set-active.ts'
import { type Platform, type Reading, schemeOf, type WebhookEvent } from '../platforms/platform.ts'
import { type IntegrationPlatform, platforms } from '../platforms/platforms.ts'
import { matches, readSignature, type Signature, type SignatureScheme } from '../platforms/signature.ts'
import { parseDatabaseUrl } from '../store/database.ts'
import type { KeySource } from '../store/ready.ts'
import { openStore, type Store } from '../store/store.ts'
import type { ValidSecret } from '../store/valid-secrets.ts'
import { parseKeySet } from '../vault/key-set.ts'
import { rememberRequests } from './duplicates.ts'
import { findRecipients, type Known, type Recipient, type Wanted } from './recipients.ts'
import { type IncomingRequest, readBody } from './request.ts'
import { giveTokens, type Token } from './tokens.ts'
import { noteUses } from './uses.ts'

export { IntegrationsError } from '../errors.ts'
export { fromNode } from './request.ts'
export type { IncomingRequest, Integration, Token, WebhookEvent }

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
  readonly onError?: (error: unknown) => void
}

/** Why a request is refused. The status to answer does not tell strangers more than it must. */
export type Refusal =
  | 'too_large'
  | 'signature_missing'
  | 'signature_malformed'
  | 'signature_stale'
  | 'signature_mismatch'
  | 'unknown_integration'
  | 'malformed'
  | 'unavailable'

/** Why a request that is as it should be is nothing to act on. */
export type Nothing = 'answered' | 'duplicate' | 'inactive' | 'bot' | 'subtype' | 'channel' | 'event'

/** What came of a request, and what to answer. */
export type Outcome =
  | {
      readonly ok: true
      readonly status: 200
      readonly body: ''
      readonly integration: Integration
      /** Others that share tenant and secret, and want the event too. */
      readonly others: readonly Integration[]
      readonly event: WebhookEvent
      /** Which version of the secret matched, as `secrets list` numbers them; null for one that nobody has recorded. */
      readonly version: number | null
      /** Whether it is one before the current, inside its window. */
      readonly previous: boolean
      /** Say this when the event could not be handled, so that it is not taken for a duplicate when it comes again. */
      forget(): void
    }
  | {
      readonly ok: false
      readonly status: 200
      readonly body: string
      readonly reason: Nothing
      readonly what: string | null
    }
  | { readonly ok: false; readonly status: 400 | 401 | 413 | 503; readonly body: ''; readonly reason: Refusal }

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
   *   LEASE_HELD, UNCERTAIN
   */
  token(ref: string): Promise<Token>
  /** Writes down what is left to be, and closes the connections. */
  close(): Promise<void>
}

/** How large a body may be, in bytes. Slack and Pylon send a few kilobytes. */
const largestBody = 1_048_576

/**
 * Starts to receive: connects to the database, reads its keys, and reports in, so that `integrations rotate` knows that
 * old values are accepted here for a while.
 *
 * @throws IntegrationsError: DATABASE_UNREACHABLE, DATABASE_MISSING, DATABASE_BEHIND, KEYS_MISSING, KEYS_INVALID, BAD_INPUT
 */
export async function createReceiver(options: ReceiverOptions): Promise<Receiver> {
  const problem = options.onError ?? (() => {})
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
      osUser: userInfo().username,
      host: hostname(),
      pid: process.pid,
      declaredAs: 'receiver',
      reason: null,
      programVersion: packageJson.version,
    },
  })
  const keep = Math.min(Math.max(options.remember ?? 5, 0), 60) * 1000
  const recipients = findRecipients(store, keys, keep, problem)
  const uses = noteUses(store, problem)
  const duplicates = rememberRequests()
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
  const token = giveTokens(
    store,
    recipients.current,
    {
      margin: 7_200_000,
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
    token,
    close: async () => {
      await uses.close()
      await store.close()
    },
  } as Receiver
}

interface Parts {
  readonly store: Store
  readonly recipients: ReturnType<typeof findRecipients>
  readonly uses: ReturnType<typeof noteUses>
  readonly duplicates: ReturnType<typeof rememberRequests>
  readonly problem: (error: unknown) => void
}

const refused = (status: 400 | 401 | 413 | 503, reason: Refusal): Outcome => ({ ok: false, status, body: '', reason })

const nothing = (reason: Nothing, what: string | null = null, body = ''): Outcome => ({
  ok: false,
  status: 200,
  body,
  reason,
  what,
})

async function receive(
  parts: Parts,
  platform: Platform,
  incoming: IncomingRequest,
  integrationId: string | undefined,
): Promise<Outcome> {
  const arrived = performance.now()
  const body = await readBody(incoming, largestBody)
  if (!body) return refused(413, 'too_large')
  const request = { headers: incoming.headers, body }
  const { webhooks } = platform
  const unsigned = webhooks.unsigned?.(request)
  if (unsigned !== undefined) return nothing('answered', unsigned)
  const signatures = signaturesOf(request)
  // Nobody has to be looked up for a request that no secret can match.
  const hopeless = webhooks.schemes.map(signatures).every(({ readable }) => !readable)
  if (hopeless) return unreadable(webhooks.schemes.map(signatures))
  const wanted = whoseIsIt(platform, request, integrationId)
  if (wanted.length === 0) return refused(401, 'unknown_integration')
  try {
    const match = await findMatch(parts, platform, request, signatures, wanted, arrived)
    return 'ok' in match ? match : await accept(parts, platform, request, match, 'secretsOf' in (wanted[0] as Wanted))
  } catch (error) {
    parts.problem(error)
    return refused(503, 'unavailable')
  }
}

/** Reads a request's signature by a scheme, once. */
function signaturesOf(request: Parameters<typeof readSignature>[1]): (scheme: SignatureScheme) => Signature {
  const now = Date.now()
  const read = new Map<SignatureScheme, Signature>()
  return (scheme) => {
    const known = read.get(scheme) ?? readSignature(scheme, request, now)
    read.set(scheme, known)
    return known
  }
}

/** The refusal for signatures that cannot be checked: the most telling of several. */
function unreadable(signatures: readonly Signature[]): Outcome {
  const whys = signatures.flatMap((signature) => (signature.readable ? [] : [signature.why]))
  const why = (['stale', 'malformed', 'missing'] as const).find((one) => whys.includes(one)) ?? 'missing'
  return refused(401, `signature_${why}`)
}

function whoseIsIt(
  { id, webhooks: { tenant } }: Platform,
  request: Parameters<typeof readSignature>[1],
  integrationId: string | undefined,
): Wanted[] {
  if (!tenant) return integrationId === undefined || !valid(integrationId) ? [] : [{ id: integrationId }]
  const claimed = tenant.claimed(request)
  if (claimed.length === 0) return [{ secretsOf: id }]
  return claimed.filter(valid).map((value) => ({ platform: id, column: tenant.column, value }))
}

// PostgreSQL takes neither, so nothing stored can be meant.
const valid = (id: string) => id.isWellFormed() && !id.includes('\0') && id.length <= 200

interface Match {
  readonly matched: readonly { readonly recipient: Recipient; readonly secret: ValidSecret }[]
  /** Tells the request from others, where it does not say when it was sent. */
  readonly digest: string | null
  readonly at: Date
}

/** Finds the secret that a request was signed with: among those that are known, then among those that are stored. */
async function findMatch(
  { recipients }: Parts,
  platform: Platform,
  request: Parameters<typeof readSignature>[1],
  signatures: (scheme: SignatureScheme) => Signature,
  wanted: readonly Wanted[],
  arrived: number,
): Promise<Match | Outcome> {
  const known = await Promise.all(wanted.map((one) => recipients.find(one)))
  const match = tryAll(platform, request, signatures, known)
  if (match) return match
  // The secret may have been replaced since.
  const anew = await Promise.all(wanted.map((one) => recipients.findSince(one, arrived)))
  const read = anew.filter((one) => one !== undefined)
  if (read.length < anew.length) return refused(503, 'unavailable')
  const second = tryAll(platform, request, signatures, read)
  if (second) return second
  const found = read.flatMap((one) => one.recipients).filter(({ integration }) => integration.platform === platform.id)
  if (found.length === 0) return refused(401, 'unknown_integration')
  const schemes = new Set(found.map(({ integration }) => schemeOf(platform.webhooks, integration.config)))
  const tried = [...schemes].map(signatures)
  return tried.some(({ readable }) => readable) ? refused(401, 'signature_mismatch') : unreadable(tried)
}

/** Tries each secret once, current ones first. */
function tryAll(
  platform: Platform,
  request: Parameters<typeof readSignature>[1],
  signatures: (scheme: SignatureScheme) => Signature,
  known: readonly Known[],
): Match | undefined {
  const holders = new Map<string, { signature: Signature; matched: { recipient: Recipient; secret: ValidSecret }[] }>()
  const schemes = new Map<SignatureScheme, number>()
  let at = Date.now()
  for (const current of [true, false])
    for (const { recipients, ahead } of known)
      for (const recipient of recipients) {
        if (recipient.integration.platform !== platform.id) continue
        const scheme = schemeOf(platform.webhooks, recipient.integration.config)
        if (!schemes.has(scheme)) schemes.set(scheme, schemes.size)
        for (const secret of recipient.secrets) {
          at = Date.now() + ahead
          if ((secret.validUntil === null) !== current) continue
          if (secret.validUntil !== null && Date.parse(secret.validUntil) <= at) continue
          const key = `${schemes.get(scheme)} ${secret.value.reveal()}`
          const same = holders.get(key) ?? { signature: signatures(scheme), matched: [] }
          holders.set(key, same)
          if (!same.matched.some((other) => other.recipient.integration.id === recipient.integration.id))
            same.matched.push({ recipient, secret })
        }
      }
  for (const { signature, matched } of holders.values()) {
    const [first] = matched
    if (!first || !signature.readable || !matches(signature, first.secret.value, request.body)) continue
    return { matched, digest: signature.skew === null ? signature.digest.toString('hex') : null, at: new Date(at) }
  }
  return undefined
}

type Wish = { readonly recipient: Recipient; readonly secret: ValidSecret; readonly reading: Reading }

/** What to make of a request whose signature holds. @param anonymous nothing in it says whose it is */
async function accept(
  parts: Parts,
  platform: Platform,
  request: Parameters<typeof readSignature>[1],
  { matched, digest, at }: Match,
  anonymous: boolean,
): Promise<Outcome> {
  const wishes = matched.map(
    ({ recipient, secret }): Wish => ({
      recipient,
      secret,
      reading: platform.webhooks.read(request, recipient.integration),
    }),
  )
  const [first] = wishes as [Wish, ...Wish[]]
  if (first.reading.kind === 'malformed') return refused(400, 'malformed')
  if (first.reading.kind === 'answer') return nothing('answered', first.reading.reason, first.reading.body)
  // The secret is one that several tenants share, so it does not say either.
  if (anonymous) return refused(401, 'unknown_integration')
  for (const { recipient, secret } of wishes) parts.uses.matched(recipient.integration.id, secret.number, at)
  const seen = digest === null ? [] : wishes.map(({ recipient }) => `${recipient.integration.id} ${digest}`)
  if (seen.map((one) => parts.duplicates.cameBefore(one)).some((before) => before)) return nothing('duplicate')
  const forget = () => {
    for (const one of seen) parts.duplicates.forget(one)
  }
  await deactivate(parts, wishes).catch((error: unknown) => {
    // It is to come again.
    forget()
    throw error
  })
  const active = wishes.filter(({ recipient }) => recipient.integration.isActive)
  if (active.length === 0) return nothing('inactive')
  const [chosen, ...others] = active.filter(({ reading }) => reading.kind === 'event' && reading.unwanted === null)
  if (chosen?.reading.kind !== 'event') return nothing(unwanted(active))
  return {
    ok: true,
    status: 200,
    body: '',
    integration: chosen.recipient.integration,
    others: others.map(({ recipient }) => recipient.integration),
    event: chosen.reading.event,
    version: chosen.secret.number,
    previous: chosen.secret.validUntil !== null,
    forget,
  }
}

const unwanted = (wishes: readonly Wish[]): Nothing =>
  wishes.map(({ reading }) => (reading.kind === 'event' ? reading.unwanted : null)).find((why) => why !== null) ??
  'event'

/** Makes those inactive whose credentials the platform has taken back. */
async function deactivate({ store, problem }: Parts, wishes: readonly Wish[]): Promise<void> {
  for (const { recipient, reading } of wishes) {
    if (reading.kind !== 'event' || !reading.revoked || !recipient.integration.isActive) continue
    try {
      await setActive(store, recipient.integration.id, false, {})
    } catch (error) {
      // A role that may not is not helped by trying again.
      if (!(error instanceof IntegrationsError) || !/^(NOT_PERMITTED|NOT_FOUND)$/.test(error.code)) throw error
      problem(error)
    }
  }
}

function keySource(keys: ReceiverKeys): KeySource {
  if ('file' in keys) return keyFile(keys.file, process.getuid?.())
  const { set } = keys
  const name = 'the key set that the receiver was given'
  const missing = (what: string) => new IntegrationsError('KEYS_MISSING', what, 'integrations keys status')
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
