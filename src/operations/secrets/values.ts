import { isEncrypted } from '../../crypto/jwe-format.ts'
import { badInput, type IntegrationsError, notFound } from '../../errors.ts'
import { type Expiry, flagOf, type IntegrationView, refOf, type SecretField, wordsOf } from '../../integration.ts'
import type { Platform, SecretDefinition } from '../../platforms/platform.ts'
import { platformOf } from '../../platforms/platforms.ts'
import { Secret } from '../../secret.ts'
import type { SecretOrigin } from '../../store/secrets/versions.ts'
import { rotateCommand, secretsCommand } from '../texts.ts'

/** A new value for a secret. */
export interface NewSecret {
  readonly value: Secret
  readonly origin: SecretOrigin
}

/** New values by field. */
export type NewSecrets = { readonly [F in SecretField]?: NewSecret }

const maxSecretLength = 16 * 1024

// Values that people and templates leave in place of a secret.
const placeholder =
  /^(?:change[-_ ]?me|replace[-_ ]?me|placeholder|secret|password|token|null|undefined|none|todo|tbd|test|example|x{3,}|\*{3,}|\.{3,}|…|<.*>|\$\{.*\}|\$[A-Z_]+|\{\{.*\}\}|your[-_ ].*)$/i

const checkSource = 'check that the command or variable before the pipe yields the secret'

/**
 * Reads a secret from a prompt, a pipe, a file or a variable, without the newline that `echo` appends.
 *
 * @param source where the value came from, for messages, which never quote the value
 * @param whenEmpty the hint for a value that is empty or blank
 * @throws BAD_INPUT when the value cannot be a secret
 */
export function readSecret(raw: string, source: string, whenEmpty = checkSource): Secret {
  const value = raw.replace(/\r?\n$/, '')
  const refuse = (why: string, hint: string) => badInput(`${source} ${why}`, hint)
  if (value.trim() === '') throw refuse(value === '' ? 'is empty' : 'is blank', whenEmpty)
  if (/[\r\n]/.test(value)) throw refuse('has several lines', 'pass the secret alone, on one line')
  if (value !== value.trim()) throw refuse('begins or ends with a space', 'pass the secret without surrounding spaces')
  if (!value.isWellFormed() || /[\p{C}\uFFFD]/u.test(value))
    throw refuse('contains characters that cannot be part of a secret', 'pass the secret alone, as UTF-8 text')
  if (value.length > maxSecretLength)
    throw refuse(`is longer than ${maxSecretLength} characters`, 'pass the secret alone, not a file that contains it')
  if (isEncrypted(value))
    throw refuse(
      'is already encrypted, as this program stores secrets',
      'pass the secret itself, as the platform shows it',
    )
  if (placeholder.test(value)) throw refuse('is a placeholder, not a secret', 'pass the value that the platform shows')
  return new Secret(value)
}

/** Refuses an expiry that comes without the access token that it is of. @throws BAD_INPUT */
export function requireTokenFor(expiry: Expiry, secrets: NewSecrets): void {
  if (expiry !== 'unknown' && !secrets.accessToken)
    throw badInput('an expiry needs an access token', 'pass the access token too, as in --access-token-stdin')
}

/** A generated secret: 256 random bits as hex. */
export const generateSecret = (): NewSecret => ({
  value: new Secret(Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('hex')),
  origin: 'generated',
})

/** A platform's definition of a secret. @throws BAD_INPUT when the platform has no such secret */
export function secretDefinition(platform: Platform, field: SecretField): SecretDefinition {
  const definition = platform.secrets[field]
  if (!definition)
    throw badInput(
      `${platform.title} has no ${wordsOf(field)}`,
      `the secrets of ${platform.title} are ${Object.keys(platform.secrets).map(flagOf).join(', ')}`,
    )
  return definition
}

/** The error for a secret that is not set. @param ref as the user typed it */
export const noSecret = (integration: IntegrationView, field: SecretField, ref: string): IntegrationsError =>
  notFound(`${refOf(integration)} has no ${labelOf(integration, field)}`, rotateCommand(ref, field))

/** The error for a secret without a previous version that is still valid. @param ref as the user typed it */
export const noPrevious = (integration: IntegrationView, field: SecretField, ref: string): IntegrationsError =>
  notFound(
    `${refOf(integration)} has no previous ${labelOf(integration, field)} that is still valid`,
    secretsCommand(ref),
  )

/** What an integration's platform calls a secret. @throws BAD_INPUT when the platform has no such secret */
export const labelOf = (integration: IntegrationView, field: SecretField): string =>
  secretDefinition(platformOf(integration), field).label

/**
 * Checks that a value has the shape of those that the platform issues.
 *
 * @param given `force`: accept a value of another shape
 * @returns warnings about shapes that are only customary
 * @throws BAD_INPUT for a value that does not have the documented shape
 */
export function checkShape(
  platform: Platform,
  field: SecretField,
  { value, force }: { readonly value: Secret; readonly force: boolean },
): string[] {
  const { label, shapes } = secretDefinition(platform, field)
  const warnings: string[] = []
  for (const { pattern, should, otherwise } of shapes) {
    if (pattern.test(value.reveal())) continue
    const finding = `a ${platform.title} ${label} should ${should}`
    if (otherwise === 'refuse' && !force)
      throw badInput(finding, 'check that this is the right value, or pass --force to accept it')
    warnings.push(finding)
  }
  return warnings
}

/** The environment variable that holds a secret, as in `SLACK_BOT_TOKEN`. @throws BAD_INPUT when there is no such secret */
export const variableOf = (platform: Platform, field: SecretField, prefix = `${platform.id.toUpperCase()}_`): string =>
  `${prefix}${secretDefinition(platform, field).variable}`
