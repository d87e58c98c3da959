import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { Module } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { Script } from 'node:vm'
import { homeFolder } from './paths.ts'

/** What Node's types do not tell of its modules: how each is compiled, and what Node 22.1 brought. */
const node = Module as unknown as {
  prototype: { _compile(this: NodeJS.Module, source: string, file: string): unknown }
  /** What was loaded, by its file; it is there once it begins to load. */
  _cache: { [file: string]: NodeJS.Module }
  enableCompileCache?(folder: string): void
}

/**
 * Has Node keep what it compiles of this program in the user's cache folder: half of the time that a command takes to
 * start goes into compiling. Nothing of the user's is in there. It is off with NODE_DISABLE_COMPILE_CACHE=1, Node's own
 * variable, and where another user could have written to the folder.
 *
 * @param command has a folder of its own: what is kept of a file are the functions that its first run called, and another
 *   command calls others
 */
export function cacheCompiled(env: NodeJS.ProcessEnv, command: string): void {
  const home = homeFolder(env, 'cache')
  if (env.NODE_DISABLE_COMPILE_CACHE || !home) return
  const ours = join(home, 'integrations')
  const version = join(ours, `${process.version}-${process.arch}`)
  const folder = join(version, command)
  const folders = [home, ours, version, folder]
  // Not mkdir's "recursive", which never returns where a folder cannot be made, as in /proc.
  if (!folders.every((one) => isOurs(one) || make(one))) return
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

/** Makes a folder; whether it is there then, and ours. */
function make(folder: string): boolean {
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch {
    // Another process has made it, or nobody can: the check tells.
  }
  return isOurs(folder)
}

/**
 * What Node 20 has no function for. The chunks' names hold a hash of what is in them. Those that a chunk requires are not
 * looked for by Node, which asks for each of them in several places.
 */
function cacheChunks(chunks: string, folder: string): void {
  const compile = node.prototype._compile
  const fresh = new Map<string, Script>()

  function run(chunk: NodeJS.Module, source: string, outer: NodeJS.Module): unknown {
    const kept = join(folder, basename(chunk.filename))
    const cachedData = read(kept)
    const script = new Script(Module.wrap(source), {
      filename: chunk.filename,
      ...(cachedData ? { cachedData } : {}),
    })
    if (!cachedData || script.cachedDataRejected) fresh.set(kept, script)
    const require = (id: string) => (id.startsWith('./') ? load(join(chunks, id), outer) : outer.require(id))
    return script.runInThisContext().call(chunk.exports, chunk.exports, require, chunk, chunk.filename, chunks)
  }

  function load(file: string, outer: NodeJS.Module): unknown {
    const known = node._cache[file]
    if (known) return known.exports
    const chunk = Object.assign(new Module(file, outer), { filename: file })
    node._cache[file] = chunk
    try {
      run(chunk, readFileSync(file, 'utf8'), outer)
      chunk.loaded = true
    } catch (error) {
      delete node._cache[file]
      throw error
    }
    return chunk.exports
  }

  node.prototype._compile = function (source, file) {
    return dirname(file) === chunks ? run(this, source, this) : compile.call(this, source, file)
  }
  process.once('exit', () => {
    for (const [kept, script] of fresh) write(kept, script)
  })
}

/**
 * The compiled code that a file keeps; undefined when there is none, or not all of it as it was written. V8 runs what it is
 * given without a look: a page that a power loss left empty, or a bit that fell over, would end the process. So the file
 * holds the code twice, which takes less time to compare than a checksum of Node, which has to be loaded.
 */
function read(file: string): Buffer | undefined {
  try {
    const kept = readFileSync(file)
    const code = kept.subarray(0, kept.length / 2)
    return code.length > 0 && code.equals(kept.subarray(code.length)) ? code : undefined
  } catch {
    return undefined
  }
}

function write(file: string, script: Script): void {
  const whole = `${file}.${process.pid}`
  try {
    // By now it holds the functions that were used, too. Another process must not read half of it.
    const code = script.createCachedData()
    writeFileSync(whole, Buffer.concat([code, code]), { mode: 0o600, flag: 'wx', flush: true })
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
