import { badInput, IntegrationsError, shellWord } from '../errors.ts'
import type { SecretField } from '../integration.ts'
import { findPlatform } from '../platforms/platforms.ts'
import type { Store } from '../store/store.ts'
import { type Changed, type ChangeOptions, changeIntegration } from './change.ts'
import { checkShape, type Expiry, flagOf, type NewSecret, type NewSecrets, secretDefinition } from './secret-values.ts'

/** New secrets for an integration. */
export interface Rotation extends ChangeOptions {
  readonly secrets: NewSecrets
  readonly expiry: Expiry
  readonly setBy: string
  /** Accept values of another shape than documented. */
  readonly force: boolean
}

/**
 * Replaces one secret, or several together, in one transaction. The old values stop being accepted at once.
 *
 * @returns what changed, and what looks odd about what was given
 * @throws BAD_INPUT, NOT_FOUND, AMBIGUOUS, CONFLICT when the application wrote a column meanwhile
 */
export async function rotateSecrets(
  store: Store,
  ref: string,
  rotation: Rotation,
): Promise<Changed & { warnings: string[] }> {
  const entries = Object.entries(rotation.secrets) as [SecretField, NewSecret][]
  if (rotation.expiry !== 'unknown' && !rotation.secrets.accessToken)
    throw badInput('an expiry was given without an access token', 'give the new token too, as in --access-token-stdin')
  let warnings: string[] = []
  const changed = await changeIntegration(store, ref, rotation, async (rows, integration, now) => {
    const platform = findPlatform(integration.platform)
    if (!platform)
      throw badInput(
        `this version does not know the platform ${JSON.stringify(integration.platform)}`,
        'upgrade integrations',
      )
    warnings = entries.flatMap(([field, { value }]) => checkShape(platform, field, value, rotation.force))
    const current = await rows.secrets.values(integration.id)
    for (const [field, { value, origin }] of entries) {
      const { label, issuer, page } = secretDefinition(platform, field)
      if (origin === 'generated' && issuer === 'platform')
        throw badInput(
          `only ${platform.title} can make a new ${label}`,
          `make it at ${page}, and pass it with --${flagOf(field)}-stdin`,
        )
      if (origin === 'generated')
        warnings.push(
          `enter the generated ${label} at ${platform.title} (${page}), or its webhooks will be refused; this version has no command that shows it, the application's column does`,
        )
      const old = current[field]
      if (old?.reveal() === value.reveal())
        throw badInput(
          `the new ${label} is the one already stored`,
          'give the new value, or leave the integration as it is',
        )
      const neverExpires = field === 'accessToken' && rotation.expiry === 'never'
      if (
        !(await rows.secrets.replace(
          integration.id,
          { field, old, value, origin, setBy: rotation.setBy, neverExpires },
          now,
        ))
      )
        throw new IntegrationsError(
          'CONFLICT',
          `somebody else wrote the ${label} while it was being replaced`,
          `look with integrations show ${shellWord(integration.id)}, and try again`,
        )
    }
    if (rotation.secrets.accessToken)
      await rows.integrations.update(integration.id, {
        tokenExpiresAt: rotation.expiry === 'never' || rotation.expiry === 'unknown' ? null : rotation.expiry,
      })
    return true
  })
  return { ...changed, warnings }
}
