import { type KeyChange, listKeys } from '../../operations/keys/keys.ts'
import type { Context } from '../context.ts'
import { keyView } from './key.ts'

/** Answers a change of a key with what the key is now, or after a dry run would be. */
export async function answerKeyChange(
  ctx: Context,
  { key }: KeyChange,
  sentence: string,
  next: readonly string[],
): Promise<void> {
  const { keys } = await listKeys(await ctx.store(), ctx.keys())
  // One that is still to be made seals nothing.
  const { current = 0, previous = 0, apps = 0, inKeySet = false } = keys.find(({ id }) => id === key.id) ?? {}
  await ctx.output.change(keyView, { ...key, current, previous, apps, inKeySet }, sentence, next)
}
