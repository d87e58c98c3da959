import { describe, expect, test } from 'vitest'
import { contents, freshDatabase, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { runInTerminal } from '../support/program.ts'

/** A database with integrations of the workspace Acme that have no secrets. */
async function withIntegrations(kind: (typeof kinds)[number], ...names: readonly string[]) {
  const db = await freshDatabase(kind)
  const env = { DATABASE_URL: db.url, NO_COLOR: '1' }
  const run = (...args: string[]) => runInProcess(args, { env })
  const id: Record<string, string> = {}
  await run('workspaces', 'add', 'Acme')
  for (const name of names)
    id[name] = (
      await run('add', '--platform', 'slack', '--workspace', 'Acme', '--name', name, '-o', 'id')
    ).stdout.trim()
  const json = async (...args: string[]) => JSON.parse((await run(...args, '-o', 'json')).stdout)
  const rows = (name: string) =>
    db.query('SELECT key, value FROM integration_labels WHERE integration_id = ? ORDER BY key', id[name] ?? '')
  return { db, env, run, json, rows, id }
}

/** Changes labels as another program does, which the application's own never would. */
const writes = (db: TestDatabase, id: string | undefined, key: string, value: string) =>
  db.query(
    `INSERT INTO integration_labels (integration_id, key, value) VALUES ('${id}', ${key}, ${value})
      ON CONFLICT (integration_id, key) DO UPDATE SET value = excluded.value`,
  )

describe.each(kinds)('on %s', (kind) => {
  test("labels are set, changed and removed, each by its name in the log, and the application's row stays", async () => {
    const { db, run, json, rows, id } = await withIntegrations(kind)
    const flags = ['--owner', 'team-a', '--tag', 'env=production', '--tag', 'tier=1', '--note', 'ask Ana']
    const add = ['add', '--platform', 'slack', '--workspace', 'Acme', '--name', 'support', ...flags]
    const labels = { owner: 'team-a', tags: { env: 'production', tier: '1' }, note: 'ask Ana' }
    expect(await json(...add, '--dry-run')).toMatchObject({ ...labels, outcome: 'would change' })
    expect(await db.query('SELECT * FROM integration_labels')).toEqual([])
    id.support = (await json(...add)).id
    expect(await json('show', 'support')).toMatchObject(labels)
    expect(await json('list', '--fields', 'name,owner,tags,note')).toEqual([{ name: 'support', ...labels }])
    const application = (await contents(db)).integrations

    const update = [
      'update',
      'support',
      '--owner',
      'team-b',
      '--tag',
      'env=staging',
      '--tag',
      'cost=7',
      '--untag',
      'tier',
    ]
    const planned = await run(...update, '--unset', 'note', '--dry-run')
    expect(planned.stderr).toBe(
      'would change Acme/support: owner "team-a" -> "team-b", tag env "production" -> "staging", tag tier "1" -> null, tag cost null -> "7", note\n',
    )
    expect(await json('show', 'support')).toMatchObject({ ...labels, version: 1 })
    const changed = { owner: 'team-b', tags: { cost: '7', env: 'staging' }, note: null }
    expect(await json(...update, '--unset', 'note')).toMatchObject({ ...changed, version: 2, outcome: 'changed' })
    expect(await rows('support')).toEqual([
      { key: 'cost', value: '7' },
      { key: 'env', value: 'staging' },
      { key: 'owner', value: 'team-b' },
    ])
    const all = await contents(db)
    expect(all.integrations).toEqual(application)
    const again = await json(
      'update',
      'support',
      '--owner',
      'team-b',
      '--tag',
      'env=staging',
      '--untag',
      'tier',
      '--unset',
      'note',
    )
    expect(again).toMatchObject({ ...changed, version: 2, outcome: 'unchanged' })
    expect(await contents(db)).toEqual(all)

    const events = await json('audit', 'list', '--ref', 'support', '--sort', 'seq', '--fields', 'seq,action,fields')
    expect(events).toEqual([
      { seq: 3, action: 'integration.add', fields: ['labels.env', 'labels.tier', 'labels.owner', 'labels.note'] },
      {
        seq: 4,
        action: 'integration.update',
        fields: ['labels.env', 'labels.cost', 'labels.tier', 'labels.owner', 'labels.note'],
      },
    ])
    expect((await json('audit', 'list', '--field', 'labels', '--fields', 'seq')).length).toBe(2)
    expect((await json('audit', 'show', '4')).changes).toEqual(
      expect.arrayContaining([
        { field: 'integration_labels.owner', before: 'team-a', after: 'team-b' },
        { field: 'integration_labels.tier', before: '1', after: null },
      ]),
    )
    expect(await run('audit', 'verify')).toMatchObject({ code: 0 })
    await run('remove', 'support', '--confirm', 'support')
    expect(await db.query('SELECT * FROM integration_labels')).toEqual([])
    expect(await run('audit', 'verify')).toMatchObject({ code: 0 })
  })

  test('a job that adds again sets the labels that it gives, and leaves the others', async () => {
    const { run, json } = await withIntegrations(kind)
    const add = ['add', '--platform', 'slack', '--workspace', 'Acme', '--name', 'support']
    await run(...add, '--owner', 'team-a', '--tag', 'env=production')
    const same = await json(...add, '--upsert', '--owner', 'team-a')
    expect(same).toMatchObject({ owner: 'team-a', tags: { env: 'production' }, version: 1, outcome: 'unchanged' })
    const kept = await json(...add, '--if-missing', '--owner', 'team-b')
    expect(kept).toMatchObject({ owner: 'team-a', tags: { env: 'production' }, version: 1, outcome: 'unchanged' })
    const updated = await run(...add, '--upsert', '--owner', 'team-b', '--tag', 'tier=1')
    expect(updated.stderr).toBe('changed Acme/support: owner "team-a" -> "team-b", tag tier null -> "1"\n')
    expect(await json('show', 'support')).toMatchObject({
      owner: 'team-b',
      tags: { env: 'production', tier: '1' },
      version: 2,
    })
  })

  test('filters by owner and tags choose integrations, for every command that takes filters', async () => {
    const { run, id } = await withIntegrations(kind, 'billing', 'desk', 'support')
    await run('update', 'billing', '--owner', 'team-a', '--tag', 'env=production', '--tag', 'tier=1')
    await run('update', 'desk', '--owner', 'team-b', '--tag', 'env=production')
    const chosen = async (...filters: string[]) =>
      (await run('list', ...filters, '--fields', 'name')).stdout.trim().split('\n').join(' ')
    for (const [filters, names] of [
      [['--owner', 'team-a'], 'billing'],
      [['--owner', 'TEAM-A'], ''],
      [['--no-owner'], 'support'],
      [['--tag', 'env'], 'billing desk'],
      [['--tag', 'env=production', '--tag', 'tier=1'], 'billing'],
      [['--tag', 'env=production', '--tag', 'env=staging'], ''],
      [['--tag', 'env='], ''],
      [['--tag', 'tier', '--owner', 'team-b'], ''],
    ] as const)
      expect([filters, await chosen(...filters)]).toEqual([filters, names])
    const checked = await run('check', '--tag', 'tier', '--no-fill', '-o', 'id')
    expect(checked.stdout).toBe(`${id.billing}\n`)
    const reported = (...args: string[]) => run('report', ...args, '--finding', 'secret-missing', '--fail-on', 'never')
    const fields = ['-o', 'csv', '--fields', 'integration,owner']
    expect((await reported('--no-owner', ...fields)).stdout).toBe('integration,owner\nAcme/support,\n')
    // Findings come in the order of ids.
    expect((await reported('--tag', 'env', ...fields)).stdout.split('\n').sort().slice(1, 3)).toEqual([
      'Acme/billing,team-a',
      'Acme/desk,team-b',
    ])
    expect((await reported('--no-owner', '--tag', 'env=x', '-o', 'html')).stdout).toContain(
      '"limits":["--no-owner","--tag env=x"',
    )
  })

  test('Tab completes the owners and tags that there are', async () => {
    const { db, run, id } = await withIntegrations(kind, 'desk', 'support')
    await run('update', 'desk', '--owner', 'team-b', '--tag', 'env=production', '--note', 'env=x')
    await run('update', 'support', '--owner', 'team-a', '--tag', 'env=production', '--tag', 'tier=1')
    await writes(db, id.support, "'bad'", "'\u001b[31m'")
    const complete = async (...words: string[]) =>
      (await run('complete', 'zsh', '--', ...words)).stdout.match(/^[^\t\n]+/gm)
    expect(await complete('list', '--owner', '')).toEqual(['team-a', 'team-b'])
    expect(await complete('update', 'desk', '--owner=team-b')).toEqual(['--owner=team-b'])
    expect(await complete('report', '--tag', 'e')).toEqual(['env', 'env=production'])
    expect(await complete('add', '--tag', '')).toEqual(['env=production', 'tier=1'])
    expect(await complete('update', 'desk', '--untag', 't')).toEqual(['tier'])
  })

  test('what changes nothing or chooses nothing is told', async () => {
    const { run } = await withIntegrations(kind, 'support')
    expect(await run('update', 'support', '--untag', 'nope')).toMatchObject({
      code: 0,
      stderr: 'Acme/support has no tag nope; no changes made\n',
    })
    for (const filter of [
      ['--owner', 'nobody'],
      ['--tag', 'env'],
    ])
      expect(await run('report', ...filter)).toMatchObject({
        code: 0,
        stderr: 'warning: no integration matches the filter\nno findings in 0 integrations\n',
      })
  })

  test('what is no label is refused, with what to type, and nothing is changed', async () => {
    const { db, run, id } = await withIntegrations(kind, 'support')
    const fifty = Array.from({ length: 50 }, (_, n) => ['--tag', `t${n}=x`]).flat()
    expect(await run('update', 'support', ...fifty, '--owner', 'ana')).toMatchObject({ code: 0 })
    const before = await contents(db)
    const update = ['update', 'support']
    const key = 'use at most 63 lower-case letters and digits, with ".", "_" or "-" between them, as in team'
    for (const [args, error, hint] of [
      [[...update, '--tag', 'owner=ana'], 'owner is not a tag', 'pass --owner'],
      [[...update, '--untag', 'note'], 'note is not a tag', 'pass --unset note'],
      [['list', '--tag', 'owner=ana'], 'owner is not a tag', 'pass --owner'],
      [['list', '--tag', 'Team'], 'the tag key "Team" is malformed', key],
      [
        [...update, '--tag', 'team'],
        "option '--tag <key=value>' does not take that value",
        'write a key and a value, as in env=production',
      ],
      [[...update, '--tag', 'team='], 'the team tag is empty', 'give it at least one visible character'],
      [[...update, '--owner', 'ana', '--unset', 'owner'], 'owner is both given and unset', 'keep one of the two'],
      [
        [...update, '--tag', 'one=more'],
        'the integration would have 51 tags, and 50 are possible',
        'remove tags with --untag',
      ],
      [['list', '--owner', ''], "option '--owner <owner>' does not take that value", 'pass --no-owner'],
      [['report', '--owner', 'ana', '--no-owner'], '--owner and --no-owner are both given', 'keep one of the two'],
      [['list', '--no-owner', '--owner', 'ana'], '--owner and --no-owner are both given', 'keep one of the two'],
      [[...update, '--no-owner'], "unknown option '--no-owner'", 'to clear the owner: --unset owner'],
      [[...update, '--no-note'], "unknown option '--no-note'", 'to clear the note: --unset note'],
      [
        [...update, '--unset', 'tag'],
        "option '--unset <field>' does not take that value",
        'to remove a tag: --untag <tag-key>',
      ],
      [
        [...update, '--untag', 't1=x'],
        "option '--untag <tag-key>' does not take that value",
        'pass the key alone: --untag t1',
      ],
      [
        ['add', '--platform', 'slack', '--workspace', 'Acme', '--name', 'x', '--tag', 'a=1', '--tag', 'a=2'],
        'the tag a is given twice',
        'keep one of the two',
      ],
    ] as const)
      expect([args, await run(...args)]).toEqual([
        args,
        { code: 2, stdout: '', stderr: `error: ${error}\nhint: ${hint}\n` },
      ])
    expect(await contents(db)).toEqual(before)
    expect(await run('update', 'support', '--tag', 'one=more', '--untag', 't0')).toMatchObject({ code: 0 })
    for (const name of ["'x1'", "'x2'"]) await writes(db, id.support, name, "'x'")
    expect(await run('update', 'support', '--untag', 't1')).toMatchObject({ code: 0 })
    expect(await run('update', 'support', '--tag', 'two=more')).toMatchObject({ code: 2 })
  })

  test('a label that another program writes is named until somebody acknowledges it, whatever is changed meanwhile', async () => {
    const { db, run, json, id } = await withIntegrations(kind, 'support')
    await run('update', 'support', '--owner', 'ana', '--tag', 'env=production')
    const columns = async () =>
      JSON.parse((await run('audit', 'verify', '-o', 'json')).stdout).problems.map(
        (one: { columns: string[] }) => one.columns,
      )
    expect(await columns()).toEqual([])
    await writes(db, id.support, "'owner'", "'eve'")
    await writes(db, id.support, "'team'", "'eve'")
    await db.query("DELETE FROM integration_labels WHERE key = 'env'")
    const labels = [['integration_labels.env', 'integration_labels.owner', 'integration_labels.team']]
    expect((await columns()).map((one: string[]) => one.sort())).toEqual(labels)
    expect(await run('update', 'support', '--tag', 'tier=1', '--note', 'x')).toMatchObject({ code: 0 })
    expect((await columns()).map((one: string[]) => one.sort())).toEqual(labels)
    expect(await run('update', 'support', '--owner', 'ana')).toMatchObject({ code: 0 })
    expect((await columns()).map((one: string[]) => one.sort())).toEqual([
      ['integration_labels.env', 'integration_labels.team'],
    ])
    expect(await json('show', 'support')).toMatchObject({ owner: 'ana', tags: { team: 'eve', tier: '1' }, note: 'x' })
    await run('audit', 'acknowledge', '--row', id.support ?? '', '--reason', 'a script')
    expect(await columns()).toEqual([])
  })

  test('a label that cannot be read hides no integration, stops no change, and is named', async () => {
    const { db, run, id } = await withIntegrations(kind, 'desk', 'support')
    await run('update', 'support', '--owner', 'ana', '--tag', 'env=production')
    await run('update', 'desk', '--owner', 'bob')
    const damaged = kind === 'sqlite' ? ["x'00ff'", "CAST(x'ff41' AS TEXT)"] : ["chr(127) || 'text 2 FF41'"]
    for (const value of damaged) {
      await writes(db, id.support, "'env'", value)
      expect(await run('list', '-o', 'jsonl', '--fields', 'name,owner,tags')).toMatchObject({
        code: 0,
        stdout: '{"name":"desk","owner":"bob","tags":{}}\n{"name":"support","owner":null,"tags":{}}\n',
        stderr: expect.stringContaining(`the column labels of the row \\"${id.support}\\" cannot be read`),
      })
      // It cannot be told that these lack the tag.
      expect((await run('list', '--tag', 'env=other', '-o', 'id')).stdout).toBe(`${id.support}\n`)
      expect(await run('show', 'support', '-o', 'jsonl', '--fields', 'name,tags')).toMatchObject({
        code: 0,
        stdout: '{"name":"support","tags":{}}\n',
      })
      expect(JSON.parse((await run('audit', 'verify', '-o', 'json')).stdout).problems).toEqual([
        expect.objectContaining({ columns: ['integration_labels.env'] }),
        expect.objectContaining({ table: 'integration_labels', id: id.support }),
      ])
      expect(await run('disable', 'support')).toMatchObject({ code: 0 })
      expect(await run('enable', 'support')).toMatchObject({ code: 0 })
      expect(await run('update', 'support', '--tag', 'env=production', '-o', 'id')).toMatchObject({ code: 0 })
      expect(await run('audit', 'verify')).toMatchObject({ code: 0 })
    }
    const name = kind === 'sqlite' ? "x'ff'" : "chr(127) || 'text 1 FF'"
    await writes(db, id.support, name, "'x'")
    expect((await run('list', '-o', 'id')).stdout).toBe(`${id.desk}\n${id.support}\n`)
    expect(await run('disable', 'support')).toMatchObject({ code: 0 })
    expect(JSON.parse((await run('audit', 'verify', '-o', 'json')).stdout).problems).toEqual([
      expect.objectContaining({ table: 'integration_labels', id: id.support }),
    ])
  })

  test('people see the labels that there are, in lines that fit', async () => {
    const { env, run } = await withIntegrations(kind, 'desk', 'support')
    const screen = async (columns: number, ...args: string[]) =>
      (await runInTerminal(args, [], { env, columns })).screen.replaceAll('\r\n', '\n')
    const note = Array.from({ length: 12 }, () => 'word').join(' ')
    await run(
      'update',
      'support',
      '--owner',
      'team-payments',
      '--tag',
      'env=production',
      '--tag',
      'tier=1',
      '--note',
      note,
    )
    const shown = async (name: string) => /^OWNER.*$/ms.exec(await screen(40, 'show', name))?.[0]
    expect(await shown('desk')).toBeUndefined()
    expect(await shown('support')).toBe(`OWNER           team-payments
TAGS            env=production, tier=1
NOTE            word word word word word
                word word word word word
                word word
`)
    const fields = ['--fields', 'name,owner,tags,note']
    expect(await screen(80, 'list', ...fields)).toBe(`NAME     OWNER          TAGS                    NOTE
desk
support  team-payments  env=production, tier=1  word word word word word word w…
`)
  })
})
