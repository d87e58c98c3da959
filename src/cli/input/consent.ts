import { Option } from '@commander-js/extra-typings'
import { badInput, cancelled, shellWord } from '../../errors.ts'
import type { Context } from '../context.ts'

/** Consent to destroy something, given by naming it. */
export const confirmOption = () =>
  new Option('--confirm <name>', 'confirm by repeating the name (required without a terminal)')

/**
 * Asks to type a word that names what is about to be done, or takes `--confirm <word>`.
 *
 * @throws INPUT_REQUIRED when no prompt is possible, BAD_INPUT for another word, CANCELLED
 */
export async function confirmByTyping(
  ctx: Context,
  { word, confirm, warning }: { word: string; confirm: string | undefined; warning: string },
): Promise<void> {
  if (confirm === undefined && ctx.prompts.possible()) ctx.output.note(warning)
  const typed = confirm ?? (await ctx.prompts.text(`Type ${word} to confirm`, `--confirm ${shellWord(word)}`))
  if (typed === word) return
  if (confirm === undefined) throw cancelled('the answer does not match')
  throw badInput(`--confirm is not "${word}"`, `pass --confirm ${shellWord(word)}`)
}
