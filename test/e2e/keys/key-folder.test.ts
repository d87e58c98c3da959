import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { emptyPostgresql, freshDatabase, type Kind, kinds, sqliteDatabase } from '../../support/database.ts'
import { runInProcess } from '../../support/in-process.ts'
import { keysWereThere } from '../../support/keyring.ts'
import { freshFolder, runProgram } from '../../support/program.ts'

/** A user's folder of keys, and how to work with a database there. */
function user() {
  const home = freshFolder()
  const folder = join(home, '.config', 'integrations')
  const at = (db: { readonly url: string }) => ({ HOME: home, DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: '' })
  /** Puts a key set there, as a version before has made it. */
  const putKeys = (name: string) => {
    const file = join(folder, name)
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    copyFileSync(process.env.INTEGRATIONS_TEST_KEYS ?? '', file)
    return file
  }
  const files = () => (existsSync(folder) ? readdirSync(folder, { recursive: true }).map(String).sort() : [])
  return { home, folder, at, putKeys, files }
}

const newDatabase = async (kind: Kind) =>
  kind === 'sqlite' ? sqliteDatabase(join(freshFolder(), 'new.db')) : emptyPostgresql()

const idOf = async (db: Awaited<ReturnType<typeof newDatabase>>) =>
  String((await db.query("SELECT value FROM integration_settings WHERE key = 'id'"))[0]?.value)

const keySetOf = async (env: Record<string, string>) => {
  const { code, stdout } = await runInProcess(['keys', 'status', '-o', 'json', '--fields', 'keySet,problems'], { env })
  return { code, ...JSON.parse(stdout || '{}') }
}

describe.each(kinds)('the key sets of a user on %s', (kind) => {
  test('each database gets a set of its own, named after its id, which opens no other database', async () => {
    const { at, folder, files } = user()
    const [one, two] = [await newDatabase(kind), await newDatabase(kind)]
    const sets = []
    for (const db of [one, two]) {
      const { code, stderr } = await runProgram(['init', '-o', 'id'], { env: at(db) })
      const file = join(folder, 'keys', `${await idOf(db)}.json`)
      sets.push(file)
      expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining(`generated keys in ${file}; keep`) })
      expect(stderr).not.toContain('were already in')
      expect(statSync(file).mode & 0o777).toBe(0o600)
      expect(await keySetOf(at(db))).toEqual({ code: 0, keySet: file, problems: [] })
      expect(await runInProcess(['keys', 'list', '--fields', 'inKeySet'], { env: at(db) })).toEqual({
        code: 0,
        stdout: 'true\ntrue\ntrue\n',
        stderr: `the key set of this database is ${file}\n`,
      })
    }
    expect(statSync(join(folder, 'keys')).mode & 0o777).toBe(0o700)
    expect(files()).toEqual(['keys', ...sets.map((file) => file.slice(folder.length + 1)).sort()])

    const env = { ...at(one), INTEGRATIONS_KEYS_FILE: sets[1] ?? '' }
    expect(await runInProcess(['workspaces', 'add', 'Acme'], { env })).toMatchObject({ code: 4, stdout: '' })
  })

  test('a database goes on with the keys.json that holds its keys, and a new one does not', async () => {
    const { at, folder, putKeys, files } = user()
    const shared = putKeys('keys.json')
    const old = await freshDatabase(kind)
    const before = readFileSync(shared, 'utf8')
    expect(await runProgram(['workspaces', 'add', 'Acme', '-o', 'id'], { env: at(old) })).toMatchObject({ code: 0 })
    expect(await keySetOf(at(old))).toEqual({ code: 0, keySet: shared, problems: [] })
    expect([files(), readFileSync(shared, 'utf8')]).toEqual([['keys.json'], before])

    const db = await newDatabase(kind)
    expect(await runProgram(['init', '-o', 'id'], { env: at(db) })).toMatchObject({ code: 0 })
    const own = join(folder, 'keys', `${await idOf(db)}.json`)
    expect(await keySetOf(at(db))).toEqual({ code: 0, keySet: own, problems: [] })
    expect(readFileSync(shared, 'utf8')).toBe(before)

    expect(await runInProcess(['keys', 'add', '-o', 'id'], { env: at(old) })).toMatchObject({ code: 0 })
    expect(JSON.parse(readFileSync(shared, 'utf8')).keys).toHaveLength(JSON.parse(before).keys.length + 1)
    // Moved by a person, it is found at its own place.
    const moved = join(folder, 'keys', `${await idOf(old)}.json`)
    renameSync(shared, moved)
    expect(await keySetOf(at(old))).toEqual({ code: 0, keySet: moved, problems: [] })
  })

  test('an id that no database of this program has names no file', async () => {
    const { at, putKeys, files } = user()
    putKeys('keys.json')
    const db = await freshDatabase(kind)
    const id = await idOf(db)
    for (const hostile of ['../../escaped', '', `${id}/../x`, id.toUpperCase().padEnd(37, 'A'), `${id}\n`]) {
      await db.query("UPDATE integration_settings SET value = ? WHERE key = 'id'", hostile)
      expect(await runInProcess(['workspaces', 'add', 'Acme'], { env: at(db) }), hostile).toEqual({
        code: 6,
        stdout: '',
        stderr: `error: the id of the database in integration_settings is not one that this program has given it
hint: restore the row "id" of integration_settings from a backup; to see what else was changed, name the key file with INTEGRATIONS_KEYS_FILE, and run integrations audit verify\n`,
      })
    }
    expect(files()).toEqual(['keys.json'])
  })

  test('another id finds the same keys: of a copy that was given one, and of a database that was tampered with', async () => {
    const { at, folder, putKeys } = user()
    const db = await freshDatabase(kind)
    const file = putKeys(`keys/${await idOf(db)}.json`)
    const url = kind === 'sqlite' ? db.url : db.url.replace(':postgres@', '@')
    const given = await runProgram(['db', 'new-id', '--reason', 'staging', '--confirm', url, '-o', 'id'], {
      env: at(db),
    })
    expect(given).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(
        `the copy keeps the keys of the original, in ${file}: a leak of the key set exposes both`,
      ),
    })
    expect(await keySetOf(at(db))).toEqual({ code: 0, keySet: file, problems: [] })
    expect(await runInProcess(['workspaces', 'add', 'Acme', '-o', 'id'], { env: at(db) })).toMatchObject({ code: 0 })
    await db.query("UPDATE integration_settings SET value = ? WHERE key = 'id'", crypto.randomUUID())
    expect(await runInProcess(['workspaces', 'add', 'Beta'], { env: at(db) })).toMatchObject({
      code: 6,
      stderr: expect.stringContaining('another program changed'),
    })
    expect(readdirSync(join(folder, 'keys'))).toHaveLength(1)
  })

  test('of several sets with its audit key, a database takes the one that has all its keys, whatever else is broken', async () => {
    const { at, folder, putKeys } = user()
    const db = await freshDatabase(kind)
    const file = putKeys(`keys/${'f'.repeat(32)}.json`)
    const env = at(db)
    const before = readFileSync(file)
    expect(
      await runInProcess(['keys', 'add', '-o', 'id'], { env: { ...env, INTEGRATIONS_KEYS_FILE: file } }),
    ).toMatchObject({ code: 0 })
    writeFileSync(join(folder, 'keys', `${'0'.repeat(32)}.json`), before, { mode: 0o600 })
    writeFileSync(join(folder, 'keys.json'), 'no key set', { mode: 0o644 })
    expect(await runInProcess(['workspaces', 'add', 'Acme'], { env })).toMatchObject({ code: 0 })
    expect(await keySetOf(env)).toEqual({ code: 0, keySet: file, problems: [] })
  })

  test('eight first uses at once make one set', async () => {
    const { at, folder } = user()
    const db = await newDatabase(kind)
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, () => runProgram(['init', '-o', 'id'], { env: at(db) })),
    )
    expect(outcomes.filter(({ code }) => code !== 0)).toEqual([])
    expect(readdirSync(join(folder, 'keys'))).toEqual([`${await idOf(db)}.json`])
    expect(await keySetOf(at(db))).toMatchObject({ code: 0, problems: [] })
  })

  test('a restored database finds its keys where a person has put them, and none are made for it', async () => {
    const { at, folder, putKeys, files } = user()
    const db = await freshDatabase(kind)
    const own = join(folder, 'keys', `${await idOf(db)}.json`)
    expect(await runInProcess(['workspaces', 'add', 'Acme'], { env: at(db) })).toEqual({
      code: 4,
      stdout: '',
      stderr: `error: the key file ${own} does not exist
hint: ask whoever has the keys of this database for the key set, and name its file with INTEGRATIONS_KEYS_FILE; show, list, secrets list, config get and audit list need no keys\n`,
    })
    expect(files()).toEqual([])
    putKeys(`keys/${await idOf(db)}.json`)
    expect(await runInProcess(['workspaces', 'add', 'Acme', '-o', 'id'], { env: at(db) })).toMatchObject({ code: 0 })
  })
})

test('a set that is there before the database is said at first use', async () => {
  const file = process.env.INTEGRATIONS_TEST_KEYS ?? ''
  const db = await newDatabase('sqlite')
  const init = ['init', '-o', 'id']
  const env = { DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: file }
  const first = await runProgram(init, { env })
  expect(first).toMatchObject({ code: 0, stderr: expect.stringContaining(keysWereThere(file)) })
  expect((await runProgram(init, { env })).stderr).not.toContain('were already in')
})

test('the folder of the sets is refused where others can change it, before a database is made', async () => {
  const { at, folder } = user()
  const sets = join(folder, 'keys')
  mkdirSync(sets, { recursive: true, mode: 0o700 })
  chmodSync(sets, 0o770)
  const db = await newDatabase('sqlite')
  expect(await runProgram(['init'], { env: at(db) })).toEqual({
    code: 4,
    stdout: '',
    stderr: `error: other users can change what is in the folder ${sets}\nhint: chmod go-w ${sets}\n`,
  })
  expect(existsSync(db.url.slice('file:'.length))).toBe(false)
})
