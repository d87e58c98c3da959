/** Noticing that a database file is written over while it is open, as `cp backup.db live.db` does. @module */
import { type BigIntStats, fstatSync, readSync, statSync, writeSync } from 'node:fs'
import { databaseInvalid, type IntegrationsError } from '../../../errors.ts'
import { descriptorsOf } from './descriptors.ts'

/** What has happened to the files of a database that are open. */
type Event =
  /** The log and its index have no name any more, or others have it. */
  | 'log removed'
  /** Something else than SQLite has written into the database file. */
  | 'written over'

/**
 * Files that were overwritten while the log held changes that the file lacked: no consistent database. With each,
 * a connection that is kept: when the last is closed, SQLite writes the log into the file.
 */
const spoiled = new Map<string, unknown>()

/** The databases of the indexes that were open with their names. A file that took another's place has one of its own. */
const owners = new Map<string, string>()

/** A moment at which no checkpoint was under way. */
interface Sample {
  /** What every checkpoint changes. */
  readonly checkpoint: string
  /** What every write into the database file changes. */
  readonly database: string
}

/**
 * Looks after a database file that SQLite has open. In a database with a log, nothing but a checkpoint writes into the
 * file, and each says so in the index of the log: first what it is about to do, and then that it is done. The index is
 * read by SQLite's own descriptor, since closing another would end the locks of this process.
 */
export class Overwriting {
  readonly #file: string
  readonly #connection: () => unknown
  #index: number | undefined
  #sample: Sample | undefined
  #event: Event | undefined

  /** @param connection gives one that is open */
  constructor(file: string, connection: () => unknown) {
    this.#file = file
    this.#connection = connection
  }

  /** Why the file is not to be used any more by what has it open, if so. */
  look(): IntegrationsError | undefined {
    this.#event = this.#newEvent() ?? this.#event
    if (this.#event === undefined) return undefined
    const file = this.#file
    const hint = `stop what uses the database, restore the file, and remove ${file}-wal and ${file}-shm`
    return databaseInvalid(
      this.#event === 'log removed'
        ? `the write-ahead log of ${file} was removed while the file was open`
        : `the file ${file} was written over while it was open`,
      hint,
    )
  }

  #newEvent(): Event | undefined {
    const database = statOf(this.#file)
    if (!database) return undefined
    const index = this.#openIndex(database)
    const isSpoiled = spoiled.has(identityOf(database))
    if (!index) return isSpoiled ? 'written over' : undefined
    const before = this.#event ? undefined : this.#sample
    const now = sampleOf(index.fd, this.#file)
    const isUntouched =
      before !== undefined && before.checkpoint === now?.checkpoint && before.database === now.database
    if (!index.isNamed) {
      spoiled.delete(identityOf(database))
      // What the log holds is of the file that was written over. SQLite would write it into the other when it closes the
      // last connection.
      if (!isUntouched) disable(index.fd)
      return 'log removed'
    }
    if (isSpoiled) return 'written over'
    if (now) this.#sample = now
    if (!now || before?.checkpoint !== now.checkpoint || isUntouched) return undefined
    if (!isWritten(index.fd, database)) spoiled.set(identityOf(database), this.#connection())
    return 'written over'
  }

  /** SQLite's descriptor of the index of a database, and whether the index has its name still. */
  #openIndex(database: BigIntStats): { readonly fd: number; readonly isNamed: boolean } | undefined {
    const named = statOf(`${this.#file}-shm`)
    const name = named && identityOf(named)
    const owner = identityOf(database)
    if (this.#index === undefined || name === undefined || identityAt(this.#index) !== name) {
      const open = descriptorsOf(this.#file).index
      this.#index =
        open.find((fd) => identityAt(fd) === name) ?? open.find((fd) => owners.get(identityAt(fd)) === owner)
    }
    if (this.#index === undefined) return undefined
    const isNamed = identityAt(this.#index) === name
    if (isNamed && name !== undefined) owners.set(name, owner)
    return { fd: this.#index, isNamed }
  }
}

/** The same for the same file alone; a number of a file that was removed comes again. */
const identityOf = ({ dev, ino, birthtimeNs }: BigIntStats) => `${dev}:${ino}:${birthtimeNs}`

/** That of what a descriptor has open; empty for none. */
function identityAt(fd: number): string {
  const stat = statOf(fd)
  return stat ? identityOf(stat) : ''
}

function statOf(file: string | number): BigIntStats | undefined {
  try {
    return typeof file === 'number' ? fstatSync(file, { bigint: true }) : statSync(file, { bigint: true })
  } catch {
    return undefined
  }
}

/** The bytes of the index that tell of the log (twice the same), and how far checkpoints have come. */
const indexBytes = 136
const headerBytes = 48

function readIndex(fd: number): Buffer | undefined {
  const bytes = Buffer.alloc(indexBytes)
  try {
    return readSync(fd, bytes, 0, indexBytes, 0) === indexBytes ? bytes : undefined
  } catch {
    return undefined
  }
}

/** How many pages of the log a checkpoint has written into the file, and how many it was about to. */
const written = (index: Buffer) => index.subarray(96, 100)
const attempted = (index: Buffer) => index.subarray(128, 132)
/** A random number of the log, for as long as it is not begun anew. */
const salts = (index: Buffer, copy = 0) => index.subarray(copy * headerBytes + 32, copy * headerBytes + 40)

/** How far checkpoints have come; undefined while one is under way, or where that cannot be told. */
function checkpointOf(fd: number): string | undefined {
  const index = readIndex(fd)
  const stat = statOf(fd)
  if (!index || !stat?.birthtimeNs) return undefined
  if (!salts(index).equals(salts(index, 1)) || !written(index).equals(attempted(index))) return undefined
  return `${identityOf(stat)} ${salts(index).toString('hex')} ${written(index).toString('hex')}`
}

function sampleOf(fd: number, file: string): Sample | undefined {
  const checkpoint = checkpointOf(fd)
  const database = statOf(file)
  if (checkpoint === undefined || !database || checkpointOf(fd) !== checkpoint) return undefined
  return { checkpoint, database: `${database.size} ${database.mtimeNs}` }
}

/** Whether the file has all that is in the log, so that new connections see the file as it is. */
function isWritten(fd: number, { size }: BigIntStats): boolean {
  const index = readIndex(fd)
  if (!index?.subarray(16, 20).equals(written(index))) return false
  const { buffer, byteOffset } = index
  // An index of a log that nothing was written into does not say how long the file is.
  const [pages = 0] = new Uint32Array(buffer.slice(byteOffset + 20, byteOffset + 24))
  const [pageSize = 0] = new Uint16Array(buffer.slice(byteOffset + 14, byteOffset + 16))
  return pages === 0 || size === BigInt(pages) * BigInt(pageSize === 1 ? 65_536 : pageSize)
}

/** Has SQLite refuse all that is done with a log, by making its index one of a version that SQLite does not know. */
function disable(fd: number): void {
  const words = new Uint32Array(headerBytes / 4)
  const header = Buffer.from(words.buffer)
  header[12] = 1
  words[0] = 1
  let [first, second] = [0, 0]
  for (let i = 0; i < 10; i += 2) {
    first = (first + (words[i] ?? 0) + second) >>> 0
    second = (second + (words[i + 1] ?? 0) + first) >>> 0
  }
  words.set([first, second], 10)
  try {
    writeSync(fd, Buffer.concat([header, header]), 0, 2 * headerBytes, 0)
  } catch {
    // Closed since.
  }
}
