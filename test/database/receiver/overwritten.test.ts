import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeAll, expect, inject, test } from 'vitest'
import { sqliteDatabase } from '../../support/database.ts'
import { bin, environment, freshFolder, runCommand, runProgram } from '../../support/program.ts'
import { type Endpoint, postSlack, startEndpoint } from '../../support/receiver-example.ts'
import { signingSecret } from '../../support/samples.ts'
import { message, slackEvent } from '../../support/webhooks.ts'

const left: (() => unknown)[] = []
afterEach(async () => {
  for (const end of left.splice(0).reverse()) await end()
})

/** Runs SQL in a process of its own: this one must have no part in the database. */
async function sqlElsewhere(file: string, ...statements: string[]): Promise<void> {
  const script = `const client = require('@libsql/client/sqlite3').createClient({ url: process.argv[1], timeout: 10000 })
    ;(async () => { for (const statement of process.argv.slice(2)) await client.execute(statement) })()`
  expect(await runCommand(process.execPath, ['-e', script, `file:${file}`, ...statements])).toMatchObject({
    code: 0,
    stderr: '',
  })
}

const said = ({ url }: Endpoint, n: number) => postSlack(url, signingSecret(n), slackEvent(message))

/** Rotates the webhook secret in a process of its own. */
async function rotate(file: string, n: number): Promise<void> {
  const args = ['rotate', 'Acme/support', '--webhook-secret-stdin', '--grace', '0', '-o', 'id']
  const env = { DATABASE_URL: `file:${file}` }
  expect(await runProgram(args, { env, input: signingSecret(n) })).toMatchObject({ code: 0 })
}

let backup: string

beforeAll(async () => {
  backup = join(freshFolder(), 'integrations.db')
  copyFileSync(inject('sqliteTemplate'), backup)
  const env = { DATABASE_URL: `file:${backup}` }
  const ids = ['--new-workspace', 'Acme', '--name', 'support', '--platform', 'slack', '--slack-team-id', 'T012AB3CD']
  const added = await runProgram(['add', ...ids, '--webhook-secret-stdin', '-o', 'id'], {
    env,
    input: signingSecret(1),
  })
  expect(added).toMatchObject({ code: 0 })
})

/** A database with an integration and its first secret, of which there is a backup. */
function freshFile(): string {
  const file = join(freshFolder(), 'integrations.db')
  copyFileSync(backup, file)
  return file
}

/** An endpoint that has the second secret of a database in its log. */
async function receiving() {
  const file = freshFile()
  const endpoint = await startEndpoint(sqliteDatabase(file))
  left.push(endpoint.stop)
  expect(await said(endpoint, 1)).toBe(200)
  await rotate(file, 2)
  expect([await said(endpoint, 2), await said(endpoint, 1)]).toEqual([200, 401])
  return { file, endpoint }
}

const restore = (file: string, way = 'cp "$BACKUP" "$FILE"') =>
  runCommand('sh', ['-c', way], { env: { BACKUP: backup, FILE: file } })
const withoutLog = 'rm -f "$FILE-wal" "$FILE-shm"'

test('a file that is restored in place under a receiver is not used with the log of the one before', async () => {
  const { file, endpoint } = await receiving()
  await restore(file, 'cp "$BACKUP" "$FILE"')
  await sleep(150)
  expect([await said(endpoint, 1), await said(endpoint, 2)]).toEqual([503, 503])
  expect(endpoint.printed()).toContain(`DATABASE_INVALID the file ${file} was written over while it was open`)
})

test.each(['cat "$BACKUP" > "$FILE"', 'dd if="$BACKUP" of="$FILE" conv=notrunc status=none'])(
  'nor after its log was removed, until the receiver is started again: %s',
  async (way) => {
    const { file, endpoint } = await receiving()
    await restore(file, `${way}; ${withoutLog}`)
    await sleep(150)
    expect(await said(endpoint, 2)).not.toBe(200)
    const message = `DATABASE_INVALID the write-ahead log of ${file} was removed while the file was open`
    expect(endpoint.printed()).toContain(message)
    expect(await endpoint.stop()).toBe(0)
    const again = await startEndpoint(sqliteDatabase(file))
    left.push(again.stop)
    expect([await said(again, 1), await said(again, 2)]).toEqual([200, 401])
    const env = { DATABASE_URL: `file:${file}` }
    expect(await runProgram(['audit', 'verify', '-o', 'json'], { env })).toMatchObject({ code: 0 })
  },
)

test('a receiver that stops before it has noticed writes nothing into a file that was restored in place', async () => {
  const { file, endpoint } = await receiving()
  await restore(file, `cp "$BACKUP" "$FILE"; ${withoutLog}`)
  expect(await endpoint.stop()).toBe(0)
  expect(readFileSync(file).equals(readFileSync(backup))).toBe(true)
})

test('a receiver does not go on with what it remembers of a file that had all of its log when it was written over', async () => {
  const { file, endpoint } = await receiving()
  await sqlElsewhere(file, 'PRAGMA wal_checkpoint(TRUNCATE)')
  await sleep(150)
  expect(await said(endpoint, 2)).toBe(200)
  await restore(file)
  await sleep(150)
  expect(await said(endpoint, 2)).not.toBe(200)
  expect(endpoint.printed()).toContain(`DATABASE_INVALID the file ${file} was written over while it was open`)
})

test.each(['', withoutLog])(
  'a change that waits for a lock is not made in a file that was restored meanwhile (%s)',
  async (more) => {
    const file = freshFile()
    const holder = `const client = require('@libsql/client/sqlite3').createClient({ url: process.argv[1] })
      client.execute('BEGIN IMMEDIATE').then(() => { console.log('held'); setInterval(() => {}, 1000) })`
    const lock = spawn(process.execPath, ['-e', holder, `file:${file}`])
    left.push(() => lock.kill('SIGKILL'))
    await once(lock.stdout, 'data')
    const args = ['rotate', 'Acme/support', '--webhook-secret-stdin', '--grace', '0', '--wait', '10m']
    const waiting = spawn(process.execPath, [bin, ...args], { env: environment({ DATABASE_URL: `file:${file}` }) })
    let stderr = ''
    waiting.stderr.setEncoding('utf8').on('data', (text) => (stderr += text))
    const ended = once(waiting, 'close')
    waiting.stdin.end(signingSecret(2))
    const links = () =>
      readdirSync(`/proc/${waiting.pid}/fd`).map((fd) => {
        try {
          return readlinkSync(`/proc/${waiting.pid}/fd/${fd}`)
        } catch {
          return ''
        }
      })
    // The first of its connections reads; the second is for the change.
    while (links().filter((link) => link === file).length < 2) await sleep(50)
    await sleep(1000)
    await restore(file, `cp "$BACKUP" "$FILE"; ${more}`)
    lock.kill('SIGKILL')
    expect(await ended).toEqual([6, null])
    expect(stderr).toMatch(
      more === ''
        ? `error: the file ${file} was written over`
        : /^error: the (file|write-ahead log of) .*integrations\.db was /,
    )
    expect(readFileSync(file).equals(readFileSync(backup))).toBe(true)
  },
)

test('checkpoints, VACUUM and changes of other processes are no sign of a file that was written over', async () => {
  const { file, endpoint } = await receiving()
  for (const statements of [
    ['PRAGMA wal_autocheckpoint = 1', "UPDATE workspaces SET name = 'Acme'"],
    ['PRAGMA wal_checkpoint(PASSIVE)'],
    ['VACUUM', 'PRAGMA wal_checkpoint(TRUNCATE)'],
    ['CREATE TABLE filler (bytes BLOB)', 'INSERT INTO filler VALUES (randomblob(8000000))', 'PRAGMA wal_checkpoint'],
    ['DROP TABLE filler', 'VACUUM', 'PRAGMA wal_checkpoint(RESTART)'],
  ]) {
    await sqlElsewhere(file, ...statements)
    await sleep(150)
    expect(await said(endpoint, 2)).toBe(200)
  }
  await runCommand('sh', ['-c', 'chmod 700 "$FILE"; ln "$FILE" "$FILE.linked"'], { env: { FILE: file } })
  const changes = Array.from({ length: 200 }, () => ["UPDATE workspaces SET name = 'Acme'", 'PRAGMA wal_checkpoint'])
  let isOver = false
  const changing = Promise.all([1, 2].map(() => sqlElsewhere(file, ...changes.flat()))).finally(() => {
    isOver = true
  })
  while (!isOver) {
    expect(await said(endpoint, 2)).toBe(200)
    await sleep(20)
  }
  await changing
  expect(await runProgram(['db', 'migrate'], { env: { DATABASE_URL: `file:${file}` } })).toMatchObject({ code: 0 })
  await rotate(file, 3)
  expect([await said(endpoint, 3), await said(endpoint, 2)]).toEqual([200, 401])
  expect(endpoint.printed()).not.toContain('DATABASE_')
})
