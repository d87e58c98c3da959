import { Argument, Command } from '@commander-js/extra-typings'
import { scripts, shells } from '../completion/shells.ts'
import type { Context } from '../context.ts'
import { declareTextOutput, examples } from '../input/arguments.ts'

/** `integrations completion` */
export const command = (ctx: Context) =>
  declareTextOutput(new Command('completion'), ctx.output)
    .description(
      'Print the script that makes a shell complete commands, flags, platforms, and the names in the database.',
    )
    .addArgument(new Argument('<shell>', 'the shell').choices(shells))
    .addHelpText(
      ...examples(
        `eval "$(integrations completion bash)"    # in ~/.bashrc`,
        `eval "$(integrations completion zsh)"     # in ~/.zshrc, after compinit`,
        `integrations completion fish > ~/.config/fish/completions/integrations.fish`,
      ),
    )
    .action((shell) => ctx.output.raw(scripts[shell]))
