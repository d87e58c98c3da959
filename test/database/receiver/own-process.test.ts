import { chmodSync, closeSync, cpSync, openSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { freshFolder } from '../../support/program.ts'
import { add, brief, start } from '../../support/receiver.ts'
import { signingSecret } from '../../support/samples.ts'
import { fromSlack, slackEvent } from '../../support/webhooks.ts'

interface Library {
  new (file: string): { prepare(sql: string): { all(): unknown[] }; close(): void }
}

/** Another SQLite, which knows nothing of the locks of the first. */
function secondLibrary(): Library {
  const folder = freshFolder()
  for (const name of ['libsql', '@libsql', '@neon-rs', 'detect-libc'])
    cpSync(join('node_modules', name), join(folder, 'node_modules', name), { recursive: true })
  return createRequire(join(folder, 'index.js'))('libsql') as Library
}

const openers: [string, (file: string) => () => void][] = [
  [
    'a descriptor',
    (file) => {
      const fd = openSync(file, 'r')
      return () => closeSync(fd)
    },
  ],
  [
    'another SQLite',
    (file) => {
      const database = new (secondLibrary())(file)
      database.prepare('SELECT id FROM integrations').all()
      return () => database.close()
    },
  ],
]

test.each(openers)(
  'a receiver changes nothing while %s of the file is open in its process, says so, and goes on to answer',
  async (what, open) => {
    const { db, store, errors, receive } = await start('sqlite')
    await add(store, 'support', signingSecret(1))
    const state = () =>
      db.query(
        'SELECT i.is_active, i.last_used_at, (SELECT max(seq) FROM integration_events) AS events FROM integrations i',
      )
    const receiver = await receive()
    const before = await state()
    const uninstall = async () =>
      brief(await receiver.slack(fromSlack(signingSecret(1), slackEvent({ type: 'app_uninstalled' }))))
    const file = db.url.slice('file:'.length)
    const close = open(file)
    expect(await uninstall()).toEqual(['support', 'app_uninstalled', 1, 'current'])
    await receiver.flush()
    expect(await state()).toEqual(before)
    expect(errors).toEqual(
      Array(2).fill(
        expect.objectContaining({
          code: 'DATABASE_READ_ONLY',
          message: `another part of this process has ${file} open, which can end the locks of a change`,
          hint: 'run the receiver in a process of its own, or open the file with libsql alone',
        }),
      ),
    )
    close()
    // libsql closes a database when the last of its statements is collected.
    if (what === 'another SQLite') return
    expect(await uninstall()).toEqual(['support', 'app_uninstalled', 1, 'current'])
    await receiver.flush()
    expect([await state(), errors.length]).toEqual([
      [{ is_active: 0, last_used_at: expect.any(String), events: Number(before[0]?.events) + 1 }],
      2,
    ])
  },
)

test('a receiver tells of a database file that others can read, and does not start with one that they can change', async () => {
  const { db, errors, receive } = await start('sqlite')
  const file = db.url.slice('file:'.length)
  chmodSync(file, 0o604)
  await receive()
  expect(errors).toEqual([
    expect.objectContaining({
      code: 'NOT_PERMITTED',
      message: `other users can read or change the database file ${file}`,
    }),
  ])
  chmodSync(file, 0o606)
  await expect(receive()).rejects.toMatchObject({
    code: 'NOT_PERMITTED',
    message: `every user can change the database file ${file}`,
  })
})
