import { describe, expect, test } from 'vitest'
import { adoptedDatabase } from '../support/adopted.ts'
import { contents, freshDatabase, type Kind, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { runInTerminal } from '../support/program.ts'
import { botToken, refreshToken, signingSecret } from '../support/samples.ts'

const days = 86_400_000

/** An instant so long from now, as both databases take it. */
const at = (distanceMs: number) => new Date(Date.now() + distanceMs).toISOString().replace('Z', '+00:00')

/** A database whose integrations keep every policy of this file, as long as nothing is changed. */
async function start(kind: Kind) {
  const db = await freshDatabase(kind)
  const env = { DATABASE_URL: db.url }
  const run = (...args: string[]) => runInProcess(args, { env })
  const done = async (args: string[], secrets: Record<string, string> = {}) => {
    const { code, stdout, stderr } = await runInProcess(args, { env: { ...env, ...secrets } })
    expect([args, code, stderr]).toEqual([args, 0, expect.any(String)])
    return stdout.trim()
  }
  await done(['workspaces', 'add', 'Acme'])
  await done(['workspaces', 'add', 'Globex'])
  let n = 0
  /** Adds one that keeps every policy: it has an owner, and a token that ends in 100 days. */
  const add = async (name: string, ...flags: string[]) => {
    n++
    const expiry = flags.includes('--no-expiry') ? [] : ['--expires-in', '100d']
    const owner = flags.includes('--owner') ? [] : ['--owner', 'team-a']
    const id = await done(
      [
        ...['add', '--platform', 'slack', '--workspace', 'Acme', '--name', name, '-o', 'id', ...expiry, ...owner],
        ...['--webhook-secret-env', 'W', '--access-token-env', 'A', '--refresh-token-env', 'R', ...flags],
      ],
      { W: signingSecret(1), A: botToken(n), R: refreshToken(n) },
    )
    await db.query('UPDATE integrations SET last_used_at = ? WHERE id = ?', at(-60_000), id)
    return id
  }
  /** Has a secret be so old. */
  const age = (id: string, field: string, ms: number) =>
    db.query('UPDATE integration_secrets SET set_at = ? WHERE integration_id = ? AND field = ?', at(-ms), id, field)
  const told = async () =>
    Object.fromEntries(
      (JSON.parse((await run('report', '--fail-on', 'never', '-o', 'json')).stdout) as Record<string, string>[]).map(
        ({ integration, code, evidence, next }) => [`${integration} ${code}`, { evidence, next }],
      ),
    )
  return { db, env, run, done, add, age, told }
}

describe.each(kinds)('policies on %s', (kind) => {
  test('an integration that does not keep one is told by the report, each fault once and nothing else', async () => {
    const { db, run, done, add, age, told } = await start(kind)
    await add('fine')
    await done(
      [
        ...['policy', 'set', 'all', '--max-secret-age', '90d', '--max-token-age', '30d', '--require-expiry'],
        ...['--require-owner', '--expires-within', '60d', '--unused-after', '10d'],
      ],
      {},
    )
    // One that keeps its policies is told of nothing.
    expect(await run('report', '--fail-on', 'unknown', '-o', 'json')).toMatchObject({ code: 0, stdout: '[]\n' })
    const old = await add('secret')
    await age(old, 'webhook_secret', 91 * days)
    await age(old, 'refresh_token', 89 * days)
    const token = await add('token')
    await age(token, 'access_token', 31 * days)
    const soon = await add('soon')
    await db.query('UPDATE integrations SET token_expires_at = ? WHERE id = ?', at(50 * days), soon)
    const stale = await add('stale')
    await db.query('UPDATE integrations SET last_used_at = ? WHERE id = ?', at(-11 * days), stale)
    const never = await add('never', '--no-expiry')
    const nobody = await add('nobody')
    await db.query("DELETE FROM integration_labels WHERE integration_id = ? AND key = 'owner'", nobody)
    const found = await told()
    expect(Object.fromEntries(Object.entries(found).map(([what, { next }]) => [what, next]))).toEqual({
      'Acme/secret secret-old': `integrations rotate ${old} --field webhook-secret`,
      'Acme/token token-old': `integrations rotate ${token} --field access-token`,
      'Acme/soon token-expires-soon': `integrations rotate ${soon} --field access-token`,
      'Acme/stale stale': `integrations disable ${stale}`,
      'Acme/never expiry-missing': `integrations rotate ${never} --field access-token`,
      'Acme/nobody owner-missing': `integrations update ${nobody} --owner <owner>`,
    })
    expect(found['Acme/secret secret-old']?.evidence).toMatch(
      /^the webhook secret was set at \S+; the policy all allows 90d$/,
    )
    // What comes true with a policy is news.
    const news = await run('report', '--new-since', '1h', '--fail-on', 'never', '-o', 'jsonl', '--fields', 'code')
    expect(news.stdout.split('\n').filter(Boolean).sort()).toEqual(
      ['expiry-missing', 'owner-missing', 'secret-old', 'stale', 'token-expires-soon', 'token-old'].map(
        (code) => `{"code":"${code}"}`,
      ),
    )
    await done(['policy', 'remove', 'all'])
    expect(await told()).toEqual({})
  }, 120_000)

  test('of several, the strictest of each number counts, for those that they are for', async () => {
    const { run, done, add, age, told } = await start(kind)
    const id = await add('one', '--tag', 'env=production')
    await age(id, 'webhook_secret', 50 * days)
    await age(id, 'access_token', 50 * days)
    await done(['policy', 'set', 'all', '--max-secret-age', '90d', '--max-token-age', '40d'])
    await done(['policy', 'set', 'production', '--tag', 'env=production', '--max-secret-age', '40d'])
    await done(['policy', 'set', 'slack', '--platform', 'Slack', '--workspace', 'Acme', '--max-token-age', '60d'])
    expect(
      Object.values(await told())
        .map(({ evidence }) => evidence?.replace(/.*; /, ''))
        .sort(),
    ).toEqual(['the policy all allows 40d', 'the policy production allows 40d'])
    await done(['update', 'one', '--tag', 'env=test'])
    await done(['policy', 'remove', 'all'])
    expect(await told()).toEqual({})
    // What no integration has any more is for none.
    const { stdout } = await run('policy', 'list', '-o', 'json')
    const none = { maxSecretAge: null, maxTokenAge: null, expiresWithin: null, unusedAfter: null }
    const asksNoMore = { ...none, expiryRequired: false, ownerRequired: false }
    expect(JSON.parse(stdout)).toEqual([
      {
        ...{ name: 'production', platform: null, workspace: null, tag: 'env=production', integrations: 0 },
        ...{ ...asksNoMore, maxSecretAge: '40d', scope: 'env=production', asks: 'secrets of at most 40d' },
      },
      {
        ...{ name: 'slack', platform: 'slack', workspace: 'Acme', tag: null, integrations: 1 },
        ...{ ...asksNoMore, maxTokenAge: '60d', scope: 'slack in Acme', asks: 'tokens of at most 60d' },
      },
    ])
  }, 60_000)

  test('set replaces all that a policy asks, and each change is recorded', async () => {
    const { db, run, add } = await start(kind)
    await add('one')
    const outcome = async (...args: string[]) => {
      const { code, stdout, stderr } = await run('policy', 'set', 'all', ...args, '-o', 'json')
      expect([code, stderr]).toEqual([0, expect.any(String)])
      return JSON.parse(stdout)
    }
    const before = await contents(db)
    expect(await outcome('--require-owner', '--dry-run')).toMatchObject({ outcome: 'would change', integrations: 1 })
    expect(await contents(db)).toEqual(before)
    expect(await outcome('--require-owner', '--max-secret-age', '12w')).toMatchObject({
      ...{ outcome: 'changed', ownerRequired: true, maxSecretAge: '84d' },
    })
    expect(await outcome('--require-owner', '--max-secret-age', '84d')).toMatchObject({ outcome: 'unchanged' })
    expect(await run('policy', 'set', 'all', '--unused-after', '5d', '--platform', 'slack', '--dry-run')).toEqual({
      code: 0,
      stdout: 'all\t1\tslack\tunused after 5d\n',
      stderr:
        'would set the policy all, for 1 integration: for "all" -> "slack", asks "secrets of at most 84d, an owner" -> "unused after 5d"\n',
    })
    expect(await outcome('--require-expiry')).toMatchObject({
      ...{ outcome: 'changed', ownerRequired: false, maxSecretAge: null, expiryRequired: true },
    })
    expect(await run('policy', 'remove', 'all', '--dry-run')).toMatchObject({ code: 0 })
    expect(await run('policy', 'remove', 'all')).toMatchObject({ code: 0 })
    expect(await run('policy', 'remove', 'all')).toEqual({
      code: 3,
      stdout: '',
      stderr: 'error: there is no policy "all"\nhint: integrations policy list\n',
    })
    const { stdout } = await run('audit', 'list', '--action', 'policy', '--sort', 'seq', '-o', 'json')
    const events = JSON.parse(stdout) as { seq: number; action: string; target: string }[]
    expect(events.map(({ action, target }) => `${action} ${target}`)).toEqual([
      'policy.add all',
      'policy.change all',
      'policy.remove all',
    ])
    const { changes } = JSON.parse((await run('audit', 'show', String(events[1]?.seq), '-o', 'json')).stdout)
    expect(changes.filter(({ field }: { field: string }) => field !== 'updated_at')).toEqual([
      { field: 'max_secret_age', before: 84 * 86_400, after: null },
      { field: 'expiry_required', before: false, after: true },
      { field: 'owner_required', before: true, after: false },
    ])
    expect(await run('audit', 'verify')).toMatchObject({ code: 0 })
  })

  test('a policy that is for no integration, asks for nothing or is malformed is refused, and changes nothing', async () => {
    const { db, run, add } = await start(kind)
    await add('one', '--tag', 'env=test')
    const before = await contents(db)
    const refused: readonly (readonly [string[], number, string])[] = [
      [['all'], 2, 'error: the policy asks for nothing'],
      [['p', '--platform', 'pylon', '--require-owner'], 2, 'error: the policy "p" is for no integration'],
      [['p', '--workspace', 'Globex', '--require-owner'], 2, 'error: the policy "p" is for no integration'],
      [['p', '--tag', 'env=production', '--require-owner'], 2, 'error: the policy "p" is for no integration'],
      [['p', '--tag', 'team', '--require-owner'], 2, 'error: the policy "p" is for no integration'],
      [['p', '--platform', 'slak', '--require-owner'], 2, 'slak'],
      [['p', '--workspace', 'Hooli', '--require-owner'], 3, 'error: there is no workspace "Hooli"'],
      [['p', '--tag', 'a=1', '--tag', 'a=2', '--require-owner'], 2, 'hint: give one --tag'],
      [['p', '--tag', 'En v', '--require-owner'], 2, 'error: the tag key "En v" is malformed'],
      [['p', '--max-secret-age', '0'], 2, 'does not take that value'],
      [['p', '--max-secret-age', '500ms'], 2, 'does not take that value'],
      [['p', '--max-secret-age', '90'], 2, 'does not take that value'],
      [['a/b', '--require-owner'], 2, 'error: the policy name contains a slash'],
    ]
    for (const [args, code, message] of refused) {
      const outcome = await run('policy', 'set', ...args)
      expect([args, outcome.code, outcome.stdout, outcome.stderr]).toEqual([
        args,
        code,
        '',
        expect.stringContaining(message),
      ])
    }
    expect(await contents(db)).toEqual(before)
  })

  test('a policy that another program changes is named by audit verify, and one that cannot be read stops the report', async () => {
    const { db, run, add } = await start(kind)
    await add('one')
    const problems = async (of: TestDatabase) =>
      JSON.parse((await runInProcess(['audit', 'verify', '-o', 'json'], { env: { DATABASE_URL: of.url } })).stdout)
        .problems.filter(({ type }: { type?: string }) => type === 'policy')
        .map(({ name, problem }: { name: string; problem: string }) => `${name}: ${problem}`)
    const put = (of: TestDatabase) =>
      of.query(
        "INSERT INTO integration_policies (name, unused_after, expiry_required, owner_required, updated_at) VALUES ('x', 1000000000, FALSE, FALSE, '2026-01-01 00:00:00')",
      )
    await run('policy', 'set', 'all', '--max-secret-age', '90d')
    await db.query('UPDATE integration_policies SET max_secret_age = 1000000000')
    await put(db)
    expect(await problems(db)).toEqual(['all: changed without an event: max_secret_age', 'x: no event added the row'])
    await db.query("DELETE FROM integration_policies WHERE name = 'all'")
    expect(await problems(db)).toEqual(['x: no event added the row', 'all: the row was removed without an event'])
    await db.query(
      kind === 'sqlite'
        ? "UPDATE integration_policies SET unused_after = 'soon'"
        : "UPDATE integration_policies SET updated_at = 'infinity'",
    )
    expect(await run('report')).toMatchObject({
      ...{
        code: 6,
        stdout: '',
        stderr: expect.stringMatching(/^error: a policy cannot be read: the column \w+ of the row "x"/),
      },
    })
    expect(await run('policy', 'remove', 'x')).toMatchObject({ code: 0 })
    expect(await run('report', '--fail-on', 'never')).toMatchObject({ code: 0 })
    const adopted = await adoptedDatabase(kind, 'off')
    await put(adopted)
    expect(await problems(adopted)).toEqual(['x: no event added the row'])
  })

  test('an age that is not known is told as such, and never counts as fine', async () => {
    const adopted = await adoptedDatabase(kind, 'off')
    const env = { DATABASE_URL: adopted.url }
    const codes = async () => {
      const { code, stdout } = await runInProcess(['report', '--fail-on', 'unknown', '-o', 'json'], { env })
      return [
        code,
        JSON.parse(stdout)
          .map((one: { code: string }) => one.code)
          .filter((one: string) => /age|old/.test(one)),
      ]
    }
    expect(await codes()).toEqual([8, []])
    const set = ['policy', 'set', 'all', '--max-secret-age', '90d', '--max-token-age', '90d']
    expect(await runInProcess(set, { env })).toMatchObject({ code: 0 })
    expect(await codes()).toEqual([8, ['age-unknown']])
  })
})

test('policies fit a narrow terminal', async () => {
  const { env, done, add } = await start('sqlite')
  await add('one', '--tag', 'env=production')
  await done(['policy', 'set', 'all', '--require-owner'])
  await done(['policy', 'set', 'production', '--tag', 'env=production', '--max-secret-age', '90d'])
  const { screen } = await runInTerminal(['policy', 'list'], [], { env: { ...env, NO_COLOR: '1' }, columns: 80 })
  expect(screen.split('\r\n').slice(0, 3)).toEqual([
    'NAME        INTEGRATIONS  FOR             ASKS',
    'all         1             all             an owner',
    'production  1             env=production  secrets of at most 90d',
  ])
})
