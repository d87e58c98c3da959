import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { addMany, freshDatabase } from '../support/database.ts'
import { freshFolder, runInTerminal, runProgram } from '../support/program.ts'
import { botToken } from '../support/samples.ts'
import { addSlack } from '../support/slack-integration.ts'

const leading = {
  PGPASSWORD: 'p',
  PGPASSFILE: '/p',
  PGSERVICEFILE: '/s',
  PGHOST: 'h',
  PGTZ: 'UTC',
  INTEGRATIONS_READ_ONLY: '0',
}
const own = { VAULT_ADDR: 'https://vault.example', GNUPGHOME: '/g', OTHER: 'o' }

/** The names of the variables in what `env` printed, of those that were given. */
const namesIn = (file: string) =>
  readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.split('=')[0] ?? '')
    .filter((name) => name in { ...leading, ...own, SLACK_TOKEN: 1, DATABASE_URL: 1 } || /^INTEGRATIONS/.test(name))
    .sort()

test.each([['--access-token-env', 'SLACK_TOKEN'], ['--access-token-env=SLACK_TOKEN']])(
  'the command of the keys has neither the database nor the variable of a secret: %s',
  async (...flag) => {
    const db = await freshDatabase('sqlite')
    await addSlack({ DATABASE_URL: db.url })
    const seen = join(freshFolder(), 'env')
    const keys = `env > ${seen}; cat ${process.env.INTEGRATIONS_TEST_KEYS}`
    const env = { DATABASE_URL: db.url, ...leading, ...own, SLACK_TOKEN: botToken(1), INTEGRATIONS_KEYS_COMMAND: keys }
    const rotation = ['rotate', 'support', ...flag, '--no-expiry', '--grace', '0', '-o', 'id']
    expect(await runProgram(rotation, { env })).toMatchObject({ code: 0 })
    const settings = ['INTEGRATIONS_KEYS_COMMAND', 'INTEGRATIONS_READ_ONLY']
    expect(namesIn(seen)).toEqual([...Object.keys(own), ...settings].sort())
  },
)

test('a pager has neither the database nor what leads to it', async () => {
  const db = await freshDatabase('sqlite')
  await addMany(db, 60)
  const seen = join(freshFolder(), 'env')
  const env = { DATABASE_URL: db.url, ...leading, ...own, PAGER: `env > ${seen}` }
  expect(await runInTerminal(['list'], [], { env })).toEqual({ code: 0, screen: '' })
  expect(namesIn(seen)).toEqual(Object.keys(own).sort())
})

test('an editor has neither the database nor what leads to it', async () => {
  const db = await freshDatabase('sqlite')
  await addSlack({ DATABASE_URL: db.url })
  const seen = join(freshFolder(), 'env')
  const env = { DATABASE_URL: db.url, ...leading, ...own, EDITOR: `env > ${seen}; true` }
  expect(await runInTerminal(['config', 'edit', 'support'], [], { env })).toMatchObject({ code: 0 })
  expect(namesIn(seen)).toEqual(Object.keys(own).sort())
})
