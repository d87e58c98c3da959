import { type ChildProcess, spawn } from 'node:child_process'
import { basename } from 'node:path'
import type { Writable } from 'node:stream'
import { childEnvironment } from '../../child-environment.ts'
import { errorCodes, IntegrationsError } from '../../errors.ts'
import type { Streams } from '../host.ts'

/** A pager that shows what is written to it. */
export interface Pager {
  readonly input: Writable
  /** Whether it shows colours. */
  readonly hasColours: boolean
  /** Waits until a person has seen enough. @throws OUTPUT_FAILED when the shell did not find the pager */
  close(): Promise<void>
}

/** Signals that end this program, and would leave the terminal to its pager. */
const passed = ['SIGTERM', 'SIGHUP'] as const

/** What a shell would read as more than words. */
const forShell = /[^\w\s./:=+,@%-]/

/** A command was not found, or cannot be run: the exit codes of a shell. */
const notStarted: readonly (number | null)[] = [126, 127]

/**
 * Starts the pager of `PAGER`, or less, as git does: `LESS` is FRX where it is not set.
 *
 * @returns undefined where there is to be none (`cat`, or nothing), where less is not installed, and where the one of `PAGER`
 *   cannot be started, which `warn` tells
 */
export async function startPager({ env, argv }: Streams, warn: (text: string) => void): Promise<Pager | undefined> {
  const command = (env.PAGER ?? 'less').trim()
  if (command === '' || command === 'cat') return undefined
  const options = env.LESS ?? 'FRX'
  const [file = '', ...args] = forShell.test(command) ? ['/bin/sh', '-c', command] : command.split(/\s+/)
  const child = spawn(file, args, {
    stdio: ['pipe', 'inherit', 'inherit'],
    env: { LESS: options, ...childEnvironment(env, { argv }) },
  })
  const hasStarted = await new Promise<boolean>((done) => {
    child.once('spawn', () => done(true)).once('error', () => done(false))
  })
  if (hasStarted) return { ...shownIn(child, command), hasColours: showsColours(command, options) }
  if (env.PAGER !== undefined) warn(`the pager ${JSON.stringify(command)} of PAGER cannot be started`)
  return undefined
}

/** The option with which less shows colours, alone or among others of one letter. */
const rawOption = /^-(-raw-control-chars|[a-z]*r)/i

/** Whether a pager shows colours, and not their codes: less does, where its options say so. @param options those of `LESS` */
function showsColours(command: string, options: string): boolean {
  const [file = '', ...words] = (command.split('|').at(-1) ?? '').trim().split(/\s+/)
  // The dash before the first ones of LESS may be left out.
  const all = [...words, ...options.replace(/^\s*(?=\w)/, '-').split(/\s+/)]
  return basename(file) === 'less' && all.some((word) => rawOption.test(word))
}

function shownIn(child: ChildProcess & { readonly stdin: Writable }, command: string): Omit<Pager, 'hasColours'> {
  const closed = new Promise<number | null>((done) => child.once('close', done))
  // Who writes hears of a pager that was left; without a listener it would end the process as well.
  child.stdin.on('error', () => {})
  // Ctrl-C in a pager is the pager's.
  const ignore = () => {}
  const pass = (signal: NodeJS.Signals) => {
    child.kill(signal)
    listen('off')
    process.kill(process.pid, signal)
  }
  const listen = (how: 'on' | 'off') => {
    process[how]('SIGINT', ignore)
    for (const signal of passed) process[how](signal, pass)
  }
  listen('on')
  return {
    input: child.stdin,
    async close() {
      child.stdin.end()
      const code = await closed
      listen('off')
      if (notStarted.includes(code))
        throw new IntegrationsError({
          code: 'OUTPUT_FAILED',
          message: `${errorCodes.OUTPUT_FAILED.meaning}: the pager ${JSON.stringify(command)} could not be started`,
          hint: 'name another pager in PAGER, or pass --no-pager',
        })
    },
  }
}
