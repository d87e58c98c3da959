import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { application, database, rows } from '../support/application.ts'
import { contents, copyOf, freshDatabase, kinds, putBack } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { testKeyFile } from '../support/keyring.ts'
import { startPooler, withoutPooler } from '../support/pooler.ts'
import { faketime, freshFolder, runInTerminal, runProgram } from '../support/program.ts'
import { withRoles } from '../support/roles.ts'
import { addSlack } from '../support/slack-integration.ts'
import { changeNewestEvent } from '../support/state.ts'

/** What a database is to find, beside what it finds in one without faults. */
interface Told {
  readonly code: number | null
  readonly checks: Record<string, readonly [state: string, detail: string, hint: string | null]>
}

const uuid = '01234567-89ab-4cde-8f01-23456789abcd'

describe.each(kinds)('doctor on %s', (kind) => {
  const run = runInProcess

  async function start() {
    const db = await freshDatabase(kind)
    const home = freshFolder()
    const env = { DATABASE_URL: db.url, HOME: home }
    await addSlack(env)
    const state = join(home, '.local/state/integrations')
    return { db, env, state }
  }

  /** The checks that a database and an environment get, and the error. */
  async function told(env: Record<string, string>, start = run): Promise<Told> {
    const { code, stdout, stderr } = await start(['doctor', '-o', 'json'], { env })
    const checks = (JSON.parse(stdout) as Record<'check' | 'state' | 'detail' | 'hint', string>[]).map(
      ({ check, state, detail, hint }) => [check, [state, detail, hint]] as const,
    )
    const problems = checks.filter(([, [state]]) => state === 'problem')
    expect(
      stderr === ''
        ? []
        : stderr
            .split('\n')
            .slice(0, -1)
            .map((line) => JSON.parse(line).error),
    ).toEqual(
      problems.length === 0
        ? []
        : [
            expect.objectContaining({
              code: 'CHECK_FAILED',
              message: `${problems.length} problem${problems.length === 1 ? '' : 's'} found`,
              hint: problems[0]?.[1][2],
            }),
          ],
    )
    return { code, checks: Object.fromEntries(checks) }
  }
  const ok = (detail: unknown) => ['ok', detail, null]

  test('finds nothing wrong with what is whole, and changes nothing', async () => {
    const { db, env, state } = await start()
    const before = [await contents(db), readdirSync(state, { recursive: true })]
    expect(await told(env)).toEqual({
      code: 0,
      checks: {
        node: ok(process.versions.node),
        folders: ok(`${state} is private`),
        database: ok(expect.stringMatching(/ answers \((sqlite|postgresql) \d[\w. ()-]+\)$/)),
        tables: ok(expect.stringMatching(/^of this program, \d+ migrations$/)),
        ...(kind === 'postgresql' ? { roles: ok('none lacks a right that db roles gives'), pooler: ok('none') } : {}),
        clock: ok('within 1 s of the database'),
        program: ok('version 0.1.0, not behind the last change'),
        keys: ok(`${testKeyFile()} fits; the mode is required`),
        'audit log': ok('ends at event 3, as the database vouches'),
        refreshes: ok('no new tokens wait on this machine'),
      },
    })
    expect([await contents(db), readdirSync(state, { recursive: true })]).toEqual(before)
  })

  test('finds each fault, and nothing else', async () => {
    const { db, env, state } = await start()
    const whole = await told(env)
    const backup = await copyOf(db)
    const withFault = async (own: Record<string, string>, checks: Told['checks'], code = 8) =>
      expect(await told({ ...env, ...own })).toEqual({ code, checks: { ...whole.checks, ...checks } })
    const problem = (detail: string, hint: string) => ['problem', detail, hint] as const
    const unknown = (detail: string) => ['unknown', detail, null] as const

    const absent = join(freshFolder(), 'keys.json')
    await withFault(
      { INTEGRATIONS_KEYS_FILE: absent },
      {
        keys: problem(
          `the key set cannot be used, so its keys were not checked: the key file ${absent} does not exist`,
          'ask whoever has the keys of this database for the key set, and name its file with INTEGRATIONS_KEYS_FILE; show, list, secrets list, config get and audit list need no keys',
        ),
        'audit log': unknown('its end cannot be checked without the keys'),
      },
    )

    const spool = join(state, 'spool')
    mkdirSync(spool, { mode: 0o700 })
    const [{ value: id } = {}] = await db.query("SELECT value FROM integration_settings WHERE key = 'id'")
    const leave = (database: unknown) =>
      writeFileSync(join(spool, `${uuid}.json`), JSON.stringify({ database, integration: 'x', sealed: 'x' }))
    leave(id)
    await withFault(
      {},
      {
        refreshes: problem(`one refresh has left new tokens in ${spool}`, 'integrations recover --all'),
      },
    )
    leave('another')
    await withFault(
      {},
      {
        refreshes: [
          'warning',
          `refreshes of other databases have left new tokens in ${spool}: 1`,
          'integrations recover --all --database <url>',
        ],
      },
      0,
    )
    writeFileSync(join(spool, `${uuid}.json`), ' ')
    await withFault({}, {}, 0)

    await changeNewestEvent(db, 'program_version', '99.0.0')
    await withFault(
      {},
      {
        program: [
          'warning',
          'version 0.1.0; the last change is of version 99.0.0',
          'upgrade the integrations command on this machine',
        ],
      },
      0,
    )
    await changeNewestEvent(db, 'program_version', '0.1.0')

    await db.query("UPDATE integration_settings SET mac = ? WHERE key = 'head'", '0'.repeat(64))
    await withFault(
      {},
      {
        'audit log': problem('another program changed its end, or the settings', 'integrations audit verify'),
      },
    )

    // What cannot be read hides nothing else.
    await db.query("UPDATE integration_keys SET purpose = 'other' WHERE purpose = 'audit'")
    expect(await told(env)).toEqual({
      code: 8,
      checks: {
        ...whole.checks,
        keys: expect.arrayContaining(['problem']),
        'audit log': expect.arrayContaining(['problem']),
      },
    })

    await putBack(db, backup)
    expect(await runInProcess(['workspaces', 'add', 'Globex'], { env })).toMatchObject({ code: 0 })
    await putBack(db, backup)
    await withFault(
      {},
      {
        'audit log': problem('this machine saw event 4, which it lacks', 'integrations audit verify'),
      },
    )
  })

  test('stops at a database that cannot be used', async () => {
    const { db, env, state } = await start()
    await db.query('ALTER TABLE integrations RENAME COLUMN config TO settings')
    const { checks } = await told(env)
    expect(checks).toMatchObject({ tables: ['problem', expect.stringContaining('config'), expect.any(String)] })
    expect(Object.keys(checks)).not.toContain('keys')

    chmodSync(state, 0o777)
    expect((await told(env)).checks.folders).toEqual([
      'problem',
      `other users can change what is in the folder ${state}`,
      `chmod go-w ${state}`,
    ])
    const gone = kind === 'sqlite' ? `file:${freshFolder()}/none.db` : 'postgresql://ana@127.0.0.1:1/app'
    const nowhere = await told({ DATABASE_URL: gone })
    expect(nowhere).toMatchObject({
      code: 8,
      checks: { database: ['problem', expect.any(String), expect.any(String)] },
    })
    expect(Object.keys(nowhere.checks)).toEqual(['node', 'folders', 'database'])
  })

  test('names the indexes that an adopted database lacks, and a file that others can read', async () => {
    const db = await database(kind, application[kind], rows)
    const env = { DATABASE_URL: db.url }
    expect(await runInProcess(['db', 'adopt'], { env })).toMatchObject({ code: 0 })
    if (kind === 'sqlite') chmodSync(db.url.slice('file:'.length), 0o644)
    const { code, checks } = await told(env)
    expect({ code, checks }).toMatchObject({
      code: 0,
      checks: {
        tables: ok(expect.stringMatching(/^the application's, /)),
        indexes: [
          'warning',
          expect.stringMatching(/^large tables need integration_/),
          expect.stringMatching(/^integrations db index --create/),
        ],
        keys: ok(`${testKeyFile()} fits; the mode is off`),
        'audit log': ok('ends at event 2, as the database vouches'),
        ...(kind === 'sqlite'
          ? { files: ['warning', expect.stringMatching(/^other users can read/), expect.stringMatching(/^chmod go-r/)] }
          : {}),
      },
    })
  })

  test.skipIf(!faketime)('finds a clock that is wrong', async () => {
    const { env } = await start()
    const late = { LD_PRELOAD: faketime ?? '', FAKETIME: '-1h' }
    const { code, checks } = await told({ ...env, ...late }, runProgram)
    expect([code, checks.clock]).toEqual([
      8,
      [
        'problem',
        expect.stringMatching(
          kind === 'sqlite'
            ? /^the newest event of the audit log is from the future: /
            : /^this machine is 3[56]\d\d s behind the database$/,
        ),
        'set the clocks by NTP: secrets and signatures expire by them',
      ],
    ])
  })
})

test('doctor tells of a version of Node.js that is not supported', async () => {
  const file = join(freshFolder(), 'old.cjs')
  writeFileSync(file, "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '21.7.3' } })")
  const { code, stdout } = await runProgram(['doctor'], { env: { NODE_OPTIONS: `--require ${file}` } })
  expect([code, stdout.split('\n')[0]]).toEqual([
    8,
    'node\tproblem\t21.7.3 is not supported\tinstall Node.js ^20.19 || ^22.12 || >=24',
  ])
})

test('doctor looks for completion where a person may press Tab', async () => {
  const home = freshFolder()
  const env = { HOME: home, SHELL: '/bin/bash', NO_COLOR: '1' }
  await addSlack(env)
  const lines = async (columns: number) => {
    const { code, screen } = await runInTerminal(['doctor'], [], { env, columns })
    expect(code).toBe(0)
    return screen.trimEnd().split('\r\n')
  }
  expect((await lines(100)).slice(-2)).toEqual([
    'unknown  completion: not found for bash',
    '         hint: integrations completion --help',
  ])
  writeFileSync(join(home, '.bashrc'), 'eval "$(integrations completion bash)"\n')
  expect((await lines(100)).at(-1)).toBe(`ok       completion: ${home}/.bashrc`)
  for (const line of await lines(40)) expect(line.includes(' ') && line.length > 40 && !line.includes(home)).toBe(false)
})

describe.skipIf(withoutPooler)('doctor through a pooler', () => {
  test.each(['transaction', 'statement'] as const)('in %s mode', async (mode) => {
    const db = await freshDatabase('postgresql')
    const pooler = await startPooler(db.url, { mode, size: 2 })
    const { stdout } = await runInProcess(['doctor', '-o', 'json'], { env: { DATABASE_URL: pooler.through(db.url) } })
    expect(JSON.parse(stdout)).toContainEqual(
      mode === 'transaction'
        ? { check: 'pooler', state: 'ok', detail: 'in transaction or session mode', hint: null }
        : {
            check: 'pooler',
            state: 'problem',
            detail: 'a pooler in statement mode: nothing can be changed',
            hint: 'set pool_mode to transaction or session, or connect to the server itself',
          },
    )
  })
})

test('doctor and db migrate tell of roles that a version before was given', async () => {
  const db = await freshDatabase('postgresql')
  const env = { DATABASE_URL: db.url }
  await withRoles(db)
  const rolesOf = async () => {
    const { stdout } = await runInProcess(['doctor', '-o', 'json'], { env })
    return JSON.parse(stdout).find(({ check }: { check: string }) => check === 'roles')
  }
  expect(await rolesOf()).toMatchObject({ state: 'ok' })
  await db.query('REVOKE ALL ON integration_labels FROM integrations_support, integrations_receiver')
  const command = 'integrations db roles'
  expect(await rolesOf()).toMatchObject({
    state: 'warning',
    detail: 'of a version before, without rights that are needed now: integrations_support',
    hint: `run the SQL of ${command} once more, as the owner of the tables`,
  })
  expect(await runInProcess(['db', 'migrate', '-o', 'table'], { env })).toEqual({
    code: 0,
    stdout: expect.any(String),
    stderr: `warning: roles lack rights that are needed now: integrations_support: run the SQL of ${command} once more, as the owner of the tables\n`,
  })
})
