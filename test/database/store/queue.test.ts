import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createClient } from '@libsql/client/sqlite3'
import { expect, test } from 'vitest'
import type { TestDatabase } from '../../support/database.ts'
import { environment, runProgram } from '../../support/program.ts'
import { filledDatabase } from '../../support/sample-commands.ts'

const queueOf = (db: TestDatabase) => `${fileURLToPath(db.url)}-queue`
const waiting = (db: TestDatabase) => (existsSync(queueOf(db)) ? readdirSync(queueOf(db)) : [])

/** Holds the lock as another program; the answer lets it go. */
async function hold(db: TestDatabase): Promise<() => Promise<void>> {
  const client = createClient({ url: db.url })
  const transaction = await client.transaction('write')
  return async () => {
    await transaction.rollback()
    client.close()
  }
}

/** Starts a change in a process of its own; `ended` is its exit code. */
function startChange(db: TestDatabase, name: string) {
  const child = spawn(process.execPath, ['bin/integrations.js', 'workspaces', 'add', name, '--wait', '2m'], {
    env: environment({ DATABASE_URL: db.url }),
    stdio: 'ignore',
  })
  return { child, ended: new Promise<number | null>((done) => child.on('close', done)) }
}

/** The same, and waits until it stands in the queue. */
async function startWaiting(db: TestDatabase, name: string) {
  const before = waiting(db).length
  const change = startChange(db, name)
  while (waiting(db).length <= before) await sleep(20)
  return change
}

const added = async (db: TestDatabase) =>
  (
    await db.query("SELECT target_name AS name FROM integration_events WHERE action = 'workspace.add' ORDER BY seq")
  ).map(({ name }) => name)

test('changes that wait for the lock are made in the order in which they came, and leave no queue', async () => {
  const db = await filledDatabase('sqlite')
  const before = await added(db)
  const release = await hold(db)
  const names = ['A', 'B', 'C', 'D', 'E', 'F']
  const changes: ReturnType<typeof startChange>[] = []
  for (const name of names) changes.push(await startWaiting(db, name))
  expect(await added(db)).toEqual(before)
  await release()
  expect(await Promise.all(changes.map(({ ended }) => ended))).toEqual(names.map(() => 0))
  expect(await added(db)).toEqual([...before, ...names])
  expect(existsSync(queueOf(db))).toBe(false)
})

test('a process that was killed, or stands still, keeps no other from its turn', async () => {
  const db = await filledDatabase('sqlite')
  const before = await added(db)
  const release = await hold(db)
  const killed = await startWaiting(db, 'killed')
  const still = await startWaiting(db, 'still')
  const third = await startWaiting(db, 'third')
  killed.child.kill('SIGKILL')
  still.child.kill('SIGSTOP')
  expect(await killed.ended).toBe(null)
  await release()
  expect(await third.ended).toBe(0)
  expect(await added(db)).toEqual([...before, 'third'])
  still.child.kill('SIGCONT')
  expect(await still.ended).toBe(0)
  expect(await added(db)).toEqual([...before, 'third', 'still'])
  expect(existsSync(queueOf(db))).toBe(false)
})

test('the file of a process that is long gone, and a folder that cannot be made, keep nobody from a change', async () => {
  const db = await filledDatabase('sqlite')
  const { pid } = spawnSync('true')
  mkdirSync(queueOf(db))
  writeFileSync(`${queueOf(db)}/000000000000001-${pid}-00000000-0000-0000-0000-000000000000`, '')
  const env = { DATABASE_URL: db.url }
  expect(await runProgram(['workspaces', 'add', 'Globex', '-o', 'id'], { env })).toMatchObject({ code: 0 })
  expect(existsSync(queueOf(db))).toBe(false)
  // What cannot be removed as a file.
  const stuck = `${queueOf(db)}/000000000000001-${pid}-00000000-0000-0000-0000-000000000000`
  mkdirSync(stuck, { recursive: true })
  expect(await runProgram(['workspaces', 'rename', 'Globex', 'Hooli'], { env })).toMatchObject({ code: 0 })
  rmSync(queueOf(db), { recursive: true })
  writeFileSync(queueOf(db), '')
  const release = await hold(db)
  const { ended } = startChange(db, 'Initech')
  await sleep(500)
  await release()
  expect(await ended).toBe(0)
  expect((await added(db)).slice(-2)).toEqual(['Globex', 'Initech'])
})
