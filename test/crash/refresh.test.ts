import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { decrypt } from '../../src/crypto/jwe.ts'
import { addApp } from '../../src/operations/directory/apps.ts'
import { addIntegration } from '../../src/operations/integrations/add.ts'
import { Secret } from '../../src/secret.ts'
import { openStore } from '../../src/store/open.ts'
import { instant } from '../support/brands.ts'
import { amount } from '../support/crash-amounts.ts'
import { freshDatabase, kinds, type TestDatabase } from '../support/database.ts'
import { buildWithFailpoints } from '../support/failpoints.ts'
import { expectInvariants } from '../support/invariants.ts'
import { storeOptions, testKeys } from '../support/keyring.ts'
import { freshFolder, runProgram } from '../support/program.ts'
import { signingSecret } from '../support/samples.ts'
import { accessToken, app, refreshToken, type SlackOAuth, slackOAuth } from '../support/slack-oauth.ts'

const many = amount(40, 250)
const racing = [2, amount(8, 100)]

/** Where a refresh can be ended, in the order in which it gets there. */
const steps = [
  'lease committed',
  'before request',
  'answer received',
  'spool written',
  'applied',
  'spool removed',
] as const

/** How many refreshes are killed at each step, and how many at points spread over the measured protocol; on each database. */
const atEachStep = amount(1, 10)
const spread = amount(16, 100)

let main = ''

beforeAll(async () => {
  main = await buildWithFailpoints()
})

const nameOf = (n: number) => `bot-${String(n).padStart(3, '0')}`

/** Fills a database with integrations whose tokens have ended. */
async function seed(db: TestDatabase, server: SlackOAuth): Promise<void> {
  const store = await openStore(storeOptions(db))
  const options = { dryRun: false }
  await addApp(
    store,
    { platform: 'slack', name: 'bot', clientId: app.id, secret: new Secret(app.secret), forceShape: true },
    options,
  )
  for (let n = 0; n < many; n++) {
    const chain = server.install(n)
    const given = (value: string) => ({ value: new Secret(value), origin: 'provided' }) as const
    await addIntegration(store, {
      platform: 'slack',
      workspace: n === 0 ? ({ kind: 'new', name: 'Acme' } as const) : ({ kind: 'existing', ref: 'Acme' } as const),
      name: nameOf(n),
      secrets: {
        webhookSecret: given(signingSecret(1)),
        accessToken: given(accessToken(chain)),
        refreshToken: given(refreshToken(chain)),
      },
      expiry: instant('2026-01-02T03:04:05.000Z'),
      ids: {},
      config: null,
      setBy: 'test',
      forceShape: false,
      dryRun: false,
    })
  }
  await store.close()
}

/** The tokens of each integration, as the database has them and as the platform does. */
async function tokensOf(db: TestDatabase, server: SlackOAuth) {
  const rows = await db.query('SELECT id, name, access_token, refresh_token FROM integrations ORDER BY name')
  const keys = testKeys()
  const value = async ({ id, ...row }: Record<string, unknown>, field: string) =>
    decrypt(keys, { id: String(id), field }, String(row[field])).reveal()
  return Promise.all(
    rows.map(async (row, n) => {
      const chain = server.chains.get(n)
      return {
        name: String(row.name),
        stored: [await value(row, 'access_token'), await value(row, 'refresh_token')],
        issued: chain ? [accessToken(chain), refreshToken(chain)] : [],
      }
    }),
  )
}

describe.each(kinds)('refreshes on %s', (kind) => {
  test(`of ${many} tokens by ${racing.join(', ')} racing processes: one exchange for each that is due`, async () => {
    const db = await freshDatabase(kind)
    const server = await slackOAuth()
    await seed(db, server)
    const state = freshFolder()
    const env = { DATABASE_URL: db.url, INTEGRATIONS_API_URL: server.url, XDG_STATE_HOME: state }
    for (const processes of racing) {
      await db.query("UPDATE integrations SET token_expires_at = '2026-01-02 03:04:05'")
      server.exchanges.length = 0
      const started = performance.now()
      const outcomes = await Promise.all(
        Array.from({ length: processes }, () =>
          runProgram(['refresh', '--all', '--wait', '10m', '-o', 'json', '--fields', 'outcome'], { env }),
        ),
      )
      const seconds = Math.round((performance.now() - started) / 1000)
      expect(outcomes.filter(({ code }) => code !== 0).map(({ stderr }) => stderr)).toEqual([])
      const words = outcomes.map(({ stdout }) =>
        (JSON.parse(stdout) as { outcome: string }[]).map(({ outcome }) => outcome),
      )
      const refreshed = words.map((some) => some.filter((word) => word === 'refreshed').length)
      console.info(
        `${kind}: ${processes} processes in ${seconds} s, refreshed`,
        Math.min(...refreshed),
        'to',
        Math.max(...refreshed),
      )
      expect(new Set(words.flat())).toEqual(new Set(['refreshed', 'not_due']))
      expect(refreshed.reduce((a, b) => a + b)).toBe(many)
      expect([server.exchanges.length, new Set(server.exchanges).size, server.refused]).toEqual([many, many, []])
    }
    for (const { name, stored, issued } of await tokensOf(db, server)) expect([name, stored]).toEqual([name, issued])
    expect(readdirSync(join(state, 'integrations', 'spool'))).toEqual([])
    await expectInvariants(db)
  }, 1_800_000)

  test('killed at every step and at points between, leave no token silently dead', async () => {
    const db = await freshDatabase(kind)
    const server = await slackOAuth()
    server.delay = 30
    await seed(db, server)
    const state = freshFolder()
    const env = { DATABASE_URL: db.url, INTEGRATIONS_API_URL: server.url, XDG_STATE_HOME: state }
    const run = `require(process.argv[1]).main(process).then((code) => { process.exitCode = code })`
    let next = 0
    /** How long a refresh takes from its first transaction on, in milliseconds. */
    let whole = 0

    /** @returns the last step of the protocol that was reached; undefined when it came to its end */
    async function refresh(failpoint: string, killAfter?: number): Promise<string | undefined> {
      const log = join(freshFolder(), 'steps')
      const child = spawn(process.execPath, ['-e', run, main, 'refresh', nameOf(next++), '--wait', '2m'], {
        env: {
          PATH: process.env.PATH ?? '',
          HOME: freshFolder(),
          XDG_CACHE_HOME: process.env.INTEGRATIONS_TEST_CACHE ?? '',
          INTEGRATIONS_KEYS_FILE: process.env.INTEGRATIONS_TEST_KEYS ?? '',
          ...env,
          FAILPOINT: failpoint,
          FAILPOINT_LOG: log,
        },
        stdio: 'ignore',
      })
      const ended = new Promise<number | null>((done) => child.on('close', done))
      const open = () => child.exitCode === null && child.signalCode === null
      // The start of a process takes longer than all that is of interest here, and differs more.
      while (open() && !existsSync(log)) await sleep(2)
      const began = performance.now()
      if (killAfter !== undefined) {
        await Promise.race([sleep(killAfter), ended])
        child.kill('SIGKILL')
      }
      const code = await ended
      if (failpoint === 'none' && killAfter === undefined) whole = Math.max(whole, performance.now() - began)
      if (code === null) return lastStep(log)
      expect(code).toBe(0)
      return undefined
    }

    for (let i = 0; i < 3; i++) expect(await refresh('none')).toBeUndefined()

    const endings: (string | undefined)[] = []
    for (const step of steps)
      for (let i = 0; i < atEachStep; i++) {
        const ending = await refresh(step)
        expect(ending).toBe(step)
        endings.push(ending)
      }
    // Some before the first step.
    const queue = Array.from({ length: spread }, (_, i) => (whole * Math.max(i - 2, 0)) / spread)
    const between: (string | undefined)[] = []
    await Promise.all(
      [0, 1].map(async () => {
        for (let wait = queue.pop(); wait !== undefined; wait = queue.pop()) between.push(await refresh('none', wait))
      }),
    )
    endings.push(...between)
    const count = (some: typeof endings) =>
      Object.fromEntries(['', ...steps].map((step) => [step, some.filter((one) => one === step).length]))
    const counts = count(endings)
    console.info(`${kind}: killed after`, counts, 'of which at chance', count(between))
    // A step at which nothing was killed would show nothing.
    expect(Math.min(...Object.values(counts))).toBeGreaterThan(0)

    // What is kept of the tokens is sealed.
    const spool = join(state, 'integrations', 'spool')
    const kept = readdirSync(spool).map((file) => readFileSync(join(spool, file), 'utf8'))
    expect(kept.length).toBeGreaterThanOrEqual(atEachStep)
    // No shorter: what is sealed is Base64, in which three letters come by chance.
    expect(kept.filter((text) => /xoxe[.-](?:xoxb|1)-/.test(text))).toEqual([])

    // Nobody knows yet which of them are dead; their leases end, as they would in two minutes.
    await db.query("UPDATE integration_refresh_attempts SET lease_until = '2026-01-02 03:04:05'")
    // What the last one that was killed has asked may be under way.
    await sleep(1000)
    const exchanged = server.exchanges.length
    const recovered = await runProgram(['recover', '--all', '-o', 'json'], { env })
    expect(recovered.code).toBe(9)
    const rows = JSON.parse(recovered.stdout) as { name: string; outcome: string; accessToken: string | null }[]
    // Where only the file was left over, nothing was to be done.
    expect(new Set(rows.map(({ outcome }) => outcome))).toEqual(new Set(['applied', 'needs_reauth', 'settled']))
    expect(rows.filter(({ outcome }) => outcome === 'applied').length).toBeGreaterThanOrEqual(atEachStep)
    // Only the access token was asked about, and it was good.
    expect(rows.filter(({ outcome }) => outcome === 'needs_reauth').every((row) => row.accessToken === 'ok')).toBe(true)
    expect([server.exchanges.length, server.refused]).toEqual([exchanged, []])

    const flagged = await flaggedNames(env)
    const lost = (await tokensOf(db, server)).filter(({ stored, issued }) => stored[1] !== issued[1])
    expect(lost.length).toBeGreaterThanOrEqual(atEachStep)
    expect(lost.filter(({ name }) => !flagged.has(name))).toEqual([])
    expect(readdirSync(spool)).toEqual([])
    expect(await db.query("SELECT id FROM integration_refresh_attempts WHERE state = 'started'")).toEqual([])
    await expectInvariants(db)

    // None of those is tried again; the others go on.
    const again = await runProgram(['refresh', '--all', '--force', '-o', 'json', '--fields', 'name,outcome'], { env })
    expect(again.code).toBe(9)
    const outcomes = JSON.parse(again.stdout) as { name: string; outcome: string }[]
    for (const { name, outcome } of outcomes)
      expect([name, outcome]).toEqual([name, flagged.has(name) ? 'outcome_unknown' : 'refreshed'])
    expect([server.exchanges.length, server.refused]).toEqual([exchanged + many - flagged.size, []])
  }, 1_800_000)
})

async function flaggedNames(env: Record<string, string>): Promise<Set<string>> {
  const { stdout } = await runProgram(['list', '-o', 'json', '--fields', 'name,tokenRefresh'], { env })
  const rows = JSON.parse(stdout) as { name: string; tokenRefresh: string | null }[]
  return new Set(rows.filter((row) => row.tokenRefresh === 'needs_reauth').map(({ name }) => name))
}

/** The last step of the protocol that a log tells; empty before the first. */
function lastStep(log: string): string {
  try {
    const reached = readFileSync(log, 'utf8').trim().split('\n')
    return reached.findLast((step) => (steps as readonly string[]).includes(step)) ?? ''
  } catch {
    return ''
  }
}
