import { fstatSync, statSync, writeSync } from 'node:fs'
import type { Host, PlainStream } from '../host.ts'

/** How much is written to a pipe at once, in characters: an empty pipe takes twice as much, without waiting for its reader. */
const most = 32_768

/** What this program runs on. Node takes longer to make its streams than SQLite to read a row: short answers to files and pipes do without. */
export function hostOf(process: NodeJS.Process): Host {
  const { env, argv, pid, cwd } = process
  const stdout = standardStream(1, () => process.stdout)
  const stderr = standardStream(2, () => process.stderr)
  return {
    ...{ env, argv, pid, cwd },
    get stdin() {
      return process.stdin
    },
    get stdout() {
      return stdout()
    },
    get stderr() {
      return stderr()
    },
  }
}

/** A standard stream, by its descriptor; `make` makes it as Node has it. */
function standardStream(fd: number, make: () => NodeJS.WriteStream): () => NodeJS.WriteStream | PlainStream {
  let stream: NodeJS.WriteStream | PlainStream | undefined
  return () => {
    stream ??= isPlain(fd) ? plain(fd, make) : make()
    return stream
  }
}

/** Whether a descriptor is a file, a pipe, a socket or /dev/null: no terminal, and nothing that Windows has its own ways with. */
function isPlain(fd: number): boolean {
  if (process.platform === 'win32') return false
  try {
    const stat = fstatSync(fd)
    const isNull = stat.isCharacterDevice() && stat.rdev === statSync('/dev/null').rdev
    return isNull || stat.isFile() || stat.isFIFO() || stat.isSocket()
  } catch {
    return false
  }
}

/** Writes to a descriptor; once it takes no more, or is given much, by the stream that Node makes of it. */
function plain(fd: number, make: () => NodeJS.WriteStream): PlainStream {
  let left = most
  let stream: NodeJS.WriteStream | undefined
  const listeners: ((error: Error) => void)[] = []
  const whole = () => {
    if (stream) return stream
    stream = make()
    for (const listener of listeners) stream.on('error', listener)
    return stream
  }
  return {
    isTTY: false,
    on: (event, listener) => {
      listeners.push(listener)
      stream?.on(event, listener)
    },
    write: (text, done) => {
      left -= text.length
      if (stream || left < 0) return void whole().write(text, done)
      let bytes = Buffer.from(text)
      try {
        while (bytes.length > 0) bytes = bytes.subarray(writeSync(fd, bytes))
      } catch (error) {
        // Another program has the pipe refuse what it cannot take at once.
        const { code } = error as NodeJS.ErrnoException
        if (code === 'EAGAIN') return void whole().write(bytes, done)
        return void process.nextTick(() => done?.(error as Error))
      }
      if (done) process.nextTick(done)
    },
  }
}
