import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { contents, copyOf, freshDatabase, kinds, putBack, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { freshFolder } from '../support/program.ts'

describe.each(kinds)('a machine and the ends of audit logs that it has seen, on %s', (kind) => {
  /** A machine of its own, which remembers what it has seen of databases. */
  const machine = (db: TestDatabase, env: Record<string, string> = {}) => {
    const state = freshFolder()
    const own = { DATABASE_URL: db.url, XDG_STATE_HOME: state, ...env }
    const start = (...args: string[]) => runInProcess(args, { env: own })
    const run = (...args: string[]) => runInProcess(args, { env: own })
    const done = async (...args: string[]) => {
      const outcome = await runInProcess(args, { env: own })
      expect([args, outcome]).toMatchObject([args, { code: 0 }])
      expect(outcome.stderr).not.toContain('warning')
      return outcome.stdout
    }
    const verified = async () => {
      const { code, stdout } = await runInProcess(['audit', 'verify', '-o', 'json'], { env: own })
      return { code, problems: JSON.parse(stdout).problems }
    }
    return { start, run, done, verified, env: own, folder: join(state, 'integrations', 'heads') }
  }
  /** What is said besides the answer. */
  const said = (stderr: string) => stderr.replace(/^(added the workspace|next:) .*\n/gm, '')
  const headOf = async (db: TestDatabase) => {
    const [row] = await db.query("SELECT seq, value FROM integration_settings WHERE key = 'head'")
    return { seq: Number(row?.seq), hash: String(row?.value) }
  }
  const idOf = async (db: TestDatabase) =>
    String((await db.query("SELECT value FROM integration_settings WHERE key = 'id'"))[0]?.value)
  const files = (folder: string) =>
    readdirSync(folder).map((name) => ({
      mode: statSync(join(folder, name)).mode & 0o777,
      content: JSON.parse(readFileSync(join(folder, name), 'utf8')),
    }))
  test('a rollback is told by each change and by verify, until a person acknowledges it, and on no other machine', async () => {
    const db = await freshDatabase(kind)
    const [here, elsewhere] = [machine(db), machine(db)]
    await here.done('workspaces', 'add', 'Acme')
    await elsewhere.done('workspaces', 'list')
    const before = await copyOf(db)
    await here.done('workspaces', 'add', 'Globex')
    const { seq, hash } = await headOf(db)
    expect(files(here.folder)).toEqual([{ mode: 0o600, content: { id: await idOf(db), seq, hash } }])

    await putBack(db, before)
    const gone =
      'this machine saw this event, which the log does not hold any more: the database was rolled back, or is another copy'
    expect(await here.verified()).toEqual({ code: 8, problems: [{ seq, problem: gone }] })
    // Below the end that was seen, at it, and beyond it.
    for (const name of ['A', 'B', 'C']) {
      const { code, stderr } = await here.start('workspaces', 'add', name)
      expect([name, code, said(stderr)]).toEqual([
        name,
        0,
        `warning: this machine saw event ${seq} of the audit log, which the log does not hold any more: the database was rolled back, or is another copy; integrations audit verify tells more, and docs/databases.md what to do\n`,
      ])
    }
    expect(await here.verified()).toEqual({ code: 8, problems: [{ seq, problem: gone }] })
    expect(files(here.folder)).toMatchObject([{ content: { seq, hash } }])
    await elsewhere.done('workspaces', 'add', 'D')
    expect(await elsewhere.verified()).toEqual({ code: 0, problems: [] })

    const twin = machine(db)
    cpSync(here.folder, twin.folder, { recursive: true })
    await here.done('audit', 'acknowledge', '--rollback', '--reason', 'failover of Monday')
    expect(files(here.folder)).toMatchObject([{ content: await headOf(db) }])
    // Another machine that saw the same is told by the log.
    expect(await twin.verified()).toEqual({ code: 0, problems: [] })
    expect(files(twin.folder)).toMatchObject([{ content: await headOf(db) }])
    await here.done('workspaces', 'add', 'E')
    expect(await here.verified()).toEqual({ code: 0, problems: [] })
  })

  test('a database that lost its whole log is told of', async () => {
    const db = await freshDatabase(kind)
    const here = machine(db)
    const empty = await copyOf(db)
    await here.done('workspaces', 'add', 'Acme')
    const { seq } = await headOf(db)
    await putBack(db, empty)
    expect(await here.verified()).toMatchObject({ code: 8, problems: [{ seq }] })
    expect(await here.run('workspaces', 'add', 'Acme')).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/^warning: this machine saw /),
    })
    await here.done('audit', 'acknowledge', '--rollback', '--reason', 'begun anew')
    expect(await here.verified()).toEqual({ code: 0, problems: [] })
  })

  test('a memory that is damaged is none, and one that cannot be kept stops no change', async () => {
    const db = await freshDatabase(kind)
    const here = machine(db)
    await here.done('workspaces', 'add', 'Acme')
    const [name = ''] = readdirSync(here.folder)
    for (const damaged of ['', '{', '[]', '{"id":1}', `{"id":"${await idOf(db)}","seq":-1,"hash":"x"}`]) {
      writeFileSync(join(here.folder, name), damaged)
      expect([damaged, await here.verified()]).toEqual([damaged, { code: 0, problems: [] }])
      expect(files(here.folder)).toMatchObject([{ content: await headOf(db) }])
    }
    chmodSync(here.folder, 0o777)
    const open = await here.run('workspaces', 'add', 'Globex')
    expect([open.code, said(open.stderr)]).toEqual([
      0,
      `this machine cannot remember where the audit log ends: other users can change what is in the folder ${here.folder}\n`,
    ])
    const file = join(freshFolder(), 'file')
    writeFileSync(file, '')
    const nowhere = machine(db, { XDG_STATE_HOME: file })
    const { code, stderr } = await nowhere.run('workspaces', 'add', 'Initech')
    expect([code, said(stderr)]).toEqual([
      0,
      `this machine cannot remember where the audit log ends: ${join(file, 'integrations', 'heads')} cannot be written (ENOTDIR)\n`,
    ])
  })

  test('ten processes at once leave one memory, of the last change', async () => {
    const db = await freshDatabase(kind)
    const here = machine(db)
    await here.done('workspaces', 'add', 'Acme')
    const outcomes = await Promise.all(Array.from({ length: 10 }, (_, i) => here.start('workspaces', 'add', `W${i}`)))
    expect(outcomes.map(({ code, stderr }) => [code, said(stderr)])).toEqual(outcomes.map(() => [0, '']))
    expect(files(here.folder)).toHaveLength(1)
    expect(await here.verified()).toEqual({ code: 0, problems: [] })
    expect(files(here.folder)).toEqual([{ mode: 0o600, content: { id: await idOf(db), ...(await headOf(db)) } }])
  })

  test('a copy that lives on has an id of its own', async () => {
    const db = await freshDatabase(kind)
    await machine(db).done('workspaces', 'add', 'Acme')
    const copy = await copyOf(db)
    const here = machine(copy)
    const checkpoint = (await here.done('audit', 'checkpoint')).trim()
    await here.done('workspaces', 'add', 'Staging')
    const [was, before] = [await idOf(copy), await contents(copy)]
    const command = ['db', 'new-id', '--reason', 'staging of Monday']

    expect(await here.run('db', 'new-id', '--confirm', shown(copy))).toMatchObject({ code: 2 })
    expect(await here.run(...command)).toMatchObject({ code: 2 })
    expect(await here.run(...command, '--confirm', was)).toMatchObject({ code: 2 })
    await here.done(...command, '--dry-run')
    expect(await contents(copy)).toEqual(before)

    await here.done(...command, '--confirm', shown(copy))
    const id = await idOf(copy)
    expect(id).toMatch(/^[0-9a-f-]{36}$/)
    expect(id).not.toBe(was)
    const [event] = JSON.parse(
      await here.done('audit', 'list', '-o', 'json', '--fields', 'action,targetId,fields,reason'),
    )
    expect(event).toEqual({
      action: 'database.new_id',
      targetId: id,
      fields: [`${was}>${id}`],
      reason: 'staging of Monday',
    })
    expect(await here.verified()).toEqual({ code: 0, problems: [] })
    await here.done('workspaces', 'rename', 'Staging', 'Test')
    expect(await here.verified()).toEqual({ code: 0, problems: [] })
    expect(await machine(copy).verified()).toEqual({ code: 0, problems: [] })
    expect(await here.run('audit', 'verify', '--checkpoint', checkpoint)).toMatchObject({
      code: 2,
      stderr: `error: the checkpoint is from before this database got an id of its own\nhint: integrations audit checkpoint takes one of this database\n`,
    })
    await machine(db).done('audit', 'verify', '--checkpoint', checkpoint)

    // Its id is vouched for.
    await copy.query("UPDATE integration_settings SET value = ? WHERE key = 'id'", was)
    expect(await here.run('workspaces', 'add', 'Globex')).toMatchObject({ code: 6 })
    expect(await here.verified()).toEqual({
      code: 8,
      problems: [{ problem: `the database says that its id is ${was}; the log last gave it ${id}` }],
    })

    // The next dump in its place has the former id, with which this machine saw it last under its own.
    await putBack(copy, await copyOf(db))
    expect(await here.verified()).toMatchObject({ code: 8 })
    await here.done(...command, '--confirm', shown(copy))
    expect(await here.verified()).toEqual({ code: 0, problems: [] })
  })

  test('a copy that the tokens of the original may be meant for keeps the id', async () => {
    const db = await freshDatabase(kind)
    const here = machine(db)
    await here.done('workspaces', 'add', 'Acme')
    const spool = join(here.env.XDG_STATE_HOME ?? '', 'integrations', 'spool')
    mkdirSync(spool, { mode: 0o700 })
    const id = await idOf(db)
    writeFileSync(
      join(spool, '5a7e3f6c-3c84-4d53-9b1c-2f3e0d1c5b6a.json'),
      JSON.stringify({ database: id, integration: 'x', sealed: 'y' }),
      { mode: 0o600 },
    )
    const before = await contents(db)
    expect(await here.run('db', 'new-id', '--reason', 'x', '--confirm', shown(db))).toMatchObject({ code: 5 })
    expect(await contents(db)).toEqual(before)
  })
})

/** The URL of a database as the program shows it. */
const shown = ({ kind, url }: TestDatabase) => (kind === 'sqlite' ? url : url.replace(/:[^:@/]*@/, '@'))
