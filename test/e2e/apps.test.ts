import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { freshDatabase, kinds } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { freshFolder, runInTerminal } from '../support/program.ts'
import { addSlack } from '../support/slack-integration.ts'
import { app } from '../support/slack-oauth.ts'

const add = (name: string, ...flags: string[]) => [
  ...['apps', 'add', name, '--platform', 'slack', '--client-id', app.id],
  ...flags,
]

describe.each(kinds)('apps on %s', (kind) => {
  const run = runInProcess

  test('are added, named by integrations, listed without their secrets, and removed when nobody names them', async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url }
    const added = await run(add('bot', '--client-secret-stdin', '-o', 'id'), { env, input: `${app.secret}\n` })
    const id = added.stdout.trim()
    expect(added).toMatchObject({ code: 0, stderr: `added the app bot, id ${id}\n` })
    const typed = await runInTerminal(add('typed'), [['Client secret', `${app.secret}\r`]], { env })
    expect([typed.code, typed.screen.includes(app.secret)]).toEqual([0, false])
    for (const [args, code] of [
      [add('bot', '--client-secret-stdin'), 5],
      [['apps', 'add', 'desk', '--platform', 'pylon', '--client-id', '1', '--client-secret-stdin'], 2],
      [add('a/b', '--client-secret-stdin'), 2],
      [add('x', `--client-secret=${app.secret}`), 2],
      [add('x'), 2],
      [['update', 'nobody', '--app', 'bot'], 3],
    ] as const) {
      const { stdout, stderr, ...outcome } = await runInProcess(args, { env, input: app.secret })
      expect([args, outcome.code, stdout, stderr.includes(app.secret)]).toEqual([args, code, '', false])
    }

    await addSlack(env, 'support', '--app', 'bot')
    const shown = async () =>
      JSON.parse((await runInProcess(['list', '-o', 'json', '--fields', 'app'], { env })).stdout) as unknown
    expect(await shown()).toEqual([{ app: 'bot' }])
    expect(await run(['apps', 'remove', 'bot', '--confirm', 'bot'], { env })).toMatchObject({ code: 5 })
    const update = (...args: string[]) => run(['update', 'support', '-o', 'id', ...args], { env })
    expect((await update('--app', 'none')).code).toBe(3)
    expect((await update('--app', 'typed')).stderr).toBe('changed Acme/support: app "bot" -> "typed"\n')
    expect((await run(['update', '-o', 'id', '--unset', 'app', 'support'], { env })).stderr).toBe(
      'changed Acme/support: app "typed" -> null\n',
    )
    expect(await run(['apps', 'remove', 'bot', '--confirm', 'bot', '-o', 'id'], { env })).toEqual({
      code: 0,
      stdout: `${id}\n`,
      stderr: 'removed the app bot\n',
    })
    const { stdout } = await run(['apps', 'list', '-o', 'json', '--fields', 'name,clientId,integrations'], {
      env,
    })
    expect(JSON.parse(stdout)).toEqual([{ name: 'typed', clientId: app.id, integrations: 0 }])
    const last = await run(['apps', 'remove', 'typed', '--confirm', 'typed', '--dry-run'], { env })
    expect(last).toMatchObject({
      code: 0,
      stderr: 'would remove the app typed\nwarning: without an app, no Slack token can be refreshed\n',
    })
    expect(
      await db.query(
        "SELECT action, target_name FROM integration_events WHERE target_type = 'app' OR fields = 'app' ORDER BY seq",
      ),
    ).toEqual([
      { action: 'app.add', target_name: 'bot' },
      { action: 'app.add', target_name: 'typed' },
      { action: 'integration.update', target_name: 'Acme/support' },
      { action: 'integration.update', target_name: 'Acme/support' },
      { action: 'app.remove', target_name: 'bot' },
    ])
  })

  test('a key stays until it seals no secret of an app, and a secret from elsewhere is found', async () => {
    const db = await freshDatabase(kind)
    const keys = join(freshFolder(), 'keys.json')
    copyFileSync(process.env.INTEGRATIONS_TEST_KEYS ?? '', keys)
    const env = { DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: keys }
    const say = (...args: string[]) => runInProcess(args, { env, input: app.secret })
    expect(await say(...add('bot', '--client-secret-stdin'))).toMatchObject({ code: 0 })
    const [{ key_id: old } = {}] = await db.query('SELECT key_id FROM integration_apps')
    const { stdout } = await say('keys', 'add', '-o', 'id')
    expect(await say('keys', 'activate', stdout.trim())).toMatchObject({ code: 0 })
    const status = await run(['keys', 'status'], { env })
    expect([status.code, status.stderr]).toEqual([
      8,
      expect.stringContaining(
        `values are encrypted with the key ${old}, which is not active: 0 current, 0 previous, 1 of apps`,
      ),
    ])
    expect(await run(['keys', 'retire', String(old)], { env })).toMatchObject({ code: 5 })
    expect(await say('keys', 'reencrypt', '--dry-run', '-o', 'json', '--fields', 'changed')).toMatchObject({
      stdout: '{\n  "changed": 1\n}\n',
    })
    expect(await run(['keys', 'reencrypt', '-o', 'json', '--fields', 'changed'], { env })).toMatchObject({
      code: 0,
      stdout: '{\n  "changed": 1\n}\n',
    })
    expect(await say('keys', 'retire', String(old), '--confirm', String(old))).toMatchObject({ code: 0 })
    expect(await say('keys', 'status')).toMatchObject({ code: 0 })
    expect(await say('audit', 'verify', '-o', 'json', '--fields', 'ok,values')).toMatchObject({
      code: 0,
      stdout: '{\n  "ok": true,\n  "values": 1\n}\n',
    })
    expect(await say(...add('other', '--client-secret-stdin'))).toMatchObject({ code: 0 })
    await db.query(
      "UPDATE integration_apps SET client_secret = (SELECT client_secret FROM integration_apps WHERE name = 'other') WHERE name = 'bot'",
    )
    const verified = await say('audit', 'verify', '-o', 'json', '--fields', 'problems')
    expect([verified.code, JSON.parse(verified.stdout)]).toEqual([
      8,
      { problems: [expect.objectContaining({ name: 'bot', field: 'clientSecret' })] },
    ])
  })
})
