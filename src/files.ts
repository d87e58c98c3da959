import { closeSync, constants, fsyncSync, ftruncateSync, openSync, statSync, writeFileSync } from 'node:fs'

/**
 * Writes a new file, which its owner alone can read, so that its content survives a crash; `syncFolder` has its name do so.
 *
 * @param over write over a file that is there, without giving its room on the disk back in between
 * @throws the error of the file system, EEXIST where there is such a file
 */
export function writeDurably(path: string, content: string, { over = false } = {}): void {
  const file = openSync(path, over ? constants.O_WRONLY | constants.O_CREAT : 'wx', 0o600)
  try {
    writeFileSync(file, content)
    fsyncSync(file)
    if (over) cutOff(file, Buffer.byteLength(content))
  } finally {
    closeSync(file)
  }
}

/** Gives room after the content back. The content is on the disk by then, and survives where this fails. */
function cutOff(file: number, length: number): void {
  try {
    ftruncateSync(file, length)
  } catch {
    // What was there before follows the content.
  }
}

/** Has the disk keep what a folder lists: without it, a power loss may take a file that was written. */
export function syncFolder(folder: string): void {
  try {
    const opened = openSync(folder, 'r')
    try {
      fsyncSync(opened)
    } finally {
      closeSync(opened)
    }
  } catch {
    // Windows opens no folders.
  }
}

/** What tells a file from another that takes its place; null for none, undefined where that cannot be told. */
export function identityOf(file: string): string | null | undefined {
  try {
    const stat = statSync(file, { bigint: true, throwIfNoEntry: false })
    return stat ? `${stat.dev}:${stat.ino}` : null
  } catch {
    return undefined
  }
}
