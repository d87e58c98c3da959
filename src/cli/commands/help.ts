import { Argument, Command, type CommandUnknownOpts } from '@commander-js/extra-typings'
import { badInput } from '../../errors.ts'
import type { Context } from '../context.ts'
import { declareTextOutput, examples } from '../input/arguments.ts'
import type { Topic } from '../topics.ts'

/** What can be read about besides commands. */
export const topicNames = ['exit-codes', 'environment', 'output'] as const satisfies readonly Topic[]

/** `integrations help` */
export const command = (ctx: Context) =>
  declareTextOutput(new Command('help'), ctx.output)
    .description('Print help for a command or for a topic.')
    .addArgument(new Argument('[topic...]', `a command, or one of ${topicNames.join(', ')}`))
    .addHelpText(
      ...examples('integrations help rotate', 'integrations help workspaces add', 'integrations help exit-codes'),
    )
    .action(async (words, _, help: CommandUnknownOpts) => {
      const topic = words.length === 1 ? topicNames.find((one) => one === words[0]) : undefined
      if (topic) return ctx.output.raw((await import('../topics.ts')).topics[topic])
      let command = help.parent ?? help
      for (const word of words) {
        const found = command.commands.find((one) => one.name() === word)
        if (!found)
          throw badInput(
            `there is no help for ${JSON.stringify(words.join(' '))}`,
            `name a command of integrations --help, or one of ${topicNames.join(', ')}`,
          )
        command = found
      }
      command.outputHelp()
    })
