import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { freshDatabase } from '../support/database.ts'
import { openedStore } from '../support/keyring.ts'
import { freshFolder, runProgram } from '../support/program.ts'
import { addSlack } from '../support/slack-integration.ts'
import { accessToken, app, refreshToken, slackOAuth } from '../support/slack-oauth.ts'

/** A disk with room for so many bytes of the spool; what was written once keeps its room. */
function disk(bytes: number): string {
  const file = join(freshFolder(), 'disk.cjs')
  writeFileSync(
    file,
    `const fs = require('node:fs')
    const opened = new Map()
    const { openSync, writeFileSync } = fs
    fs.openSync = (path, ...more) => {
      const fd = openSync(path, ...more)
      opened.set(fd, String(path))
      return fd
    }
    fs.writeFileSync = (fd, text, ...more) => {
      const held = typeof fd === 'number' && opened.get(fd)?.includes('spool') ? fs.fstatSync(fd).size : undefined
      if (held === undefined || text.length <= Math.max(held, ${bytes})) return writeFileSync(fd, text, ...more)
      writeFileSync(fd, text.slice(0, ${bytes}))
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    }`,
  )
  return `--require ${file}`
}

async function start() {
  const db = await freshDatabase('sqlite')
  const server = await slackOAuth()
  const chain = server.install(1)
  const state = freshFolder()
  const env = { DATABASE_URL: db.url, INTEGRATIONS_API_URL: server.url, XDG_STATE_HOME: state }
  const added = ['apps', 'add', 'bot', '--platform', 'slack', '--client-id', app.id, '--client-secret-stdin']
  expect(await runProgram(added, { env, input: app.secret })).toMatchObject({ code: 0 })
  const tokens = { ACCESS: accessToken(chain), REFRESH: refreshToken(chain) }
  const flags = ['--access-token-env', 'ACCESS', '--refresh-token-env', 'REFRESH', '--expires-in', '1h']
  await addSlack({ ...env, ...tokens }, 'support', ...flags)
  const spool = join(state, 'integrations', 'spool')
  const stored = () => openedStore(db)('SELECT access_token, refresh_token FROM integrations')
  return { db, server, chain, env, spool, stored }
}

/** A disk on which one call about the spool's files fails once the platform was asked. */
function failing(call: string): string {
  const file = join(freshFolder(), 'failing.cjs')
  writeFileSync(
    file,
    `const fs = require('node:fs')
    let asked = false
    const { fetch } = globalThis
    globalThis.fetch = async (...of) => fetch(...of).finally(() => (asked = true))
    const real = fs.${call}
    fs.${call} = (fd, ...more) => {
      if (asked && typeof fd === 'number' && fs.fstatSync(fd).isFile() && fs.readlinkSync('/proc/self/fd/' + fd).includes('/spool/'))
        throw Object.assign(new Error('i/o error'), { code: 'EIO' })
      return real(fd, ...more)
    }`,
  )
  return `--require ${file}`
}

const refresh = ['refresh', 'support', '--force', '-o', 'id']

test('without room for new tokens the platform is not asked, and the next refresh works', async () => {
  const { db, server, chain, env, spool, stored } = await start()
  const before = await stored()
  expect(await runProgram(refresh, { env: { ...env, NODE_OPTIONS: disk(100_000) } })).toMatchObject({
    code: 2,
    stderr: `error: new tokens cannot be stored in ${spool} (ENOSPC), so the platform was not asked
hint: make room on that disk, or set XDG_STATE_HOME to a folder on another disk\n`,
  })
  expect([server.exchanges, readdirSync(spool), await stored()]).toEqual([[], [], before])
  expect(await db.query('SELECT state, code FROM integration_refresh_attempts')).toEqual([
    { state: 'failed', code: 'not_asked' },
  ])
  expect(await runProgram(refresh, { env })).toMatchObject({ code: 0 })
  expect([server.exchanges.length, readdirSync(spool), await stored()]).toEqual([
    1,
    [],
    [{ access_token: accessToken(chain), refresh_token: refreshToken(chain) }],
  ])
})

test('a disk that fills up while the platform is asked, and a database that is gone then, lose no token', async () => {
  const { db, server, chain, env, spool, stored } = await start()
  // What is not the spool's room is gone once the platform was asked: only what was reserved can be written.
  server.onAnswer = async () => {
    await db.query("CREATE TRIGGER full BEFORE UPDATE ON integrations BEGIN SELECT RAISE(ABORT, 'full'); END")
  }
  const full = `--require ${join(freshFolder(), 'later.cjs')}`
  writeFileSync(
    full.replace('--require ', ''),
    `const fs = require('node:fs')
    const { writeFileSync } = fs
    let asked = false
    const { fetch } = globalThis
    globalThis.fetch = async (...of) => fetch(...of).finally(() => (asked = true))
    fs.writeFileSync = (fd, text, ...more) => {
      if (asked && typeof fd === 'number' && text.length > fs.fstatSync(fd).size)
        throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
      return writeFileSync(fd, text, ...more)
    }`,
  )
  expect(await runProgram(refresh, { env: { ...env, NODE_OPTIONS: full } })).toMatchObject({
    code: 9,
    stderr: expect.stringContaining(`they are kept, encrypted, in ${spool}`),
  })
  expect(readdirSync(spool)).toHaveLength(1)
  await db.query('DROP TRIGGER full')
  expect(await runProgram(['recover', 'support', '-o', 'id'], { env })).toMatchObject({ code: 0 })
  expect([readdirSync(spool), await stored()]).toEqual([
    [],
    [{ access_token: accessToken(chain), refresh_token: refreshToken(chain) }],
  ])
})

test.each([
  ['ftruncateSync', (spool: string) => `they are kept, encrypted, in ${spool}`],
  ['fsyncSync', () => 'could be stored neither in the database nor in a file'],
])('a file that was written stays when %s fails, until the database has the tokens', async (call, says) => {
  const { db, chain, env, spool, stored } = await start()
  await db.query("CREATE TRIGGER full BEFORE UPDATE ON integrations BEGIN SELECT RAISE(ABORT, 'full'); END")
  expect(await runProgram(refresh, { env: { ...env, NODE_OPTIONS: failing(call) } })).toMatchObject({
    code: 9,
    stderr: expect.stringContaining(says(spool)),
  })
  expect(readdirSync(spool)).toHaveLength(1)
  await db.query('DROP TRIGGER full')
  expect(await runProgram(['recover', 'support', '-o', 'id'], { env })).toMatchObject({ code: 0 })
  expect([readdirSync(spool), await stored()]).toEqual([
    [],
    [{ access_token: accessToken(chain), refresh_token: refreshToken(chain) }],
  ])
})

test('room that a killed refresh reserved is given back by a recovery after a day', async () => {
  const { env, spool } = await start()
  mkdirSync(spool, { recursive: true })
  const [old, fresh] = [1, 2].map((n) => `00000000-0000-4000-8000-00000000000${n}.json`)
  for (const name of [old, fresh]) writeFileSync(join(spool, String(name)), ' '.repeat(1_500_000))
  const then = Date.now() / 1000 - 90_000
  utimesSync(join(spool, String(old)), then, then)
  expect(await runProgram(['recover', '--all', '-o', 'id'], { env })).toMatchObject({ code: 0 })
  expect(readdirSync(spool)).toEqual([fresh])
})
