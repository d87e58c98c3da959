import { isEncrypted } from '../../crypto/jwe-format.ts'
import { badInput, type IntegrationsError, notFound } from '../../errors.ts'
import { type Expiry, flagOf, type IntegrationView, refOf, type SecretField, wordsOf } from '../../integration.ts'
import type { Platform, SecretDefinition } from '../../platforms/platform.ts'
import { platformOf } from '../../platforms/platforms.ts'
import { mistakeIn } from '../../platforms/secret-mistakes.ts'
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

const checkSource = 'check that the command or variable before the pipe yields the secret'

/**
 * Reads a secret from a prompt, a pipe, a file or a variable, without the newline that `echo` appends. What is refused here
 * cannot be a secret of any platform, `--force-shape` or not.
 *
 * @param source where the value came from, for messages, which never quote the value
 * @param whenEmpty the hint for a value that is empty or blank
 * @throws BAD_INPUT when the value cannot be a secret
 */
export function readSecret(raw: string, source: string, whenEmpty = checkSource): Secret {
  const value = raw.replace(/\r?\n$/, '')
  const refuse = (why: string, hint: string) => badInput(`${source} ${why}`, hint)
  if (value.trim() === '') throw refuse(value === '' ? 'is empty' : 'is blank', whenEmpty)
  if (value.startsWith('\uFEFF'))
    throw refuse('begins with a byte order mark', 'save the file as UTF-8 without a byte order mark')
  if (/^[^\r\n]*\r$/.test(value))
    throw refuse('ends with a carriage return', 'end the line with a newline, or not at all')
  if (/[\r\n]/.test(value)) throw refuse('has several lines', 'pass the secret alone, on one line')
  if (value !== value.trim())
    throw refuse('begins or ends with white space', 'pass the secret without surrounding spaces')
  if (!value.isWellFormed() || /[\p{C}\uFFFD]/u.test(value))
    throw refuse('contains a control or invisible character', 'pass the secret alone, as UTF-8 text')
  if (value.length > maxSecretLength)
    throw refuse(`is longer than ${maxSecretLength} characters`, 'pass the secret alone, not a file that contains it')
  if (isEncrypted(value))
    throw refuse(
      'is already encrypted, as this program stores secrets',
      'pass the secret itself, as the platform shows it',
    )
  return new Secret(value)
}

/** Refuses an expiry that comes without the access token that it is of. @throws BAD_INPUT */
export function requireTokenFor(expiry: Expiry, hasToken: boolean): void {
  if (expiry !== 'unknown' && !hasToken)
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

/** A value to check, and whether to accept one that does not look like a secret of its platform. */
interface Given {
  readonly value: Secret
  readonly forceShape: boolean
}

/**
 * Checks that a value looks like those that the platform issues.
 *
 * @returns with `forceShape`, warnings in place of errors
 * @throws BAD_INPUT for a value in quotes, a placeholder and the like, and for one without the shape of the platform's
 */
export function checkShape(platform: Platform, field: SecretField, given: Given): string[] {
  const { label, shapes } = secretDefinition(platform, field)
  return checkLooks({ platform, label, shapes }, given)
}

/** The same for the secret of an OAuth app. @throws BAD_INPUT */
export const checkClientSecret = (platform: Platform, given: Given): string[] =>
  checkLooks({ platform, label: 'client secret', shapes: [] }, given)

function checkLooks(
  { platform: { title }, label, shapes }: { platform: Platform } & Pick<SecretDefinition, 'label' | 'shapes'>,
  { value, forceShape }: Given,
): string[] {
  const text = value.reveal()
  const mistake = mistakeIn(text)
  const unfit = shapes.find(({ pattern }) => !pattern.test(text))
  if (mistake === undefined && !unfit) return []
  const finding =
    mistake === undefined ? `a ${title} ${label} should ${unfit?.should}` : `the ${title} ${label} ${mistake}`
  if (forceShape) return [finding]
  throw badInput(finding, `pass the value alone, as ${title} shows it, or pass --force-shape to accept it as it is`)
}

/** Refuses to generate a secret that only the platform can issue. @returns what to do with a generated secret @throws BAD_INPUT */
export function checkGenerated(
  platform: Platform,
  field: SecretField,
  { origin, dryRun }: { readonly origin: SecretOrigin; readonly dryRun?: boolean | undefined },
): string[] {
  if (origin !== 'generated') return []
  const { label, issuer, page } = secretDefinition(platform, field)
  if (issuer === 'platform')
    throw badInput(
      `only ${platform.title} can issue a new ${label}`,
      `get a new ${label} at ${page}, and pass it with --${flagOf(field)}-stdin`,
    )
  // The value that a dry run made is gone.
  if (dryRun) return []
  return [
    `enter the generated ${label} at ${platform.title} (${page}), or its webhooks will be refused; integrations secrets reveal shows the value`,
  ]
}

/** The environment variable that holds a secret, as in `SLACK_BOT_TOKEN`. @throws BAD_INPUT when there is no such secret */
export const variableOf = (platform: Platform, field: SecretField, prefix = `${platform.id.toUpperCase()}_`): string =>
  `${prefix}${secretDefinition(platform, field).variable}`

/** Whether an expiry was given, and is not what is known of the token; `expiresFromNow`: it is so long from now, which says nothing new of one that is known. */
export const isNewExpiry = (
  { expiry, expiresFromNow }: { readonly expiry: Expiry; readonly expiresFromNow?: boolean },
  { tokenExpiry, tokenExpiresAt }: IntegrationView,
): boolean => {
  if (expiry === 'never') return tokenExpiry !== 'never'
  return expiry !== 'unknown' && expiry !== tokenExpiresAt && !(expiresFromNow && tokenExpiresAt !== null)
}
