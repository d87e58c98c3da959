import { describe, expect, test } from 'vitest'
import { application, database, rows } from '../support/application.ts'
import { type Kind, kinds, postgresqlDatabase, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { freshFolder } from '../support/program.ts'
import { botToken } from '../support/samples.ts'

/** Integrations of an application, which this program has not read, beside that of `rows`, which has a secret and a token. */
const more = `
  INSERT INTO integrations (id, workspace_id, platform, name, webhook_secret, access_token, token_expires_at)
    SELECT 'only-a-secret', workspace_id, 'pylon', 'only a secret', 'a-secret', NULL, NULL FROM integrations;
  INSERT INTO integrations (id, workspace_id, platform, name, webhook_secret, access_token, token_expires_at)
    SELECT 'unfinished', workspace_id, 'pylon', 'unfinished', NULL, NULL, NULL FROM integrations WHERE name = 'support';`

async function adopted(kind: Kind): Promise<TestDatabase> {
  const db = await database(kind, application[kind], rows, more)
  expect(await runInProcess(['db', 'adopt'], { env: { DATABASE_URL: db.url } })).toMatchObject({ code: 0 })
  return db
}

/** What the filters of `list` and its columns tell. */
async function told(env: Record<string, string>) {
  const list = async (...filters: string[]) => {
    const { code, stdout, stderr } = await runInProcess(['list', '-o', 'jsonl', ...filters], { env })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    return stdout
      .split('\n')
      .filter(Boolean)
      .map(
        (line) => JSON.parse(line) as Record<string, { set: boolean | null }> & { name: string; tokenExpiry: string },
      )
  }
  const names = async (...filters: string[]) => (await list(...filters)).map(({ name }) => name)
  return {
    set: Object.fromEntries(
      (await list()).map(({ name, webhookSecret, accessToken, refreshToken, tokenExpiry }) => [
        name,
        [webhookSecret?.set, accessToken?.set, refreshToken?.set, tokenExpiry],
      ]),
    ),
    missing: await names('--missing-secret'),
    unknown: await names('--expiry', 'unknown'),
    none: await names('--expiry', 'none'),
    expiring: await names('--expiring', '7d'),
  }
}

const seen = {
  set: {
    support: [true, true, false, 'unknown'],
    'only a secret': [true, false, false, null],
    unfinished: [false, false, false, null],
  },
  missing: ['only a secret', 'unfinished'],
  unknown: ['support'],
  none: ['only a secret', 'unfinished'],
  expiring: ['support'],
}

describe.each(kinds)('whether a secret of an application is there on %s', (kind) => {
  const run = runInProcess

  test('is told without reading it', async () => {
    const db = await adopted(kind)
    const env = { DATABASE_URL: db.url, SLACK_TOKEN: botToken() }
    const events = () => db.query('SELECT count(*) AS n FROM integration_events')
    const before = await events()
    expect(await told(env)).toEqual(seen)
    const args = ['secrets', 'list', 'support', '-o', 'id']
    expect(await run(args, { env })).toEqual({
      code: 0,
      stdout: '',
      stderr: `the webhook-secret is set: the application has written it, and this program has not read it yet
the access-token is set: the application has written it, and this program has not read it yet
`,
    })
    expect(await events()).toEqual(before)
  })

  test('is told of one that this program has set and the application removed, and the other way round', async () => {
    const db = await adopted(kind)
    const env = { DATABASE_URL: db.url }
    const rotate = ['rotate', 'unfinished', '--webhook-secret-stdin', '--grace', '0']
    expect(await run(rotate, { env, input: 'a-webhook-secret' })).toMatchObject({ code: 0 })
    await db.query("UPDATE integrations SET webhook_secret = NULL, refresh_token = 'r' WHERE name = 'unfinished'")
    expect(await told(env)).toEqual({
      ...seen,
      set: { ...seen.set, unfinished: [false, false, true, null] },
    })
    const shown = await run(['show', 'unfinished', '-o', 'json', '--fields', 'webhookSecret'], { env })
    expect(JSON.parse(shown.stdout)).toEqual({
      webhookSecret: { set: false, fingerprint: null, setAt: null, previousValidUntil: null },
    })
    const { stderr } = await run(['secrets', 'list', 'unfinished', '--fields', 'state'], { env })
    expect(stderr).toBe(`the webhook-secret is not set any more: the application has removed it
the refresh-token is set: the application has written it, and this program has not read it yet
`)
  })

  test.runIf(kind === 'postgresql')('is told to support by a function, and is unknown without it', async () => {
    const db = await adopted(kind)
    const { stdout: roles } = await run(['db', 'roles'], { env: { DATABASE_URL: db.url } })
    await db.query(roles)
    await db.query(roles)
    const login = (role: string) => {
      const url = new URL(db.url)
      url.username = `${role}_${url.pathname.slice(1)}`
      url.password = 'pass'
      return postgresqlDatabase(url.href)
    }
    for (const role of ['support', 'receiver', 'key_admin'])
      await db.query(
        `CREATE ROLE ${role}_${new URL(db.url).pathname.slice(1)} LOGIN PASSWORD 'pass' IN ROLE integrations_${role}`,
      )
    const support = login('support')
    const env = { DATABASE_URL: support.url, INTEGRATIONS_KEYS_FILE: `${freshFolder()}/none.json` }
    expect(await told(env)).toEqual(seen)

    // The function tells nothing else, nor to others, and another table in its way changes nothing.
    expect(await support.query("SELECT integration_held_secrets('only-a-secret') AS held")).toEqual([
      { held: 'webhook_secret ' },
    ])
    await expect(support.query('SELECT webhook_secret FROM integrations')).rejects.toMatchObject({ code: '42501' })
    await expect(login('receiver').query("SELECT integration_held_secrets('unfinished')")).rejects.toMatchObject({
      code: '42501',
    })
    expect(await told({ DATABASE_URL: login('key_admin').url })).toEqual(seen)
    // It does not keep the application from changing its columns.
    await db.query('ALTER TABLE integrations ALTER COLUMN webhook_secret TYPE varchar(2000)')
    expect(await told(env)).toEqual(seen)

    // Without it, what nobody has seen is unknown, and never absent.
    await db.query('REVOKE EXECUTE ON FUNCTION integration_held_secrets(text) FROM integrations_support')
    const names = Object.keys(seen.set)
    const blind = {
      set: Object.fromEntries(names.map((name) => [name, [null, null, null, 'unknown']])),
      missing: ['only a secret', 'support', 'unfinished'],
      unknown: ['only a secret', 'support', 'unfinished'],
      none: [],
      expiring: ['only a secret', 'support', 'unfinished'],
    }
    expect(await told(env)).toEqual(blind)
    await db.query('DROP FUNCTION integration_held_secrets(text)')
    expect(await told(env)).toEqual(blind)
    const { stderr } = await run(['secrets', 'list', 'support', '-o', 'id'], { env })
    expect(stderr).toContain(
      'the webhook-secret may be set: the application writes it, and the database role may not see whether it is there\n',
    )
    expect((await run(['show', 'support', '--fields', 'webhookSecret'], { env })).stdout).toContain('"set":null')
  })
})
