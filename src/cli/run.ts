import type { CommandUnknownOpts } from '@commander-js/extra-typings'
import { CommanderError } from 'commander'
import { badInput, errorCodes, IntegrationsError, systemCode } from '../errors.ts'
import { type Context, createContext } from './context.ts'
import { type Host, isJson } from './host.ts'
import { OptionLikeRef } from './input/option-like-ref.ts'
import { program } from './program.ts'

/**
 * Reads the command line and does what it says.
 *
 * @returns the exit code; the caller leaves it to the event loop to end, so that output is not cut short
 */
export async function run(host: Host): Promise<number> {
  const ctx = createContext(host)
  let root: CommandUnknownOpts | undefined
  try {
    root = await program(ctx)
    await root.parseAsync(host.argv.slice(2), { from: 'user' }).catch((error) => unlessHelp(ctx, error))
    await ctx.output.flush()
    return ctx.exitCode
  } catch (error) {
    return report(ctx, error, isExec(host.argv.slice(2), root?.args))
  } finally {
    await ctx.close()
  }
}

/** commander throws also when it has printed what was asked for: help, or the version. */
async function unlessHelp(ctx: Context, error: unknown): Promise<void> {
  if (error instanceof OptionLikeRef) throw await error.told(ctx)
  if (!(error instanceof CommanderError) || error.exitCode !== 0) throw error
}

/** @param operands what commander has read by then: nothing, when an option before them was refused */
const isExec = (words: readonly string[], operands: readonly string[] = []) =>
  operands.length > 0 ? operands[0] === 'exec' : words.slice(0, words.indexOf('--') >>> 0).includes('exec')

/** @param exec whether a command was to be run, whose own exit codes may be any below 125 */
function report(ctx: Context, error: unknown, exec: boolean): number {
  if (error instanceof CommanderError) {
    // People have read the help.
    if (isJson(ctx.options)) ctx.output.error(badInput('a command is missing', 'integrations --help'), 2, false)
    return 2
  }
  let known = error instanceof IntegrationsError ? error : bug(error)
  if (known.code === 'OUTPUT_FAILED') {
    if (ctx.changed()) known = answerLost(known)
    // Who closed the pipe has read enough.
    else if (systemCode(known.cause) === 'EPIPE') return ctx.exitCode
  }
  // Of several changes, some were made.
  else if (ctx.changed() && known.committed === false) known = known.with({ committed: true })
  const { exit: byCode, retryable } = errorCodes[known.code]
  const usual = known.code === 'CANCELLED' && ctx.exitCode > 0 ? ctx.exitCode : byCode
  const exit = exec && usual < 125 ? 125 : usual
  ctx.output.error(known, exit, retryable && known.committed === false)
  if (ctx.host.env.DEBUG === 'integrations' && known.code === 'BUG') ctx.host.stderr.write(`${frames(error)}\n`)
  return exit
}

const answerLost = (cause: IntegrationsError) =>
  new IntegrationsError({
    code: 'OUTPUT_FAILED',
    message: 'the change was made, but the answer could not be written',
    hint: 'check what was changed with integrations audit list',
    cause,
    committed: true,
  })

const bug = (error: unknown) =>
  new IntegrationsError({
    code: 'BUG',
    message: `something unexpected went wrong (${error instanceof Error ? error.name : typeof error})`,
    hint: 'run the command again with DEBUG=integrations, and report the output',
  })

/** Where an error came from, without its message: that may hold a value. */
function frames(error: unknown): string {
  if (!(error instanceof Error) || !error.stack) return ''
  return error.stack.slice(error.stack.indexOf(error.message) + error.message.length).trim()
}
