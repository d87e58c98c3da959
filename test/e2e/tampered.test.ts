import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { freshDatabase, kinds } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { openedStore } from '../support/keyring.ts'
import { freshFolder } from '../support/program.ts'

describe.each(kinds)('a database that somebody wrote to, on %s', (kind) => {
  const start = async () => {
    const db = await freshDatabase(kind)
    const run = (words: string, input = '', env: Record<string, string> = {}) =>
      runInProcess(words.split(' '), { env: { DATABASE_URL: db.url, ...env }, input })
    const done = async (words: string, input = '') =>
      expect(await runInProcess(words.split(' '), { env: { DATABASE_URL: db.url }, input })).toMatchObject({ code: 0 })
    await done('add --platform pylon --new-workspace Acme --name desk --webhook-secret-stdin', 'first-value-of-a-test')
    return { db, run, done }
  }
  const rotation = 'rotate Acme/desk --webhook-secret-stdin --grace 0'

  test('an old value put back is refused, and not taken for one that the log explains', async () => {
    const { db, run, done } = await start()
    const [old] = await db.query('SELECT webhook_secret AS text FROM integrations')
    await done(rotation, 'second-value-of-a-test')
    await db.query('UPDATE integrations SET webhook_secret = ?', String(old?.text))
    const reveal = 'secrets reveal Acme/desk webhook-secret'
    expect(await run(reveal)).toEqual({
      code: 6,
      stdout: '',
      stderr:
        'error: the stored webhook secret is not the recorded one: another program has replaced it\nhint: find out who wrote it; then store the right value with integrations rotate --end-previous --grace 0\n',
    })
    expect(await run('audit verify')).toMatchObject({ code: 8 })
    await done(`${rotation} --end-previous`, 'third-value-of-a-test')
    expect(await run(reveal)).toMatchObject({ code: 0, stdout: 'third-value-of-a-test\n' })
    expect(await run('audit verify')).toMatchObject({ code: 0 })
  })

  test.each([
    'plain text',
    'eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiayJ9..AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA',
  ])('a value that does not open is replaced by who insists: %s', async (text) => {
    const { db, run, done } = await start()
    await db.query('UPDATE integrations SET webhook_secret = ?', text)
    expect(await run(rotation, 'second-value-of-a-test')).toMatchObject({
      code: text.startsWith('ey') ? 4 : 6,
      stdout: '',
    })
    expect(await db.query('SELECT webhook_secret FROM integrations')).toEqual([{ webhook_secret: text }])
    await done(`${rotation} --end-previous`, 'second-value-of-a-test')
    expect(await openedStore(db)('SELECT webhook_secret FROM integrations')).toEqual([
      { webhook_secret: 'second-value-of-a-test' },
    ])
    expect(await run('audit verify')).toMatchObject({ code: 0 })
  })

  test('no keys are made for one that has a history', async () => {
    const { db, run } = await start()
    await db.query('DELETE FROM integration_keys')
    const before = await db.query('SELECT * FROM integration_events')
    const file = join(freshFolder(), 'keys.json')
    expect(await run('disable Acme/desk', '', { INTEGRATIONS_KEYS_FILE: file })).toMatchObject({
      code: 6,
      stdout: '',
      stderr: expect.stringContaining('the keys were removed from integration_keys'),
    })
    expect(existsSync(file)).toBe(false)
    expect(await db.query('SELECT * FROM integration_keys')).toEqual([])
    expect(await db.query('SELECT * FROM integration_events')).toEqual(before)
  })

  test('where the application writes, a secret that nobody has read is known to be there', async () => {
    const { db, run, done } = await start()
    await done('keys mode migrating')
    await db.query("UPDATE integrations SET access_token = 'written-by-the-application'")
    const facts = await run('show Acme/desk -o json --fields accessToken')
    expect(JSON.parse(facts.stdout)).toMatchObject({ accessToken: { set: true } })
    expect(await run('rotate Acme/desk --access-token-stdin', 'new-token-of-a-test')).toMatchObject({ code: 2 })
    expect(await db.query('SELECT access_token FROM integrations')).toEqual([
      { access_token: 'written-by-the-application' },
    ])
    expect(await run('rotate Acme/desk --access-token-stdin --grace 0 --dry-run', 'new-token-of-a-test')).toMatchObject(
      {
        code: 0,
        stderr: expect.stringContaining(
          '; the previous access-token would be deleted here, and Pylon still accepts it',
        ),
      },
    )
  })
})
