import { describe, expect, test } from 'vitest'
import { integrations } from '../support/cli.ts'
import { freshDatabase, kinds } from '../support/database.ts'

describe.each(kinds)('the main job on %s', (kind) => {
  test('smoke', async () => {
    const db = await freshDatabase(kind)
    expect(await integrations(['workspaces', 'add', 'Acme', '-o', 'id'], { env: { DATABASE_URL: db.url } })).toMatchObject({ code: 0 })
    expect(await db.query('SELECT name FROM workspaces')).toEqual([{ name: 'Acme' }])
  })
})
