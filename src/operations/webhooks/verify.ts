import { type Instant, type IntegrationView, secretColumns } from '../../integration.ts'
import { type Platform, schemeOf } from '../../platforms/platform.ts'
import { platformOf, platforms } from '../../platforms/platforms.ts'
import type { Store } from '../../store/store.ts'
import type { SecretVersion } from '../../store/tables/secret-metadata.ts'
import { targetOf } from '../change.ts'
import { findIntegration } from '../find.ts'
import { secretDefinition } from '../secrets/values.ts'
import { judge, madeByOther, type Refusal, type Verdict } from './diagnose.ts'
import { type CapturedRequest, headersOf } from './raw-request.ts'
import { type AcceptedSecret, acceptedSecrets, ownSecrets } from './secrets.ts'

/** What came of checking a webhook against the secrets of an integration. */
export interface WebhookCheck {
  readonly integration: IntegrationView
  /** By the secret that made the signature, which is not enough when the request is refused all the same. */
  readonly secret: Omit<AcceptedSecret, 'value'> | null
  readonly scheme: string
  readonly refusal: Refusal | null
  readonly skew: number | null
  readonly findings: readonly string[]
  /** The integration whose secret it is, where that is another. */
  readonly owner: { readonly id: string; readonly name: string } | null
}

/** How many integrations' secrets are tried where none of its own made a signature. */
const othersTried = 1000

/**
 * Checks a captured webhook against the secrets of an integration that are accepted now, and looks for the reason when
 * none made its signature: then the secrets of the platform's other integrations are tried as well. That secrets were
 * read is committed to the audit log each time before they are used.
 *
 * @param now in milliseconds since 1970
 * @throws NOT_FOUND, AMBIGUOUS, DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export async function verifyWebhook(
  store: Store,
  ref: string,
  captured: CapturedRequest,
  now: number,
): Promise<WebhookCheck> {
  const { integration, platform, secrets, versions, at } = await readOwn(store, ref)
  const verdict = judge(platform, integration.config, secrets, captured, now)
  const check = (more: Partial<WebhookCheck> = {}): WebhookCheck => ({
    integration,
    secret: shown(verdict.secret),
    scheme: verdict.scheme.id,
    refusal: verdict.refusal,
    skew: verdict.skew,
    owner: null,
    findings: [...facts(verdict, platform), ...verdict.findings],
    ...more,
  })
  const request = { headers: headersOf(captured), body: captured.body }
  const type = request.headers.get('content-type')
  // Headers that were typed in may be those of the signature alone.
  const isRead = type === null || platform.webhooks.read(request, integration).kind !== 'malformed'
  if (verdict.refusal === null && !isRead)
    return check({
      refusal: 'malformed_body',
      findings: [...facts(verdict, platform), `the body cannot be read as what its content type says (${type})`],
    })
  if (verdict.secret) return check()
  if (verdict.refusal !== 'wrong_secret' && verdict.refusal !== 'no_secret')
    return check({ findings: [...verdict.findings, ...foreign(captured, platform, integration)] })
  const other = await findOwner(store, integration, captured, now)
  if (other.owner)
    return check({
      refusal: 'other_integration',
      owner: other.owner,
      findings: [`it is signed with the ${labelOf(platform)} of ${other.owner.name}`],
    })
  return check({ findings: [...verdict.findings, other.finding, ...expired(versions, at, platform)] })
}

const readOwn = (store: Store, ref: string) =>
  store.mutate(
    async (tx) => {
      const integration = await findIntegration(tx, ref)
      const platform = platformOf(integration)
      secretDefinition(platform, 'webhookSecret')
      const secrets = await ownSecrets(tx, integration)
      const versions = await tx.secrets.versions(integration.id)
      await tx.record({
        action: 'webhook.verify',
        target: targetOf(integration),
        fields: [secretColumns.webhookSecret],
      })
      return { integration, platform, secrets, versions, at: tx.now.toISOString() }
    },
    { auditOnly: true },
  )

/** The other integration of the platform whose secret made a signature, if there is one. */
async function findOwner(
  store: Store,
  integration: IntegrationView,
  captured: CapturedRequest,
  now: number,
): Promise<{ readonly owner?: WebhookCheck['owner']; readonly finding: string }> {
  const { webhooks } = platformOf(integration)
  const accepted = await store.mutate(
    async (tx) => {
      const holders = await tx.secrets.holders('webhookSecret', integration.platform, othersTried)
      const ids = holders.filter((id) => id !== integration.id)
      const found = await acceptedSecrets(tx, ids, () => {})
      if (ids.length > 0)
        await tx.record({
          action: 'webhook.verify',
          target: targetOf(integration),
          fields: ['other_integrations'],
          count: ids.length,
        })
      return found
    },
    { auditOnly: true },
  )
  const secrets = [...accepted].flatMap(([id, own]) => own.map((secret) => ({ id, ...secret })))
  const match = madeByOther(schemeOf(webhooks, integration.config), captured, now, secrets)
  if (match) {
    const [owner] = await store.read((db) => db.integrations.match({ id: match.id }, 1))
    return { owner: { id: match.id, name: owner ? (targetOf(owner).name ?? match.id) : match.id }, finding: '' }
  }
  const tried = accepted.size === othersTried ? `the first ${othersTried}` : 'all'
  return {
    finding:
      accepted.size === 0
        ? 'no other integration of this platform has a secret to try'
        : `nor is it one of another integration of this platform: those of ${tried} were tried`,
  }
}

/** What is known of the secret that made a signature. */
function facts({ secret }: Verdict<AcceptedSecret>, platform: Platform): string[] {
  if (!secret) return []
  const which = `(number ${secret.number}, fingerprint ${secret.fingerprint})`
  return [
    secret.validUntil === null
      ? `it is signed with the current ${labelOf(platform)} ${which}`
      : `it is signed with an old ${labelOf(platform)} ${which}, which is valid until ${secret.validUntil}`,
  ]
}

/** What is known of the secret that ended last: its value is gone. */
function expired(versions: readonly SecretVersion[], now: Instant, platform: Platform): string[] {
  const last = versions.find(
    ({ field, validUntil }) => field === 'webhookSecret' && validUntil !== null && validUntil <= now,
  )
  return last
    ? [
        `an old ${labelOf(platform)} (number ${last.number}, fingerprint ${last.fingerprint}) ended at ${last.validUntil}; its value is gone, so it was not tried`,
      ]
    : []
}

/** Which other platform signs as this request is signed. */
function foreign({ headers }: CapturedRequest, platform: Platform, { config }: IntegrationView): string[] {
  const names = new Set(headers.map(([name]) => name))
  const own = schemeOf(platform.webhooks, config)
  return platforms
    .flatMap(({ title, webhooks }) => webhooks.schemes.map((scheme: typeof own) => ({ title, header: scheme.header })))
    .filter(({ header }) => header !== own.header && names.has(header))
    .map(({ title, header }) => `it has the header ${header}, with which ${title} signs`)
}

const labelOf = (platform: Platform) => secretDefinition(platform, 'webhookSecret').label

function shown(secret: AcceptedSecret | null): WebhookCheck['secret'] {
  if (!secret) return null
  const { number, fingerprint, validUntil } = secret
  return { number, fingerprint, validUntil }
}
