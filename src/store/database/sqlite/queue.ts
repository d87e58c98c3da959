/**
 * The queue of the processes that wait for the lock of a database: a folder of files beside it. SQLite lets chance decide
 * who has the lock next, and a hundred processes that all try leave the one that has it no time. The queue is politeness:
 * SQLite's lock alone decides, also where no folder can be made, or where the numbers of processes mean nothing.
 *
 * @module
 */
import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Processes } from '../../../processes.ts'
import { isBusy } from '../busy.ts'

/** How long the first sleeps before it tries again, at least, and at most twice as long; in milliseconds. */
const firstMs = 8

/** How much longer each place behind the first sleeps, and how long at most, in milliseconds. */
const placeMs = 20
const longestMs = 500

/** Who has not touched its file for so long stands still, and is passed over; in milliseconds. */
const stillMs = 3000

/** How the files are named: since when, by which process, and something that no other has. */
const nameOf = /^\d{15}-(\d+)-[0-9a-f-]+$/

/**
 * Has an attempt to take the lock of a database succeed, in turn with other processes. The event loop goes on meanwhile.
 *
 * @param attempt fails as busy while another process has the lock
 * @param options `file`: of the database; `deadline`: after which it is not tried again, by `performance.now()`
 * @throws what the attempt throws
 */
export async function waitInTurn(
  attempt: () => void,
  { file, processes, deadline }: { readonly file: string; readonly processes: Processes; readonly deadline: number },
): Promise<void> {
  const folder = `${file}-queue`
  if (namesIn(folder).length === 0 && succeeds(attempt)) return
  const name = `${String(Date.now()).padStart(15, '0')}-${processes.own}-${crypto.randomUUID()}`
  try {
    for (let tries = 0; ; tries++) {
      const place = placeIn(folder, name, processes)
      if (!place && succeeds(attempt)) return
      const pauseMs = pauseOf(place, tries)
      if (performance.now() + pauseMs > deadline) break
      await sleep(pauseMs)
    }
  } finally {
    leave(folder, name)
  }
  attempt()
}

/** Whether an attempt took the lock. @throws what it throws, unless another process has the lock */
function succeeds(attempt: () => void): boolean {
  try {
    attempt()
    return true
  } catch (error) {
    if (!isBusy(error)) throw error
    return false
  }
}

/** How long to sleep before the next attempt, in milliseconds. @param place how many processes are before; undefined where there is no queue */
function pauseOf(place: number | undefined, tries: number): number {
  if (place === undefined) return Math.random() * Math.min(1000, 20 * 2 ** tries)
  const leastMs = place === 0 ? firstMs : Math.min(place * placeMs, longestMs)
  return leastMs * (1 + Math.random())
}

const namesIn = (folder: string): string[] => {
  try {
    return readdirSync(folder).filter((name) => nameOf.test(name))
  } catch {
    return []
  }
}

/**
 * Touches a file in the queue, or puts it there: where numbers of processes mean something else, another may have removed
 * it. The files of processes that have ended are removed.
 *
 * @returns how many wait that came before; undefined where there can be no queue
 */
function placeIn(folder: string, name: string, processes: Processes): number | undefined {
  try {
    if (!existsSync(folder)) mkdirSync(folder, { mode: 0o700 })
    writeFileSync(`${folder}/${name}`, '', { mode: 0o600 })
    // By the clock of the file system.
    const now = statSync(`${folder}/${name}`).mtimeMs
    return namesIn(folder).filter((other) => {
      if (other >= name) return false
      const file = `${folder}/${other}`
      if (processes.runs(Number(nameOf.exec(other)?.[1])))
        return Math.abs(now - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0)) < stillMs
      rmSync(file, { force: true })
      return false
    }).length
  } catch {
    return undefined
  }
}

function leave(folder: string, name: string): void {
  try {
    rmSync(`${folder}/${name}`, { force: true })
    rmdirSync(folder)
  } catch {
    // Others wait, or there is none.
  }
}
