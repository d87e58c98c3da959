/** What this process has open of the files of a database, as Linux lists it. @module */
import { constants, fstatSync, readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs'

/** Descriptors of a database file and of the index of its log (-shm), whatever has opened them. */
export interface Descriptors {
  readonly database: readonly number[]
  readonly index: readonly number[]
}

/** The descriptors of a database; none where the system does not list them. */
export function descriptorsOf(file: string): Descriptors {
  const found = { database: [] as number[], index: [] as number[] }
  try {
    const { dev, ino } = statSync(file)
    const index = `${realpathSync(file)}-shm`
    for (const fd of readdirSync('/proc/self/fd').map(Number)) {
      const stat = statOf(fd)
      if (!stat?.isFile()) continue
      if (stat.dev === dev && stat.ino === ino) found.database.push(fd)
      else if (linkOf(fd) === index || linkOf(fd) === `${index} (deleted)`) found.index.push(fd)
    }
  } catch {
    // Another system, or the file is gone.
  }
  return found
}

/**
 * Whether something else than libsql has a database open in this process, as far as the system tells. SQLite opens a
 * database without following a link. All its connections share one descriptor of the index, so that a second one is that
 * of another SQLite; such a connection has none before it reads.
 */
export function isOpenElsewhere(file: string): boolean {
  const { database, index } = descriptorsOf(file)
  const named = statOf(`${file}-shm`)
  const isNamed = (fd: number) => named !== undefined && statOf(fd)?.ino === named.ino
  return database.some((fd) => !isSqlites(fd)) || index.filter(isNamed).length > 1
}

function isSqlites(fd: number): boolean {
  try {
    const [, flags = '0'] = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')) ?? []
    return (Number.parseInt(flags, 8) & constants.O_NOFOLLOW) !== 0
  } catch {
    // Closed since.
    return true
  }
}

function statOf(file: string | number) {
  try {
    return typeof file === 'string' ? statSync(file) : fstatSync(file)
  } catch {
    return undefined
  }
}

function linkOf(fd: number): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return undefined
  }
}
