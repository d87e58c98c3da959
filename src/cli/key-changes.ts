import { listKeys } from '../operations/keys.ts'
import type { Context } from './context.ts'
import { keyView } from './key-views.ts'

/** Answers a change of a key with what the key is now. */
export async function answerKeyChange(
  ctx: Context,
  id: string,
  sentence: string,
  next: readonly string[],
): Promise<void> {
  const { keys } = await listKeys(await ctx.store(), ctx.keys())
  for (const key of keys.filter((one) => one.id === id)) await ctx.output.change(keyView, key, sentence, next)
}
