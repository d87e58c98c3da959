import { notFound } from '../../errors.ts'
import { entriesOf, type IntegrationView, refOf, type SecretField, secretColumns } from '../../integration.ts'
import type { Platform } from '../../platforms/platform.ts'
import { platformOf } from '../../platforms/platforms.ts'
import type { Secret } from '../../secret.ts'
import type { Store } from '../../store/store.ts'
import { auditOnly, targetOf } from '../change.ts'
import { findIntegration } from '../find.ts'
import { commandLine } from '../texts.ts'
import { noSecret, secretDefinition } from './values.ts'

/** Secrets that were read, by field. */
export type ReadSecrets = ReadonlyMap<SecretField, Secret>

/**
 * Reads current secrets. Access is committed to the audit log first.
 *
 * @param reading the secrets to read, none: all that are set; and the action of the audit event
 * @throws NOT_FOUND also when a given secret, or every secret, is not set, AMBIGUOUS, BAD_INPUT when the platform has no
 *   such secret, DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export const readSecrets = (
  store: Store,
  ref: string,
  { fields, action }: { readonly fields: readonly SecretField[]; readonly action: 'secret.reveal' | 'secret.exec' },
): Promise<{ integration: IntegrationView; platform: Platform; secrets: ReadSecrets }> =>
  store.mutate(async (tx) => {
    const integration = await findIntegration(tx, ref)
    const platform = platformOf(integration)
    const wanted = fields.length > 0 ? fields : entriesOf(platform.secrets).map(([field]) => field)
    for (const field of wanted) secretDefinition(platform, field)
    const held = await tx.secrets.read(integration.id, wanted)
    const secrets = new Map(wanted.flatMap((field) => (held[field] ? [[field, held[field].value] as const] : [])))
    const missing = fields.find((field) => !secrets.has(field))
    if (missing) throw noSecret(integration, missing, ref)
    if (secrets.size === 0) throw notFound(`${refOf(integration)} has no secret`, commandLine('rotate', [ref]))
    await tx.record({
      action,
      outcome: action === 'secret.exec' ? 'started' : 'done',
      target: targetOf(integration),
      fields: [...secrets.keys()].map((field) => secretColumns[field]),
    })
    return { integration, platform, secrets }
  }, auditOnly)

/** Records how a command ended that had secrets in its environment, as `readSecrets` gave them. */
export const recordExecResult = (
  store: Store,
  { integration, secrets }: { readonly integration: IntegrationView; readonly secrets: ReadSecrets },
  outcome: 'done' | 'failed',
): Promise<void> =>
  store.mutate(
    (tx) =>
      tx.record({
        action: 'secret.exec',
        outcome,
        target: targetOf(integration),
        fields: [...secrets.keys()].map((field) => secretColumns[field]),
      }),
    auditOnly,
  )
