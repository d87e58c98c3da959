import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire, Module } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { Script } from 'node:vm'
import { homeFolder } from './paths.ts'

/** What Node's types do not tell of its modules: how each is compiled, and what Node 22.1 brought. */
const node = Module as unknown as {
  prototype: { exports: unknown; _compile(source: string, file: string): unknown }
  enableCompileCache?(folder: string): void
}

/**
 * Has Node keep what it compiles of this program in the user's cache folder: half of the time that a command takes to
 * start goes into compiling. Nothing of the user's is in there. It is off with NODE_DISABLE_COMPILE_CACHE=1, Node's own
 * variable, and where another user could have written to the folder.
 */
export function cacheCompiled(env: NodeJS.ProcessEnv): void {
  const home = homeFolder(env, 'cache')
  if (env.NODE_DISABLE_COMPILE_CACHE || !home) return
  const folder = join(home, 'integrations', `${process.version}-${process.arch}`)
  // Not mkdir's "recursive", which never returns where a folder cannot be made, as in /proc.
  for (const one of [home, dirname(folder), folder]) make(one)
  if (![home, dirname(folder), folder].every(isOurs)) return
  if (node.enableCompileCache) node.enableCompileCache(folder)
  else cacheChunks(join(import.meta.dirname, 'chunks'), folder)
}

/** Who may write to the folder decides what this process runs: with sudo and the HOME of another user, not that user. */
function isOurs(folder: string): boolean {
  try {
    const { uid, mode } = statSync(folder)
    return process.getuid === undefined || (uid === process.getuid() && (mode & 0o022) === 0)
  } catch {
    return false
  }
}

function make(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch {
    // It is there, or cannot be made: the check tells.
  }
}

/** What Node 20 has no function for. The chunks' names hold a hash of what is in them. */
function cacheChunks(chunks: string, folder: string): void {
  const compile = node.prototype._compile
  const fresh = new Map<string, Script>()
  node.prototype._compile = function (source, file) {
    if (dirname(file) !== chunks) return compile.call(this, source, file)
    const kept = join(folder, basename(file))
    const cachedData = read(kept)
    const script = new Script(Module.wrap(source), {
      filename: file,
      ...(cachedData ? { cachedData } : {}),
    })
    if (!cachedData || script.cachedDataRejected) fresh.set(kept, script)
    return script.runInThisContext().call(this.exports, this.exports, createRequire(file), this, file, chunks)
  }
  process.once('exit', () => {
    for (const [kept, script] of fresh) write(kept, script)
  })
}

/** How many bytes a file has before the compiled code: the length of that, and its checksum. */
const headerBytes = 8

const wordsPerPage = 1024

/**
 * A checksum over words of 32 bits. V8 runs what it is given without a look: a page that a power loss left empty, or a bit
 * that fell over, would end the process.
 */
function checksum(code: Buffer): number {
  const { buffer, byteOffset, length } = code
  const words = new Int32Array(buffer, byteOffset, length >>> 2)
  let sum = length
  // This runs before anything else, interpreted: words are turned and mixed by what is fast then, pages by a product.
  for (let i = 0; i < words.length; ) {
    const end = Math.min(i + wordsPerPage, words.length)
    for (; i < end; i++) sum = ((sum << 5) | (sum >>> 27)) ^ (words[i] as number)
    sum = Math.imul(sum, 0x01000193)
  }
  for (let i = length & ~3; i < length; i++) sum = ((sum << 5) | (sum >>> 27)) ^ (code[i] as number)
  return sum
}

/** The compiled code that a file keeps; undefined when there is none, or not all of it as it was written. */
function read(file: string): Buffer | undefined {
  try {
    const kept = readFileSync(file)
    const code = kept.subarray(headerBytes)
    if (kept.readUInt32LE(0) === code.length && kept.readInt32LE(4) === checksum(code)) return code
  } catch {
    // The file is missing, or shorter than its header.
  }
  return undefined
}

function write(file: string, script: Script): void {
  const whole = `${file}.${process.pid}`
  try {
    // By now it holds the functions that were used, too. Another process must not read half of it.
    const code = script.createCachedData()
    const header = Buffer.alloc(headerBytes)
    header.writeUInt32LE(code.length, 0)
    header.writeInt32LE(checksum(code), 4)
    writeFileSync(whole, Buffer.concat([header, code]), { mode: 0o600, flag: 'wx', flush: true })
    renameSync(whole, file)
  } catch {
    // A full or read-only disk: the next start takes its time again.
    try {
      rmSync(whole, { force: true })
    } catch {
      // What it was to hold is not read: its name is that of this process.
    }
  }
}
