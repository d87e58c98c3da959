import { chmodSync, renameSync, rmSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { createStore, type Installation, type IntegrationStore } from '../../../src/installations/store.ts'
import { acme, adoptedDatabase } from '../../support/adopted.ts'
import { startFaultProxy } from '../../support/fault-proxy.ts'
import { testKeyFile } from '../../support/keyring.ts'
import { runProgram } from '../../support/program.ts'
import { signingSecret } from '../../support/samples.ts'

const slack: Installation = {
  workspaceId: acme.workspaceId,
  platform: 'slack',
  name: 'T012AB3CD',
  secrets: { webhookSecret: signingSecret() },
}

async function storeOf(database: string): Promise<IntegrationStore> {
  const store = await createStore({ database, keys: { file: testKeyFile() } })
  onTestFinished(store.close)
  return store
}

const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => 'done',
    ({ code, committed }) => [code, committed],
  )

test('a database that is away is tried again by each call, and a change whose COMMIT was lost is made again', async () => {
  const db = await adoptedDatabase('postgresql', 'required')
  const proxy = await startFaultProxy(db.url, { onTestFinished })
  proxy.failAt('', 'cut')
  const store = await storeOf(proxy.url)
  expect(await codeOf(store.add(slack))).toEqual(['DATABASE_UNREACHABLE', false])
  proxy.failAt('COMMIT', 'cut')
  expect(await codeOf(store.add(slack))).toEqual(['COMMIT_UNKNOWN', null])
  proxy.pass()
  const update = { ifExists: 'update', graceMs: 0 } as const
  expect(await store.add(slack, update)).toMatchObject({ outcome: 'added' })
  expect(await store.add(slack, update)).toMatchObject({ outcome: 'unchanged' })
})

test('a SQLite file that took the place of another is the one that is changed', async () => {
  const db = await adoptedDatabase('sqlite', 'required')
  const store = await storeOf(db.url)
  const { integration } = await store.add(slack)
  // By another process: in one, SQLite takes two names of a file for the same.
  const file = db.url.slice('file:'.length)
  await db.query(`VACUUM INTO '${file}.new'`)
  chmodSync(`${file}.new`, 0o600)
  const env = { DATABASE_URL: `${db.url}.new` }
  expect(await runProgram(['db', 'migrate', '-o', 'id'], { env })).toMatchObject({ code: 0 })
  expect(await runProgram(['disable', integration.id, '-o', 'id'], { env })).toMatchObject({ code: 0 })
  for (const end of ['-wal', '-shm']) rmSync(file + end, { force: true })
  renameSync(`${file}.new`, file)
  expect(await store.find(integration.id)).toMatchObject({ isActive: false, version: 2 })
  expect(await store.enable(integration.id)).toMatchObject({ outcome: 'changed', integration: { version: 3 } })
  expect(
    await runProgram(['show', integration.id, '--fields', 'version'], { env: { DATABASE_URL: db.url } }),
  ).toMatchObject({
    stdout: '3\n',
  })
})
