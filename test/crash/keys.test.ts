import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { freshDatabase } from '../support/database.ts'
import { freshFolder, runProgram } from '../support/program.ts'

/** Ends the process, as kill -9 does, before one of its calls of the file system that name the keys. */
const preload = join(freshFolder(), 'kill.cjs')
beforeAll(() =>
  writeFileSync(
    preload,
    `const fs = require('node:fs')
    let calls = 0
    for (const name of ['openSync', 'writeFileSync', 'fsyncSync', 'closeSync', 'renameSync', 'symlinkSync', 'linkSync', 'rmSync', 'unlinkSync']) {
      const real = fs[name]
      fs[name] = (...args) => {
        if (args.some((one) => /keys\\.json|\\/keys\\//.test(String(one))) && ++calls === Number(process.env.KILL_AT))
          process.kill(process.pid, 'SIGKILL')
        return real(...args)
      }
    }`,
  ),
)

const killedAt = (n: number) => ({ NODE_OPTIONS: `--require ${preload}`, KILL_AT: String(n) })
const kids = (file: string): string[] =>
  JSON.parse(readFileSync(file, 'utf8')).keys.map(({ kid }: { kid: string }) => kid)

/** What is beside the keys but a lock, which the next process takes over that needs it. */
const copies = (folder: string) =>
  readdirSync(folder).filter((name) => name !== 'keys.json' && name !== 'keys.json.lock')

/** A database whose keys are alone in a folder. */
async function start() {
  const db = await freshDatabase('sqlite')
  const folder = freshFolder()
  const file = join(folder, 'keys.json')
  copyFileSync(process.env.INTEGRATIONS_TEST_KEYS ?? '', file)
  return { env: { DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: file }, folder, file }
}

test('keys add killed at any moment leaves nothing that blocks the next, and no copy of the keys', async () => {
  const { env, folder, file } = await start()
  let killed = 0
  for (let n = 1; ; n++) {
    const before = kids(file)
    const { code } = await runProgram(['keys', 'add'], { env: { ...env, ...killedAt(n) } })
    if (code === 0) break
    killed++
    expect({ n, code }).toEqual({ n, code: -1 })
    // Any command that reads the keys removes what was left of them; a key that was not registered is harmless.
    expect(await runProgram(['keys', 'status'], { env })).toMatchObject({ code: 0 })
    expect(copies(folder)).toEqual([])
    expect(kids(file).slice(0, before.length)).toEqual(before)
    expect(await runProgram(['keys', 'add'], { env })).toMatchObject({ code: 0 })
    expect(readdirSync(folder)).toEqual(['keys.json'])
  }
  expect(killed).toBeGreaterThan(4)
})

test.each([
  ['in the file that is named', 'config', 'config/keys.json'],
  ['in the file of the database', 'config/integrations/keys', ''],
])('the first keys %s are whole or not there, whenever the program is killed', async (_, place, named) => {
  let n = 1
  for (; ; n++) {
    const home = freshFolder()
    const folder = join(home, place)
    const env = {
      DATABASE_URL: `file:${join(home, 'new.db')}`,
      XDG_CONFIG_HOME: join(home, 'config'),
      INTEGRATIONS_KEYS_FILE: named && join(home, named),
    }
    const { code } = await runProgram(['init'], { env: { ...env, ...killedAt(n) } })
    if (code === 0) break
    const sets = () => (existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : [])
    for (const name of sets()) expect(kids(join(folder, name))).toHaveLength(3)
    expect(await runProgram(['init'], { env })).toMatchObject({ code: 0 })
    expect(sets()).toHaveLength(1)
    expect(readdirSync(folder).filter((name) => !/\.json(\.lock)?$/.test(name))).toEqual([])
    for (const name of sets()) expect(kids(join(folder, name))).toHaveLength(3)
  }
  expect(n).toBeGreaterThan(4)
})

test('a lock of a process that runs elsewhere is waited for, and named', async () => {
  const { env, file } = await start()
  const before = readFileSync(file)
  symlinkSync(`1 1 another-than-${hostname()}`, `${file}.lock`)
  expect(await runProgram(['keys', 'add'], { env })).toEqual({
    code: 4,
    stdout: '',
    stderr: `error: another process is changing the key file ${file}, or was killed while it did
hint: when no other one runs: rm ${file}.lock\n`,
  })
  expect(readFileSync(file)).toEqual(before)
})

test.each(['init', 'list'])('%s with a key file that is a link to nothing makes no database', async (command) => {
  const home = freshFolder()
  mkdirSync(join(home, 'config', 'integrations'), { recursive: true, mode: 0o700 })
  const file = join(home, 'config', 'integrations', 'keys.json')
  symlinkSync(join(home, 'unmounted', 'keys.json'), file)
  const env = { XDG_DATA_HOME: join(home, 'data'), INTEGRATIONS_KEYS_FILE: file }
  expect(await runProgram([command], { env })).toEqual({
    code: 4,
    stdout: '',
    stderr: `error: the key file ${file} is a link to a file that does not exist
hint: check that the disk or volume of that file is mounted\n`,
  })
  expect(readdirSync(home)).toEqual(['config'])
  expect(readdirSync(join(home, 'config', 'integrations'))).toEqual(['keys.json'])
})

test('the keys.json of a database that is a link to nothing is named', async () => {
  const db = await freshDatabase('sqlite')
  const home = freshFolder()
  const file = join(home, 'integrations', 'keys.json')
  mkdirSync(join(home, 'integrations'), { mode: 0o700 })
  symlinkSync(join(home, 'unmounted', 'keys.json'), file)
  const env = { DATABASE_URL: db.url, XDG_CONFIG_HOME: home, INTEGRATIONS_KEYS_FILE: '' }
  expect(await runProgram(['workspaces', 'add', 'Acme'], { env })).toEqual({
    code: 4,
    stdout: '',
    stderr: `error: the key file ${file} is a link to a file that does not exist
hint: check that the disk or volume of that file is mounted\n`,
  })
  expect(readdirSync(join(home, 'integrations'))).toEqual(['keys.json'])
})

test('a folder of key files that is a link to nothing makes no database', async () => {
  const home = freshFolder()
  mkdirSync(join(home, 'config', 'integrations'), { recursive: true, mode: 0o700 })
  symlinkSync(join(home, 'unmounted'), join(home, 'config', 'integrations', 'keys'))
  const env = {
    XDG_CONFIG_HOME: join(home, 'config'),
    XDG_DATA_HOME: join(home, 'data'),
    INTEGRATIONS_KEYS_FILE: '',
  }
  for (const command of ['init', 'list'])
    expect(await runProgram([command], { env })).toEqual({
      code: 4,
      stdout: '',
      stderr: expect.stringMatching(/^error: the key file \S+ cannot be written \([A-Z]+\)\nhint: .*\n$/),
    })
  expect(readdirSync(home)).toEqual(['config'])
})

test.each([
  ['a folder that is a link to nothing', (home: string) => join(home, 'volume', 'keys.json')],
  ['a folder of the kernel', () => '/proc/self/keys.json'],
  ['a folder that is a file', (home: string) => join(home, 'file', 'keys.json')],
])('a key file in %s, where none can be made, makes no database', async (_, place) => {
  const home = freshFolder()
  symlinkSync('/nowhere/at/all', join(home, 'volume'))
  writeFileSync(join(home, 'file'), '')
  const file = place(home)
  for (const args of [['init'], ['list'], ['init', '--database', `file:${home}/named.db`]]) {
    const env = { XDG_DATA_HOME: join(home, 'data'), INTEGRATIONS_KEYS_FILE: file }
    expect(await runProgram(args, { env })).toEqual({
      code: 4,
      stdout: '',
      stderr: expect.stringMatching(/^error: the key file \S+ cannot be (written|read) \([A-Z]+\)\nhint: .*\n$/),
    })
  }
  expect(readdirSync(home).sort()).toEqual(['file', 'volume'])
})
