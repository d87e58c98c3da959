import { isEncrypted } from '../../crypto/jwe-format.ts'
import { badInput } from '../../errors.ts'
import { flagOf, type SecretField } from '../../integration.ts'
import type { Platform, SecretDefinition } from '../../platforms/platform.ts'
import { Secret } from '../../secret.ts'
import type { SecretOrigin } from '../../store/secrets/versions.ts'

/** A new value for a secret. */
export interface NewSecret {
  readonly value: Secret
  readonly origin: SecretOrigin
}

/** New values by field. */
export type NewSecrets = { readonly [F in SecretField]?: NewSecret }

const longestSecret = 16 * 1024

// What people and templates leave in place of a value.
const placeholder =
  /^(?:change[-_ ]?me|replace[-_ ]?me|placeholder|secret|password|token|null|undefined|none|todo|tbd|test|example|x{3,}|\*{3,}|\.{3,}|…|<.*>|\$\{.*\}|\$[A-Z_]+|\{\{.*\}\}|your[-_ ].*)$/i

/**
 * Reads a secret as it came from a prompt, a pipe, a file or a variable. One newline at the end is dropped, as `echo`
 * adds it.
 *
 * @param source names where it came from, for the message; the value is never quoted
 * @throws BAD_INPUT when it cannot be a secret
 */
export function readSecret(raw: string, source: string): Secret {
  const value = raw.replace(/\r?\n$/, '')
  const refuse = (why: string, hint: string) => badInput(`${source} ${why}`, hint)
  if (value === '') throw refuse('is empty', 'see that the command or variable before the pipe yields the secret')
  if (value.trim() === '')
    throw refuse('is blank', 'see that the command or variable before the pipe yields the secret')
  if (/[\r\n]/.test(value)) throw refuse('has more than one line', 'give the secret alone, on one line')
  if (value !== value.trim()) throw refuse('begins or ends with a space', 'give the secret without spaces around it')
  if (!value.isWellFormed() || /[\p{C}\uFFFD]/u.test(value))
    throw refuse('holds characters that no secret has', 'give the secret alone, as UTF-8 text')
  if (value.length > longestSecret)
    throw refuse(`is longer than ${longestSecret} characters`, 'give the secret alone, not a file that contains it')
  if (isEncrypted(value))
    throw refuse(
      'is sealed already, as this program stores secrets',
      'give the secret itself, as the platform shows it',
    )
  if (placeholder.test(value)) throw refuse('is a placeholder, not a secret', 'give the value that the platform shows')
  return new Secret(value)
}

/** A secret made here: 256 random bits as hex. */
export const generateSecret = (): NewSecret => ({
  value: new Secret(Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('hex')),
  origin: 'generated',
})

/** What the platform says of one of its secrets. @throws BAD_INPUT when it has no such secret */
export function secretDefinition(platform: Platform, field: SecretField): SecretDefinition {
  const definition = platform.secrets[field]
  if (!definition)
    throw badInput(
      `${platform.title} has no ${flagOf(field).replaceAll('-', ' ')}`,
      `its secrets are ${Object.keys(platform.secrets)
        .map((f) => flagOf(f as SecretField))
        .join(', ')}`,
    )
  return definition
}

/**
 * Checks that a value looks like what the platform issues.
 *
 * @param force accept a value of the wrong shape all the same
 * @returns warnings about shapes that are only customary
 * @throws BAD_INPUT for a documented shape that does not fit
 */
export function checkShape(platform: Platform, field: SecretField, value: Secret, force: boolean): string[] {
  const { label, shapes } = secretDefinition(platform, field)
  const warnings: string[] = []
  for (const { pattern, should, otherwise } of shapes) {
    if (pattern.test(value.reveal())) continue
    const finding = `a ${platform.title} ${label} should ${should}`
    if (otherwise === 'refuse' && !force)
      throw badInput(finding, 'see that this is the right value, or pass --force if you know better')
    warnings.push(finding)
  }
  return warnings
}

/** The environment variable that holds a secret, as in `SLACK_BOT_TOKEN`. @throws BAD_INPUT when there is no such secret */
export const variableOf = (platform: Platform, field: SecretField, prefix = `${platform.id.toUpperCase()}_`): string =>
  `${prefix}${secretDefinition(platform, field).variable}`
