import { Option } from '@commander-js/extra-typings'
import { badInput, cancelled, shellWord } from '../../errors.ts'
import type { Context } from '../context.ts'

/** Consent to destroy something, given by naming it. */
export const confirmOption = () => new Option('--confirm <name>', 'its name: consent, where nobody can be asked')

/**
 * Asks to type the name of what is about to be destroyed, or takes `--confirm <name>`.
 *
 * @throws INPUT_REQUIRED where nobody can be asked, BAD_INPUT for another name, CANCELLED
 */
export async function confirmRemoval(
  ctx: Context,
  name: string,
  confirm: string | undefined,
  warning: string,
): Promise<void> {
  if (confirm === undefined && ctx.prompts.possible()) ctx.output.note(warning)
  const typed = confirm ?? (await ctx.prompts.text(`Type ${name} to go on`, `--confirm ${shellWord(name)}`))
  if (typed === name) return
  if (confirm === undefined) throw cancelled('that is not the name')
  throw badInput('--confirm gives another name', `to go on: --confirm ${shellWord(name)}`)
}
