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
      if (topic) return ctx.output.later((await import('../topics.ts')).topics[topic])
      let command = help.parent ?? help
      for (const word of words) {
        const found = command.commands.find((one) => one.name() === word)
        if (!found) throw noHelp(words, await nearest(command, word))
        command = found
      }
      command.outputHelp()
    })

/** The hint for help on an unknown subcommand or topic: the nearest name, else the help of the command above. */
async function nearest(command: CommandUnknownOpts, word: string): Promise<string> {
  const path = pathOf(command)
  const names = [...command.commands.map((one) => one.name()), ...(command.parent ? [] : topicNames)]
  const begins = names.find((name) => name.startsWith(word))
  if (begins) return ['integrations help', ...path, begins].join(' ')
  const { closest, distance } = await import('fastest-levenshtein')
  const similar = names.length > 0 ? closest(word, names) : ''
  const isNear = similar !== '' && distance(word, similar) <= Math.max(1, similar.length / 3)
  return ['integrations help', ...path, ...(isNear ? [similar] : [])].join(' ')
}

const pathOf = (command: CommandUnknownOpts): string[] =>
  command.parent ? [...pathOf(command.parent), command.name()] : []

const noHelp = (words: readonly string[], hint: string) =>
  badInput(
    `there is no help for ${JSON.stringify(words.join(' '))}`,
    hint === 'integrations help' ? `name a command of integrations --help, or one of ${topicNames.join(', ')}` : hint,
  )
