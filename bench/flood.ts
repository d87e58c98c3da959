import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Data } from './data.ts'
import { environment, median } from './measure.ts'

/** What became of a server that strangers flood, from three processes: the server, the strangers, and who sends webhooks. */
export interface Flood {
  /** The most memory that it held, in MiB. */
  readonly peak: number
  /** The times in which webhooks were answered with 200, in milliseconds; infinite for the others. */
  readonly small: Times
  /** The same for webhooks of 1 to 2 MB. */
  readonly large: Times
  /** How many bytes strangers sent, and how many of their bodies were answered with each status. */
  readonly strangers: string
}

/** The median of times, and the longest of 99 in 100. */
export interface Times {
  readonly median: number
  readonly most: number
}

interface Answer {
  readonly status: number | string
  readonly milliseconds: number
}

/**
 * Floods a server with bogus bodies of 25 MiB over a hundred connections, while webhooks come for integrations that
 * `addSealed` has added.
 *
 * @param name the program in bench/programs: the receiver, or what stands beside it
 * @param pace how many bytes a second come over each connection
 */
export async function flood(
  { env }: Data,
  name: 'serve' | 'serve-bare',
  pace: number,
  seconds: number,
): Promise<Flood> {
  const started: ChildProcess[] = []
  const start = (program: string, ...args: (string | number)[]) => {
    const child = spawn(process.execPath, [resolve(`bench/programs/${program}.js`), ...args.map(String)], {
      env: { ...environment, ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    started.push(child)
    return child
  }
  try {
    const server = start(name)
    const [port] = await once(server.stdout.setEncoding('utf8'), 'data')
    const url = `http://127.0.0.1:${Number(port)}`
    const strangers = start('strangers', url, pace)
    await once(strangers.stdout, 'readable')
    const answers: Record<'small' | 'large', Answer[]> = JSON.parse(await text(start('webhooks', url, seconds).stdout))
    const peak = peakOf(server.pid ?? 0)
    strangers.stdin.end()
    return {
      peak,
      small: timesOf(answers.small),
      large: timesOf(answers.large),
      strangers: await text(strangers.stdout),
    }
  } finally {
    for (const child of started) child.kill()
  }
}

/** Linux counts the memory of whoever starts a process as the process's own, but for what it says here. */
const peakOf = (pid: number) => Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

function timesOf(answers: readonly Answer[]): Times {
  const times = answers.map(({ status, milliseconds }) => (status === 200 ? milliseconds : Number.POSITIVE_INFINITY))
  const sorted = times.toSorted((a, b) => a - b)
  return { median: median(sorted), most: sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.NaN }
}
