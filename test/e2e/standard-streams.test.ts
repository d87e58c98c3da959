import { execFileSync, spawn } from 'node:child_process'
import { closeSync, constants, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { bin, environment, freshFolder, runProgram } from '../support/program.ts'

/** A pipe that takes nothing until it is read, by descriptors that never wait: another program can leave one so. */
function fullPipe() {
  const file = join(freshFolder(), 'pipe')
  execFileSync('mkfifo', [file])
  const reader = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
  const writer = openSync(file, constants.O_WRONLY | constants.O_NONBLOCK)
  let before = 0
  for (const bytes of [4096, 1]) {
    try {
      for (;;) before += writeSync(writer, Buffer.alloc(bytes, '.'))
    } catch {
      // It is full.
    }
  }
  return { reader, writer, before }
}

/** All that comes through a pipe until nobody writes to it. */
async function readAll(reader: number): Promise<string> {
  const parts: Buffer[] = []
  const buffer = Buffer.alloc(1000)
  for (;;) {
    try {
      const bytes = readSync(reader, buffer)
      if (bytes === 0) return Buffer.concat(parts).toString()
      parts.push(Buffer.from(buffer.subarray(0, bytes)))
    } catch {
      await sleep(1)
    }
  }
}

test.each([
  ['short', ['completion', 'bash']],
  ['that the build has written down', ['--help']],
  ['long', ['help', 'environment']],
])('an answer, %s, comes whole through a pipe that is full and refuses to wait', async (_, args) => {
  const { stdout } = await runProgram(args)
  const { reader, writer, before } = fullPipe()
  // Node has the standard streams of what it starts wait.
  const child = spawn('sh', ['-c', 'exec "$@" >&3', 'sh', process.execPath, bin, ...args], {
    env: environment(),
    stdio: ['ignore', 'ignore', 'ignore', writer],
  })
  closeSync(writer)
  const ended = new Promise((done) => child.once('exit', done))
  // So that the program finds it full; one that takes longer to start finds it empty, and has it easier.
  await sleep(1500)
  const all = await readAll(reader)
  closeSync(reader)
  expect(await ended).toBe(0)
  expect(all).toBe('.'.repeat(before) + stdout)
})

test('an answer that goes to a pipe, a file or nowhere needs no stream of Node', async () => {
  const folder = freshFolder()
  const [told, modules] = [join(folder, 'told.cjs'), join(folder, 'modules')]
  writeFileSync(
    told,
    `process.on('exit', () => require('node:fs').writeFileSync(${JSON.stringify(modules)}, process.moduleLoadList.join()))`,
  )
  const streams: { [to: string]: readonly string[] } = {}
  for (const to of ['| cat', `> ${join(folder, 'file')}`, '> /dev/null']) {
    const run = `"$1" --require "$2" "$3" help environment 2>/dev/null ${to}`
    execFileSync('sh', ['-c', run, 'sh', process.execPath, told, bin], { env: environment() })
    streams[to] = readFileSync(modules, 'utf8')
      .split(',')
      .filter((one) => /NativeModule (stream|tty|net|internal\/fs\/sync_write_stream)$/.test(one))
  }
  expect(streams).toEqual(Object.fromEntries(Object.keys(streams).map((to) => [to, []])))
})
