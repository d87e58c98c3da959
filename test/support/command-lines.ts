import type { CommandUnknownOpts } from '@commander-js/extra-typings'
import { createContext } from '../../src/cli/context.ts'
import { program } from '../../src/cli/program.ts'

let tree: Promise<CommandUnknownOpts> | undefined

/**
 * The commands of this program in a shell script that do not exist, or that have a flag which does not.
 *
 * @param script lines of shell; arguments may be placeholders
 * @returns what is unknown, such as `integrations list --nothing`
 */
export async function unknownCommands(script: string): Promise<string[]> {
  tree ??= program(createContext(process), () => true)
  const root = await tree
  const words = script
    .replace(/\\\n/g, ' ')
    .replace(/'[^'\n]*'|"[^"\n]*"/g, (quoted) => (quoted.includes('integrations ') ? quoted : '""'))
    .replace(/(^|\s)#.*$/gm, '')
    .split(/[|;&\n()"']+/)
    .map((line) => /(?:^|\s)integrations(?:\s.*)?$/.exec(line)?.[0].trim().split(/\s+/).slice(1) ?? [])
  return words.flatMap((line) => unknownIn(root, line))
}

function unknownIn(root: CommandUnknownOpts, words: readonly string[]): string[] {
  const end = words.indexOf('--')
  const line = end < 0 ? words : words.slice(0, end)
  let command = root
  const flags = new Set(['--help', ...root.options.flatMap(({ long, short }) => [long, short])])
  const unknown: string[] = []
  for (const [index, word] of line.entries()) {
    // What a flag takes is no command.
    const last = index > 0 ? line[index - 1] : '-'
    if ([...root.options, ...command.options].find(({ long, short }) => last === long || last === short)?.required)
      continue
    const next = command.commands.find((one) => one.name() === word)
    if (next) {
      command = next
      for (const { long, short } of command.options) flags.add(long).add(short)
    } else if (/^--?[a-z]/.test(word) && !flags.has(word.split('=')[0])) unknown.push(word)
    else if (command === root && /^[a-z]/.test(word)) unknown.push(word)
    else if (command.commands.length > 0 && command !== root && /^[a-z]/.test(word) && !unknown.length)
      unknown.push(word)
  }
  return unknown.map((word) => `integrations ${line.join(' ')}: ${word}`)
}
