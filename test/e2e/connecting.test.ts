import { chmodSync, copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { freshDatabase } from '../support/database.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { runInProcess } from '../support/in-process.ts'
import { freshFolder, runProgram } from '../support/program.ts'
import { refusalOf, refusingServer } from '../support/refusing-server.ts'
import { populate } from '../support/sample-commands.ts'
import { signingSecret } from '../support/samples.ts'

const where = (port: number) => `postgresql://ana@127.0.0.1:${port}/app`

/** What a server says, and what the program makes of it. */
const refusals: [state: string, words: string, exit: number, message: string, hint: string][] = [
  [
    '28000',
    'no pg_hba.conf entry for host "10.0.0.1", user "ana", database "app", no encryption',
    4,
    'WHERE does not take this user without encryption (28000: "no pg_hba.conf entry … no encryption")',
    'add sslmode=verify-full to the database URL, or ask for an entry in pg_hba.conf of the server',
  ],
  [
    '28000',
    'no pg_hba.conf entry for host "10.0.0.1", user "ana", database "app", SSL encryption',
    4,
    'WHERE does not take this user from this address (28000: "no pg_hba.conf entry")',
    'ask for an entry in pg_hba.conf of the server, or correct the user or the database in DATABASE_URL',
  ],
  [
    '28000',
    'role "ana" does not exist',
    4,
    'WHERE does not know the user (28000: "role does not exist")',
    'correct the user in DATABASE_URL, or create the role',
  ],
  [
    '28P01',
    'password authentication failed for user "ana"',
    4,
    'WHERE refused the user or the password (28P01)',
    'put the right user and password into DATABASE_URL',
  ],
  [
    '08P01',
    'password authentication failed',
    4,
    'the pooler at WHERE refused the user or the password (08P01)',
    "check the user and the password in DATABASE_URL, and the pooler's list of users",
  ],
  [
    '08P01',
    'no such database: app',
    6,
    'the pooler at WHERE does not know the database (08P01: "no such database")',
    "correct the name of the database in DATABASE_URL, or add the database to the pooler's list",
  ],
  [
    '08P01',
    'SSL required',
    6,
    'WHERE takes encrypted connections only (08P01)',
    'add sslmode=verify-full to the database URL',
  ],
  [
    '08P01',
    'something new',
    6,
    'WHERE refused the connection (08P01)',
    'look into the log of the pooler or the server, which says why',
  ],
  [
    '53300',
    'sorry, too many clients already',
    6,
    'WHERE has no free connection (53300)',
    'try again, close other connections, or put a pooler before the server',
  ],
  ['57P03', 'the database system is starting up', 6, 'WHERE is starting up (57P03)', 'try again in a moment'],
  [
    'ZX001',
    'permission denied for s3cret, which already exists: connection terminated',
    6,
    'WHERE failed with the code ZX001',
    "look the code up in the documentation of the database, and in the application's triggers",
  ],
]

describe('a server that refuses a connection is told by its code', () => {
  test.each(refusals)('%s %s', async (state, words, code, message, hint) => {
    const port = await refusingServer(refusalOf(state, words))
    const env = { DATABASE_URL: `postgresql://ana:hunter2@127.0.0.1:${port}/app` }
    const stderr = `error: ${message.replace('WHERE', where(port))}\nhint: ${hint}\n`
    expect(await runInProcess(['list'], { env })).toEqual({ code, stdout: '', stderr })
  })
})

describe('what a statement fails with is told by its code, and not as a bug', () => {
  const add = (DATABASE_URL: string) => runInProcess(['workspaces', 'add', 'Acme'], { env: { DATABASE_URL } })

  test.each([
    ['ZX001', 6, 'failed with the code ZX001'],
    ['22012', 6, 'failed with the code 22012'],
    ['EPIPE', 6, 'failed with the code EPIPE'],
    ['P2010', 6, 'failed with the code P2010'],
  ])("an application's trigger raises %s", async (state, code, message) => {
    const db = await freshDatabase('postgresql')
    const shown = db.url.replace(/:[^:@/]*@/, '@')
    await db.query(
      `CREATE FUNCTION leak() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'permission denied: % already exists', NEW.name USING ERRCODE = '${state}'; END $$`,
    )
    await db.query('CREATE TRIGGER leak BEFORE INSERT ON workspaces FOR EACH ROW EXECUTE FUNCTION leak()')
    expect(await add(db.url)).toEqual({
      code,
      stdout: '',
      stderr: `error: ${shown} ${message}\nhint: look the code up in the documentation of the database, and in the application's triggers\n`,
    })
    expect(await db.query('SELECT * FROM workspaces')).toEqual([])
  })

  test.each([
    [
      '22001',
      'ALTER TABLE workspaces ALTER COLUMN name TYPE varchar(3)',
      'the type of workspaces.name is character varying(3), which is too short: at least 50 characters',
    ],
    ['42703', 'ALTER TABLE workspaces DROP COLUMN name', 'the column workspaces.name is missing'],
    [
      '23502',
      'ALTER TABLE workspaces ADD COLUMN plan text NOT NULL',
      'workspaces.plan, which this program does not know, is not null and has no default',
    ],
    [
      '22P02',
      'ALTER TABLE workspaces ALTER COLUMN updated_at TYPE integer USING 0',
      'the type of workspaces.updated_at is integer, not timestamp without time zone',
    ],
  ])('%s after %s', async (_, change, difference) => {
    const db = await freshDatabase('postgresql')
    await db.query(change)
    expect(await add(db.url)).toEqual({
      code: 6,
      stdout: '',
      stderr: `error: the tables of ${db.url.replace(/:[^:@/]*@/, '@')} differ from what this program needs: ${difference}\nhint: change these tables back, then integrations db status\n`,
    })
  })

  test.each([
    [
      'DROP INDEX integration_workspace_name_idx; ALTER TABLE workspaces DROP COLUMN name',
      'the column workspaces.name is missing',
    ],
    [
      'ALTER TABLE workspaces ADD COLUMN plan text NOT NULL DEFAULT (NULL)',
      'workspaces.plan, which this program does not know, is not null and has no default',
    ],
  ])('SQLite after %s', async (change, difference) => {
    const db = await freshDatabase('sqlite')
    for (const statement of change.split(';')) await db.query(statement)
    expect(await add(db.url)).toEqual({
      code: 6,
      stdout: '',
      stderr: `error: the tables of ${db.url} differ from what this program needs: ${difference}\nhint: change these tables back, then integrations db status --database ${db.url}\n`,
    })
  })
})

/** Commands, the text of what they read once their change is committed, and what they answer without. */
const readingAfterwards: [args: string[], text: string, answer: object][] = [
  [
    ['rotate', 'Acme/support', '--webhook-secret-env', 'SECRET', '--end-previous', '--grace', '0'],
    'integration_receivers',
    { name: 'support' },
  ],
  [['keys', 'add'], 'GROUP BY s.key_id', { state: 'decrypt-only', current: null, inKeySet: null }],
]

test.each(readingAfterwards)(
  '%j whose connection is lost after its change answers with the change',
  async (args, text, answer) => {
    const db = await freshDatabase('postgresql')
    await populate(db)
    const proxy = await startFaultProxy(db.url, { onTestFinished })
    proxy.failAt(text, 'cut')
    const keys = join(freshFolder(), 'keys.json')
    copyFileSync(process.env.INTEGRATIONS_TEST_KEYS ?? '', keys)
    chmodSync(keys, 0o600)
    const env = { DATABASE_URL: proxy.url, SECRET: signingSecret(7), INTEGRATIONS_KEYS_FILE: keys }
    const before = Number((await db.query('SELECT max(seq) AS n FROM integration_events'))[0]?.n)
    const { code, stdout, stderr } = await runProgram([...args, '-o', 'json'], { env })
    expect({ code, answer: JSON.parse(stdout), stderr }).toEqual({
      code: 0,
      answer: expect.objectContaining(answer),
      stderr: expect.stringContaining('the change was made, but not all that is shown of it could be read: '),
    })
    expect(Number((await db.query('SELECT max(seq) AS n FROM integration_events'))[0]?.n)).toBe(before + 1)
  },
)
