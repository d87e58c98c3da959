import type { IntegrationId } from '../../brands.ts'
import { isDecryptionFailure } from '../../errors.ts'
import type { SecretField } from '../../integration.ts'
import type { CurrentSecret, UnreadableSecret } from '../../store/secrets/current.ts'
import type { Transaction } from '../../store/store.ts'

/**
 * The current values of secrets.
 *
 * @param options `unreadableToo`: return values that cannot be decrypted as well: they can be replaced, without a grace period
 * @throws DECRYPTION_FAILED, KEY_NOT_FOUND
 */
export async function readCurrent(
  tx: Transaction,
  id: IntegrationId,
  { fields, unreadableToo }: { readonly fields: readonly SecretField[]; readonly unreadableToo: boolean },
): Promise<{ [F in SecretField]?: CurrentSecret | UnreadableSecret }> {
  const held: { [F in SecretField]?: CurrentSecret | UnreadableSecret } = {}
  for (const field of fields) {
    try {
      Object.assign(held, await tx.secrets.read(id, [field]))
    } catch (error) {
      if (!isDecryptionFailure(error) || !unreadableToo) throw error
      Object.assign(held, { [field]: await tx.secrets.readRaw(id, field) })
    }
  }
  return held
}
