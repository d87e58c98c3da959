import { describe, expect, test } from 'vitest'
import { freshDatabase, type Kind, kinds } from '../support/database.ts'
import { runInProcess, succeeding } from '../support/in-process.ts'
import { runInTerminal } from '../support/program.ts'
import { addSlack } from '../support/slack-integration.ts'

/** A database with one integration at version 1, whose config was changed to versions 2, 3 and 5. */
async function start(kind: Kind) {
  const db = await freshDatabase(kind)
  const env = { DATABASE_URL: db.url }
  const run = succeeding(env)
  const id = await addSlack(env)
  await run(['config', 'set', 'support', 'slackEvents=["message"]', '--as', 'Ana', '--reason', 'OPS-1'])
  await run(['config', 'set', 'support', 'slackEvents=["app_mention"]', 'note="x"'])
  await run(['disable', 'support'])
  await run(['config', 'unset', 'support', 'slackEvents', 'note'])
  const json = async (...args: string[]) => JSON.parse(await run([...args, '-o', 'json']))
  const config = () => json('config', 'get', 'support')
  return { db, env, id, run, json, config }
}

describe.each(kinds)('the history of a config on %s', (kind) => {
  const program = runInProcess

  test('tells who changed the config, and from what to what', async () => {
    const { env, json } = await start(kind)
    const at = expect.stringMatching(/^\d{4}-.*Z$/)
    const who = expect.stringContaining('os:')
    expect(await json('config', 'history', 'support')).toEqual([
      { version: 5, changedAt: at, who, reason: null, seq: 7 },
      { version: 3, changedAt: at, who, reason: null, seq: 5 },
      { version: 2, changedAt: at, who: expect.stringMatching(/ as Ana$/), reason: 'OPS-1', seq: 4 },
    ])
    const [none, first, second] = [null, { slackEvents: ['message'] }, { note: 'x', slackEvents: ['app_mention'] }]
    expect(await json('config', 'diff', 'support')).toEqual({ version: 5, before: second, after: {} })
    expect(await json('config', 'diff', 'support', '3')).toEqual({ version: 3, before: first, after: second })
    expect(await json('config', 'diff', 'support', '2')).toEqual({ version: 2, before: none, after: first })
    const { screen } = await runInTerminal(['config', 'diff', 'support', '3'], [], { env: { ...env, NO_COLOR: '1' } })
    expect(screen.trimEnd().split('\r\n')).toEqual([
      '@@ line 1 -> 1',
      ' {',
      '+  "note": "x",',
      '   "slackEvents": [',
      '-    "message"',
      '+    "app_mention"',
      '   ]',
      ' }',
    ])
    expect(await program(['config', 'diff', 'support', '4'], { env })).toEqual({
      code: 3,
      stdout: '',
      stderr: expect.stringMatching(
        /^error: no change of the config of Acme\/support to version 4 is kept\nhint: integrations config history [\w-]+\n$/,
      ),
    })
  })

  test('is shown in pages, the newest changes first, with the events about them', async () => {
    const { db, env, id, run, json } = await start(kind)
    const shown = async (...args: string[]) =>
      (await json('config', 'history', 'support', '--fields', 'version,seq', ...args)).map(Object.values)
    expect(await shown('--limit', '2')).toEqual([
      [5, 7],
      [3, 5],
    ])
    expect(await shown('--limit', '2', '--cursor', '3')).toEqual([[2, 4]])
    expect(await shown('--sort', 'version', '--limit', '1')).toEqual([[2, 4]])
    expect(await program(['config', 'history', 'support', '--cursor', '4'], { env })).toEqual({
      code: 3,
      stdout: '',
      stderr: 'error: the row that --cursor names is not there any more\nhint: start again without --cursor\n',
    })

    // Those of another integration are not among them, and more are read than one page has.
    const other = await addSlack(env, 'desk')
    await run(['config', 'set', 'desk', 'note="x"'])
    const many = Array.from({ length: 1200 }, (_, i) => [10 + i, i % 2 === 0 ? id : other] as const)
    await db.query(
      `INSERT INTO integration_config_revisions (integration_id, version, before, after, changed_at) VALUES ${many
        .map(([version, of]) => `('${of}', ${version}, NULL, NULL, '2026-11-27 12:00:00.000+00:00')`)
        .join(', ')}`,
    )
    const all = many.filter(([, of]) => of === id).map(([version]) => [version, null])
    expect(await shown()).toEqual([...all.reverse(), [5, 7], [3, 5], [2, 4]])
    const screen = async (more: string[], PAGER: string) =>
      (
        await runInTerminal(['config', 'history', 'support', '--fields', 'version,seq', ...more], [], {
          env: { ...env, NO_COLOR: '1', PAGER },
        })
      ).screen.trimEnd()
    expect(await screen([], 'sed -n "$="')).toBe('101\r\n503 more: add --all, or --cursor 1010')
    expect(await screen(['--all'], 'tail -n 2')).toBe('3        5\r\n2        4')
  })

  test('puts back the config from before a change, and refuses over a change of another program', async () => {
    const { db, env, run, config } = await start(kind)
    expect(await config()).toEqual({})
    await run(['config', 'revert', 'support', '--dry-run'])
    expect(await config()).toEqual({})
    expect(JSON.parse(await run(['config', 'revert', 'support', '-o', 'json']))).toMatchObject({
      config: { slackEvents: ['app_mention'], note: 'x' },
      version: 6,
      outcome: 'changed',
    })
    await run(['config', 'revert', 'support', '2'])
    expect(await config()).toBe(null)
    // An application writes without this program.
    await db.query(`UPDATE integrations SET config = '{"slackEvents": ["team_join"]}'`)
    expect(await program(['config', 'revert', 'support'], { env })).toEqual({
      code: 5,
      stdout: '',
      stderr: expect.stringMatching(
        /^error: another program changed the config of Acme\/support after version 7\nhint: integrations config revert [\w-]+ 7\n$/,
      ),
    })
    expect(await config()).toEqual({ slackEvents: ['team_join'] })
    await run(['config', 'revert', 'support', '7'])
    expect(await config()).toEqual({ slackEvents: ['app_mention'], note: 'x' })
    // What the application had written is not lost.
    expect(JSON.parse(await run(['config', 'diff', 'support', '-o', 'json']))).toMatchObject({
      version: 8,
      before: { slackEvents: ['team_join'] },
    })
  })

  test('can be forgotten, which the log tells, and goes with the integration', async () => {
    const { db, env, run, json, config } = await start(kind)
    const kept = async () => {
      const [row] = await db.query('SELECT CAST(count(*) AS INTEGER) AS n FROM integration_config_revisions')
      return row?.n
    }
    expect(await json('config', 'purge', 'support', '--dry-run')).toEqual({ purged: 3, outcome: 'would change' })
    expect(await kept()).toBe(3)
    expect(await json('config', 'purge', 'support')).toEqual({ purged: 3, outcome: 'changed' })
    expect(await kept()).toBe(0)
    expect(await json('config', 'purge', '--all')).toEqual({ purged: 0, outcome: 'unchanged' })
    const logged = async () =>
      json('audit', 'list', '--action', 'config.purge', '--fields', 'action,target,targetType,count')
    const one = { action: 'config.purge', target: 'Acme/support', targetType: 'integration', count: 3 }
    expect(await logged()).toEqual([one])
    const { changes } = await json('audit', 'show', '5')
    const hash = expect.stringMatching(/^hmac:/)
    expect(changes).toContainEqual({ field: 'config', before: hash, after: hash })
    expect(await config()).toEqual({})
    expect(await json('config', 'history', 'support')).toEqual([])
    expect(await program(['config', 'purge'], { env })).toMatchObject({ code: 2 })

    await run(['config', 'set', 'support', 'note="y"'])
    expect(await json('config', 'purge', '--all')).toEqual({ purged: 1, outcome: 'changed' })
    const all = { action: 'config.purge', target: expect.any(String), targetType: 'database', count: 1 }
    expect(await logged()).toEqual([all, one])
    await run(['config', 'set', 'support', 'note="z"'])
    expect(await kept()).toBe(1)
    await run(['remove', 'support', '--confirm', 'support'])
    expect(await kept()).toBe(0)
  })

  test('is told to be another when it was changed', async () => {
    const { db, json } = await start(kind)
    const verified = async () => (await json('audit', 'show', '5')).verified
    expect(await verified()).toBe(true)
    await db.query(`UPDATE integration_config_revisions SET after = replace(after, 'app_mention', 'message')`)
    expect(await verified()).toBe(false)
  })
})
