import { Option } from '@commander-js/extra-typings'
import { badInput, cancelled, IntegrationsError, shellWord } from '../../errors.ts'
import { displayUrl } from '../../store/database/url.ts'
import type { Context } from '../context.ts'

/** Consent to destroy something, given by naming it. @param what what is to be typed, in place of the name */
export const confirmOption = (placeholder = 'name', what = 'the name') =>
  new Option(`--confirm <${placeholder}>`, `confirm by repeating ${what} (required without a terminal)`)

/** The reason of a command that needs one. @param what what the audit log keeps the reason with @throws INPUT_REQUIRED */
export function requireReason({ options }: Context, what: string): string {
  if (options.reason) return options.reason
  throw new IntegrationsError({
    code: 'INPUT_REQUIRED',
    message: `--reason is required: the audit log keeps it with ${what}`,
    hint: 'pass --reason TEXT',
  })
}

/**
 * Asks to type a word that names what is about to be done, and where, or takes `--confirm <word>`.
 *
 * @throws INPUT_REQUIRED when no prompt is possible, BAD_INPUT for another word, CANCELLED
 */
export async function confirmByTyping(
  ctx: Context,
  { word, confirm, warning }: { word: string; confirm: string | undefined; warning: string },
): Promise<void> {
  if (confirm === undefined && ctx.prompts.possible())
    ctx.output.note(`${warning} The database is ${displayUrl(ctx.database())}.`)
  const typed = confirm ?? (await ctx.prompts.text(`Type ${word} to confirm`, `--confirm ${shellWord(word)}`))
  if (typed === word) return
  if (confirm === undefined) throw cancelled('the answer does not match')
  throw badInput(`--confirm is not "${word}"`, `pass --confirm ${shellWord(word)}`)
}
