import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings'
import type { Context } from '../context.ts'

/** A command that only holds others, which its help lists in the order given. */
export const group =
  (name: string, description: string, subcommands: readonly ((ctx: Context) => CommandUnknownOpts)[]) =>
  (ctx: Context): CommandUnknownOpts => {
    const command = new Command(name).description(description)
    for (const subcommand of subcommands) command.addCommand(subcommand(ctx))
    return command
  }
