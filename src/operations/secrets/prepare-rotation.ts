import type { IntegrationId } from '../../brands.ts'
import type { SecretField } from '../../integration.ts'
import { platformOf } from '../../platforms/platforms.ts'
import type { Store } from '../../store/store.ts'
import { changeWithin } from '../change.ts'
import { nothingToCheck } from '../check/token.ts'
import { gracePeriodEnd, requireNoPrevious } from './grace-period.ts'
import { readCurrent } from './read-current.ts'
import type { Rotation } from './rotate.ts'
import { requireTokenFor, secretDefinition } from './values.ts'

/** A rotation whose new values are not known yet. */
interface Planned extends Omit<Rotation, 'secrets' | 'setBy'> {
  readonly fields: readonly SecretField[]
  /** Whether the platform is to be asked about the access token. */
  readonly check: boolean
}

/**
 * Refuses what `rotateSecrets` would refuse whatever the new values are, before anybody is asked for them.
 *
 * @throws what `rotateSecrets` throws
 */
export async function prepareRotation(
  store: Store,
  id: IntegrationId,
  { fields, check, ...rotation }: Planned,
): Promise<void> {
  const hasToken = fields.includes('accessToken')
  requireTokenFor(rotation.expiry, hasToken)
  if (check && !hasToken) throw nothingToCheck()
  await store.mutate(
    async (tx) => {
      const until = gracePeriodEnd(rotation.gracePeriod, tx.now)
      await changeWithin(tx, { id, ifVersion: rotation.ifVersion }, async (integration) => {
        await readCurrent(tx, id, { fields, unreadableToo: rotation.endPrevious && until <= tx.now })
        for (const field of fields) {
          const previous = await tx.secrets.previous(id, field)
          const { label } = secretDefinition(platformOf(integration), field)
          if (previous) requireNoPrevious(previous, { ...rotation, label, field, ref: rotation.typed })
        }
        return { result: {} }
      })
    },
    { dryRun: true },
  )
}
