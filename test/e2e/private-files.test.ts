import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { freshDatabase } from '../support/database.ts'
import { freshFolder, runProgram } from '../support/program.ts'

/** A home with the default database and its keys. */
async function start() {
  const home = freshFolder()
  const folder = (kind: string) => join(home, kind, 'integrations')
  const env = {
    XDG_DATA_HOME: join(home, 'data'),
    XDG_CONFIG_HOME: join(home, 'config'),
    XDG_STATE_HOME: join(home, 'state'),
    INTEGRATIONS_KEYS_FILE: '',
  }
  expect(await runProgram(['init'], { env })).toMatchObject({ code: 0 })
  return { env, folder, file: join(folder('data'), 'integrations.db') }
}

const root = process.getuid?.() === 0

const refusal = (message: string, hint: string) => ({
  code: 4,
  stdout: '',
  stderr: `error: ${message}\nhint: ${hint}\n`,
})

describe('files that others could change', () => {
  test.each([0o777, 0o775, 0o1777])('the folder of the default database with mode %o', async (mode) => {
    const { env, folder, file } = await start()
    const before = readFileSync(file)
    chmodSync(folder('data'), mode)
    const refused = refusal(
      `other users can change what is in the folder ${folder('data')}`,
      `chmod go-w ${folder('data')}`,
    )
    for (const command of ['list', 'init', 'db status', 'workspaces add Acme'])
      expect(await runProgram(command.split(' '), { env })).toEqual(refused)
    expect([readFileSync(file), readdirSync(folder('data'))]).toEqual([before, ['integrations.db']])
    chmodSync(folder('data'), 0o755)
    expect(await runProgram(['list'], { env })).toMatchObject({ code: 0 })
  })

  test('a folder in which no database is made yet', async () => {
    const home = freshFolder()
    const folder = join(home, 'integrations')
    mkdirSync(folder)
    chmodSync(folder, 0o777)
    expect(await runProgram(['init'], { env: { XDG_DATA_HOME: home } })).toEqual(
      refusal(`other users can change what is in the folder ${folder}`, `chmod go-w ${folder}`),
    )
    expect(readdirSync(folder)).toEqual([])
  })

  test.each([0o644, 0o640, 0o606])('the default database with mode %o', async (mode) => {
    const { env, file } = await start()
    chmodSync(file, mode)
    expect(await runProgram(['list'], { env })).toEqual(
      refusal(`other users can read or change the database file ${file}`, `chmod go= ${file}`),
    )
    chmodSync(file, 0o600)
    expect(await runProgram(['list'], { env })).toMatchObject({ code: 0 })
  })

  test('any other database that everybody can change', async () => {
    const db = await freshDatabase('sqlite')
    const file = db.url.slice('file:'.length)
    chmodSync(file, 0o666)
    expect(await runProgram(['list'], { env: { DATABASE_URL: db.url } })).toEqual(
      refusal(`every user can change the database file ${file}`, `chmod o-w ${file}`),
    )
  })

  test.runIf(root)('any other database of this program that others can read or change', async () => {
    const db = await freshDatabase('sqlite')
    const file = db.url.slice('file:'.length)
    chownSync(file, 4321, 4321)
    chownSync(dirname(file), 4321, 4321)
    const env = { DATABASE_URL: db.url }
    const commands = ['workspaces add Acme', 'db status', 'db migrate', 'init', 'list']
    for (const mode of [0o604, 0o640, 0o660, 0o620]) {
      chmodSync(file, mode)
      const before = readFileSync(file)
      for (const command of commands.splice(0, 2))
        expect(await runProgram(command.split(' '), { env })).toEqual(
          refusal(`other users can read or change the database file ${file}`, `chmod go= ${file}`),
        )
      expect([statSync(file).mode & 0o777, readFileSync(file)]).toEqual([mode, before])
    }
    // A group to which the folder belongs, too, as Kubernetes has it with `fsGroup`, is meant to use the file.
    chmodSync(dirname(file), 0o2770)
    chmodSync(file, 0o660)
    expect(await runProgram(['list'], { env })).toMatchObject({ code: 0 })
    chmodSync(file, 0o664)
    expect(await runProgram(['list'], { env })).toMatchObject({ code: 4 })
    // Who cannot change the mode is not asked to. The folder is left to it for the log.
    chownSync(file, 0, 4321)
    expect(await runProgram(['list'], { env, uid: 4321 })).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  test('an empty file that others can read, before anything is made in it', async () => {
    const home = freshFolder()
    const file = join(home, 'project.db')
    const keys = join(home, 'keys.json')
    writeFileSync(file, '', { mode: 0o644 })
    const env = { DATABASE_URL: `file:${file}`, INTEGRATIONS_KEYS_FILE: keys }
    for (const command of ['init', 'db migrate', 'db migrate --dry-run'])
      expect(await runProgram(command.split(' '), { env })).toEqual(
        refusal(`other users can read or change the database file ${file}`, `chmod go= ${file}`),
      )
    expect([readdirSync(home), readFileSync(file, 'utf8')]).toEqual([['project.db'], ''])
    // Nothing was made in it yet that it could tell.
    expect(await runProgram(['db', 'status', '--fields', 'state'], { env })).toMatchObject({
      code: 0,
      stdout: 'empty\n',
    })
    chmodSync(file, 0o600)
    expect(await runProgram(['init'], { env })).toMatchObject({ code: 0 })
    expect(readdirSync(home).sort()).toEqual(['keys.json', 'project.db'])
  })

  test('a file to which the named one is a link, and its folder', async () => {
    const db = await freshDatabase('sqlite')
    const file = db.url.slice('file:'.length)
    const link = join(freshFolder(), 'link.db')
    symlinkSync(file, link)
    const env = { DATABASE_URL: `file:${link}` }
    // A log that a process has left which was killed.
    writeFileSync(`${file}-wal`, '', { mode: 0o644 })
    expect(await runProgram(['list'], { env })).toEqual(
      refusal(`other users can read or change the database file ${file}-wal`, `chmod go= ${file}-wal`),
    )
    chmodSync(dirname(file), 0o777)
    expect(await runProgram(['list'], { env })).toEqual(
      refusal(`every user can replace what is in the folder ${dirname(file)}`, `chmod o-w ${dirname(file)}`),
    )
  })

  test('a folder in which every user could replace the database, or the folder of the default one', async () => {
    const home = freshFolder()
    const inside = join(home, 'inside')
    const file = join(inside, 'project.db')
    mkdirSync(inside)
    const named = { DATABASE_URL: `file:${file}`, INTEGRATIONS_KEYS_FILE: join(inside, 'keys.json') }
    const own = { XDG_DATA_HOME: inside, XDG_CONFIG_HOME: home, INTEGRATIONS_KEYS_FILE: '' }
    const message = `every user can replace what is in the folder ${inside}`
    const expectRefusal = async () => {
      chmodSync(inside, 0o777)
      const before = readdirSync(inside, { recursive: true })
      for (const env of [named, own])
        expect(await runProgram(['init'], { env })).toEqual(refusal(message, `chmod o-w ${inside}`))
      expect(readdirSync(inside, { recursive: true })).toEqual(before)
    }
    await expectRefusal()
    for (const [mode, env] of [
      [0o1777, named],
      [0o775, own],
      [0o755, named],
    ] as const) {
      chmodSync(inside, mode)
      expect(await runProgram(['init'], { env })).toMatchObject({ code: 0 })
    }
    expect(statSync(file).mode & 0o777).toBe(0o600)
    await expectRefusal()
    if (!root) return
    chmodSync(home, 0o755)
    for (const [env, hint] of [
      [named, 'keep the database in a folder of your own'],
      [own, 'name a folder of your own with XDG_DATA_HOME'],
    ] as const)
      expect(await runProgram(['init'], { env, uid: 1234 })).toEqual(refusal(message, hint))
  })

  test('an adopted database that others can read is warned of, until its secrets are encrypted', async () => {
    const db = await freshDatabase('sqlite')
    const file = db.url.slice('file:'.length)
    const env = { DATABASE_URL: db.url }
    const done = (stderr: string) => ({ code: 0, stdout: '', stderr })
    const warning = `warning: other users can read the secrets in the database file ${file}: chmod go-r ${file}\n`
    chmodSync(file, 0o644)
    await db.query("UPDATE integration_settings SET value = 'adopted' WHERE key = 'database'")
    await db.query("UPDATE integration_settings SET value = 'off' WHERE key = 'sealing'")
    for (const [mode, stderr] of [
      [0o604, warning],
      [0o640, warning],
      [0o644, warning],
      [0o600, ''],
    ] as const) {
      // As SQLite has left them, or not.
      for (const path of readdirSync(dirname(file))) chmodSync(join(dirname(file), path), mode)
      const listed = await runProgram(['list', '-o', 'id'], { env })
      expect({ ...listed, stderr: listed.stderr.replace(/ \S+-(wal|shm)/g, '') }).toEqual(done(stderr))
      expect(statSync(file).mode & 0o777).toBe(mode)
    }
    chmodSync(file, 0o644)
    for (const args of [['status'], ['adopt', '--dry-run']]) {
      const { code, stderr } = await runProgram(['db', ...args, '-o', 'id'], { env })
      const warnings = stderr.split('\n').filter((line) => line.startsWith('warning:'))
      expect({ code, warnings: warnings.map((line) => line.replace(/ \S+-(wal|shm)/g, '')) }).toEqual({
        code: 0,
        warnings: [warning.trim()],
      })
    }
    await db.query("UPDATE integration_settings SET value = 'required' WHERE key = 'sealing'")
    for (const args of [['list'], ['db', 'status', '--fields', 'state']])
      expect((await runProgram(args, { env })).stderr).toEqual('')
  })

  test('the folders of the keys and of the spool', async () => {
    const { env, folder } = await start()
    chmodSync(folder('config'), 0o770)
    expect(await runProgram(['keys', 'init'], { env })).toEqual(
      refusal(`other users can change what is in the folder ${folder('config')}`, `chmod go-w ${folder('config')}`),
    )
    // As Kubernetes mounts a secret.
    chmodSync(folder('config'), 0o1777)
    expect(await runProgram(['keys', 'init'], { env })).toMatchObject({ code: 0 })
    const spool = join(folder('state'), 'spool')
    mkdirSync(spool, { recursive: true })
    for (const one of [spool, dirname(spool)]) {
      chmodSync(one, 0o777)
      const refused = refusal(`other users can change what is in the folder ${one}`, `chmod go-w ${one}`)
      expect(await runProgram(['recover', '--all'], { env })).toEqual(refused)
      chmodSync(one, 0o700)
    }
    expect(await runProgram(['recover', '--all'], { env })).toMatchObject({ code: 0 })
  })

  test.runIf(root)('a folder that belongs to another user, unless root uses it', async () => {
    const home = freshFolder()
    const folder = join(home, 'integrations')
    mkdirSync(folder)
    chmodSync(home, 0o755)
    chmodSync(folder, 0o755)
    chownSync(folder, 4321, 4321)
    const env = { XDG_DATA_HOME: home }
    expect(await runProgram(['list'], { env, uid: 1234 })).toEqual(
      refusal(`the folder ${folder} belongs to another user`, 'name a folder of your own with XDG_DATA_HOME'),
    )
    expect(await runProgram(['list'], { env })).toMatchObject({ code: 0 })
  })
})
