/**
 * npm run docs
 *
 * Writes docs/reference.md from the help of the commands, the pictures of the README (pictures.ts), and the schema of reports
 * (report-schema.ts).
 */
import { writeFile } from 'node:fs/promises'
import type { CommandUnknownOpts } from '@commander-js/extra-typings'
import { createContext } from '../src/cli/context.ts'
import { program } from '../src/cli/program.ts'
import { topics } from '../src/cli/topics.ts'
import { draw } from './pictures.ts'
import { reportSchema, reportSchemaFile } from './report-schema.ts'

/** Where the reference is. */
export const referenceFile = 'docs/reference.md'

/** The text of the reference: the help of every command, then the help topics. */
export async function reference(): Promise<string> {
  const commands = section(await program(createContext(process), () => true))
  const others = Object.entries(topics).map(([topic, text]) => `## help ${topic}\n\n${block(text)}`)
  return [
    '# Reference',
    'This is what `integrations <command> --help` and `integrations help <topic>` print. The options of the program itself work with every command. `npm run docs` writes this file.',
    commands,
    ...others,
  ].join('\n\n')
}

const block = (text: string) => `\`\`\`text\n${text.trimEnd()}\n\`\`\`\n`

function section(command: CommandUnknownOpts, path: readonly string[] = []): string {
  const name = [...path, command.name()]
  const subcommands = command
    .createHelp()
    .visibleCommands(command)
    .filter((one) => command.commands.includes(one))
  return [`## ${name.join(' ')}\n\n${block(help(command))}`, ...subcommands.map((one) => section(one, name))].join('\n')
}

/** The help of a command, without the options that all commands have: those are in the help of the program. */
function help(command: CommandUnknownOpts): string {
  let text = ''
  command
    .configureHelp({ showGlobalOptions: false, helpWidth: 100 })
    .configureOutput({ writeOut: (part) => (text += part), getOutHasColors: () => false })
    .outputHelp()
  return text
}

if (process.argv[1]?.endsWith('docs.ts'))
  for (const [file, text] of Object.entries({
    ...(await draw()),
    [referenceFile]: await reference(),
    [reportSchemaFile]: reportSchema(),
  }))
    await writeFile(file, text)
