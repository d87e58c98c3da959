import { describe, expect, test } from 'vitest'
import { kinds } from '../../support/database.ts'
import { add, brief, start } from '../../support/receiver.ts'
import { signingSecret } from '../../support/samples.ts'
import { fromSlack } from '../../support/webhooks.ts'

const hint = expect.stringMatching(/^change these tables back, then integrations db status/)

describe.each(kinds)('a receiver on %s whose tables the application has changed', (kind) => {
  test('names what it cannot read, at its start and later, and works again when that is mended', async () => {
    const { db, store, errors, receive } = await start(kind)
    await add(store, 'support', signingSecret())
    const receiver = await receive()
    const send = async () => brief(await receiver.slack(fromSlack(signingSecret())))
    const invalid = {
      code: 'DATABASE_INVALID',
      message: expect.stringMatching(/needs: the column integrations\.slack_team_name is missing$/),
      hint,
    }
    await db.query('ALTER TABLE integrations RENAME COLUMN slack_team_name TO team')
    expect(await send()).toEqual([503, 'unavailable'])
    expect(errors).toMatchObject([invalid])
    await expect(receive()).rejects.toMatchObject(invalid)
    await db.query('ALTER TABLE integrations RENAME COLUMN team TO slack_team_name')
    expect(await send()).toEqual(['support', 'message', 1, 'current'])
    expect(errors).toHaveLength(1)
  })

  test('starts, and tells of a change that hinders commands alone', async () => {
    const { db, store, errors, receive } = await start(kind)
    await add(store, 'support', signingSecret())
    await db.query('ALTER TABLE integrations DROP COLUMN slack_team_name')
    await db.query(
      `ALTER TABLE integrations ADD COLUMN slack_team_name text GENERATED ALWAYS AS ('a') ${kind === 'sqlite' ? '' : 'STORED'}`,
    )
    const receiver = await receive()
    expect(brief(await receiver.slack(fromSlack(signingSecret())))).toEqual(['support', 'message', 1, 'current'])
    expect(errors).toMatchObject([
      {
        code: 'DATABASE_INVALID',
        message: expect.stringMatching(/needs: the database generates integrations\.slack_team_name$/),
        hint,
      },
    ])
  })

  test('starts though a column is missing that no webhook needs', async () => {
    const { db, store, errors, receive } = await start(kind)
    await add(store, 'support', signingSecret())
    await db.query('ALTER TABLE workspaces RENAME COLUMN updated_at TO changed')
    const receiver = await receive()
    expect(brief(await receiver.slack(fromSlack(signingSecret())))).toEqual(['support', 'message', 1, 'current'])
    expect(errors).toMatchObject([
      {
        code: 'DATABASE_INVALID',
        message: expect.stringMatching(/the column workspaces\.updated_at is missing/),
        hint,
      },
    ])
  })
})
