/**
 * The queue of the processes that wait for the lock of a database: a folder of files beside it. SQLite lets chance decide
 * who has the lock next, and a hundred processes that all try leave the one that has it no time. The queue is politeness:
 * SQLite's lock alone decides, also where no folder can be made, or where the numbers of processes mean nothing.
 *
 * @module
 */
import { mkdirSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemCode } from '../../../errors.ts'
import { isBusy } from '../busy.ts'

/** How long the first waits before it tries again, at least, and at most twice as long; in milliseconds. */
const firstMs = 8

/** How much longer each place behind the first sleeps, and how long at most, in milliseconds. */
const placeMs = 20
const longestMs = 500

/** A first that has not had its turn after this time has stopped, and the others try as well. In milliseconds. */
const stuckMs = 2000

/** How the files are named: since when, by which process, and something that no other has. */
const nameOf = /^\d{15}-(\d+)-[0-9a-f-]+$/

/**
 * Has an attempt to take the lock of a database succeed, in turn with other processes. The event loop goes on meanwhile.
 *
 * @param file of the database
 * @param attempt fails as busy while another process has the lock
 * @param deadline after which it is not tried again, by `performance.now()`
 * @throws what the attempt throws
 */
export async function waitInTurn(file: string, attempt: () => void, deadline: number): Promise<void> {
  const folder = `${file}-queue`
  if (namesIn(folder).length === 0 && succeeds(attempt)) return
  const name = `${String(Date.now()).padStart(15, '0')}-${process.pid}-${crypto.randomUUID()}`
  let first: string | undefined
  let since = performance.now()
  try {
    for (let tries = 0; ; tries++) {
      const before = isKept(folder, name) ? namesBefore(folder, name) : undefined
      const now = performance.now()
      if (before?.[0] !== first) since = now
      first = before?.[0]
      if ((first === undefined || now - since > stuckMs) && succeeds(attempt)) return
      const pauseMs = pauseOf(before?.length, tries)
      if (now + pauseMs > deadline) break
      await sleep(pauseMs)
    }
  } finally {
    leave(folder, name)
  }
  attempt()
}

/** Whether an attempt took the lock. @throws what it throws for another reason than that somebody has it */
function succeeds(attempt: () => void): boolean {
  try {
    attempt()
    return true
  } catch (error) {
    if (!isBusy(error)) throw error
    return false
  }
}

/** @param place how many are before; undefined where there is no queue */
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

/** Those that came before, the first of them first. The files of processes that have ended are removed. */
const namesBefore = (folder: string, own: string): string[] =>
  namesIn(folder)
    .filter((name) => name < own)
    .sort()
    .filter((name) => {
      if (runs(Number(nameOf.exec(name)?.[1]))) return true
      rmSync(`${folder}/${name}`, { force: true })
      return false
    })

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    // Another user's.
    return systemCode(error) === 'EPERM'
  }
}

/** Makes sure that a file is in the queue: where numbers of processes mean something else, another may have removed it. */
function isKept(folder: string, name: string): boolean {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    writeFileSync(`${folder}/${name}`, '', { mode: 0o600 })
    return true
  } catch {
    return false
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
