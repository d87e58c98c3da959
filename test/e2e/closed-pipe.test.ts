import { spawn } from 'node:child_process'
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
const intoClosedPipe = (words: string, input = '') =>
  new Promise<{ code: number | null; stderr: string }>((done) => {
    const child = spawn(process.execPath, [bin, ...words.split(' ')], { env: environment(env) })
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

test('a change says that its answer was not read', async () => {
  expect(await intoClosedPipe('disable support -o json')).toEqual({
    code: 6,
    stderr: expect.stringContaining('"message":"the change was made, but the answer could not be written"'),
  })
  expect(await db.query("SELECT is_active FROM integrations WHERE name = 'support'")).toEqual([{ is_active: 0 }])
})
