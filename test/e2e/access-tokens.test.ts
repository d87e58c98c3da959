import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freshDatabase, kinds } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { githubOk, type PlatformServer, startPlatformServer } from '../support/platform-server.ts'
import { runInTerminal } from '../support/program.ts'
import { botToken, signingSecret } from '../support/samples.ts'
import { addSlack, revealed } from '../support/slack-integration.ts'

const enter = '\r'
const unknown = 'the expiry of the access token is unknown'
const says = '; --expires-in, --expires-at or --no-expiry sets the expiry\n'
const accepted = 'Slack still accepts it until its expiry or revocation: https://api.slack.com/apps'

describe.each(kinds)('access tokens, which no request is matched with, on %s', (kind) => {
  const run = runInProcess

  async function start() {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url, TOKEN: botToken(1), SECOND: botToken(2), THIRD: botToken(3) }
    await addSlack(env, 'support', '--access-token-env', 'TOKEN', '--no-expiry')
    const rotate = (name: string, ...flags: string[]) =>
      run(['rotate', 'support', '--access-token-env', name, '-o', 'id', ...flags], { env })
    return { db, env, rotate }
  }

  test('a second rotation within the grace period is none of a secret in use, and keeps the older values', async () => {
    const { db, env, rotate } = await start()
    expect(await rotate('SECOND', '--grace', '12h', '--no-expiry')).toMatchObject({ code: 0 })
    expect(await rotate('THIRD', '--grace', '1h', '--no-expiry')).toMatchObject({ code: 0 })
    expect(await revealed(env, 'access-token')).toBe(botToken(3))
    const kept =
      "SELECT number FROM integration_secrets WHERE field = 'access_token' AND sealed IS NOT NULL ORDER BY number"
    expect((await db.query(kept)).map(({ number }) => Number(number))).toEqual([1, 2])
    // After a leak, none of them is.
    expect(await rotate('TOKEN', '--grace', '0', '--no-expiry')).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(`; the previous access-token is deleted here, and ${accepted}\n`),
    })
    expect(await db.query(kept)).toEqual([])
    expect(await run(['audit', 'verify'], { env })).toMatchObject({ code: 0 })
  })

  test('secrets finish deletes what is kept, needs no report of a receiver, and says what that means', async () => {
    const { env, rotate } = await start()
    await rotate('SECOND', '--grace', '12h', '--no-expiry')
    const { stdout } = await run(
      ['secrets', 'list', 'support', '-o', 'table', '--fields', 'field,number,state,lastMatchedAt'],
      { env },
    )
    expect(stdout.replace(/ +$/gm, '')).toBe(`FIELD           #  STATE                             MATCHED
access-token    2  current
access-token    1  previous, kept for 11 more hours
webhook-secret  1  current                           no recorded use
`)
    expect(await run(['secrets', 'finish', 'support', 'access-token', '-o', 'id'], { env })).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(
        new RegExp(
          `^deleted every previous access-token of Acme/support, kept here until \\S+Z at the latest; ${accepted.replace(' it ', ' each ')}\n`,
        ),
      ),
    })
    expect(await run(['secrets', 'revert', 'support', 'access-token'], { env })).toMatchObject({ code: 3 })
  })

  test('remove says that the platform still accepts the token', async () => {
    const { env } = await start()
    expect(await run(['remove', 'support', '--confirm', 'support', '-o', 'id'], { env })).toMatchObject({
      code: 0,
      stderr: `removed Acme/support with its secrets and config\n${accepted.replace('it', 'the token of Acme/support')}\n`,
    })
  })

  test('an expiry that nobody has said is told of, with that of the token before', async () => {
    const { rotate } = await start()
    expect((await rotate('SECOND', '--grace', '1h')).stderr).toContain(
      `${unknown}, and the previous token never expired${says}`,
    )
    expect((await rotate('THIRD', '--grace', '1h', '--expires-at', '2036-01-31T12:00:00Z')).stderr).not.toContain(
      unknown,
    )
    expect((await rotate('TOKEN', '--grace', '1h')).stderr).toContain(
      `${unknown}, and the previous token expires at 2036-01-31T12:00:00.000Z${says}`,
    )
  })

  test.each([
    ['2036-01-31T12:00:00Z', 'dated', '2036-01-31T12:00:00.000Z'],
    ['never', 'never', null],
    ['', 'unknown', null],
  ])('a person is asked for it: %j', async (answer, tokenExpiry, tokenExpiresAt) => {
    const { env } = await start()
    const question = 'When does the token expire?'
    const { code, screen } = await runInTerminal(
      ['rotate', 'support', '--field', 'access-token'],
      [
        ['New Slack bot or user token', `${botToken(2)}${enter}`],
        [question, `soon${enter}`],
        ['the answer is not a time: write 12h', `${'\u007f'.repeat(4)}${answer}${enter}`],
      ],
      { env },
    )
    expect(code).toBe(0)
    expect(screen).toContain('the previous access-token is kept here for 24 hours; change that with --grace')
    const shown = await run(['show', 'support', '-o', 'json', '--fields', 'tokenExpiry,tokenExpiresAt'], { env })
    expect(JSON.parse(shown.stdout)).toEqual({ tokenExpiry, tokenExpiresAt })
  })

  describe('and the expiry that GitHub reports', () => {
    let server: PlatformServer
    beforeAll(async () => {
      server = await startPlatformServer()
    })
    afterAll(() => server.close())

    test('is taken over by add --check, rotate --check and check', async () => {
      const db = await freshDatabase(kind)
      const token = (n: number) => ['gh', 'p_', String(n).padStart(36, 'a')].join('')
      const env = {
        DATABASE_URL: db.url,
        INTEGRATIONS_API_URL: server.everything,
        ONE: token(1),
        TWO: token(2),
        THREE: token(3),
      }
      server.script(token(1), githubOk('2036-01-31 12:00:00 UTC'))
      server.script(token(2), githubOk('2036-02-28 12:00:00 -0800'))
      server.script(token(3), githubOk('2036-03-31 12:00:00 UTC'))
      const stored = async () =>
        JSON.parse((await run(['show', 'repos', '-o', 'json', '--fields', 'tokenExpiresAt'], { env })).stdout)
          .tokenExpiresAt
      const add = [
        'add',
        '--platform',
        'github',
        '--new-workspace',
        'Acme',
        '--name',
        'repos',
        '--access-token-env',
        'ONE',
      ]
      expect(await run([...add, '--check', '-o', 'id'], { env })).toMatchObject({
        code: 0,
        stderr: expect.not.stringContaining(unknown),
      })
      expect(await stored()).toBe('2036-01-31T12:00:00.000Z')
      const rotate = ['rotate', 'repos', '--grace', '0', '-o', 'id', '--access-token-env']
      expect(await run([...rotate, 'TWO', '--check'], { env })).toMatchObject({ code: 0 })
      expect(await stored()).toBe('2036-02-28T20:00:00.000Z')
      expect(await run([...rotate, 'THREE'], { env })).toMatchObject({ code: 0 })
      expect(await stored()).toBe(null)
      expect(await run(['check', 'repos'], { env })).toMatchObject({ code: 0 })
      expect(await stored()).toBe('2036-03-31T12:00:00.000Z')
    })
  })

  test('a webhook secret beside is as it was: a second rotation is refused', async () => {
    const { env } = await start()
    const rotate = (n: number) =>
      runInProcess(['rotate', 'support', '--webhook-secret-stdin', '--grace', '1h'], { env, input: signingSecret(n) })
    expect(await rotate(2)).toMatchObject({ code: 0 })
    expect(await rotate(3)).toMatchObject({ code: 5 })
  })
})
