import { closeSync, fsyncSync, openSync, writeFileSync } from 'node:fs'

/**
 * Writes a new file, which its owner alone can read, so that its content survives a crash; `syncFolder` has its name do so.
 *
 * @throws the error of the file system, EEXIST where there is such a file
 */
export function writeDurably(path: string, text: string): void {
  const file = openSync(path, 'wx', 0o600)
  try {
    writeFileSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
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
