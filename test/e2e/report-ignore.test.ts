import { describe, expect, test } from 'vitest'
import { adoptedDatabase } from '../support/adopted.ts'
import { contents, freshDatabase, type Kind, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { runInTerminal } from '../support/program.ts'
import { addSlack } from '../support/slack-integration.ts'

const days = 86_400_000
const instant = (distanceMs: number) => new Date(Date.now() + distanceMs).toISOString()

/** A database with two integrations that each lack an access token, and whose use nobody records. */
async function start(kind: Kind) {
  const db = await freshDatabase(kind)
  const env = { DATABASE_URL: db.url }
  for (const name of ['support', 'sales']) await addSlack(env, name)
  const run = (...args: string[]) => runInProcess(args, { env })
  const told = async (...flags: string[]) => {
    const { code, stdout, stderr } = await run('report', '-o', 'json', ...flags)
    const findings = (JSON.parse(stdout) as { code: string; integration: string | null }[]).map(
      ({ code, integration }) => `${code} ${integration ?? 'database'}`,
    )
    return { code, findings: findings.sort(), stderr }
  }
  const ignore = (...args: string[]) =>
    run('report', 'ignore', ...args, '--until', until, '--reason', 'OPS-1', '-o', 'table')
  const until = instant(30 * days)
  return { db, env, run, told, ignore, until }
}

const everything = ['secret-missing Acme/sales', 'secret-missing Acme/support', 'use-not-recorded database']

describe.each(kinds)('report ignore on %s', (kind) => {
  test('leaves a finding out of reports, its counts and --fail-on, until its end', async () => {
    const { db, run, told, ignore, until } = await start(kind)
    expect(await told()).toMatchObject({ code: 8, findings: everything })
    expect(await ignore('secret-missing', 'support')).toEqual({
      code: 0,
      stdout: `ignored secret-missing of Acme/support until ${until}\n`,
      stderr: '',
    })
    expect(await told()).toMatchObject({ code: 8, findings: [everything[0], everything[2]] })
    const chosen = await run('list', '--finding', 'secret-missing', '-o', 'json', '--fields', 'name')
    expect(JSON.parse(chosen.stdout)).toEqual([{ name: 'sales' }])
    expect(await ignore('secret-missing', 'sales')).toMatchObject({ code: 0 })
    expect(await told()).toEqual({
      code: 0,
      findings: [everything[2]],
      stderr: `{"level":"info","message":"2 more findings ignored, until ${until} or later: integrations report ignored"}\n{"level":"info","message":"1 unknown finding in 2 integrations"}\n`,
    })
    const markdown = await run('report', '-o', 'markdown')
    expect(markdown.stdout).toContain(`Z. 2 more findings ignored, until ${until} or later.\n`)
    expect(markdown.stdout).not.toContain('secret-missing')
    expect(await told('--fail-on', 'unknown')).toMatchObject({ code: 8 })
    expect(await ignore('use-not-recorded')).toMatchObject({ code: 0 })
    expect(await told('--fail-on', 'unknown')).toMatchObject({ code: 0, findings: [] })
    // By itself.
    await db.query("UPDATE integration_findings SET until = '2020-01-01 00:00:00' WHERE name = 'sales'")
    expect(await told()).toMatchObject({ code: 8, findings: [everything[0]] })
    // It was true long before, and is told as new when it counts again.
    await db.query("UPDATE integrations SET created_at = '2020-01-01 00:00:00'")
    expect(await told('--new-since', '2h')).toMatchObject({ code: 0, findings: [] })
    await db.query(
      `UPDATE integration_findings SET until = '${instant(-days / 24).replace('Z', '+00:00')}' WHERE name = 'sales'`,
    )
    expect(await told('--new-since', '2h')).toMatchObject({ code: 8, findings: [everything[0]] })
    expect(await run('report', 'unignore', 'secret-missing', 'support', '-o', 'table')).toEqual({
      code: 0,
      stdout: 'secret-missing of Acme/support is ignored no longer\n',
      stderr: '',
    })
    expect(await told()).toMatchObject({ code: 8, findings: everything.slice(0, 2) })
    expect(await run('report', 'unignore', 'secret-missing', 'support')).toEqual({
      code: 3,
      stdout: '',
      stderr: 'error: secret-missing is not ignored of "support"\nhint: integrations report ignored\n',
    })
  })

  test('ends what is ignored of one integration, and of none of several with that name', async () => {
    const { db, run, ignore } = await start(kind)
    for (const name of ['support', 'sales']) expect(await ignore('secret-missing', name)).toMatchObject({ code: 0 })
    await db.query("UPDATE integrations SET name = 'support', platform = 'github' WHERE name = 'sales'")
    const before = await contents(db)
    expect(await run('report', 'unignore', 'secret-missing', 'Acme/support')).toMatchObject({
      ...{ code: 2, stdout: '', stderr: expect.stringContaining('several integrations are named "Acme/support"') },
    })
    expect(await contents(db)).toEqual(before)
  })

  test('of a code without an integration, ignores it of all', async () => {
    const { run, told, ignore } = await start(kind)
    expect(await ignore('SECRET-MISSING')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('ignored secret-missing everywhere until'),
    })
    expect(await told()).toMatchObject({ code: 0, findings: [everything[2]] })
    // A single integration is another matter.
    expect(await run('report', 'unignore', 'secret-missing', 'support')).toMatchObject({ code: 3 })
    expect(await run('report', 'unignore', 'secret-missing')).toMatchObject({ code: 0 })
    expect(await told()).toMatchObject({ code: 8, findings: everything })
  })

  test('changes the end and the reason of what is ignored already, and records each change', async () => {
    const { db, run, ignore, until } = await start(kind)
    const list = async () => JSON.parse((await run('report', 'ignored', '-o', 'json')).stdout)
    const change = (end: string, reason: string, ...more: string[]) =>
      run('report', 'ignore', 'stale', 'support', '--until', end, '--reason', reason, '-o', 'json', ...more)
    const outcome = async (...args: Parameters<typeof change>) => JSON.parse((await change(...args)).stdout).outcome
    const before = await contents(db)
    expect(await outcome(until, 'OPS-1', '--dry-run')).toBe('would change')
    expect(await contents(db)).toEqual(before)
    expect(await outcome(until, 'OPS-1')).toBe('changed')
    expect(await outcome(until, 'OPS-1')).toBe('unchanged')
    const [{ id } = {}] = await db.query("SELECT id FROM integrations WHERE name = 'support'")
    const ignored = {
      ...{ code: 'stale', integration: 'Acme/support', id, until, reason: 'OPS-1' },
      ...{ ignoredAt: expect.stringMatching(/^\d{4}-/), ignoredBy: expect.stringMatching(/^os:/) },
    }
    expect(await list()).toEqual([ignored])
    const later = instant(60 * days)
    expect(await outcome(later, 'OPS-2')).toBe('changed')
    expect(await ignore('never-used')).toMatchObject({ code: 0 })
    expect(await list()).toEqual([
      { ...ignored, code: 'never-used', integration: null, id: null },
      { ...ignored, until: later, reason: 'OPS-2' },
    ])
    // What was ignored outlives the integration, and its new name.
    expect(await run('update', 'support', '--name', 'care')).toMatchObject({ code: 0 })
    expect((await list())[1].integration).toBe('Acme/care')
    expect(await run('remove', 'care', '--confirm', 'care')).toMatchObject({ code: 0 })
    expect((await list())[1].integration).toBe('Acme/support')
    expect(await run('report', 'unignore', 'stale', 'Acme/support')).toMatchObject({ code: 0 })
    const { stdout } = await run('audit', 'list', '--action', 'finding', '--sort', 'seq', '-o', 'json')
    expect(
      JSON.parse(stdout).map((event: Record<string, unknown>) => [event.action, event.target, event.reason]),
    ).toEqual([
      ['finding.ignore', 'stale of Acme/support', 'OPS-1'],
      ['finding.ignore', 'stale of Acme/support', 'OPS-2'],
      ['finding.ignore', 'never-used everywhere', 'OPS-1'],
      ['finding.unignore', 'stale of Acme/support', null],
    ])
    const shown = JSON.parse((await run('audit', 'show', String(JSON.parse(stdout)[1].seq), '-o', 'json')).stdout)
    expect(shown.changes.map(({ field }: { field: string }) => field)).toEqual(['until', 'reason', 'ignored_at'])
    expect(await run('audit', 'verify')).toMatchObject({ code: 0 })
  })

  test.each([
    [['stale', '--reason', 'x'], 2, "error: required option '--until <date>' not specified"],
    [['stale', '--until', instant(days)], 2, 'error: --reason is required: the audit log keeps it with the finding'],
    [['stale', '--until', instant(91 * days), '--reason', 'x'], 2, 'error: the end is more than 90 days ahead'],
    [['stale', '--until', instant(-days), '--reason', 'x'], 2, 'error: the end is in the past'],
    [['stale', '--until', '2027-02-30', '--reason', 'x'], 2, "error: option '--until <date>' does not take that value"],
    [['stail', '--until', instant(days), '--reason', 'x'], 2, 'hint: did you mean stale?'],
    [['support', 'stale', '--until', instant(days), '--reason', 'x'], 2, 'hint: the code comes first'],
    [['receiver-silent', 'support', '--until', instant(days), '--reason', 'x'], 2, 'about the database'],
    [['stale', 'nobody', '--until', instant(days), '--reason', 'x'], 3, 'error: there is no integration "nobody"'],
    // A filter of the report would be without effect.
    [['stale', '--platform', 'slack', '--until', instant(days), '--reason', 'x'], 2, 'error: --platform has no effect'],
  ])('%j is refused, and changes nothing', async (args, code, message) => {
    const { db, run } = await start(kind)
    const before = await contents(db)
    const refused = await run('report', 'ignore', ...args)
    expect([refused.code, refused.stdout, refused.stderr]).toEqual([code, '', expect.stringContaining(message)])
    expect(await contents(db)).toEqual(before)
  })

  test.each([
    ['ignor', 'did you mean report ignore?'],
    ['list', 'did you mean report ignored?'],
    ['Acme/support', 'filter with options, as in integrations report --platform slack'],
  ])('report %s leads to what was meant', async (word, hint) => {
    const { run } = await start(kind)
    expect(await run('report', word)).toMatchObject({ code: 2, stderr: expect.stringContaining(`\nhint: ${hint}\n`) })
  })

  test('a row that another program puts in or changes is named by audit verify, in an adopted database, too', async () => {
    const put = (db: TestDatabase) =>
      db.query(
        "INSERT INTO integration_findings (id, code, until, reason, ignored_at) VALUES ('x', 'secret-missing', '2099-01-01 00:00:00', 'x', '2026-01-01 00:00:00')",
      )
    const problems = async (db: TestDatabase) => {
      const { stdout } = await runInProcess(['audit', 'verify', '-o', 'json'], { env: { DATABASE_URL: db.url } })
      return JSON.parse(stdout)
        .problems.filter(({ type }: { type?: string }) => type === 'finding')
        .map(({ name, problem }: { name: string; problem: string }) => `${name}: ${problem}`)
    }
    const { db, ignore, run, told } = await start(kind)
    await ignore('secret-missing', 'support')
    await put(db)
    expect(await told()).toMatchObject({ code: 0, stderr: expect.stringContaining('2 more findings ignored') })
    await db.query("UPDATE integration_findings SET until = '2098-01-01 00:00:00' WHERE id <> 'x'")
    expect((await problems(db)).sort()).toEqual([
      'secret-missing everywhere: no event added the row',
      'secret-missing of Acme/support: changed without an event: until',
    ])
    expect(await run('report', 'unignore', 'secret-missing')).toMatchObject({ code: 0 })
    await db.query('DELETE FROM integration_findings')
    expect(await problems(db)).toEqual(['secret-missing of Acme/support: the row was removed without an event'])
    const adopted = await adoptedDatabase(kind, 'off')
    await put(adopted)
    const env = { DATABASE_URL: adopted.url }
    expect(await runInProcess(['db', 'migrate'], { env })).toMatchObject({ code: 0 })
    expect(await problems(adopted)).toEqual(['secret-missing everywhere: no event added the row'])
  })

  test('a row that cannot be read ignores nothing', async () => {
    const { db, told, ignore } = await start(kind)
    await ignore('secret-missing')
    await db.query(
      kind === 'sqlite'
        ? "UPDATE integration_findings SET until = 'soon'"
        : "UPDATE integration_findings SET until = 'infinity'",
    )
    expect(await told()).toMatchObject({ code: 8, findings: everything })
  })
})

test('ignored findings fit a narrow terminal, and one that has ended says so', async () => {
  const { db, env, ignore } = await start('sqlite')
  await ignore('secret-missing', 'support')
  await ignore('use-not-recorded')
  await db.query("UPDATE integration_findings SET until = '2020-01-01 00:00:00' WHERE name IS NULL")
  const { screen } = await runInTerminal(['report', 'ignored'], [], { env: { ...env, NO_COLOR: '1' }, columns: 60 })
  expect(screen.replace(/ os:\S+/g, ' os:me')).toMatch(
    /^CODE +INTEGRATION +UNTIL +REASON +BY\r\nuse-not-recorded +all +\dy ago +OPS-1 +os:me\r\nsecret-missing +Acme\/support +in 30d +OPS-1 +os:me\r\n$/,
  )
})
