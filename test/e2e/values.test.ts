import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { freshDatabase, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { freshFolder } from '../support/program.ts'
import { botToken, signingSecret } from '../support/samples.ts'

const secret = signingSecret(7)
const advice = (platform: string) =>
  `hint: pass the value alone, as ${platform} shows it, or pass --force-shape to accept it as it is\n`

describe.each(kinds)('values that are not the secret, on %s', (kind) => {
  let db: TestDatabase
  let env: Record<string, string>
  const run = (args: string[], input = '', more: Record<string, string> = {}) =>
    runInProcess(args, { env: { ...env, ...more }, input })
  const rows = async () => JSON.stringify(await db.query('SELECT * FROM integrations ORDER BY id'))

  beforeAll(async () => {
    db = await freshDatabase(kind)
    env = { DATABASE_URL: db.url }
    expect(await run(['workspaces', 'add', 'Acme'])).toMatchObject({ code: 0 })
    for (const platform of ['slack', 'github', 'pylon'])
      expect(
        await run(
          ['add', '--platform', platform, '--workspace', 'Acme', '--name', platform, '--webhook-secret-stdin'],
          signingSecret(),
        ),
      ).toMatchObject({ code: 0 })
  })

  describe.each([
    ['slack', 'Slack', 'signing secret'],
    ['github', 'GitHub', 'webhook secret'],
    ['pylon', 'Pylon', 'webhook secret'],
  ])('%s', (platform, title, label) => {
    const file = (text: string) => {
      const path = join(freshFolder(), 'secret')
      writeFileSync(path, text)
      return path
    }
    const ways: readonly [string, (value: string) => Parameters<typeof run>][] = [
      ['standard input', (value) => [['--webhook-secret-stdin'], value]],
      ['the file -', (value) => [['--webhook-secret-file', '-'], value]],
      ['a file', (value) => [['--webhook-secret-file', file(value)]]],
      ['a variable', (value) => [['--webhook-secret-env', 'VALUE'], '', { VALUE: value }]],
    ]

    test.each(ways)('from %s are refused with what is seen of them, and nothing is changed', async (_, given) => {
      const before = await rows()
      for (const [value, seen] of [
        [`"${secret}"`, 'begins with a quote'],
        [`“${secret}”`, 'begins with a quote'],
        [`SECRET=${secret}`, 'begins with a name and an equals sign'],
        [`Bearer ${secret}`, 'begins with an authorization scheme'],
        ['op://vault/item/field', 'is a reference to a secret in another place'],
        ['x', 'is shorter than 8 characters'],
      ] as const) {
        const [flags, input, more] = given(value)
        for (const command of [
          ['add', '--platform', platform, '--workspace', 'Acme', '--name', 'new'],
          ['rotate', platform, '--grace', '0'],
        ])
          expect(await run([...command, ...flags], input, more)).toEqual({
            code: 2,
            stdout: '',
            stderr: `error: the ${title} ${label} ${seen}\n${advice(title)}`,
          })
      }
      expect(await rows()).toBe(before)
    })

    test('are stored as they are with --force-shape, and told of', async () => {
      const value = `"quoted ${title}"`
      const rotated = await run(
        ['rotate', platform, '--webhook-secret-stdin', '--grace', '0', '--force-shape', '-o', 'id'],
        value,
      )
      expect(rotated).toMatchObject({
        code: 0,
        stderr: expect.stringContaining(`warning: the ${title} ${label} begins with a quote\n`),
      })
      expect(await run(['secrets', 'reveal', platform, 'webhook-secret'])).toMatchObject({ stdout: `${value}\n` })
    })
  })

  test.each([
    ['nothing', '', 'is empty'],
    ['blanks', '   ', 'is blank'],
    ['two lines', `${secret}\n${secret}`, 'has several lines'],
    ['a carriage return', `${secret}\r`, 'ends with a carriage return'],
    ['a space before', ` ${secret}`, 'begins or ends with white space'],
    ['a byte order mark', `\uFEFF${secret}`, 'begins with a byte order mark'],
    ['an escape', `\u001b[31m${secret}`, 'contains a control or invisible character'],
    ['a zero-width space', `${secret}\u200b`, 'contains a control or invisible character'],
  ])('%s cannot be a secret, --force-shape or not', async (_, value, seen) => {
    const before = await rows()
    for (const flags of [[], ['--force-shape']])
      expect(await run(['rotate', 'pylon', '--webhook-secret-stdin', '--grace', '0', ...flags], value)).toEqual({
        code: 2,
        stdout: '',
        stderr: expect.stringMatching(`^error: standard input \\(--webhook-secret-stdin\\) ${seen}\nhint: .+\n$`),
      })
    expect(await rows()).toBe(before)
  })

  test('a signing secret and a token of another shape are refused, and told of with --force-shape', async () => {
    const upper = 'ABCDEF0123456789'.repeat(2)
    const args = ['rotate', 'slack', '--webhook-secret-stdin', '--grace', '0', '-o', 'id']
    expect(await run(args, upper)).toEqual({
      code: 2,
      stdout: '',
      stderr: `error: a Slack signing secret should be 32 lower-case hex digits\n${advice('Slack')}`,
    })
    expect(await run([...args, '--force-shape'], upper)).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('warning: a Slack signing secret should be 32 lower-case hex digits\n'),
    })
    expect(await run(['rotate', 'github', '--access-token-stdin', '--no-expiry'], botToken())).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^error: a GitHub token should start with ghp_/),
    })
    for (const [platform, title] of [
      ['github', 'GitHub'],
      ['pylon', 'Pylon'],
    ] as const)
      expect(
        await run(['rotate', platform, '--webhook-secret-stdin', '--grace', '0', '-o', 'id'], botToken()),
      ).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(`^error: a ${title} webhook secret should not be a token of Slack or GitHub\n`),
      })
  })

  test('an OAuth app takes no client secret in quotes but with --force-shape', async () => {
    const args = [
      'apps',
      'add',
      'bot',
      '--platform',
      'slack',
      '--client-id',
      '1.2',
      '--client-secret-stdin',
      '-o',
      'id',
    ]
    expect(await run(args, `'${secret}'`)).toEqual({
      code: 2,
      stdout: '',
      stderr: `error: the Slack client secret begins with a quote\n${advice('Slack')}`,
    })
    expect(await db.query('SELECT name FROM integration_apps')).toEqual([])
    expect(await run([...args, '--force-shape'], `'${secret}'`)).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/^warning: the Slack client secret begins with a quote\n/),
    })
  })

  test.each([
    [
      'add',
      'pass --end-previous to expire a previous secret that is still valid, with --upsert; or --force-shape to accept a value that does not look like one of the platform',
    ],
    ['update slack', 'pass --force-shape to accept a value that does not look like one of the platform'],
    [
      'rotate slack',
      'pass --end-previous to expire a previous secret that is still valid, and with --grace 0 forget one that cannot be decrypted; or --force-shape to accept a value that does not look like one of the platform',
    ],
  ])('%s --force: the flags with one meaning each are named', async (words, hint) => {
    expect(await run([...words.split(' '), '--force'])).toEqual({
      code: 2,
      stdout: '',
      stderr: `error: unknown option '--force'\nhint: ${hint}\n`,
    })
  })
})
