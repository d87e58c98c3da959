import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { application, database, rows } from '../support/application.ts'
import { amount, seed } from '../support/crash-amounts.ts'
import { contents, type Kind, kinds, type TestDatabase } from '../support/database.ts'
import { buildWithFailpoints } from '../support/failpoints.ts'
import { expectInvariants } from '../support/invariants.ts'
import { oldDatabase } from '../support/old-database.ts'
import { environment, faketime, freshFolder, runInTerminal, runProgram } from '../support/program.ts'
import { changingCommands, filledDatabase, type Sample } from '../support/sample-commands.ts'
import { signingSecret } from '../support/samples.ts'

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
  /** Kills each command at every step, and not at one alone. */
  readonly everyStep?: true
  /** Expects something of the database in the end. */
  readonly check?: (place: Place) => Promise<void>
}

const newestKey = `SELECT id FROM integration_keys WHERE purpose = 'seal' AND state = 'decrypt-only' ORDER BY created_at DESC`
const oldestKey = `SELECT id FROM integration_keys WHERE purpose = 'seal' ORDER BY created_at`
const aboutKey =
  (word: string, key: string): Step =>
  async ({ db }) => {
    const id = String((await db.query(key))[0]?.id)
    return { command: `keys ${word}`, args: ['keys', word, id, ...(word === 'retire' ? ['--confirm', id] : [])] }
  }
const mode = (word: string): Step => ({ command: 'keys mode', args: ['keys', 'mode', word, '--confirm', word] })

const filled = async (kind: Kind): Promise<Place> => ({
  db: await filledDatabase(kind),
  keys: process.env.INTEGRATIONS_TEST_KEYS ?? '',
})

/** What an application could write, in a workspace and an integration of which no command is told. */
const garbage = {
  sqlite: ["CAST(x'4dfc6c6c6572' AS TEXT)", "CAST(x'c3' AS TEXT)", "x'00ff'", '9223372036854775807'],
  postgresql: ["chr(127) || 'M\u00fcller'", "chr(27) || '[31m'", "'[1, 2]'", "'infinity'"],
}

async function spoilt(kind: Kind): Promise<Place> {
  const place = await filled(kind)
  const [workspace, name, config, time] = garbage[kind]
  await place.db.query(
    `INSERT INTO workspaces (id, name, created_at, updated_at) VALUES ('w', ${workspace}, ${time}, ${time})`,
  )
  await place.db.query(
    `INSERT INTO integrations (id, workspace_id, platform, name, config, created_at) VALUES ('i', 'w', 'slack', ${name}, ${config}, ${time})`,
  )
  return place
}

const rotation = (n: number): Sample => ({
  command: 'rotate',
  args: ['rotate', 'Acme/support', '--webhook-secret-stdin', '--grace', '24h', '--end-previous'],
  input: signingSecret(n),
})

/** A command on a machine whose clock is wrong. */
const at = (FAKETIME: string, { command, args, input = '' }: Sample): Sample => ({
  command,
  args,
  input,
  env: { LD_PRELOAD: String(faketime), FAKETIME },
})

const adopt: Sample = { command: 'db adopt', args: ['db', 'adopt'] }
const ofApplication = async (kind: Kind): Promise<Place> => ({
  db: await database(kind, application[kind], rows),
  keys: join(freshFolder(), 'keys.json'),
})

const sequences: readonly Sequence[] = [
  {
    name: 'that changes something',
    start: filled,
    steps: changingCommands,
  },
  {
    name: 'beside what cannot be read',
    start: spoilt,
    steps: [
      rotation(10),
      { command: 'keys reencrypt', args: ['keys', 'reencrypt'] },
      { command: 'toggle', args: ['toggle', 'Acme/desk'] },
      { command: 'update', args: ['update', 'i', '--name', 'mended'] },
    ],
    check: async ({ db, keys }) => {
      const env = { DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: keys }
      const { code, stdout } = await runProgram(['list', '--all', '-o', 'id'], { env })
      expect([code, stdout.trim().split('\n').length]).toEqual([0, 3])
    },
  },
  ...(faketime
    ? [
        {
          name: 'while the clock jumps',
          start: filled,
          steps: [
            rotation(10),
            at('+2d', { command: 'disable', args: ['disable', 'Acme/support'] }),
            at('-400d', { command: 'toggle', args: ['toggle', 'Acme/desk'] }),
            at('+1000d', { command: 'secrets purge', args: ['secrets', 'purge'] }),
            at('-2d', { command: 'keys reencrypt', args: ['keys', 'reencrypt'] }),
            // The secret before is still there.
            { command: 'secrets revert', args: ['secrets', 'revert', 'Acme/support', 'webhook-secret'] },
            at('+30d', rotation(11)),
          ],
          check: async ({ db, keys }: Place) => {
            const env = { DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: keys }
            const { code, stdout } = await runProgram(['audit', 'verify', '-o', 'json'], { env })
            const { ok, problems, clockSteps } = JSON.parse(stdout)
            // The times of a server's log are its own.
            const steps = db.kind === 'sqlite' ? 2 : 0
            expect({ code, ok, problems, steps: clockSteps.length }).toEqual({ code: 0, ok: true, problems: [], steps })
          },
        },
      ]
    : []),
  {
    name: 'that brings an old database up to date, and its keys',
    everyStep: true,
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
    everyStep: true,
    start: ofApplication,
    steps: [adopt, mode('migrating'), { command: 'keys reencrypt', args: ['keys', 'reencrypt'] }, mode('required')],
  },
  {
    name: 'that makes the keys of a database whose adoption did not come to them',
    everyStep: true,
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
    async ({ start, steps, everyStep, check }) => {
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
          const kills = everyStep ? [...each, { moment }] : [{ step: at }, { moment }]
          for (const kill of isKilled ? kills : []) {
            const before = await bytes(place.db)
            const so = await done()
            const begun = await started(place.db)
            if (so.length === expected.length && expected.length > 0) break
            const { code, steps } = await run(step, place, kill)
            const now = await done()
            const what = [step, kill, steps]
            // Re-encryption commits a part after the other; so do keys and the states of rows after the tables, of which there are
            // all or none.
            if (['keys reencrypt', 'db migrate', 'db adopt'].includes(whole.command))
              expect([what, expected.slice(0, now.length)]).toEqual([what, now])
            else if (now.length > 0) expect([what, now]).toEqual([what, expected])
            // What asks somebody else has recorded before that it will, in a change of its own.
            const isBegun = (await started(place.db)) > begun
            if (now.length === so.length && !isBegun) expect([what, await bytes(place.db)]).toEqual([what, before])
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
        await check?.(place)
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

/** Every row of every table, whatever it holds. */
async function bytes(db: TestDatabase): Promise<Record<string, unknown[]>> {
  if (db.kind === 'postgresql') return contents(db)
  const columns =
    await db.query(`SELECT m.name, group_concat('typeof("' || c.name || '") || hex("' || c.name || '")', ', ') AS cells
    FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' GROUP BY m.name ORDER BY 1`)
  const rows: Record<string, unknown[]> = {}
  for (const { name, cells } of columns)
    rows[String(name)] = (await db.query(`SELECT ${cells} FROM "${name}"`)).map((row) => JSON.stringify(row)).sort()
  return rows
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
    ...(await rows("SELECT action, fields FROM integration_events WHERE outcome <> 'started' ORDER BY seq")),
  ]
}

/** How many changes tell that somebody else is about to be asked. */
async function started(db: TestDatabase): Promise<number> {
  const rows = await db.query("SELECT seq FROM integration_events WHERE outcome = 'started'").catch(() => [])
  return rows.length
}

/** The invariants of a database that has all tables and its keys; there is nothing to them before. */
async function expectUsable({ db, keys }: Place): Promise<void> {
  if (!(await made(db)).includes('tables')) return
  if ((await db.query('SELECT id FROM integration_keys')).length > 0) await expectInvariants(db, keys)
}
