import { beforeAll, describe, expect, test } from 'vitest'
import { freshDatabase, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { botToken } from '../support/samples.ts'
import { addSlack } from '../support/slack-integration.ts'

let db: TestDatabase
let env: Record<string, string>

beforeAll(async () => {
  db = await freshDatabase('sqlite')
  env = { DATABASE_URL: db.url, TOKEN: botToken(1) }
  await addSlack(env, 'support', '--access-token-env', 'TOKEN', '--no-expiry')
})

const metadata = (host: string) =>
  `error: ${host} is the address of a cloud's metadata service, to which no request is sent\nhint: pass the address of the endpoint\n`
const privately = (host: string) =>
  `error: ${host} is an address of a private or reserved network\nhint: pass --allow-private if the endpoint is there\n`

describe.each([
  ['check', ['check', 'support']],
  ['refresh', ['refresh', 'support', '--force']],
  ['recover', ['recover', 'support']],
  ['rotate', ['rotate', 'support', '--access-token-env', 'TOKEN', '--no-expiry', '--grace', '0', '--check']],
  ['rotate --revoke', ['rotate', 'support', '--access-token-env', 'TOKEN', '--no-expiry', '--grace', '0', '--revoke']],
  ['remove', ['remove', 'support', '--revoke', '--confirm', 'support']],
  ['secrets finish', ['secrets', 'finish', 'support', 'access-token', '--revoke', '--confirm', 'support']],
  ['secrets revoke', ['secrets', 'revoke', 'support', 'access-token', '--confirm', 'support']],
])('%s sends no token to an address where no webhook may be sent', (_, command) => {
  test.each([
    ['https://169.254.169.254/latest/', metadata('169.254.169.254')],
    ['https://0xa9fea9fe/', metadata('169.254.169.254')],
    ['https://[::ffff:0:a9fe:a9fe]/', metadata('[::ffff:0:a9fe:a9fe]')],
    ['https://10.1.2.3:8443/', privately('10.1.2.3:8443')],
    ['https://192.0.2.1/', privately('192.0.2.1')],
  ])('%s', async (url, stderr) => {
    const before = await db.query('SELECT * FROM integration_events')
    expect(await runInProcess([...command, '--api-url', `slack=${url}`], { env })).toEqual({
      code: 2,
      stdout: '',
      stderr,
    })
    const named = { ...env, INTEGRATIONS_API_URL: `slack=${url}` }
    expect(await runInProcess(command, { env: named })).toEqual({ code: 2, stdout: '', stderr })
    expect(await db.query('SELECT * FROM integration_events')).toEqual(before)
  })
})

test('a private network is allowed when the command says so, and a metadata address never', async () => {
  const check = (url: string) =>
    runInProcess(['check', 'support', '--allow-private', '--api-url', `slack=${url}`], { env })
  expect(await check('https://169.254.169.254/')).toMatchObject({ code: 2, stderr: metadata('169.254.169.254') })
  // Nothing listens there; the request is made.
  expect(await check('https://0.0.0.0:9/')).toMatchObject({ code: 7 })
  expect(await check('http://127.0.0.1:9/')).toMatchObject({ code: 7 })
  expect(await check('https://no-such-host.invalid/')).toMatchObject({ code: 7 })
})

test('no token is sent while servers need not prove who they are', async () => {
  const before = await db.query('SELECT * FROM integration_events')
  const careless = { ...env, NODE_TLS_REJECT_UNAUTHORIZED: '0' }
  for (const command of ['check support', 'refresh support --force', 'recover support'])
    expect(await runInProcess(command.split(' '), { env: careless })).toEqual({
      code: 2,
      stdout: '',
      stderr: `error: NODE_TLS_REJECT_UNAUTHORIZED=0 lets any server pose as a platform, so no token is sent
hint: unset the variable; for a certificate authority of your own, name its certificate in NODE_EXTRA_CA_CERTS\n`,
    })
  expect(await db.query('SELECT * FROM integration_events')).toEqual(before)
  for (const command of ['list', 'refresh --all --dry-run'])
    expect(await runInProcess(command.split(' '), { env: careless })).toMatchObject({ code: 0 })
})

test.each([['--allow-private'], ['--api-url', 'slack=http://127.0.0.1:9/']])(
  '%s is refused where no platform is asked',
  async (...flags) => {
    const [flag] = flags
    const before = await db.query('SELECT * FROM integration_events')
    const token = ['--access-token-env', 'TOKEN', '--no-expiry']
    for (const [which, ...command] of [
      ['--check', 'add', '--platform', 'slack', '--workspace', 'Acme', '--name', 'other', ...token],
      ['--check or --revoke', 'rotate', 'support', ...token],
      ['--revoke', 'remove', 'support', '--confirm', 'support'],
      ['--revoke', 'secrets', 'finish', 'support', 'access-token'],
    ])
      expect(await runInProcess([...command, ...flags], { env })).toEqual({
        code: 2,
        stdout: '',
        stderr: `error: ${flag} has no effect without ${which}\nhint: pass ${which} too, or leave ${flag} out\n`,
      })
    expect(await db.query('SELECT * FROM integration_events')).toEqual(before)
  },
)
