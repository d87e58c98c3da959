import { accessSync, closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { databaseInvalid, IntegrationsError, systemCode } from '../../../errors.ts'
import { identityOf } from '../../../files.ts'

/** Whether the file of a database is there, as far as can be told: one in a folder that may not be entered is taken to be. */
export function fileExists(file: string): boolean {
  try {
    accessSync(file)
    return true
  } catch (error) {
    return !['ENOENT', 'ENOTDIR'].includes(systemCode(error))
  }
}

/**
 * Why a file is not the one with this identity; undefined while it is. SQLite goes on with a file that has no name any
 * more, and writes into the log beside the one that has it now.
 */
export function replacementOf(file: string, identity: string | null | undefined): IntegrationsError | undefined {
  const now = identityOf(file)
  if (now === identity || now === undefined || identity === undefined) return undefined
  const hint = 'stop what uses a database file before you replace or remove it'
  return now === null
    ? new IntegrationsError({ code: 'DATABASE_MISSING', message: `the file ${file} was removed`, hint })
    : databaseInvalid(`the file ${file} was replaced by another`, hint)
}

/** Makes an empty database file, readable by its owner alone, in a folder of the same kind. A file that exists stays. */
export function createFile(file: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  try {
    // Made before SQLite opens it, which would make it readable by all; -wal and -shm take its mode over. Once it is there,
    // none but SQLite may open it: the system drops all locks of a process on a file when that closes one descriptor of it.
    closeSync(openSync(file, 'wx', 0o600))
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
  }
}
