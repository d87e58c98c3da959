import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import packageJson from '../../package.json' with { type: 'json' }
import { cacheCompiled } from './compile-cache.ts'
import type { Host } from './host.ts'
import { hostOf } from './output/standard-streams.ts'

/** Runs the program on this process, which ends once nothing is left to do, so that output is not cut short. */
export async function start(): Promise<void> {
  process.exitCode = await main(hostOf(process))
}

/**
 * Runs the program on a host's arguments, streams and environment.
 *
 * @returns the exit code
 */
export async function main(host: Host): Promise<number> {
  const answer = readyAnswer(host)
  if (answer && (await written(host.stdout, answer))) return 0
  cacheCompiled(host.env, commandIn(host.argv))
  const { run } = await import('./run.ts')
  return run(host)
}

/** What is answered without a command line being read: a third of the time of `--help` goes there. */
function readyAnswer({ argv, stdout }: Host): string | undefined {
  if (argv.length !== 3) return undefined
  if (argv[2] === '--version' || argv[2] === '-V') return `${packageJson.version}\n`
  // The build keeps the help as it is at 80 columns, which is also what stands in a file.
  return (argv[2] === '--help' || argv[2] === '-h') && (stdout.columns ?? 80) === 80 ? readyHelp() : undefined
}

/** The help that the build has written down; undefined while it is being made. */
function readyHelp(): string | undefined {
  try {
    return readFileSync(join(import.meta.dirname, 'help.txt'), 'utf8')
  } catch {
    return undefined
  }
}

/** The command that the first argument names; `other` where it names none that the help knows. */
const commandIn = ([, , word = '']: readonly string[]) =>
  /^[a-z]+$/.test(word) && readyHelp()?.includes(`\n  ${word} `) ? word : 'other'

/** Whether a text could be written; when it could not, the program tries again, and says why. */
const written = (stdout: Host['stdout'], text: string): Promise<boolean> =>
  new Promise((resolve) => {
    stdout.on('error', () => {})
    stdout.write(text, (error) => resolve(!error))
  })
