import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createReceiver } from '../../src/receiver/receiver.ts'
import { amount, seed } from '../support/crash-amounts.ts'
import type { TestDatabase } from '../support/database.ts'
import { type FaultProxy, faults, slowMs, startFaultProxy } from '../support/fault-proxy.ts'
import { expectInvariants } from '../support/invariants.ts'
import { startPooler, withoutPooler } from '../support/pooler.ts'
import { runProgram } from '../support/program.ts'
import { filledDatabase } from '../support/sample-commands.ts'
import { signingSecret } from '../support/samples.ts'
import { fromSlack, message, slackEvent } from '../support/webhooks.ts'

/** How many changes meet each fault, at each place. */
const tries = amount(2, 30)

const waitMs = 3000

const part = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })

/** What is changed, by the number of the change. */
const changes: readonly ((n: number) => { readonly args: readonly string[]; readonly input?: string })[] = [
  (n) => ({
    args: ['rotate', 'Acme/support', '--webhook-secret-stdin', '--grace', '1h', '--end-previous'],
    input: signingSecret(n),
  }),
  () => ({ args: ['toggle', 'Acme/desk'] }),
  (n) => ({ args: ['workspaces', 'add', `Globex ${n}`] }),
  (n) => ({ args: ['users', 'add', `bob${n}@example.com`] }),
  () => ({ args: ['webhook', 'sign', 'Acme/support', '--body-file', '-'], input: '{}' }),
]

/** The integration "support" under steady webhooks, which only an acknowledged secret signs. */
async function startWebhooks(url: string) {
  const receiver = await createReceiver({
    database: url,
    keys: { file: process.env.INTEGRATIONS_TEST_KEYS ?? '' },
    onError: () => {},
  })
  const secrets = { acknowledged: 1, newest: 1 }
  const statuses: number[] = []
  const requests: Promise<void>[] = []
  async function send(): Promise<void> {
    const n = secrets.acknowledged
    const body = slackEvent(message, { team_id: 'T012345', event_id: `Ev${requests.length}` })
    const { status } = await receiver.slack(fromSlack(signingSecret(n), body))
    // The secret before the last may have ended.
    if (secrets.newest <= n + 1) statuses.push(status)
  }
  const timer = setInterval(() => requests.push(send()), 50)
  return {
    secrets,
    async stop(): Promise<number[]> {
      clearInterval(timer)
      await Promise.all(requests)
      await receiver.close()
      return [...new Set(statuses)].sort()
    },
  }
}

/** Where the network is that fails. */
interface Place {
  /** What commands and the receiver connect to. */
  readonly url: string
  readonly proxy: FaultProxy
  /** After the network has failed. */
  readonly restore?: () => Promise<void>
}

const poolSizes = [1, 4]

const places: readonly {
  readonly name: string
  readonly sizes: readonly number[]
  readonly start: (db: TestDatabase, size: number) => Promise<Place>
}[] = [
  {
    name: 'before the server',
    sizes: [0],
    start: async (db) => {
      const proxy = await startFaultProxy(db.url, { onTestFinished })
      return { url: proxy.url, proxy }
    },
  },
  {
    name: 'before a pooler',
    sizes: poolSizes,
    start: async (db, size) => {
      const pooler = await startPooler(db.url, { mode: 'transaction', size })
      const proxy = await startFaultProxy(pooler.through(db.url), { onTestFinished })
      return { url: proxy.url, proxy }
    },
  },
  {
    name: 'behind a pooler',
    sizes: poolSizes,
    start: async (db, size) => {
      const proxy = await startFaultProxy(db.url, { onTestFinished })
      const pooler = await startPooler(proxy.url, { mode: 'transaction', size })
      // It would lend what it has of connections that are silent.
      return { url: pooler.through(db.url), proxy, restore: () => pooler.console('RECONNECT') }
    },
  },
]

/** What each fault meets, at each place: by default one of the pools, and the next time perhaps another. */
const trials = places.flatMap((place) =>
  faults.flatMap((fault, i) =>
    place.sizes
      .filter((_, n) => amount(1, poolSizes.length) > 1 || n === (i + seed) % place.sizes.length)
      .map((size) => ({ place, fault, size })),
  ),
)

/** The random parts of each trial, which are the same whichever of them come first. */
const parts = fc.sample(fc.array(part, { minLength: 2 * tries, maxLength: 2 * tries }), {
  seed,
  numRuns: trials.length,
})

const head = async (db: TestDatabase) =>
  Number((await db.query("SELECT seq FROM integration_settings WHERE key = 'head'"))[0]?.seq)

/** Has a fault meet some changes, one after the other, at a random message each, and looks at what has come of them. */
async function tryFault(trial: (typeof trials)[number]): Promise<void> {
  const { place, fault, size } = trial
  const random = [...(parts[trials.indexOf(trial)] ?? [])]
  const part = () => random.pop() ?? 0
  const db = await filledDatabase('postgresql')
  const { url, proxy, restore } = await place.start(db, size)
  const webhooks = await startWebhooks(url)
  // No secret that the database has had: the previous one is refused.
  let n = 10
  for (let i = 0; i < tries; i++) {
    // The first is of a secret.
    const change = changes[i === 0 ? 0 : Math.floor(part() * changes.length)] ?? changes[0]
    async function run(number: number, through: string, wait: string) {
      const { args, input } = change?.(number) ?? { args: [] }
      if (args[0] === 'rotate') webhooks.secrets.newest = number
      const since = performance.now()
      const { code, stderr } = await runProgram([...args, '--wait', wait, '-o', 'json'], {
        env: { DATABASE_URL: through },
        ...(input === undefined ? {} : { input }),
      })
      const error = code === 0 ? undefined : JSON.parse(stderr.slice(stderr.lastIndexOf('\n{') + 1)).error
      const outcome: string = error?.code ?? 'done'
      if (code === 0 && args[0] === 'rotate') webhooks.secrets.acknowledged = number
      return {
        args,
        code,
        outcome,
        committed: error?.committed ?? true,
        stderr: code === 0 ? '' : stderr,
        took: performance.now() - since,
      }
    }
    proxy.pass()
    const whole = await run(++n, url, '1m')
    expect([fault, whole]).toEqual([fault, { ...whole, code: 0 }])
    const messages = proxy.messages()
    const at = 1 + Math.floor(part() * messages)
    const before = await head(db)
    proxy.breakAt(at, fault)
    const { args, code, outcome, committed, stderr, took } = await run(++n, url, `${waitMs}ms`)
    proxy.pass()
    await restore?.()
    // A slow network may still have a COMMIT on its way.
    if (outcome === 'COMMIT_UNKNOWN') await sleep(1000)
    const what = [fault, size, args, at, outcome, stderr]
    expect([what, code === 0 || code === 6]).toEqual([what, true])
    expect([what, outcome]).toEqual([
      what,
      expect.stringMatching(/^(done|DATABASE_UNREACHABLE|DATABASE_BUSY|COMMIT_UNKNOWN)$/),
    ])
    // What the machine needs is about what it needed just now; an answer that is late, but prompt, is not waited for.
    // A pooler may open a connection meanwhile, whose messages are not among those.
    const inTime = waitMs + 4000 + 4 * whole.took + (fault === 'slow' ? 2 * slowMs * (messages + 10) : 0)
    expect([what, took]).toEqual([what, expect.toSatisfy((ms: number) => ms < inTime)])
    const made = (await head(db)) > before
    // What follows COMMIT may fail, which the error says.
    if (outcome !== 'COMMIT_UNKNOWN') expect([what, made]).toEqual([what, committed])
    if (!made) expect([what, await run(n, db.url, '1m')]).toEqual([what, expect.objectContaining({ outcome: 'done' })])
    else if (args[0] === 'rotate') webhooks.secrets.acknowledged = n
    await expectInvariants(db)
  }
  const statuses = await webhooks.stop()
  expect([fault, statuses.filter((status) => status !== 200 && status !== 503)]).toEqual([fault, []])
  expect([fault, statuses]).toEqual([fault, expect.arrayContaining([200])])
}

describe.each(places)('a network that fails $name', (place) => {
  test.skipIf(place.sizes === poolSizes && withoutPooler)(
    'at any message of a change leaves it whole or undone, says which in time, and has no webhook refused',
    async () => {
      await Promise.all(trials.filter((trial) => trial.place === place).map(tryFault))
    },
    1_800_000,
  )
})
