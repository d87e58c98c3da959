import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { application, database, rows } from '../support/application.ts'
import { amount, seed } from '../support/crash-amounts.ts'
import { contents, freshDatabase, type Kind, kinds, type TestDatabase } from '../support/database.ts'
import { buildWithFailpoints } from '../support/failpoints.ts'
import { expectInvariants } from '../support/invariants.ts'
import { oldDatabase } from '../support/old-database.ts'
import { environment, freshFolder, runInTerminal, runProgram } from '../support/program.ts'
import { changingCommands, populate, type Sample } from '../support/sample-commands.ts'

const rounds = amount(1, 10)

/** A random part of what is counted or timed, for each kill. */
const parts = fc.sample(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), {
  seed,
  numRuns: changingCommands.length * rounds * 8,
})

const migrations = readdirSync('prisma/migrations/sqlite').filter((name) => /^\d{14}_integrations__/.test(name))

let main = ''

beforeAll(async () => {
  main = await buildWithFailpoints()
})

/** A database, and the file of its keys. */
interface Place {
  readonly db: TestDatabase
  readonly keys: string
}

/** A command whose words may depend on what the commands before it have made. */
type Step = Sample | ((place: Place) => Promise<Sample>)

/** How a command ended. */
interface Ending {
  readonly command: string
  /** Null for one that was killed. */
  readonly code: number | null
  readonly stderr: string
  /** The places in its changes that it came to, in order. */
  readonly steps: readonly string[]
}

/** What commands are killed on, and which. */
interface Sequence {
  readonly name: string
  readonly start: (kind: Kind) => Promise<Place>
  readonly steps: readonly Step[]
}

const newestKey = `SELECT id FROM integration_keys WHERE purpose = 'seal' AND state = 'decrypt-only' ORDER BY created_at DESC`
const oldestKey = `SELECT id FROM integration_keys WHERE purpose = 'seal' ORDER BY created_at`
const aboutKey =
  (word: string, key: string): Step =>
  async ({ db }) => ({
    command: `keys ${word}`,
    args: ['keys', word, String((await db.query(key))[0]?.id)],
  })
const mode = (word: string): Step => ({ command: 'keys mode', args: ['keys', 'mode', word, '--confirm', word] })

const adopt: Sample = { command: 'db adopt', args: ['db', 'adopt'] }
const ofApplication = async (kind: Kind): Promise<Place> => ({
  db: await database(kind, application[kind], rows),
  keys: join(freshFolder(), 'keys.json'),
})

const sequences: readonly Sequence[] = [
  {
    name: 'that changes something',
    start: async (kind) => {
      const db = await freshDatabase(kind)
      // Others run at the same time, so that this process may stand still for long.
      await populate(db, {}, undefined, runProgram)
      return { db, keys: process.env.INTEGRATIONS_TEST_KEYS ?? '' }
    },
    steps: changingCommands,
  },
  {
    name: 'that brings an old database up to date, and its keys',
    start: oldDatabase,
    steps: [
      { command: 'db migrate', args: ['db', 'migrate'] },
      { command: 'keys add', args: ['keys', 'add'] },
      aboutKey('activate', newestKey),
      { command: 'keys reencrypt', args: ['keys', 'reencrypt'] },
      aboutKey('retire', oldestKey),
      mode('migrating'),
    ],
  },
  {
    name: "that takes over an application's database, and encrypts it",
    start: ofApplication,
    steps: [adopt, mode('migrating'), { command: 'keys reencrypt', args: ['keys', 'reencrypt'] }, mode('required')],
  },
  {
    name: 'that makes the keys of a database whose adoption did not come to them',
    start: async (kind) => {
      const place = await ofApplication(kind)
      const { code, steps } = await run(adopt, place, { step: 3 })
      expect([code, steps.at(-1)]).toEqual([null, 'keys written'])
      return place
    },
    steps: [{ command: 'keys init', args: ['keys', 'init'] }],
  },
]

describe.concurrent.each(kinds)('on %s', (kind) => {
  test.each(sequences)(
    'every command $name, killed at any step and at any moment, has done all of it or nothing',
    async ({ start, steps }) => {
      const killed = { before: 0, after: 0 }
      let commands = 0
      for (let round = 0; round < rounds; round++) {
        const undisturbed = await start(kind)
        const place = await start(kind)
        for (const [i, step] of steps.entries()) {
          const from = await made(undisturbed.db)
          const known = await made(place.db)
          const done = async () => (await made(place.db)).slice(known.length)
          // By default, most commands are killed on one of the databases, and the next time perhaps on the other.
          const isChosen = (n: number) => rounds > 1 || kinds.indexOf(kind) === (n + seed) % kinds.length
          const isKilled = steps !== changingCommands || isChosen(i)
          const startedAt = performance.now()
          const [whole] = await Promise.all([run(step, undisturbed), ...(isKilled ? [] : [run(step, place)])])
          expect([step, whole]).toEqual([step, { ...whole, code: 0 }])
          const took = performance.now() - startedAt
          const expected = (await made(undisturbed.db)).slice(from.length)

          // The start takes most of the time, and changes nothing.
          const moment = took * (0.5 + 0.5 * (parts.pop() ?? 0))
          const chosen = 1 + Math.floor((parts.pop() ?? 0) * whole.steps.length)
          // Every third one after its change, which chance alone would seldom do.
          const at = isKilled && commands++ % 3 === 0 ? whole.steps.length : chosen
          const each = whole.steps.map((_, n) => ({ step: n + 1 })).filter(({ step }) => isChosen(i + step))
          const kills = steps === changingCommands ? [{ step: at }, { moment }] : [...each, { moment }]
          for (const kill of isKilled ? kills : []) {
            const before = await contents(place.db)
            const so = await done()
            if (so.length === expected.length && expected.length > 0) break
            const { code, steps } = await run(step, place, kill)
            const now = await done()
            const what = [step, kill, steps]
            // Re-encryption commits a part after the other; the keys come after the tables, of which there are all or none.
            if (whole.command === 'keys reencrypt' || now.at(-1) === 'tables')
              expect([what, expected.slice(0, now.length)]).toEqual([what, now])
            else if (now.length > 0) expect([what, now]).toEqual([what, expected])
            if (now.length === so.length) expect([what, await contents(place.db)]).toEqual([what, before])
            if (code === null) killed[now.length === 0 ? 'before' : 'after']++
            else break
            await expectUsable(place)
          }

          if ((await done()).length < expected.length) {
            const again = await run(step, place)
            expect([step, again.code, again.stderr]).toEqual([step, whole.code, again.stderr])
          }
          expect([step, await done()]).toEqual([step, expected])
        }
        expect(await made(place.db)).toEqual(await made(undisturbed.db))
        await expectUsable(place)
      }
      console.info(`${kind}: killed`, killed)
      expect(killed.before).toBeGreaterThan(0)
      if (steps === changingCommands) expect(killed.after).toBeGreaterThan(0)
    },
    1_800_000,
  )
})

/** @param kill at which of its steps, from 1 on, or after how many milliseconds, the command is killed */
async function run(
  what: Step,
  { db, keys }: Place,
  kill: { readonly step?: number; readonly moment?: number } = {},
): Promise<Ending> {
  const { command, args, env, input = '', answers } = typeof what === 'function' ? await what({ db, keys }) : what
  const log = join(freshFolder(), 'steps')
  writeFileSync(log, '')
  const all = {
    ...env,
    DATABASE_URL: db.url,
    INTEGRATIONS_KEYS_FILE: keys,
    FAILPOINT_LOG: log,
    FAILPOINT_AT: String(kill.step ?? ''),
  }
  const program = [
    process.execPath,
    '-e',
    'require(process.argv[1]).main(process).then((code) => { process.exitCode = code })',
    main,
  ]
  const killing = (pids: () => readonly number[], ended: Promise<unknown>) =>
    kill.moment === undefined
      ? undefined
      : Promise.race([sleep(kill.moment), ended]).then(() => {
          for (const pid of pids()) process.kill(pid, 'SIGKILL')
        })
  if (answers) {
    let terminal: ChildProcess | undefined
    const ended = runInTerminal(args, answers, {
      env: all,
      program,
      started: (child) => {
        terminal = child
      },
    })
    killing(() => childrenOf(terminal), ended)
    const { code, screen } = await ended
    // What is at a terminal ends with 128 and the number of the signal.
    return { command, code: code === 137 ? null : code, stderr: screen, steps: stepsOf(log) }
  }
  const child = spawn(program[0] ?? '', [...program.slice(1), ...args], {
    env: environment(all),
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text
  })
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const ended = new Promise<number | null>((done) => child.on('close', done))
  killing(() => (child.exitCode === null && child.pid ? [child.pid] : []), ended)
  return { command, code: await ended, stderr, steps: stepsOf(log) }
}

const stepsOf = (log: string) => readFileSync(log, 'utf8').trim().split('\n')

/** The processes that a process has begun, where the system tells of them. */
function childrenOf(parent: ChildProcess | undefined): number[] {
  try {
    return readFileSync(`/proc/${parent?.pid}/task/${parent?.pid}/children`, 'utf8')
      .split(' ')
      .filter((pid) => pid !== '')
      .map(Number)
  } catch {
    return []
  }
}

/** What has been done to a database, in order: its migrations, its adoption, and what its log tells of. */
async function made(db: TestDatabase): Promise<string[]> {
  const rows = (statement: string) =>
    db.query(statement).then(
      (found) => found.map((row) => Object.values(row).join(' ')),
      () => [],
    )
  const applied = new Set(
    await rows('SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL ORDER BY 1'),
  )
  const whole = migrations.every((name) => applied.has(name))
  return [
    ...applied,
    ...(await rows("SELECT value FROM integration_settings WHERE key = 'database' AND value = 'adopted'")),
    ...(whole ? ['tables'] : []),
    ...(await rows('SELECT action, fields FROM integration_events ORDER BY seq')),
  ]
}

/** The invariants of a database that has all tables and its keys; there is nothing to them before. */
async function expectUsable({ db, keys }: Place): Promise<void> {
  if (!(await made(db)).includes('tables')) return
  if ((await db.query('SELECT id FROM integration_keys')).length > 0) await expectInvariants(db, keys)
}
