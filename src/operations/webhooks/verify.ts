import { type IntegrationView, refOf, secretColumns } from '../../integration.ts'
import { type Platform, schemeOf } from '../../platforms/platform.ts'
import { platformOf, platforms } from '../../platforms/platforms.ts'
import type { ValidSecret } from '../../store/secrets/decrypt-accepted.ts'
import type { Store } from '../../store/store.ts'
import type { SecretVersion } from '../../store/tables/secret-metadata.ts'
import { auditOnly, targetOf } from '../change.ts'
import { findIntegration } from '../find.ts'
import { secretDefinition } from '../secrets/values.ts'
import { type Capture, judge, madeByOther, type Refusal, type Verdict } from './diagnose.ts'
import { type CapturedRequest, headersOf } from './raw-request.ts'
import { acceptedSecrets, ownSecrets } from './secrets.ts'

/** The result of checking a webhook against the secrets of an integration. */
export interface WebhookCheck {
  readonly integration: IntegrationView
  /** The secret that made the signature, or that nearly did; the request may be refused nevertheless. */
  readonly secret: Omit<ValidSecret, 'value'> | null
  readonly scheme: string
  readonly refusal: Refusal | null
  readonly skew: number | null
  readonly findings: readonly string[]
  /** The setting of the config with which the webhook would be accepted, as `config set` takes it. */
  readonly setting: string | null
  /** Another integration whose secret made the signature. */
  readonly owner: { readonly id: string; readonly name: string } | null
}

/** Refusals that the secret of another integration may explain. */
const blamed: ReadonlySet<Refusal | null> = new Set(['wrong_secret', 'no_secret', 'body_suspect'])

/** How many other integrations' secrets are tried. */
const maxOthersTried = 1000

/**
 * Checks a captured webhook against the accepted secrets of an integration. When none made the signature, looks for the
 * reason, and tries the secrets of the platform's other integrations too. Access is committed to the audit log first.
 *
 * @throws NOT_FOUND, AMBIGUOUS, DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export async function verifyWebhook(store: Store, ref: string, capture: Capture): Promise<WebhookCheck> {
  const { captured } = capture
  const { integration, platform, secrets, versions } = await readOwn(store, ref)
  const verdict = judge(platform, { config: integration.config, secrets }, capture)
  const check = (more: Partial<WebhookCheck> = {}): WebhookCheck => ({
    integration,
    secret: shown(verdict.secret),
    scheme: verdict.scheme.id,
    refusal: verdict.refusal,
    skew: verdict.skew,
    owner: null,
    setting: verdict.setting ?? null,
    findings: [...facts(verdict, platform), ...verdict.findings],
    ...more,
  })
  const request = { headers: headersOf(captured), body: captured.body }
  const type = request.headers.get('content-type')
  // A person may have passed only the headers of the signature.
  const isRead = type === null || platform.webhooks.read(request, integration).kind !== 'malformed'
  if (verdict.refusal === null && !isRead)
    return check({
      refusal: 'malformed_body',
      findings: [...facts(verdict, platform), `the body does not match its content type (${type})`],
    })
  if (verdict.secret) return check()
  if (!blamed.has(verdict.refusal))
    return check({ findings: [...verdict.findings, ...foreign(captured, platform, integration)] })
  const other = await findOwner(store, integration, capture)
  if (other.owner)
    return check({
      refusal: 'other_integration',
      owner: other.owner,
      findings: [`the request is signed with the ${labelOf(platform)} of ${other.owner.name}`],
    })
  return check({ findings: [...verdict.findings, other.finding, ...expired(versions, platform)] })
}

const readOwn = (store: Store, ref: string) =>
  store.mutate(async (tx) => {
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
    return { integration, platform, secrets, versions }
  }, auditOnly)

/** The other integration of the platform whose secret made a signature, if there is one. */
async function findOwner(
  store: Store,
  integration: IntegrationView,
  capture: Capture,
): Promise<{ readonly owner?: WebhookCheck['owner']; readonly finding: string }> {
  const { webhooks } = platformOf(integration)
  const accepted = await store.mutate(async (tx) => {
    const holders = await tx.secrets.holders('webhookSecret', integration.platform, maxOthersTried)
    const ids = [...new Set(holders)].filter((id) => id !== integration.id)
    const found = await acceptedSecrets(tx, ids, () => {})
    if (ids.length > 0)
      await tx.record({
        action: 'webhook.verify',
        target: targetOf(integration),
        fields: ['other_integrations'],
        count: ids.length,
      })
    return found
  }, auditOnly)
  const secrets = [...accepted].flatMap(([id, own]) => own.map((secret) => ({ id, ...secret })))
  const match = madeByOther(schemeOf(webhooks, integration.config), capture, secrets)
  if (match) {
    const [owner] = await store.read((db) => db.integrations.match({ by: 'id', value: match.id }, 1))
    return { owner: { id: match.id, name: owner ? refOf(owner) : match.id }, finding: '' }
  }
  const tried = accepted.size === maxOthersTried ? `the first ${maxOthersTried}` : 'all'
  return {
    finding:
      accepted.size === 0
        ? 'no other integration of this platform has a secret to try'
        : `no other integration of this platform has the secret (${tried} were tried)`,
  }
}

/** Facts about the secret that made a signature. */
function facts({ secret, refusal }: Verdict<ValidSecret>, platform: Platform): string[] {
  if (!secret || refusal === 'secret_altered') return []
  const which = `(number ${secret.number}, fingerprint ${secret.fingerprint})`
  return [
    secret.validUntil === null
      ? `the request is signed with the current ${labelOf(platform)} ${which}`
      : `the request is signed with a previous ${labelOf(platform)} ${which}, which is valid until ${secret.validUntil}`,
  ]
}

/** Facts about the secret that expired last. */
function expired(versions: readonly SecretVersion[], platform: Platform): string[] {
  const last = versions.find(({ field, state }) => field === 'webhookSecret' && state === 'expired')
  return last
    ? [
        `a previous ${labelOf(platform)} (number ${last.number}, fingerprint ${last.fingerprint}) expired at ${last.validUntil}, so it was not tried`,
      ]
    : []
}

/** Other platforms whose signature header the request has. */
function foreign({ headers }: CapturedRequest, platform: Platform, { config }: IntegrationView): string[] {
  const names = new Set(headers.map(([name]) => name))
  const own = schemeOf(platform.webhooks, config)
  return platforms
    .flatMap(({ title, webhooks }) => webhooks.schemes.map((scheme: typeof own) => ({ title, header: scheme.header })))
    .filter(({ header }) => header !== own.header && names.has(header))
    .map(({ title, header }) => `the request has the header ${header}, which ${title} uses for its signature`)
}

const labelOf = (platform: Platform) => secretDefinition(platform, 'webhookSecret').label

function shown(secret: ValidSecret | null): WebhookCheck['secret'] {
  if (!secret) return null
  const { number, fingerprint, validUntil } = secret
  return { number, fingerprint, validUntil }
}
