import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { createClient } from '@libsql/client/sqlite3'
import { describe, expect, test } from 'vitest'
import { keyFor } from '../../src/crypto/key-set.ts'
import { writeSpool } from '../../src/operations/refresh/spool.ts'
import { Secret } from '../../src/secret.ts'
import { fingerprint, integrationId } from '../support/brands.ts'
import { addMany, freshDatabase, type Kind, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { openedStore, testKeys } from '../support/keyring.ts'
import { bin, environment, freshFolder, type Outcome, quote, runCommand } from '../support/program.ts'
import { addSlack } from '../support/slack-integration.ts'
import { accessToken, app, type Chain, refreshToken, type SlackOAuth, slackOAuth } from '../support/slack-oauth.ts'
import { notes, warnings } from '../support/told.ts'

/** A database with one integration, whose token ends in an hour, and its app; and the platform that issued them. */
async function start(kind: Kind, more: Record<string, string> = {}) {
  const db = await freshDatabase(kind)
  const server = await slackOAuth()
  const chain = server.install(1)
  const state = freshFolder()
  const env = { DATABASE_URL: db.url, INTEGRATIONS_API_URL: server.url, XDG_STATE_HOME: state, ...more }
  await addApp(env)
  const id = await addToken(env, chain)
  return { db, server, chain, env, id, spool: join(state, 'integrations', 'spool') }
}

const addApp = async (env: Record<string, string>, name = 'bot', secret = app.secret) => {
  const args = ['apps', 'add', name, '--platform', 'slack', '--client-id', app.id, '--client-secret-stdin', '-o', 'id']
  expect(await runInProcess(args, { env, input: secret })).toMatchObject({ code: 0 })
}

const addToken = (env: Record<string, string>, chain: Chain, name = 'support', expires = ['--expires-in', '1h']) =>
  addSlack(
    { ...env, ACCESS: accessToken(chain), REFRESH: refreshToken(chain) },
    name,
    ...['--access-token-env', 'ACCESS', '--refresh-token-env', 'REFRESH', ...expires],
  )

const run = (env: Record<string, string>, ...args: string[]) => runInProcess([...args, '-o', 'json'], { env })

/** The rows of an answer in the fields that matter. */
const rowsOf = ({ stdout }: Outcome, ...fields: string[]) =>
  (JSON.parse(stdout) as Record<string, unknown>[]).map((row) =>
    fields.length === 1 ? row[fields[0] ?? ''] : Object.fromEntries(fields.map((field) => [field, row[field]])),
  )

const errorOf = ({ stderr }: Outcome) =>
  (JSON.parse(stderr.trim().split('\n').at(-1) ?? '') as { error: Record<string, unknown> }).error

const attempts = (db: TestDatabase) =>
  db.query('SELECT state, fence, code FROM integration_refresh_attempts ORDER BY integration_id')

const tokens = async (db: TestDatabase, id: string) =>
  (await openedStore(db)('SELECT access_token, refresh_token FROM integrations WHERE id = ?', id))[0]

const events = async (db: TestDatabase) =>
  (
    await db.query(
      "SELECT action, outcome, fields FROM integration_events WHERE action IN ('token.refresh', 'token.recover') ORDER BY seq",
    )
  ).map(({ action, outcome, fields }) => `${action} ${outcome} ${fields ?? ''}`.trim())

const files = (folder: string) => {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** Does something while the database cannot take what a platform has answered. */
async function withoutLog<T>(db: TestDatabase, server: SlackOAuth, work: () => Promise<T>): Promise<T> {
  server.onAnswer = async () => void (await db.query('ALTER TABLE integration_events RENAME TO away'))
  const result = await work()
  server.onAnswer = () => {}
  await db.query('ALTER TABLE away RENAME TO integration_events')
  return result
}

/** Changes the encryption mode, and brings every value to what it asks. */
async function inMode(env: Record<string, string>, mode: string) {
  expect(await runInProcess(['keys', 'mode', mode, '--confirm', mode], { env })).toMatchObject({ code: 0 })
  const decrypt = mode === 'off' ? ['--decrypt'] : []
  expect(await runInProcess(['keys', 'reencrypt', ...decrypt], { env })).toMatchObject({ code: 0 })
}

/** Ends the lease of every attempt, as time would. */
const endLeases = (db: TestDatabase) =>
  db.query(`UPDATE integration_refresh_attempts SET lease_until = '2026-01-02 03:04:05'`)

describe.each(kinds)('on %s', (kind) => {
  test('a dry run tells of every integration, by name, and warns of a thousand failures', async () => {
    const db = await freshDatabase(kind)
    await addMany(db, 1200)
    await db.query("UPDATE integrations SET platform = 'other' WHERE id > 'many-00100'")
    const names = (await db.query('SELECT name FROM integrations ORDER BY name')).map(({ name }) => name)
    const told = await run({ DATABASE_URL: db.url }, 'refresh', '--all', '--dry-run')
    expect(rowsOf(told, 'name', 'outcome', 'code')).toEqual(
      names.map((name, i) => ({ name, outcome: 'error', code: i < 100 ? 'NOT_FOUND' : 'BAD_INPUT' })),
    )
    const lines = told.stderr.trim().split('\n')
    expect({ code: told.code, warnings: lines.length, last: lines.at(-2), error: errorOf(told).message }).toEqual({
      code: 3,
      warnings: 1002,
      last: warnings('200 more would not be refreshed').trim(),
      error:
        '1200 of 1200 would not be refreshed; the worst: there is no Slack app whose client could refresh the token of Many/many-00001',
    })
  })

  test('a token that is about to end is replaced, with its refresh token, and the old one stays until its end', async () => {
    const { db, server, chain, env, id, spool } = await start(kind)
    const before = { ...chain }
    const [{ token_expires_at: ends } = {}] = await db.query('SELECT token_expires_at FROM integrations')

    expect(rowsOf(await run(env, 'refresh', 'support', '--dry-run'), 'outcome')).toEqual(['due'])
    const readOnly = await run(env, '--read-only', 'refresh', 'support')
    expect([readOnly.code, readOnly.stdout, errorOf(readOnly).code]).toEqual([4, '', 'NOT_PERMITTED'])
    expect([server.exchanges, await attempts(db)]).toEqual([[], []])
    const refreshed = await run(env, 'refresh', 'support')
    expect(refreshed).toMatchObject({ code: 0, stderr: '' })
    expect(rowsOf(refreshed, 'id', 'outcome', 'code')).toEqual([{ id, outcome: 'refreshed', code: null }])
    expect(server.exchanges).toEqual([refreshToken(before)])
    expect(await tokens(db, id)).toEqual({ access_token: accessToken(chain), refresh_token: refreshToken(chain) })

    // Good for 12 hours now: nobody is asked.
    expect(rowsOf(await run(env, 'refresh', '--all'), 'outcome')).toEqual(['not_due'])
    const expiring = await run(env, 'refresh', '--all', '--dry-run', '--expiring', '13h')
    expect(rowsOf(expiring, 'outcome')).toEqual(['due'])
    // What it selects, it refreshes.
    expect(rowsOf(await run(env, 'refresh', '--expiring', '13h', '--dry-run'), 'outcome')).toEqual(['due'])
    expect(rowsOf(await run(env, 'refresh', '--expiring', '3h', '--dry-run'), 'outcome')).toEqual([])
    expect(server.exchanges).toHaveLength(1)
    const versions = await openedStore(db)(
      "SELECT field, number, origin, sealed, valid_until FROM integration_secrets WHERE field <> 'webhook_secret' ORDER BY field, number",
    )
    expect(versions).toEqual([
      { field: 'access_token', number: 1, origin: 'provided', sealed: accessToken(before), valid_until: ends },
      { field: 'access_token', number: 2, origin: 'refreshed', sealed: null, valid_until: null },
      { field: 'refresh_token', number: 1, origin: 'provided', sealed: null, valid_until: expect.anything() },
      { field: 'refresh_token', number: 2, origin: 'refreshed', sealed: null, valid_until: null },
    ])
    expect(await attempts(db)).toEqual([{ state: 'applied', fence: 1, code: null }])
    const from = `api_url:${server.url}`
    expect(await events(db)).toEqual([
      `token.refresh started refresh_token,${from}`,
      'token.refresh done access_token,refresh_token,token_expires_at',
    ])
    expect(files(spool)).toEqual([])
    expect(statSync(spool).mode & 0o777).toBe(0o700)

    // Once more, by force; the app's secret stands sealed in the database.
    expect(rowsOf(await run(env, 'refresh', 'support', '--force'), 'outcome')).toEqual(['refreshed'])
    expect(await tokens(db, id)).toEqual({ access_token: accessToken(chain), refresh_token: refreshToken(chain) })
    expect(JSON.stringify(await db.query('SELECT * FROM integration_apps'))).not.toContain(app.secret)
    // A person may put in other tokens at any time.
    const other = { ...env, ACCESS: accessToken(server.install(9)) }
    const rotate = ['rotate', 'support', '--access-token-env', 'ACCESS', '--expires-in', '12h', '--grace', '1h']
    expect(await run(other, ...rotate)).toMatchObject({ code: 0 })
    expect(await run(env, 'audit', 'verify')).toMatchObject({ code: 0 })
  })

  test('what cannot be refreshed says why, and is an error where it was named', async () => {
    const { db, server, env, id } = await start(kind)
    const pylon = ['add', '--platform', 'pylon', '--workspace', 'Acme', '--name', 'desk']
    expect(await runInProcess(pylon, { env })).toMatchObject({ code: 0 })
    await addSlack(env, 'other')
    await addToken(env, server.install(2), 'off')
    expect(await run(env, 'disable', 'off')).toMatchObject({ code: 0 })
    await addToken(env, server.install(3), 'never', ['--no-expiry'])
    const all = await run(env, 'refresh', '--all')
    const counted = notes('passed over: 1 of platforms without refresh tokens, 1 inactive, 1 without a refresh token')
    expect(all).toMatchObject({ code: 0, stderr: counted })
    expect(rowsOf(all, 'name', 'outcome')).toEqual([
      { name: 'never', outcome: 'not_due' },
      { name: 'support', outcome: 'refreshed' },
    ])
    expect(server.exchanges).toHaveLength(1)
    expect(await run(env, 'refresh', '--platform', 'pylon', '--dry-run')).toEqual({
      code: 0,
      stdout: '[]\n',
      stderr: notes('nothing to refresh', 'passed over: 1 of platforms without refresh tokens'),
    })

    // One that has expired is a finding, unless it is inactive.
    await db.query("UPDATE integrations SET token_expires_at = '2026-01-02 03:04:05' WHERE name IN ('other', 'off')")
    const expired = await run(env, 'refresh', '--all', '--dry-run')
    expect([expired.code, rowsOf(expired, 'name', 'outcome', 'code')]).toEqual([
      8,
      [
        { name: 'never', outcome: 'not_due', code: null },
        { name: 'other', outcome: 'no_refresh_token', code: 'CHECK_FAILED' },
        { name: 'support', outcome: 'not_due', code: null },
      ],
    ])
    expect(expired.stderr).toContain(
      'the access token of Acme/other expired at 2026-01-02T03:04:05.000Z, and Acme/other has no refresh token',
    )

    const unsupported = await run(env, 'refresh', 'desk')
    expect([unsupported.code, errorOf(unsupported).message]).toEqual([2, 'Pylon tokens cannot be refreshed'])
    expect((await run(env, 'refresh', 'off')).code).toBe(2)
    expect((await run(env, 'refresh', 'other')).code).toBe(3)
    expect((await run(env, 'refresh')).code).toBe(2)
    // Several apps, and none named.
    await addApp(env, 'second', 'another-client-value')
    const several = await run(env, 'refresh', 'support', '--force')
    expect([several.code, rowsOf(several, 'outcome')]).toEqual([2, ['error']])
    expect(await run(env, 'update', 'support', '--app', 'second')).toMatchObject({ code: 0 })
    const client = await run(env, 'refresh', 'support', '--force')
    expect([client.code, rowsOf(client, 'outcome')]).toEqual([4, ['refused']])
    expect(errorOf(client)).toMatchObject({
      code: 'CREDENTIAL_REFUSED',
      message: 'Slack refuses the client of the app second (bad_client_secret)',
    })
    expect(await run(env, 'update', 'support', '--app', 'bot')).toMatchObject({ code: 0 })
    server.mood = 'limited'
    const limited = await run(env, 'refresh', 'support', '--force')
    expect([limited.code, rowsOf(limited, 'outcome'), errorOf(limited).retryable]).toEqual([7, ['failed'], true])
    server.mood = 'well'
    expect(rowsOf(await run(env, 'refresh', 'support', '--force'), 'outcome')).toEqual(['refreshed'])
    expect(server.refused).toEqual([])
    expect(await attempts(db)).toEqual([{ state: 'applied', fence: 4, code: null }])

    // A refresh token that somebody else has used up.
    const [chain] = [...server.chains.values()]
    if (chain) chain.generation += 5
    const env2 = { ...env, REFRESH: refreshToken(chain as Chain) }
    expect(
      await runInProcess(['rotate', id, '--refresh-token-env', 'REFRESH', '--grace', '0'], { env: env2 }),
    ).toMatchObject({ code: 0 })
    const dead = await run(env, 'refresh', id, '--force')
    expect([dead.code, errorOf(dead).code]).toEqual([4, 'CREDENTIAL_REFUSED'])
    expect(errorOf(dead).hint).toContain('https://api.slack.com/apps')
    expect(rowsOf(await run(env, 'list', '--name', 'support'), 'tokenRefresh')).toEqual(['refused'])
  })

  test('an answer that is lost is not asked for again; recover flags it, or takes it from the spool', async () => {
    const { db, server, chain, env, id, spool } = await start(kind)
    const before = { ...chain }
    server.mood = 'hung up'
    const lost = await run(env, 'refresh', id)
    expect([lost.code, errorOf(lost).code, errorOf(lost).hint]).toEqual([
      9,
      'OUTCOME_UNKNOWN',
      `integrations recover ${id}`,
    ])
    server.mood = 'well'
    expect(await run(env, 'refresh', '--all')).toMatchObject({ code: 9 })
    expect(server.exchanges).toEqual([refreshToken(before)])
    expect(rowsOf(await run(env, 'list'), 'tokenRefresh')).toEqual(['outcome_unknown'])

    const flagged = await run(env, 'recover', '--all')
    expect([flagged.code, rowsOf(flagged, 'outcome', 'accessToken')]).toEqual([
      9,
      [{ outcome: 'needs_reauth', accessToken: 'ok' }],
    ])
    expect(errorOf(flagged).hint).toContain('https://api.slack.com/apps')
    expect(errorOf(flagged).message).toMatch(/its access token still works, until \d{4}-/)
    expect([server.tests, server.refused]).toEqual([1, []])
    expect(rowsOf(await run(env, 'list'), 'tokenRefresh')).toEqual(['needs_reauth'])
    expect(await tokens(db, id)).toEqual({ access_token: accessToken(before), refresh_token: refreshToken(before) })

    // Only where a person wants it is it handed in once more.
    const retried = await run(env, 'recover', id, '--retry')
    expect([retried.code, rowsOf(retried, 'outcome'), server.refused]).toEqual([4, ['refused'], [refreshToken(before)]])
    // With another refresh token, what was is history.
    const again = { ...env, ACCESS: accessToken(chain), REFRESH: refreshToken(chain) }
    const rotated = ['rotate', id, '--access-token-env', 'ACCESS', '--refresh-token-env', 'REFRESH', '--grace', '0']
    expect(await runInProcess(rotated, { env: again })).toMatchObject({ code: 0 })
    expect(rowsOf(await run(env, 'list'), 'tokenRefresh')).toEqual([null])

    // The database goes away between the answer and its being stored.
    const kept = await withoutLog(db, server, () => run(env, 'refresh', id))
    expect([kept.code, errorOf(kept).code]).toEqual([9, 'OUTCOME_UNKNOWN'])
    const [file = ''] = files(spool)
    expect(errorOf(kept).message).toContain(join(spool, file))
    expect(statSync(join(spool, file)).mode & 0o777).toBe(0o600)
    const text = readFileSync(join(spool, file), 'utf8')
    expect([text.includes(accessToken(chain)), text.includes(refreshToken(chain))]).toEqual([false, false])

    // It is somebody's turn while the lease lasts; what they have kept may be stored for them.
    const aside = join(spool, 'aside')
    renameSync(join(spool, file), aside)
    const brief = ['--wait', '200ms']
    expect([(await run(env, 'recover', id, ...brief)).code, (await run(env, 'refresh', id, ...brief)).code]).toEqual([
      5, 5,
    ])
    renameSync(aside, join(spool, file))
    const exchanges = server.exchanges.length
    const recovered = await run(env, 'recover', '--all')
    expect([recovered.code, rowsOf(recovered, 'outcome')]).toEqual([0, ['applied']])
    expect([server.exchanges.length, server.tests, files(spool)]).toEqual([exchanges, 1, []])
    expect(await tokens(db, id)).toEqual({ access_token: accessToken(chain), refresh_token: refreshToken(chain) })
    expect(await attempts(db)).toMatchObject([{ state: 'applied' }])
    expect((await events(db)).slice(-3)).toEqual([
      `token.refresh started refresh_token,api_url:${server.url}`,
      'token.recover done access_token,refresh_token,token_expires_at',
      'token.recover done spool_removed',
    ])
    expect(await run(env, 'recover', '--all')).toEqual({
      code: 0,
      stdout: '[]\n',
      stderr: notes('no refresh has an unknown outcome: nothing to recover'),
    })
    expect(await run(env, 'audit', 'verify')).toMatchObject({ code: 0 })
  })

  test('integrations that share a refresh token are refreshed together', async () => {
    const { db, server, chain, env, id } = await start(kind)
    const twin = await addToken(env, chain, 'twin')
    expect(rowsOf(await run(env, 'refresh', '--all'), 'outcome').sort()).toEqual(['not_due', 'refreshed'])
    expect([server.exchanges.length, server.refused]).toEqual([1, []])
    const both = { access_token: accessToken(chain), refresh_token: refreshToken(chain) }
    expect([await tokens(db, id), await tokens(db, twin)]).toEqual([both, both])
    expect(await attempts(db)).toEqual([
      { state: 'applied', fence: 1, code: null },
      { state: 'applied', fence: 1, code: null },
    ])
    expect(await events(db)).toEqual([
      ...Array(2).fill(`token.refresh started refresh_token,api_url:${server.url}`),
      ...Array(2).fill('token.refresh done access_token,refresh_token,token_expires_at'),
    ])
  })

  test('what became of a shared refresh token is not forgotten when one of its integrations changes or goes', async () => {
    const { db, server, chain, env, id, spool } = await start(kind)
    const twin = await addToken(env, chain, 'twin')
    const third = await addToken(env, chain, 'third')
    // New tokens are kept for all; one of them gets others before they are stored.
    expect((await withoutLog(db, server, () => run(env, 'refresh', id))).code).toBe(9)
    const other = server.install(2)
    const fresh = { ...env, ACCESS: accessToken(other), REFRESH: refreshToken(other) }
    const rotate = ['rotate', id, '--access-token-env', 'ACCESS', '--refresh-token-env', 'REFRESH', '--grace', '0']
    expect(await runInProcess(rotate, { env: fresh })).toMatchObject({ code: 0 })
    const recovered = await run(env, 'recover', twin)
    expect([recovered.code, rowsOf(recovered, 'outcome')]).toEqual([0, ['applied']])
    const own = { access_token: accessToken(other), refresh_token: refreshToken(other) }
    const shared = () => ({ access_token: accessToken(chain), refresh_token: refreshToken(chain) })
    expect([await tokens(db, id), await tokens(db, twin), await tokens(db, third)]).toEqual([own, shared(), shared()])
    expect(files(spool)).toEqual([])

    // Nobody knows how it ended, and the integration for which it was begun is gone.
    server.mood = 'hung up'
    expect((await run(env, 'refresh', twin, '--force')).code).toBe(9)
    server.mood = 'well'
    const exchanges = server.exchanges.length
    expect(await run(env, 'remove', twin, '--confirm', 'twin')).toMatchObject({ code: 0 })
    const again = await run(env, 'refresh', third, '--force')
    expect([again.code, rowsOf(again, 'outcome')]).toEqual([9, ['outcome_unknown']])
    expect(rowsOf(await run(env, 'recover', '--all'), 'id', 'outcome')).toEqual([
      { id: third, outcome: 'needs_reauth' },
    ])
    expect([server.exchanges.length, server.refused]).toEqual([exchanges, []])
    expect(await run(env, 'audit', 'verify')).toMatchObject({ code: 0 })
  })

  test('that the platform changed nothing is told when it cannot be written down, and two that try again ask once', async () => {
    const { db, server, chain, env, id } = await start(kind)
    server.mood = 'limited'
    const unwritten = await withoutLog(db, server, () => run(env, 'refresh', id))
    server.mood = 'well'
    expect([unwritten.code, errorOf(unwritten).hint]).toEqual([9, `integrations recover ${id} --retry`])
    expect(errorOf(unwritten).message).toMatch(/^the refresh of Acme\/support brought no tokens \(ratelimited\), but/)
    await endLeases(db)
    server.delay = 500
    const retried = await Promise.all([1, 2, 3].map(() => run(env, 'recover', id, '--retry')))
    // The others are told that it is somebody's turn, store what they have kept, or find it settled.
    const outcomes = retried.flatMap((one) => rowsOf(one, 'outcome'))
    expect(outcomes).toContain('applied')
    expect(new Set(['applied', 'held', 'settled'])).toEqual(new Set([...outcomes, 'applied', 'held', 'settled']))
    expect([server.exchanges.length, server.refused]).toEqual([1, []])
    expect(await tokens(db, id)).toEqual({ access_token: accessToken(chain), refresh_token: refreshToken(chain) })
  })

  test('an integration is not removed while its tokens are being refreshed', async () => {
    const { db, server, chain, env, id } = await start(kind)
    const removals: Outcome[] = []
    server.onAnswer = async () => {
      removals.push(await run(env, 'remove', id, '--confirm', 'support'))
      removals.push(await run(env, 'workspaces', 'remove', 'Acme', '--confirm', 'Acme'))
    }
    expect(rowsOf(await run(env, 'refresh', id), 'outcome')).toEqual(['refreshed'])
    for (const removal of removals)
      expect([removal.code, removal.stdout, errorOf(removal)]).toEqual([
        5,
        '',
        expect.objectContaining({
          code: 'LEASE_HELD',
          message: expect.stringMatching(/is refreshing the token of Acme\/support, until \S+ at most$/),
          hint: 'try again after the lease',
        }),
      ])
    expect(removals).toHaveLength(2)
    expect(await tokens(db, id)).toEqual({ access_token: accessToken(chain), refresh_token: refreshToken(chain) })
  })

  test('a lease that was begun while the database’s clock was far ahead holds nobody up', async () => {
    const { db, server, env, id } = await start(kind)
    server.mood = 'hung up'
    expect((await run(env, 'refresh', id)).code).toBe(9)
    server.mood = 'well'
    const begun = (until: string) =>
      db.query(`UPDATE integration_refresh_attempts SET state = 'started', lease_until = '${until}'`)
    await begun(new Date(Date.now() + 60_000).toISOString().replace('Z', ''))
    expect((await run(env, 'recover', id, '--wait', '0')).code).toBe(5)
    await begun('2126-01-02 03:04:05')
    expect(rowsOf(await run(env, 'recover', id), 'outcome')).toEqual(['needs_reauth'])
  })

  test('a refresh token that was handed in is not handed in again by whoever comes to hold it later', async () => {
    const { db, server, chain, env, id, spool } = await start(kind)
    expect(await run(env, 'keys', 'mode', 'migrating', '--confirm', 'migrating')).toMatchObject({ code: 0 })
    const before = { ...chain }
    expect(await run(env, 'refresh', id)).toMatchObject({ code: 0 })
    // The application saves what it had read before.
    await db.query('UPDATE integrations SET refresh_token = ? WHERE id = ?', refreshToken(before), id)
    const stale = await run(env, 'refresh', id, '--force')
    expect([stale.code, rowsOf(stale, 'outcome')]).toEqual([9, ['outcome_unknown']])
    expect(rowsOf(await run(env, 'list'), 'tokenRefresh')).toEqual(['needs_reauth'])
    expect((await events(db)).slice(-1)).toEqual(['token.refresh failed outcome:needs_reauth,code:handed_in_before'])

    // Of one of which nobody knows how it ended, a twin that is added later is told, too, and may take the new tokens.
    await db.query('UPDATE integrations SET refresh_token = ? WHERE id = ?', refreshToken(chain), id)
    const shared = { ...chain }
    expect((await withoutLog(db, server, () => run(env, 'refresh', id, '--force'))).code).toBe(9)
    await endLeases(db)
    const twin = await addToken(env, shared, 'twin')
    const told = await run(env, 'refresh', twin)
    expect([told.code, rowsOf(told, 'outcome'), errorOf(told).hint]).toEqual([
      9,
      ['outcome_unknown'],
      `integrations recover ${twin}`,
    ])
    expect(rowsOf(await run(env, 'list'), 'tokenRefresh')).toEqual(['outcome_unknown', 'outcome_unknown'])
    expect(rowsOf(await run(env, 'recover', twin), 'outcome')).toEqual(['applied'])
    const fresh = { access_token: accessToken(chain), refresh_token: refreshToken(chain) }
    const late = { ...fresh, access_token: accessToken(shared) }
    expect([await tokens(db, id), await tokens(db, twin), files(spool)]).toEqual([fresh, late, []])
    expect([server.exchanges.length, server.refused]).toEqual([2, []])
    expect(await run(env, 'audit', 'verify')).toMatchObject({ code: 0 })
  })

  test('an access token that is put in after the refresh token was handed in stays', async () => {
    const { db, server, chain, env, id } = await start(kind)
    expect((await withoutLog(db, server, () => run(env, 'refresh', id))).code).toBe(9)
    const mine = accessToken(server.install(2))
    const rotate = ['rotate', id, '--access-token-env', 'ACCESS', '--no-expiry', '--grace', '0']
    expect(await runInProcess(rotate, { env: { ...env, ACCESS: mine } })).toMatchObject({ code: 0 })
    expect(rowsOf(await run(env, 'recover', id), 'outcome')).toEqual(['applied'])
    expect(await tokens(db, id)).toEqual({ access_token: mine, refresh_token: refreshToken(chain) })
    expect(rowsOf(await run(env, 'list'), 'tokenExpiresAt', 'tokenRefresh')).toEqual([
      { tokenExpiresAt: null, tokenRefresh: null },
    ])
    expect((await events(db)).at(-2)).toBe('token.recover done refresh_token')
  })

  test('no key is retired that may seal new tokens which a refresh has left', async () => {
    const keys = join(freshFolder(), 'keys.json')
    copyFileSync(process.env.INTEGRATIONS_TEST_KEYS ?? '', keys)
    const { db, server, chain, env, id } = await start(kind, { INTEGRATIONS_KEYS_FILE: keys })
    expect((await withoutLog(db, server, () => run(env, 'refresh', id))).code).toBe(9)
    const [{ id: old } = {}] = await db.query("SELECT id FROM integration_keys WHERE purpose = 'seal'")
    const next = (await runInProcess(['keys', 'add', '-o', 'id'], { env })).stdout.trim()
    for (const change of [['activate', next], ['reencrypt']])
      expect(await run(env, 'keys', ...change)).toMatchObject({ code: 0 })
    const refused = await run(env, 'keys', 'retire', String(old))
    expect([refused.code, errorOf(refused).code, errorOf(refused).message]).toEqual([
      5,
      'CONFLICT',
      `the outcome of a refresh of Acme/support is unknown, and new tokens may be in a file that needs the key ${old}`,
    ])
    expect(rowsOf(await run(env, 'recover', id), 'outcome')).toEqual(['applied'])
    expect(await run(env, 'keys', 'retire', String(old), '--confirm', String(old))).toMatchObject({ code: 0 })
    // What is begun from now on is sealed with the other key.
    server.mood = 'hung up'
    expect((await run(env, 'refresh', id, '--force')).code).toBe(9)
    expect(accessToken(chain)).toContain('1x2')
    const last = (await runInProcess(['keys', 'add', '-o', 'id'], { env })).stdout.trim()
    expect(await run(env, 'keys', 'retire', last, '--confirm', last)).toMatchObject({ code: 0 })
  })
})

test('without a place for new tokens, no platform is asked', async () => {
  const { db, server, env } = await start('sqlite')
  const blocked = freshFolder()
  writeFileSync(join(blocked, 'integrations'), '')
  const refused = await run({ ...env, XDG_STATE_HOME: blocked }, 'refresh', 'support')
  expect([refused.code, errorOf(refused).code]).toEqual([2, 'BAD_INPUT'])
  expect([server.exchanges, await attempts(db)]).toEqual([[], []])
})

test('files of other databases and broken ones stay in the spool; those of removed integrations go', async () => {
  const { env, id, spool, db } = await start('sqlite')
  mkdirSync(spool, { recursive: true })
  const [{ value: database } = {}] = await db.query("SELECT value FROM integration_settings WHERE key = 'id'")
  const put = (n: number, content: unknown) => {
    const file = join(spool, `00000000-0000-4000-8000-00000000000${n}.json`)
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
    chmodSync(file, 0o600)
    return `00000000-0000-4000-8000-00000000000${n}.json`
  }
  const other = put(1, { database: 'another', integration: id, sealed: 'x' })
  const broken = put(2, '{"database":')
  put(3, { database, integration: 'gone', sealed: 'x' })
  expect(await run(env, 'recover', '--all')).toMatchObject({ code: 0, stdout: '[]\n' })
  expect(files(spool)).toEqual([other, broken])
  expect(await events(db)).toEqual(['token.recover done spool_removed'])
})

test('new tokens are stored though the database has lost their attempt, and no file is taken for gone', async () => {
  const { db, server, chain, env, id, spool } = await start('sqlite')
  const backup = await tokens(db, id)
  // That the answer cannot be written hides nothing.
  const command = [process.execPath, bin, 'refresh', id].map(quote).join(' ')
  const kept = await withoutLog(db, server, () => runCommand('sh', ['-c', `${command} > /dev/full`], { env }))
  expect([kept.code, kept.stderr.includes(`hint: integrations recover ${id}`)]).toEqual([9, true])
  // What is restored from a backup is from before the attempt.
  await db.query('DELETE FROM integration_refresh_attempts')
  expect(await tokens(db, id)).toEqual(backup)
  const [file = ''] = files(spool)
  renameSync(join(spool, file), join(spool, 'aside'))
  mkdirSync(join(spool, file))
  const unreadable = await run(env, 'recover', id)
  expect([unreadable.code, unreadable.stderr]).toEqual([2, expect.stringContaining('cannot be read (EISDIR)')])
  expect(files(spool)).toHaveLength(2)
  rmSync(join(spool, file), { recursive: true })
  renameSync(join(spool, 'aside'), join(spool, file))
  const recovered = await run(env, 'recover', id)
  expect([recovered.code, rowsOf(recovered, 'outcome')]).toEqual([0, ['applied']])
  expect(await tokens(db, id)).toEqual({ access_token: accessToken(chain), refresh_token: refreshToken(chain) })
  expect(server.exchanges).toHaveLength(1)
})

test('a refresh token that the application wrote is recorded, whatever an older refresh has left in the spool', async () => {
  const { db, server, chain, env, id, spool } = await start('sqlite')
  for (const mode of ['migrating', 'off']) await inMode(env, mode)
  server.mood = 'hung up'
  expect((await run(env, 'refresh', id)).code).toBe(9)
  const encryptionKey = keyFor(testKeys(), 'encryption')
  const [{ value: database } = {}] = await db.query("SELECT value FROM integration_settings WHERE key = 'id'")
  if (!encryptionKey) throw new Error('no key')
  const older = {
    integrationId: integrationId(id),
    id: '00000000-0000-4000-8000-000000000001',
    oldFingerprint: fingerprint('0'.repeat(16)),
  }
  await writeSpool(spool, {
    key: encryptionKey,
    database: String(database),
    attempt: older,
    tokens: { accessToken: new Secret(accessToken(chain)), refreshToken: null, expiresAt: null },
  })
  const written = server.install(2)
  await db.query(`UPDATE integrations SET refresh_token = '${refreshToken(written)}'`)
  expect(rowsOf(await run(env, 'recover', id), 'outcome')).toEqual(['superseded'])

  const [event] = await db.query(
    'SELECT action, outcome, fields, fingerprints FROM integration_events ORDER BY seq DESC',
  )
  expect(event).toEqual({
    action: 'token.refresh',
    outcome: 'failed',
    fields: 'outcome:failed,code:superseded',
    fingerprints: expect.stringMatching(/^refresh_token=\w+>\w+$/),
  })
  expect(JSON.parse((await run(env, 'audit', 'verify')).stdout)).toMatchObject({ changedByApplication: [] })
  for (const mode of ['migrating', 'required']) await inMode(env, mode)
  expect(await run(env, 'audit', 'verify')).toMatchObject({ code: 0 })
})

test('new tokens are stored though one that shared the refresh token was removed without foreign keys', async () => {
  const { db, server, chain, env, id, spool } = await start('sqlite')
  const twin = await addToken(env, chain, 'twin')
  server.onAnswer = async () => {
    const client = createClient({ url: db.url })
    await client.executeMultiple(`PRAGMA foreign_keys = OFF; DELETE FROM integrations WHERE id = '${twin}'`)
    client.close()
  }
  expect(rowsOf(await run(env, 'refresh', id), 'outcome')).toEqual(['refreshed'])
  expect(await tokens(db, id)).toEqual({ access_token: accessToken(chain), refresh_token: refreshToken(chain) })
  expect([(await attempts(db)).map(({ state }) => state).sort(), files(spool)]).toEqual([['applied', 'failed'], []])
})

test('a signal ends the wait for whoever else refreshes a token, too', async () => {
  const { db, server, env, id } = await start('sqlite')
  const held = await addToken(env, server.install(2), 'held')
  await db.query(
    `INSERT INTO integration_refresh_attempts (integration_id, id, fence, state, owner, old_fingerprint, started_at, lease_until)
      VALUES (?, 'another', 1, 'started', 'another', 'another', '2026-01-02 03:04:05', ?)`,
    held,
    new Date(Date.now() + 60_000).toISOString().replace('Z', ''),
  )
  const child = spawn(process.execPath, [bin, 'refresh', '--all', '--wait', '5m', '-o', 'json'], {
    env: environment(env),
  })
  let stdout = ''
  child.stdout.on('data', (text) => (stdout += text))
  server.onAnswer = async () => {
    child.kill('SIGINT')
    // What is answered comes when the signal has.
    await once(child.stderr, 'data')
  }
  const [code] = await once(child, 'close')
  expect([code, rowsOf({ code, stdout, stderr: '' }, 'id', 'outcome')]).toEqual([
    130,
    [
      { id: held, outcome: 'cancelled' },
      { id, outcome: 'refreshed' },
    ],
  ])
}, 60_000)
