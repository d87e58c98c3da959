import { describe, expect, test } from 'vitest'
import type { PageData } from '../../src/cli/report/page/data.ts'
import { freshDatabase, kinds } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { freshFolder, runInTerminal } from '../support/program.ts'
import { withRoles } from '../support/roles.ts'
import { botToken, signingSecret } from '../support/samples.ts'

describe.each(kinds)('report -o html on %s', (kind) => {
  async function start() {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url, W: signingSecret(1), A: botToken(1) }
    const done = async (...args: string[]) => {
      const outcome = await runInProcess(args, { env })
      expect([args, outcome]).toEqual([args, { code: 0, stdout: expect.any(String), stderr: expect.any(String) }])
    }
    const secrets = ['--webhook-secret-env', 'W', '--access-token-env', 'A', '--expires-in', '90d']
    await done('add', '--platform', 'slack', '--new-workspace', 'Acme', '--name', 'support', ...secrets)
    await db.query('UPDATE integrations SET last_used_at = created_at')
    // As support staff, without the keys.
    const { url } = kind === 'postgresql' ? (await withRoles(db)).support : db
    const page = async (...flags: string[]) => {
      const outcome = await runInProcess(['report', '-o', 'html', '--fail-on', 'never', ...flags], {
        env: { DATABASE_URL: url, INTEGRATIONS_KEYS_FILE: `${freshFolder()}/none` },
      })
      const json = /<script type="application\/json" id="data">(.*)<\/script>/.exec(outcome.stdout)?.[1] ?? 'null'
      return { ...outcome, data: JSON.parse(json) as PageData }
    }
    return { db, url, done, page }
  }

  test('tells which database it is of, without its password, and when', async () => {
    const { page, ...of } = await start()
    const { data, stdout, stderr } = await page()
    const { username, password, pathname } = new URL(of.url)
    expect(data.database).toContain(username)
    expect(data.database).toContain(pathname)
    expect(stdout).not.toContain(`:${password || 'pass'}@`)
    expect(Math.abs(Date.parse(data.at) - Date.now())).toBeLessThan(600_000)
    expect([data.sentence, data.limits, data.isPartial]).toEqual(['no findings in 1 integration', [], false])
    expect(stderr).toBe('no findings in 1 integration\n')
  })

  test('has the last 20 changes, and neither what was read nor what was about to be done', async () => {
    const { done, page } = await start()
    for (let i = 0; i < 21; i++) await done('toggle', 'Acme/support', '--reason', `round ${i}`, '--as', 'ana')
    await done('secrets', 'reveal', 'Acme/support', 'access-token')
    const { data } = await page()
    expect(data.changes?.map(({ action, target, reason }) => [action, target, reason])).toEqual(
      Array.from({ length: 20 }, (_, i) => [
        `integration.${i % 2 === 0 ? 'disable' : 'enable'}`,
        'Acme/support',
        `round ${20 - i}`,
      ]),
    )
    expect(data.changes?.[0]?.who).toMatch(/^os:.*@.* as ana$/)
  })

  test('says what limits it, and what is ignored', async () => {
    const { db, done, page } = await start()
    await db.query(
      `UPDATE integrations SET token_expires_at = ${kind === 'sqlite' ? "'2026-01-02T03:04:05.678+00:00'" : "'2026-01-02 03:04:05.678'"}`,
    )
    const limited = await page('--platform', 'slack', '--stale', '36h', '--new-since', '25h', '--active')
    expect(limited.data).toMatchObject({
      sentence: 'no findings in 0 integrations',
      limits: ['--platform slack', '--stale 36h', '--active', '--new-since 25h'],
      isPartial: true,
      platforms: [],
      // Others than those that are filtered are no one's business.
      changes: null,
    })
    const { data } = await page('--finding', 'stale')
    expect(data).toMatchObject({ limits: ['--finding stale'], isPartial: true, codes: [] })
    expect((await page()).data.codes.map(({ code }) => code)).toEqual(['token-expired'])
    await done('report', 'ignore', 'token-expired', '--until', '2d', '--reason', 'known')
    const ignoring = await page()
    expect(ignoring.data).toMatchObject({ codes: [], ignored: 1, ignoredUntil: expect.stringMatching(/^\d{4}-/) })
  })
})

test('a terminal gets the page as it is', async () => {
  const db = await freshDatabase('sqlite')
  const { screen } = await runInTerminal(['report', '-o', 'html'], [], { env: { DATABASE_URL: db.url } })
  expect(screen).toMatch(/<!doctype html>[\s\S]*<\/html>\s*no findings in 0 integrations/)
})
