import { expect, test } from 'vitest'
import { kinds } from '../support/database.ts'
import { runner } from '../support/in-process.ts'
import { oldDatabase } from '../support/old-database.ts'

const secrets = {
  'Acme/support': ['fedcba9876543210', 'fedcba98765432de'].join(''),
  'Vandelay Industries/tickets': 'pylon-second-dev-0123456789',
  'Initech/repositories': 'github-third-dev-0123456789',
}

/** The encryption keys that other ones took the place of. */
const firstKeys = { sqlite: 'seal-e2c45d3c9be6', postgresql: 'seal-d4c8e473d4c8' }

test.each(kinds)('a database that version 0.1.0 made on %s is used as it is', async (kind) => {
  const { db, keys } = await oldDatabase(kind)
  const run = (...args: string[]) => runner(kind)(args, { env: { DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: keys } })
  const ids = async (...args: string[]) => (await run(...args, '-o', 'id')).stdout.trim().split('\n')

  expect(await run('audit', 'verify')).toMatchObject({ code: 0 })
  expect(await run('db', 'status', '-o', 'json')).toMatchObject({ code: 0, stdout: expect.stringMatching(/"ready"/) })
  expect(JSON.parse((await run('list', '-o', 'json', '--fields', 'workspace,name,platform,isActive')).stdout)).toEqual([
    { workspace: 'Initech', name: 'repositories', platform: 'github', isActive: false },
    { workspace: 'Acme', name: 'support', platform: 'slack', isActive: true },
    { workspace: 'Vandelay Industries', name: 'tickets', platform: 'pylon', isActive: true },
  ])
  for (const [ref, secret] of Object.entries(secrets))
    expect(await run('secrets', 'reveal', ref, 'webhook-secret')).toEqual({
      code: 0,
      stdout: `${secret}\n`,
      stderr: '',
    })

  // Its events are found by what they were called then, and by the name that the integration had.
  expect(await ids('audit', 'list', '--action', 'secret.rotate')).toEqual(['17', '11', '10'])
  expect(await ids('audit', 'list', '--ref', 'Initech/repos')).toEqual(['20', '17', '14', '12', '9'])

  // Its keys go on, and go out of use.
  expect(await run('keys', 'reencrypt')).toMatchObject({ code: 0 })
  expect(await run('keys', 'retire', firstKeys[kind])).toMatchObject({ code: 0 })
  expect(await run('keys', 'status')).toMatchObject({ code: 0 })
  expect(await run('audit', 'verify')).toMatchObject({ code: 0 })
})
