import { Option } from '@commander-js/extra-typings'
import { badInput, cancelled, shellWord } from '../../errors.ts'
import type { Context } from '../context.ts'

/** Consent to destroy something, given by naming it. */
export const confirmOption = () =>
  new Option('--confirm <name>', 'confirm by repeating the name (required without a terminal)')

/**
 * Asks to type the name of what is about to be destroyed, or takes `--confirm <name>`.
 *
 * @throws INPUT_REQUIRED without a terminal, BAD_INPUT for another name, CANCELLED
 */
export async function confirmRemoval(
  ctx: Context,
  name: string,
  confirm: string | undefined,
  warning: string,
): Promise<void> {
  if (confirm === undefined && ctx.prompts.possible()) ctx.output.note(warning)
  const typed = confirm ?? (await ctx.prompts.text(`Type ${name} to confirm`, `--confirm ${shellWord(name)}`))
  if (typed === name) return
  if (confirm === undefined) throw cancelled('the name does not match')
  throw badInput('--confirm does not repeat the name', `pass --confirm ${shellWord(name)}`)
}
