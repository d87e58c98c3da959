import { Argument, Command, type CommandUnknownOpts } from '@commander-js/extra-typings'
import type { Lookup } from '../completion/candidates.ts'
import { quoted, readLine, type Shell, shells } from '../completion/shells.ts'
import type { Context } from '../context.ts'
import { withOwnStore } from '../own-store.ts'

/** Who pressed Tab does not wait longer for a database. */
const maxWaitMs = 2000

/** `integrations complete`, which the scripts of `integrations completion` run; not for people, so not in the help. */
export const command = (ctx: Context) =>
  new Command('complete')
    .description('Print what the last word could become.')
    .addArgument(new Argument('<shell>', 'the shell').choices(shells))
    .argument('<words...>', 'for bash its word breaks and the line up to the cursor, else the words up to the cursor')
    .action(async (shell, words, _, command: CommandUnknownOpts) => {
      const { aFile, candidates } = await import('../completion/candidates.ts')
      const line = split(shell, words)
      // A shell waits for an answer in the middle of a line: whatever is wrong, there is just nothing to offer.
      const found = await candidates(command.parent ?? command, line, lookup(ctx)).catch(() => [])
      const lines = found.map((one) =>
        one === aFile
          ? one.value
          : shell === 'bash'
            ? quoted(one.value.slice(line.kept.length), line.quote)
            : `${one.value}\t${one.description}`,
      )
      await ctx.output.raw(lines.map((text) => `${text}\n`).join(''))
    })

function split(shell: Shell, words: readonly string[]) {
  if (shell === 'bash') {
    const line = readLine(words[1] ?? '', words[0])
    return { ...line, words: line.words.slice(1) }
  }
  const last = words.at(-1) ?? ''
  // zsh hands on words without their quotes, fish all but the last.
  const current = shell === 'fish' ? readLine(last).current : last
  return { words: words.slice(0, -1), current, kept: '', quote: '' }
}

/** Reads a database as it is: none is made or migrated for a Tab. */
const lookup =
  (ctx: Context): Lookup =>
  async (url, work) => {
    if (url !== undefined) ctx.options = { ...ctx.options, database: url }
    return withOwnStore(ctx, { wait: maxWaitMs, notice: () => {} }, (store) => store.read(work))
  }
