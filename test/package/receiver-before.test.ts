import { execFileSync, spawnSync } from 'node:child_process'
import { symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { kinds } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { oldDatabase } from '../support/old-database.ts'
import { freshFolder, runProgram } from '../support/program.ts'
import { postSlack, startEndpoint } from '../support/receiver-example.ts'
import { message, slackEvent } from '../support/webhooks.ts'

/** The version before, whose receivers may run beside this one: the commit that made the old database. */
const before = '03c6465'

/** How often webhooks with a secret arrive, in milliseconds: with two secrets, 50 in a second. */
const intervalMs = 40

/** Of the old database, in parts that look like no secret: the current one, and the one that it took the place of. */
const secret = ['fedcba9876543210', 'fedcba98765432de'].join('')
const previous = ['0123456789abcdef', '0123456789abcdde'].join('')

/** Builds the version before, with the packages that are installed. @returns its folder */
function buildBefore(): string {
  const folder = freshFolder()
  const sources = execFileSync('git', ['archive', before], { maxBuffer: 100_000_000 })
  execFileSync('tar', ['-x', '-C', folder], { input: sources })
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'))
  execFileSync('npm', ['run', 'generate'], { cwd: folder, stdio: 'pipe' })
  execFileSync('npx', ['rolldown', '--config'], { cwd: folder, stdio: 'pipe' })
  return folder
}

const event = (id: string, what: object = message) => slackEvent(what, { event_id: id })

/** Sends a webhook that is signed with a secret at each interval until it is told to end, whatever becomes of those before. */
function sendSteadily(url: string, signer: string) {
  const sent: Promise<number>[] = []
  const send = () => sent.push(postSlack(url, signer, event(`EvSteady${signer.slice(-2)}${sent.length}`)))
  const timer = setInterval(send, intervalMs)
  return {
    /** Waits until a second's more were sent, and all were answered. */
    goOn: async () => {
      const enough = sent.length + 1000 / intervalMs
      while (sent.length < enough) await sleep(intervalMs)
      await Promise.all(sent)
    },
    /** @returns the status of each. */
    end: () => {
      clearInterval(timer)
      return Promise.all(sent)
    },
  }
}

// Sources without their history cannot make it.
describe.skipIf(spawnSync('git', ['cat-file', '-e', `${before}^{commit}`]).status !== 0)('a receiver of before', () => {
  let folder = ''
  beforeAll(() => {
    folder = buildBefore()
  })

  test.each(kinds)('goes on beside this version on %s, writes nothing to the log, and starts no more', async (kind) => {
    const { db, keys } = await oldDatabase(kind)
    const env = { DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: keys }
    await db.query("UPDATE integration_secrets SET valid_until = '2099-01-01 00:00:00' WHERE sealed IS NOT NULL")
    const old = await startEndpoint(db, { folder, keys })
    const both = async (url: string, id: string) => [
      await postSlack(url, secret, event(`${id}1`)),
      await postSlack(url, previous, event(`${id}2`)),
    ]
    const webhooks = sendSteadily(old.url, secret)
    const webhooksBefore = sendSteadily(old.url, previous)
    await webhooks.goOn()
    expect(await both(old.url, 'EvBefore')).toEqual([200, 200])
    expect(await runProgram(['db', 'migrate', '-o', 'id'], { env })).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(
        'upgrade the receivers now: those of the version before start no more, and from the next change on refuse previous secrets\n',
      ),
    })
    await webhooks.goOn()

    // What it has read again has another name than what it remembers.
    const rename = (name: string, was: string) => db.query('UPDATE integrations SET name = ? WHERE name = ?', name, was)
    await rename('read again', 'support')
    await expect.poll(old.printed, { timeout: 60_000 }).toContain('Acme/read again: ')
    await rename('support', 'read again')
    const current = await startEndpoint(db, { keys })
    expect(await both(current.url, 'EvCurrent')).toEqual([200, 200])
    expect(await both(old.url, 'EvMigrated')).toEqual([200, 200])
    expect(await runInProcess(['audit', 'verify'], { env })).toMatchObject({ code: 0 })
    expect(new Set(await webhooksBefore.end())).toEqual(new Set([200]))

    // The first change binds the previous value, which it cannot decrypt then; until it reads the value, it remembers it.
    expect(await runInProcess(['toggle', 'Initech/repositories', '-o', 'id'], { env })).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('receivers of the version before refuse previous secrets from now on'),
    })
    await expect.poll(old.printed, { timeout: 60_000 }).toMatch(/^SEAL_BROKEN /m)
    expect(await both(old.url, 'EvAfter')).toEqual([200, 401])
    expect(await both(current.url, 'EvCurrentAfter')).toEqual([200, 200])

    // Its event would be one without a MAC. Slack comes again, to a receiver that was upgraded.
    expect(await postSlack(old.url, secret, event('EvGone', { type: 'app_uninstalled' }))).toBe(503)
    await expect.poll(old.printed).toMatch(/^CONFLICT /m)
    await webhooks.goOn()
    const statuses = await webhooks.end()
    expect(statuses.filter((status) => status !== 200)).toEqual([])
    expect([await old.stop(), await current.stop()]).toEqual([0, 0])
    expect(await runInProcess(['audit', 'verify'], { env })).toMatchObject({ code: 0 })
    await expect(startEndpoint(db, { folder, keys })).rejects.toThrow('DATABASE_AHEAD')
  })
})
