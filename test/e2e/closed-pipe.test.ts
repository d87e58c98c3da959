import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { beforeAll, expect, test } from 'vitest'
import { freshDatabase, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { bin, environment } from '../support/program.ts'
import { botToken } from '../support/samples.ts'
import { addSlack } from '../support/slack-integration.ts'

let db: TestDatabase
let env: Record<string, string>

beforeAll(async () => {
  db = await freshDatabase('sqlite')
  env = { DATABASE_URL: db.url, TOKEN: botToken(1) }
  await addSlack(env)
  await addSlack(env, 'broken', '--access-token-env', 'TOKEN', '--no-expiry')
})

/** Runs the program into a pipe whose reader has gone before anything is written. */
const intoClosedPipe = (words: string, input = '', of = env) =>
  new Promise<{ code: number | null; stderr: string }>((done) => {
    const child = spawn(process.execPath, [bin, ...words.split(' ')], { env: environment(of) })
    child.stdout.destroy()
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text))
    child.stdin.on('error', () => {})
    child.stdin.end(input)
    child.on('close', (code) => done({ code, stderr }))
  })

test('a check that fails ends with its own exit code, though nobody reads its answer', async () => {
  await db.query("UPDATE integrations SET config = '{\"slackEvents\":1}', webhook_secret = 'x' WHERE name = 'broken'")
  for (const format of ['-o json', '-o table'])
    for (const [words, code] of [
      ['audit verify', 8],
      ['keys status', 8],
      ['config validate broken', 8],
      ['keys reencrypt --dry-run', 6],
      ['check broken --api-url slack=http://127.0.0.1:9/', 7],
      ['show nothing', 3],
      ['list', 0],
      ['secrets list support', 0],
    ] as const) {
      const command = `${words} ${format}`
      const [open, closed] = [await runInProcess(command.split(' '), { env }), await intoClosedPipe(command)]
      expect({ command, code: open.code }).toEqual({ command, code })
      expect({ command, code: closed.code, stderr: closed.stderr }).toEqual({ command, code, stderr: open.stderr })
    }
})

test('a check of many goes on to the last, though nobody reads what it says of the first', async () => {
  // Slower than the batches in which the answers are printed; the last token is refused.
  const server = createServer((request, response) => {
    const refused = request.headers.authorization?.endsWith('-31') ?? false
    setTimeout(
      () =>
        response
          .writeHead(refused ? 401 : 200, { 'content-type': 'application/json' })
          .end(refused ? '{"errors":["x"]}' : '{"data":{"id":"org-1","name":"Acme"}}'),
      400,
    )
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const others = await freshDatabase('sqlite')
  const api = { DATABASE_URL: others.url, INTEGRATIONS_API_URL: `pylon=http://127.0.0.1:${port}/` }
  for (let i = 0; i < 32; i++) {
    const workspace = i === 0 ? '--new-workspace' : '--workspace'
    const words = ['add', '--platform', 'pylon', workspace, 'Acme', '--name', `desk-${10 + i}`, '--access-token-stdin']
    expect(
      await runInProcess([...words, '--no-expiry', '--force-shape'], { env: api, input: `token-of-a-test-${i}` }),
    ).toMatchObject({ code: 0 })
  }
  const closed = await intoClosedPipe('check --all -o jsonl', '', api)
  server.close()
  expect({ code: closed.code, error: /"code":"(\w+)"/.exec(closed.stderr)?.[1] }).toEqual({
    code: 4,
    error: 'CREDENTIAL_REFUSED',
  })
})

test('a change says that its answer was not read', async () => {
  expect(await intoClosedPipe('disable support -o json')).toEqual({
    code: 6,
    stderr: expect.stringContaining('"message":"the change was made, but the answer could not be written"'),
  })
  expect(await db.query("SELECT is_active FROM integrations WHERE name = 'support'")).toEqual([{ is_active: 0 }])
})
