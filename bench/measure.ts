import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'

/** A Node program to run: its arguments, and what its environment has besides PATH and HOME. */
export interface Program {
  readonly name: string
  readonly args: readonly string[]
  readonly env?: { readonly [name: string]: string }
}

/** A finished run. */
export interface Run {
  readonly milliseconds: number
  /** What it took of processors, its own work and the system's, in milliseconds; undefined unless it was asked for. */
  readonly cpu: number | undefined
  /** The most memory it held, in MiB; undefined unless it was asked for. */
  readonly peak: number | undefined
  /** What it printed, as a hash. */
  readonly printed: string
}

/** Nothing of the machine's own: NODE_EXTRA_CA_CERTS alone doubles the start of Node 20, which hides what is beside it. */
export const environment = { PATH: process.env.PATH, HOME: process.env.HOME }

// The process measures itself as it ends, and says so on a channel of its own.
const reporter = `data:text/javascript,${encodeURIComponent(`import { writeSync } from 'node:fs'
process.on('exit', () => writeSync(3, String(process.resourceUsage().maxRSS)))`)}`

// Linux counts the memory of whoever starts a process as the process's own, and this one may hold more than what it
// measures: so a small one starts it.
const launcher = `const { status } = require('node:child_process').spawnSync(process.execPath, process.argv.slice(1), { stdio: [0, 1, 2, 3] })
process.exitCode = status ?? 1`

// The shell knows what a process has taken that has ended.
const timer = `TIMEFORMAT='%3U %3S'; exec 4>&2; { time "$@" 2>&4 3>&-; } 2>&3`

const commands = {
  time: (args: readonly string[]) => [process.execPath, ...args],
  cpu: (args: readonly string[]) => ['bash', '-c', timer, 'bash', process.execPath, ...args],
  peak: (args: readonly string[]) => [process.execPath, '-e', launcher, '--', '--import', reporter, ...args],
}

/** Runs a program to its end and reads what it prints. @param what is measured besides the time @throws Error when it fails */
export function run({ name, args, env }: Program, what: keyof typeof commands = 'time'): Promise<Run> {
  return new Promise((done, failed) => {
    const started = performance.now()
    const [command = '', ...words] = commands[what](args)
    const child = spawn(command, words, {
      env: { ...environment, ...env },
      stdio: ['ignore', 'pipe', 'pipe', what === 'time' ? 'ignore' : 'pipe'],
    })
    const hash = createHash('sha256')
    let complaint = ''
    let measured = ''
    child.stdout?.on('data', (chunk: Buffer) => hash.update(chunk))
    child.stderr?.on('data', (chunk: Buffer) => (complaint += chunk))
    child.stdio[3]?.on('data', (chunk: Buffer) => (measured += chunk))
    child.on('error', failed)
    child.on('close', (code) => {
      const milliseconds = performance.now() - started
      if (code !== 0) return failed(new Error(`${name} ended with ${code}: ${complaint}`))
      const seconds = measured.trim().split(' ').map(Number)
      done({
        milliseconds,
        cpu: what === 'cpu' ? seconds.reduce((a, b) => a + b, 0) * 1000 : undefined,
        peak: what === 'peak' ? Number(measured) / 1024 : undefined,
        printed: hash.digest('hex'),
      })
    })
  })
}

/**
 * Runs programs in turn, after one round that does not count: what disturbs the machine meets all of them alike.
 *
 * @returns the runs of each, in the order of the programs
 */
export async function inTurn(
  programs: readonly Program[],
  rounds: number,
  what?: Parameters<typeof run>[1],
): Promise<Run[][]> {
  const runs: Run[][] = programs.map(() => [])
  for (let round = 0; round <= rounds; round++) {
    for (const [i, program] of programs.entries()) {
      const one = await run(program, what)
      if (round > 0) runs[i]?.push(one)
    }
  }
  return runs
}

/** The middle value. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const [low = Number.NaN, high = Number.NaN] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]]
  return (low + high) / 2
}
