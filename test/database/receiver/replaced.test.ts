import { chmodSync, renameSync, rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { contents, sqliteDatabase } from '../../support/database.ts'
import { runProgram } from '../../support/program.ts'
import { add, brief, start } from '../../support/receiver.ts'
import { signingSecret } from '../../support/samples.ts'
import { fromSlack } from '../../support/webhooks.ts'

const refused = [401, 'signature_mismatch']

test('a SQLite file that is replaced ends what was known of the one before, and is not written to by what was open', async () => {
  const { db, store, errors, receive } = await start('sqlite', 60)
  const id = await add(store, 'support', signingSecret(1))
  const receiver = await receive()
  const said = async (n: number) => brief(await receiver.slack(fromSlack(signingSecret(n))))
  expect([await said(1), await said(2)]).toEqual([['support', 'message', 1, 'current'], refused])

  // In the copy, the secret is another.
  const file = db.url.slice('file:'.length)
  await db.query(`VACUUM INTO '${file}.new'`)
  chmodSync(`${file}.new`, 0o600)
  // By other processes: in one, SQLite takes two names of a file for the same.
  const env = { DATABASE_URL: `${db.url}.new` }
  expect(await runProgram(['db', 'migrate', '-o', 'id'], { env })).toMatchObject({ code: 0 })
  expect(
    await runProgram(['rotate', id, '--webhook-secret-stdin', '--grace', '0', '-o', 'id'], {
      env,
      input: signingSecret(2),
    }),
  ).toMatchObject({ code: 0 })
  for (const end of ['-wal', '-shm']) rmSync(file + end, { force: true })
  renameSync(`${file}.new`, file)
  const before = await contents(sqliteDatabase(file))
  await sleep(150)

  // What was used of the file before belongs nowhere.
  await receiver.flush()
  expect(await contents(sqliteDatabase(file))).toEqual(before)
  expect([await said(1), await said(2)]).toEqual([refused, ['support', 'message', 2, 'current']])
  const message = `the file ${file} was replaced by another`
  expect([...new Set(errors.map((error) => (error as Error).message))]).toEqual([message])

  rmSync(file)
  await sleep(150)
  expect(await said(2)).toEqual([503, 'unavailable'])
  expect(errors.at(-1)).toMatchObject({ code: 'DATABASE_MISSING' })
  await expect(store.read((reader) => reader.keys.list())).rejects.toMatchObject({ code: 'DATABASE_MISSING' })
})

test('what is under way when a store is closed opens nothing', async () => {
  const { store } = await start('sqlite')
  await add(store, 'support', signingSecret(1))
  await store.close()
  await expect(store.read((reader) => reader.keys.list())).rejects.toMatchObject({ code: 'DATABASE_UNREACHABLE' })
  await expect(store.snapshot((reader) => reader.keys.list())).rejects.toMatchObject({ code: 'DATABASE_UNREACHABLE' })
})
