import {
  closeSync,
  fchmodSync,
  fsyncSync,
  lstatSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, resolve } from 'node:path'
import { badInput, errorCodes, IntegrationsError, quoted, systemCode } from '../../errors.ts'
import { syncFolder } from '../../files.ts'
import type { Database } from '../../store/database/url.ts'
import type { PlainStream } from '../host.ts'
import { endingSignals } from '../interruptions.ts'

/**
 * Has a file written that is there whole or not at all: beside its place, and renamed at the end. A new file is for its
 * owner alone; one that is there keeps its mode. Nothing is left behind when the work fails or a signal ends this program.
 *
 * @param path as it was typed, in the folder `cwd`
 * @param database what must not be written over
 * @returns what the work gives
 * @throws BAD_INPUT where no file can be written, before any work; OUTPUT_FAILED; what the work throws
 */
export async function writeWhole<T>(
  path: string,
  { cwd, database }: { readonly cwd: string; readonly database: Database },
  work: (stream: PlainStream) => Promise<T>,
): Promise<T> {
  const { target, mode, beside, file } = openBeside(resolve(cwd, path), path, database)
  const end = (signal: NodeJS.Signals) => {
    rmSync(beside, { force: true })
    process.kill(process.pid, signal)
  }
  for (const signal of endingSignals) process.once(signal, end)
  try {
    const result = await work(streamOf(file))
    try {
      fchmodSync(file, mode)
      fsyncSync(file)
      renameSync(beside, target)
    } catch (cause) {
      throw new IntegrationsError({
        code: 'OUTPUT_FAILED',
        message: `${errorCodes.OUTPUT_FAILED.meaning}: the file ${quoted(path)} (${systemCode(cause)})`,
        hint: 'check that the disk has space, and run the command again',
        cause,
      })
    }
    syncFolder(dirname(target))
    return result
  } finally {
    for (const signal of endingSignals) process.off(signal, end)
    closeSync(file)
    rmSync(beside, { force: true })
  }
}

function openBeside(place: string, path: string, database: Database) {
  try {
    const { target, mode } = placeOf(place, path)
    if (database.provider === 'sqlite' && isSameFile(target, database.file))
      throw badInput(`--out ${quoted(path)} is the database itself`, 'name another file with --out')
    const beside = `${target}.${process.pid}.new`
    // Of a process of this id that was killed.
    rmSync(beside, { force: true })
    return { target, mode, beside, file: openSync(beside, 'wx', 0o600) }
  } catch (error) {
    if (error instanceof IntegrationsError) throw error
    throw badInput(
      `--out ${quoted(path)} cannot be written (${systemCode(error)})`,
      'name a file in a folder that exists and that you may write to',
    )
  }
}

/** Where a file is to be, through a link to it, and with which mode. @throws BAD_INPUT for what is no file */
function placeOf(place: string, path: string): { readonly target: string; readonly mode: number } {
  const there = statSync(place, { throwIfNoEntry: false })
  if (there?.isDirectory() || path === '' || path.endsWith('/'))
    throw badInput(`--out ${quoted(path)} is not a file`, 'name the file, as in --out report.md')
  if (there && !there.isFile())
    throw badInput(
      `--out ${quoted(path)} is not a regular file`,
      'leave --out out, and redirect standard output with >',
    )
  if (there) return { target: realpathSync(place), mode: there.mode & 0o777 }
  if (lstatSync(place, { throwIfNoEntry: false }))
    throw badInput(`--out ${quoted(path)} is a link to a file that does not exist`, 'name another file with --out')
  return { target: place, mode: 0o600 }
}

function isSameFile(one: string, other: string): boolean {
  const [a, b] = [one, other].map((file) => statSync(file, { throwIfNoEntry: false }))
  return a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino
}

/** Writes at once: a disk needs no waiting for a reader. */
const streamOf = (file: number): PlainStream => ({
  isTTY: false,
  on: () => {},
  write(text, done) {
    try {
      writeFileSync(file, text)
      process.nextTick(() => done?.())
    } catch (error) {
      process.nextTick(() => done?.(error instanceof Error ? error : new Error('the file cannot be written')))
    }
  },
})
