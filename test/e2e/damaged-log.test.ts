import { describe, expect, test } from 'vitest'
import { freshDatabase, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'

/** Puts a copy of the first event into the log under other numbers, as somebody without the audit key can. */
async function putIn(db: TestDatabase, ...seqs: (number | string)[]): Promise<void> {
  const [row = {}] = await db.query('SELECT * FROM integration_events WHERE seq = 1')
  const others = Object.keys(row).filter((column) => column !== 'seq')
  for (const seq of seqs)
    await db.query(
      `INSERT INTO integration_events (seq, ${others.join()}) SELECT ${seq}, ${others.join()} FROM integration_events WHERE seq = 1`,
    )
}

describe.each(kinds)('a damaged audit log on %s', (kind) => {
  const start = async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url }
    const run = (...args: string[]) => runInProcess(args, { env })
    const done = async (...args: string[]) => expect(await runInProcess(args, { env })).toMatchObject({ code: 0 })
    const verified = async () => {
      const { code, stdout } = await runInProcess(['audit', 'verify', '-o', 'json'], { env })
      const { problems, acknowledged } = JSON.parse(stdout)
      return { code, problems, acknowledged }
    }
    const events = () => db.query('SELECT action FROM integration_events ORDER BY seq')
    await done('workspaces', 'add', 'Acme')
    return { db, run, done, verified, events }
  }
  const foreign = (...seqs: number[]) =>
    seqs.map((seq) => ({ seq, problem: 'the event was changed, or made without the audit key' }))

  test('that swallows events keeps no change, and says so', async () => {
    const { db, run, verified } = await start()
    const swallowing =
      kind === 'sqlite'
        ? {
            event: 'CREATE TRIGGER swallow BEFORE INSERT ON integration_events BEGIN SELECT RAISE(IGNORE); END',
            head: "CREATE TRIGGER swallow BEFORE UPDATE OF value ON integration_settings WHEN OLD.key = 'head' BEGIN SELECT RAISE(IGNORE); END",
          }
        : {
            event: 'CREATE RULE swallow AS ON INSERT TO integration_events DO INSTEAD NOTHING',
            head: "CREATE RULE swallow AS ON UPDATE TO integration_settings WHERE OLD.key = 'head' AND OLD.seq <> NEW.seq DO INSTEAD NOTHING",
          }
    const before = [await db.query('SELECT * FROM workspaces'), await db.query('SELECT * FROM integration_events')]
    for (const what of ['event', 'head'] as const) {
      await db.query(swallowing[what])
      expect([what, await run('workspaces', 'add', 'Globex')]).toEqual([
        what,
        {
          code: 6,
          stdout: '',
          stderr:
            'error: the database did not keep the event of this change, so nothing was changed\nhint: look for triggers and rules on integration_events and integration_settings that are not of this program\n',
        },
      ])
      await db.query(
        kind === 'sqlite'
          ? 'DROP TRIGGER swallow'
          : `DROP RULE swallow ON ${what === 'event' ? 'integration_events' : 'integration_settings'}`,
      )
    }
    expect([await db.query('SELECT * FROM workspaces'), await db.query('SELECT * FROM integration_events')]).toEqual(
      before,
    )
    expect(await verified()).toEqual({ code: 0, problems: [], acknowledged: [] })
  })

  test.skipIf(kind === 'postgresql')('that has numbers that are none takes events all the same', async () => {
    const { db, done, events } = await start()
    await putIn(db, "'text'", '2.5', "x'00ff'", 3)
    for (const name of ['Globex', 'Initech']) await done('workspaces', 'add', name)
    const rows = await db.query(
      "SELECT seq, target_name FROM integration_events WHERE action = 'workspace.add' ORDER BY seq",
    )
    expect(rows.filter(({ target_name: name }) => name !== 'Acme')).toEqual([
      { seq: 4, target_name: 'Globex' },
      { seq: 5, target_name: 'Initech' },
    ])
    expect(await events()).toHaveLength(8)
  })

  test('that has rows of somebody else takes events around them', async () => {
    const { db, run, done, verified, events } = await start()
    await putIn(db, 3, 4, 6, '9007199254740993')
    await done('workspaces', 'remove', 'Acme', '--confirm', 'Acme')
    await done('workspaces', 'add', 'Globex')
    const { stdout } = await runInProcess(['audit', 'list', '--sort', 'seq', '-o', 'json', '--fields', 'seq,action'], {
      env: { DATABASE_URL: db.url },
    })
    expect(JSON.parse(stdout).map(({ seq }: { seq: number }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, expect.anything()])
    expect((await events()).map(({ action }) => action)).toEqual([
      'keys.init',
      'workspace.add',
      'keys.init',
      'keys.init',
      'workspace.remove',
      'keys.init',
      'workspace.add',
      'keys.init',
    ])
    const { code, problems } = await verified()
    expect([code, problems.slice(0, 3), problems.length]).toEqual([8, foreign(3, 4, 6), 4])

    const acknowledge = (...args: string[]) => run('audit', 'acknowledge', ...args)
    expect(await acknowledge('4')).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'error: --reason is required: the audit log keeps it with the acknowledgement\nhint: pass --reason TEXT\n',
    })
    for (const args of [[], ['4', '--rollback']])
      expect(await acknowledge(...args, '--reason', 'OPS-12')).toEqual({
        code: 2,
        stdout: '',
        stderr:
          'error: give the number of an event, --row or --rollback\nhint: integrations audit verify names the events and rows that have problems\n',
      })
    expect(await acknowledge('5', '--reason', 'OPS-12')).toEqual({
      code: 3,
      stdout: '',
      stderr: 'error: the event 5 has no problem that is not acknowledged\nhint: integrations audit verify\n',
    })
    expect(await acknowledge('4', '--reason', 'OPS-12', '--dry-run')).toMatchObject({ code: 0 })
    expect((await verified()).problems.slice(0, 3)).toEqual(foreign(3, 4, 6))
    expect(await acknowledge('4', '--reason', 'OPS-12', '-o', 'table')).toEqual({
      code: 0,
      stdout: 'acknowledged 1 problem\n',
      stderr: '',
    })
    expect(await verified()).toMatchObject({
      code: 8,
      problems: [...foreign(3, 6), expect.anything()],
      acknowledged: [{ ...foreign(4)[0], by: 8, reason: 'OPS-12' }],
    })
    // What takes the place of the row that was seen is not acknowledged.
    if (kind === 'postgresql') await db.query('ALTER TABLE integration_events DISABLE TRIGGER USER')
    else await db.query('DROP TRIGGER integration_events_no_update')
    await db.query("UPDATE integration_events SET reason = 'another' WHERE seq = 4")
    const { problems: left, acknowledged } = await verified()
    expect([left.slice(0, 3), acknowledged]).toEqual([foreign(3, 4, 6), []])
  })

  test('that was rolled back continues, and tells what was lost', async () => {
    const { db, run, done, verified } = await start()
    const [head] = await db.query("SELECT seq, value, mac FROM integration_settings WHERE key = 'head'")
    await done('workspaces', 'add', 'Globex')
    await done('workspaces', 'add', 'Initech')
    await db.query(
      "UPDATE integration_settings SET seq = ?, value = ?, mac = ? WHERE key = 'head'",
      Number(head?.seq),
      String(head?.value),
      String(head?.mac),
    )
    expect(await verified()).toMatchObject({
      code: 8,
      problems: [{ seq: 3, problem: 'the head row says that the log ends at 2' }],
    })
    await done('workspaces', 'add', 'Umbrella')
    const lost = { seq: 3, problem: 'the log was rolled back to event 2, and continues from there' }
    expect(await verified()).toEqual({ code: 8, problems: [lost], acknowledged: [] })
    expect(await run('audit', 'acknowledge', '--rollback', '--reason', 'Monday', '-o', 'table')).toEqual({
      code: 0,
      stdout: 'acknowledged 1 problem\n',
      stderr: '',
    })
    expect(await verified()).toEqual({
      code: 0,
      problems: [],
      acknowledged: [{ ...lost, by: 6, reason: 'Monday' }],
    })
    expect(await run('audit', 'verify', '-o', 'table')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(
        'event 3: the log was rolled back to event 2, and continues from there; acknowledged by event 6 (Monday)\n',
      ),
    })
    expect(await run('audit', 'acknowledge', '--rollback', '--reason', 'Monday')).toEqual({
      code: 3,
      stdout: '',
      stderr: 'error: the audit log has no rollback that is not acknowledged\nhint: integrations audit verify\n',
    })
  })
})

test('an event whose number is a fraction, as SQLite takes it, ends no check', async () => {
  const db = await freshDatabase('sqlite')
  const run = (...args: string[]) => runInProcess(args, { env: { DATABASE_URL: db.url } })
  for (const name of ['Acme', 'Globex']) expect(await run('workspaces', 'add', name)).toMatchObject({ code: 0 })
  for (const name of ['no_update', 'no_delete', 'no_replace']) await db.query(`DROP TRIGGER integration_events_${name}`)
  await db.query("UPDATE integration_events SET seq = seq - 0.5 WHERE action = 'workspace.add'")
  await db.query("DELETE FROM workspaces WHERE name = 'Globex'")
  const { code, stdout } = await run('audit', 'verify', '-o', 'json')
  expect([code, JSON.parse(stdout).problems]).toEqual([
    8,
    expect.arrayContaining([expect.objectContaining({ name: 'Acme', problem: 'no event added the row' })]),
  ])
})
