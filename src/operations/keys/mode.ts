import { IntegrationsError } from '../../errors.ts'
import type { Changes, Rows, Store } from '../../store/store.ts'
import type { SealingMode } from '../../store/tables/keys.ts'

/** The modes in the order in which a database passes through them. */
export const modes = ['off', 'migrating', 'required'] as const satisfies readonly SealingMode[]

/** How secrets are stored from now on. */
export interface ModeChange {
  readonly before: SealingMode
  readonly mode: SealingMode
}

/**
 * Changes how secrets are stored from now on, one step at a time; those that are stored stay as they are.
 *
 * @throws CONFLICT for two steps at once, and for `required` while a value is not sealed
 */
export const changeMode = (
  store: Store,
  mode: SealingMode,
  options: { readonly dryRun: boolean },
): Promise<ModeChange> =>
  store.mutate(async (rows) => {
    const before = rows.settings.mode
    if (mode === before) return { before, mode }
    if (Math.abs(modes.indexOf(mode) - modes.indexOf(before)) > 1)
      throw new IntegrationsError(
        'CONFLICT',
        `there is no way from ${before} to ${mode} but through migrating`,
        'integrations keys mode migrating',
      )
    if (mode === 'required') await requireSealed(rows)
    await rows.keys.setMode(mode, rows.now)
    await rows.record({
      action: 'keys.mode',
      target: { type: 'database', id: rows.settings.id, name: null },
      fields: [`${before}>${mode}`],
    })
    return { before, mode }
  }, options)

async function requireSealed(rows: Changes): Promise<void> {
  const plain = await countPlain(rows)
  if (plain > 0)
    throw new IntegrationsError(
      'CONFLICT',
      `there are values that are not sealed yet: ${plain}`,
      'integrations keys reencrypt',
    )
}

/** How many stored values nothing seals. */
export async function countPlain(rows: Rows): Promise<number> {
  let plain = 0
  for await (const { values } of rows.storedValues.pages())
    plain += values.filter(({ text, keyId }) => text !== null && keyId === null).length
  return plain
}
