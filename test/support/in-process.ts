import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { expect } from 'vitest'
import type { main } from '../../src/cli/main.ts'
import { environment, type Outcome, type RunOptions } from './program.ts'

/**
 * Has the program as it is built answer a command line, in this process: what bin/integrations.js starts, on streams
 * and an environment of its own. It costs a tenth of a start. For tables of many command lines, and for what a test
 * only sets up; what has to do with the process itself (signals, pipes, terminals, users) is for `integrations`.
 */
export async function runInProcess(
  args: readonly string[],
  { env, input = '' }: Pick<RunOptions, 'env' | 'input'> = {},
): Promise<Outcome> {
  const built = createRequire(import.meta.url)(resolve('dist/main.cjs')) as { main: typeof main }
  const stdout = collector()
  const stderr = collector()
  const host = {
    argv: [process.execPath, 'integrations', ...args],
    // What Node compiles is in this process already.
    env: { ...environment(env), NODE_DISABLE_COMPILE_CACHE: '1' },
    stdin: Readable.from([Buffer.from(input)], { objectMode: false }),
    stdout: stdout.stream,
    stderr: stderr.stream,
    cwd: () => process.cwd(),
    pid: process.pid,
  }
  const code = await built.main(host as unknown as Parameters<typeof main>[0])
  return { code, stdout: stdout.text(), stderr: stderr.text() }
}

/** Has the program answer command lines that have to succeed. @returns what it printed */
export const succeeding =
  (env: Record<string, string>) =>
  async (args: readonly string[], input = ''): Promise<string> => {
    const outcome = await runInProcess(args, { env, input })
    expect(outcome, args.join(' ')).toMatchObject({ code: 0 })
    return outcome.stdout
  }

function collector() {
  const chunks: Buffer[] = []
  const stream = new Writable({
    write(chunk, _, done) {
      chunks.push(chunk)
      done()
    },
  })
  return { stream, text: () => Buffer.concat(chunks).toString() }
}
