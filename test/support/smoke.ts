import { expect } from 'vitest'
import { createReceiver } from '../../src/receiver/receiver.ts'
import type { TestDatabase } from './database.ts'
import { runInProcess } from './in-process.ts'
import { changingCommands, commandsWithKeys, populate, readOnlyCommands, runSample } from './sample-commands.ts'
import { signingSecret } from './samples.ts'
import { fromSlack, message, slackEvent } from './webhooks.ts'

/** Fills a database, has a receiver accept a webhook, and runs every command once. @param run how: in a process each, or in this one */
export async function smoke(db: TestDatabase, run = runInProcess): Promise<void> {
  await populate(db)
  const receiver = await createReceiver({ database: db.url, keys: { file: process.env.INTEGRATIONS_TEST_KEYS ?? '' } })
  const { status } = await receiver.slack(fromSlack(signingSecret(1), slackEvent(message, { team_id: 'T012345' })))
  await receiver.close()
  expect(status).toBe(200)
  for (const sample of [...readOnlyCommands, ...changingCommands, ...commandsWithKeys]) {
    const { code, stderr } = await runSample(sample, { DATABASE_URL: db.url }, run)
    expect([sample.args, code, stderr]).toEqual([sample.args, 0, expect.not.stringMatching(/Warning: |^error: /m)])
  }
}
