import { lstatSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemCode } from '../errors.ts'
import type { Processes } from '../processes.ts'

/** The text of a file of the kernel, or nothing. */
function ofKernel(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}

/** The start of a process, which tells it from a later one with its number; empty where the system does not say. */
const startOf = (pid: number) =>
  ofKernel(() => readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\)/s, '').trim().split(' ')[19] ?? '')

/** Where the numbers of processes mean the same: this start of this machine, or of this container. */
const place = () =>
  [
    hostname(),
    ofKernel(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    ofKernel(() => readlinkSync('/proc/self/ns/pid')),
  ].join('/')

/** How old the lock of a process elsewhere is when it counts as left: what is done under a lock takes milliseconds. */
const maxAgeMs = 600_000

/**
 * Whether the process that a lock names has ended. Of a process on another machine, or in another container, nothing is
 * known but when it took the lock.
 */
function isOver(lock: string, text: string, { runs }: Processes): boolean {
  const [pid = '', start = '', where] = text.split(' ')
  if (where !== place() || !/^\d+$/.test(pid)) {
    const since = lstatSync(lock, { throwIfNoEntry: false })?.mtimeMs
    return since !== undefined && Date.now() - since > maxAgeMs
  }
  if (!runs(Number(pid))) return true
  // The system may keep to itself what it knows of other users' processes.
  const startNow = startOf(Number(pid))
  return start !== '' && startNow !== '' && startNow !== start
}

/** Makes a lock that has its text from the beginning. @returns false when there is one */
function make(lock: string, text: string): boolean {
  try {
    symlinkSync(text, lock)
    return true
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false
    // Some file systems have no links.
    if (!['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'].includes(systemCode(error))) throw error
  }
  try {
    writeFileSync(lock, text, { flag: 'wx', mode: 0o600 })
    return true
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false
    throw error
  }
}

/** The text of a lock; undefined when there is none. */
function textOf(lock: string): string | undefined {
  try {
    return readlinkSync(lock)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
  }
  return ofKernel(() => readFileSync(lock, 'utf8'))
}

/** Takes away a lock whose process has ended. A lock that took its place meanwhile is put back. @returns false when it cannot */
function clear(lock: string, text: string): boolean {
  const aside = `${lock}.old`
  try {
    renameSync(lock, aside)
    const moved = textOf(aside)
    if (moved !== undefined && moved !== text) make(lock, moved)
    rmSync(aside, { force: true })
    return true
  } catch {
    // Another process was faster, or the folder may not be written.
    return false
  }
}

/**
 * Runs `work` while no other process of this program does with the same lock. A process that is killed leaves a lock that
 * the next one takes over.
 *
 * @param waitMs how long to wait for another process
 * @param processes absent: a lock that was left cannot be told from one in use
 * @returns undefined when another process had the lock all the time, or may have
 * @throws what `work` throws, and the error of the file system where no lock can be made
 */
export async function locked<T>(
  { lock, waitMs, processes }: { lock: string; waitMs: number; processes: Processes | undefined },
  work: () => T,
): Promise<{ readonly result: T } | undefined> {
  const mine = processes ? `${processes.own} ${startOf(processes.own)} ${place()}` : crypto.randomUUID()
  const deadline = performance.now() + waitMs
  while (!make(lock, mine)) {
    const theirs = textOf(lock)
    if (theirs !== undefined && processes && isOver(lock, theirs, processes) && clear(lock, theirs)) continue
    if (performance.now() > deadline) return undefined
    await sleep(Math.min(50, waitMs))
  }
  try {
    return { result: work() }
  } finally {
    if (textOf(lock) === mine) rmSync(lock, { force: true })
  }
}
