/**
 * npm run docs
 *
 * Writes the reference in README.md, between its two markers, from the help of the commands.
 */
import { readFile, writeFile } from 'node:fs/promises'
import type { CommandUnknownOpts } from '@commander-js/extra-typings'
import { createContext } from '../src/cli/context.ts'
import { program } from '../src/cli/program.ts'

const begin = '<!-- reference: written by "npm run docs" from the help -->'
const end = '<!-- end of reference -->'

/** A README with its reference replaced by what the help says. */
export async function withReference(readme: string): Promise<string> {
  const [before, rest] = readme.split(begin)
  const [, after] = rest?.split(end) ?? []
  if (before === undefined || after === undefined) throw new Error('README.md lacks the markers of the reference')
  return `${before}${begin}\n\n${reference(await program(createContext(process), () => true))}\n${end}${after}`
}

function reference(command: CommandUnknownOpts, path: readonly string[] = []): string {
  const name = [...path, command.name()]
  const subcommands = command
    .createHelp()
    .visibleCommands(command)
    .filter((one) => command.commands.includes(one))
  return [
    `### ${name.join(' ')}\n\n\`\`\`text\n${help(command)}\n\`\`\`\n`,
    ...subcommands.map((one) => reference(one, name)),
  ].join('\n')
}

/** The help of a command, without the options that all commands have: those are in the help of the program. */
function help(command: CommandUnknownOpts): string {
  let text = ''
  command
    .configureHelp({ showGlobalOptions: false, helpWidth: 100 })
    .configureOutput({ writeOut: (part) => (text += part), getOutHasColors: () => false })
    .outputHelp()
  return text.trimEnd()
}

if (process.argv[1]?.endsWith('docs.ts'))
  await writeFile('README.md', await withReference(await readFile('README.md', 'utf8')))
