import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { acme, adoptedDatabase } from '../support/adopted.ts'
import { document } from '../support/documents.ts'
import { openedStore, testKeyFile } from '../support/keyring.ts'
import { freshFolder, runProgram } from '../support/program.ts'
import { botToken, signingSecret } from '../support/samples.ts'

const team = 'T012AB3CD'
const redirect = `http://localhost/slack/callback?code=the-code&state=the-state`

/** What the application has of its own, and Slack, which gives a new token for each code. */
const surroundings = {
  'session.js': `export const sessionOf = ({ headers }) => headers.cookie && {
    userId: '${acme.userId}', workspaceId: headers.cookie, state: 'the-state' }`,
  'slack.js': `let tokens = 0
    globalThis.fetch = async (url, { body }) => {
      const right = url === 'https://slack.com/api/oauth.v2.access' && String(body) === 'code=the-code&client_id=1.2&client_secret=s'
      const token = ['xox', 'b-1111111111-2222222222-', String(++tokens).padStart(24, 'a')].join('')
      return Response.json(right ? { ok: true, access_token: token, token_type: 'bot', scope: 'chat:write', bot_user_id: 'U0KRQLJ9H',
        app_id: 'A0KRD7HC3', team: { name: 'Acme', id: '${team}' }, enterprise: null, authed_user: { id: 'U1234' } } : { ok: false, error: 'invalid_code' })
    }`,
}

test('the callback of the guide installs, installs again, and removes, each for its own tenant', async () => {
  const [example] = document('docs/installing.md').blocks.filter(({ info }) => info === 'js')
  const db = await adoptedDatabase('sqlite', 'required')
  const folder = freshFolder()
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(resolve('.'), join(folder, 'node_modules', packageJson.name))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  for (const [file, code] of Object.entries({ ...surroundings, 'app.js': example?.text ?? '' }))
    writeFileSync(join(folder, file), code)
  const app = spawn(process.execPath, ['--import', './slack.js', 'app.js'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      DATABASE_URL: db.url,
      INTEGRATIONS_KEYS_FILE: testKeyFile(),
      SLACK_CLIENT_ID: '1.2',
      SLACK_CLIENT_SECRET: 's',
      SLACK_SIGNING_SECRET: signingSecret(),
      PORT: '0',
    },
  })
  onTestFinished(() => void app.kill('SIGKILL'))
  const [line] = await once(app.stdout.setEncoding('utf8'), 'data')
  const port = /listening on (\d+)/.exec(line)?.[1]
  const ask = async (path: string, cookie = acme.workspaceId, method = 'GET') =>
    (await fetch(`http://127.0.0.1:${port}${path}`, { method, headers: cookie === '' ? {} : { cookie } })).status
  const { pathname, search } = new URL(redirect)
  const installed = async () => {
    const rows = await openedStore(db)("SELECT * FROM integrations WHERE platform = 'slack'")
    return rows.map(({ id, workspace_id, name, webhook_secret, access_token, is_active, created_by }) => ({
      id: String(id),
      row: [workspace_id, name, webhook_secret, access_token, Boolean(is_active), created_by],
    }))
  }

  expect([
    await ask(pathname + search, ''),
    await ask(`${pathname}?code=the-code&state=another`),
    await ask(`${pathname}?code=another&state=the-state`),
    await installed(),
  ]).toEqual([401, 403, 502, []])
  expect(await ask(pathname + search)).toBe(200)
  const row = (n: number) => [acme.workspaceId, team, signingSecret(), botToken(n), true, acme.userId]
  const [first] = await installed()
  expect(first?.row).toEqual(row(2))
  // While the signing secret is being replaced, and the one before it is accepted.
  const env = { DATABASE_URL: db.url }
  for (const command of [
    'rotate T012AB3CD --webhook-secret-stdin --grace 1h',
    'secrets revert T012AB3CD webhook-secret',
  ])
    expect(await runProgram(command.split(' '), { env, input: signingSecret(2) }), command).toMatchObject({ code: 0 })
  await db.query("UPDATE integrations SET is_active = 0 WHERE platform = 'slack'")
  expect(await ask(pathname + search)).toBe(200)
  expect(await installed()).toEqual([{ id: first?.id, row: row(3) }])
  const path = `/integrations/${first?.id}`
  expect([await ask(path, 'another-workspace', 'DELETE'), await ask(path, acme.workspaceId, 'DELETE')]).toEqual([
    404, 204,
  ])
  expect(await installed()).toEqual([])
  app.kill()
  expect((await once(app, 'exit'))[0]).toBe(0)
  const declared = await db.query(
    'SELECT action, declared_as FROM integration_events WHERE target_id = ? AND declared_as IS NOT NULL ORDER BY seq',
    first?.id ?? '',
  )
  expect(declared.map(({ action, declared_as }) => [action, declared_as])).toEqual(
    ['integration.add', 'secret.rotate', 'integration.enable', 'integration.remove'].map((action) => [
      action,
      `application:${acme.userId}`,
    ]),
  )
})
