/** Expiring a previous secret before its grace period is over. @module */
import { type Fingerprint, type Instant, type IntegrationId, instantOf } from '../../brands.ts'
import { IntegrationsError } from '../../errors.ts'
import { secretColumns } from '../../integration.ts'
import type { ApiUrls } from '../../platforms/api-urls.ts'
import type { ReceiverReport } from '../../store/activity/receivers.ts'
import { acceptedVersions, decryptAccepted } from '../../store/secrets/decrypt-accepted.ts'
import type { Store, Transaction } from '../../store/store.ts'
import type { SecretVersion } from '../../store/tables/secret-metadata.ts'
import { type Changed, changeIntegration } from '../change.ts'
import { type Ref, refText } from '../find.ts'
import { secretsCommand } from '../texts.ts'
import type { SecretChangeOptions } from './history.ts'
import { beginRevocation, type RevocableToken, revokerOf } from './revocation.ts'
import { labelOf } from './values.ts'

/** How old the report of a receiver that works is at most: it makes one every minute. */
const freshMs = 120_000

/** How long a receiver accepts secrets without the database that does not say so, in seconds: as long as by default. */
const usualStale = 300

/** How to end a grace period. */
export interface Finishing extends SecretChangeOptions {
  /** How long the previous secret must not have been used, in milliseconds. */
  readonly whenUnused: number
  /** End the grace period whatever the recorded use. */
  readonly force: boolean
  /** Have the platform revoke the previous access tokens, asked at these addresses. */
  readonly revoke?: ApiUrls | undefined
}

/**
 * Ends a grace period: the previous secret is no longer accepted. Of a token, which no receiver accepts, the previous values
 * are destroyed here, whatever the reports of receivers say.
 *
 * @returns also the tokens that are to be revoked now, with `revokeTokens`
 * @throws NOT_FOUND, AMBIGUOUS, BAD_INPUT when the platform has no such secret, CONFLICT, GRACE_PERIOD_ACTIVE while the
 *   previous secret may be in use; without `force` also DECRYPTION_FAILED, KEY_NOT_FOUND, DATABASE_INVALID when what
 *   receivers accept cannot be read
 */
export async function finishSecret(
  store: Store,
  ref: Ref,
  { field, revoke, ...options }: Finishing,
): Promise<Changed & { readonly tokens: readonly RevocableToken[] }> {
  let tokens: readonly RevocableToken[] = []
  const changed = await changeIntegration(store, { ...options, ref }, async (tx, integration) => {
    const label = labelOf(integration, field)
    if (revoke) revokerOf(integration, field)
    const previous = await tx.secrets.previous(integration.id, field)
    if (!previous) return undefined
    const doubt =
      options.force || field !== 'webhookSecret'
        ? undefined
        : await doubtOf(tx, { ...options, id: integration.id, field, label, previous })
    if (doubt) {
      const hint = `${doubt.until ? `wait until ${doubt.until}` : `check ${secretsCommand(refText(ref))}`}, or pass --force`
      throw new IntegrationsError({ code: 'GRACE_PERIOD_ACTIVE', message: doubt.message, hint })
    }
    if (revoke) tokens = await beginRevocation(tx, integration, { scope: 'previous', urls: revoke })
    await tx.secrets.finish(integration.id, field)
    const column = secretColumns[field]
    return {
      action: 'secret.finish',
      fields: [column],
      fingerprints: [{ field: `previous_${column}`, from: previous.fingerprint, to: null }],
    }
  })
  return { ...changed, tokens }
}

/** Why a previous secret may be in use. */
interface Doubt {
  readonly message: string
  /** When the doubt ends, unless the secret is used meanwhile. */
  readonly until?: Instant
}

/** A previous secret that may be in use. */
interface Question extends Pick<Finishing, 'field' | 'whenUnused'> {
  /** Of the integration. */
  readonly id: IntegrationId
  /** What people call the secret. */
  readonly label: string
  readonly previous: SecretVersion
}

/** Why the previous secret may be in use; undefined when the receivers say that it is not, and nothing else says that it is. */
async function doubtOf(tx: Transaction, question: Question): Promise<Doubt | undefined> {
  const { label, whenUnused, previous } = question
  const now = tx.now.getTime()
  // The record has no MAC, so its silence says nothing.
  if (previous.lastMatchedAt && now - Date.parse(previous.lastMatchedAt) < whenUnused)
    return { message: matched(label, previous.lastMatchedAt) }
  const reports = await tx.receivers.reports(tx.keyring, tx.settings.id)
  const known = reports.filter((report) => report !== undefined)
  if (known.length < reports.length)
    return {
      message: `a row of integration_receivers is not that of a receiver of this database, so use of the previous ${label} is unknown`,
    }
  const isFresh = ({ at }: ReceiverReport) => Math.abs(now - Date.parse(at)) <= freshMs
  const unsigned = (await tx.receivers.unsigned()).map(({ at, limits }) => ({ at, stale: limits?.stale ?? usualStale }))
  const silent = [...known.filter((report) => !isFresh(report)), ...unsigned].map(({ at, stale }) => ({
    at,
    // Without the database, a receiver goes on for a while with what it knows, and then accepts nothing.
    until: Date.parse(at) + stale * 1000 + whenUnused,
  }))
  const last = silent.sort((a, b) => b.until - a.until)[0]
  if (last && last.until > now)
    return {
      message: `a receiver has not reported since ${last.at}, so use of the previous ${label} is unknown`,
      until: instantOf(last.until),
    }
  const fresh = known.filter(isFresh)
  if (fresh.length === 0) return { message: `no receiver reports, so use of the previous ${label} is unknown` }
  return doubtOfReports(fresh, question, { ...(await acceptedOf(tx, question)), now })
}

const matched = (label: string, at: Instant) => `the previous ${label} matched a request at ${at}`

/** What receivers accept of a field, told by what has a MAC. */
interface Accepted {
  readonly current: Fingerprint | undefined
  /** Since when it is current; undefined where no event says so. */
  readonly currentSince: Instant | undefined
  readonly previous: readonly Fingerprint[]
}

/** @throws DECRYPTION_FAILED, KEY_NOT_FOUND, DATABASE_INVALID */
async function acceptedOf(tx: Transaction, { id, field }: Question): Promise<Accepted> {
  const { keyring, settings, secrets, previousValues } = tx
  const [stored] = (await secrets.valid(field, [id])).stored
  if (!stored) return { current: undefined, currentSince: undefined, previous: [] }
  const valid = decryptAccepted({ keyring, mode: settings.mode, previous: previousValues }, stored, (error) => {
    throw error
  })
  const current = valid.find(({ validUntil }) => validUntil === null)?.fingerprint
  const recorded = acceptedVersions(keyring, id, stored.newest)?.find(
    (one) => one.field === secretColumns[field] && one.valid_until === null && one.fingerprint === current,
  )
  const previous = valid.flatMap(({ validUntil, fingerprint }) => (validUntil === null ? [] : [fingerprint]))
  return { current, currentSince: recorded?.set_at, previous }
}

function doubtOfReports(
  reports: readonly ReceiverReport[],
  { id, label, whenUnused }: Question,
  { current, currentSince, previous, now }: Accepted & { readonly now: number },
): Doubt | undefined {
  const lastUse = latest(
    reports.flatMap((one) =>
      one.previous.flatMap(([of, print, at]) => (of === id && previous.includes(print) ? at : [])),
    ),
  )
  if (lastUse && now - Date.parse(lastUse) < whenUnused) return { message: matched(label, lastUse) }
  if (!reports.some((one) => one.current.some(([of, print]) => of === id && print === current)))
    return {
      message: `no running receiver has seen a request with the current ${label}, so the previous ${label} may still be in use`,
    }
  const since = latest(reports.map((one) => one.since))
  const needed = Math.max(now - whenUnused, currentSince ? Date.parse(currentSince) : 0)
  if (since && Date.parse(since) > needed)
    return {
      message: `a receiver reports use only since ${since}, so earlier use of the previous ${label} is unknown`,
      until: instantOf(Date.parse(since) + whenUnused),
    }
  return undefined
}

const latest = (instants: readonly Instant[]): Instant | undefined => instants.toSorted().at(-1)
