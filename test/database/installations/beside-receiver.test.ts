import { expect, onTestFinished, test } from 'vitest'
import { createStore } from '../../../src/installations/store.ts'
import { kinds } from '../../support/database.ts'
import { testKeyFile } from '../../support/keyring.ts'
import { add, brief, start } from '../../support/receiver.ts'
import { botToken, signingSecret } from '../../support/samples.ts'
import { fromSlack, message, slackEvent } from '../../support/webhooks.ts'

const installations = 12

test.each(kinds)('on %s, installations at once lose no webhook of the receiver in the same process', async (kind) => {
  const { db, store: other, errors, receive } = await start(kind)
  await add(other, 'first', signingSecret(1), { team: 'T0FIRST00' })
  const [workspace] = await other.read((reader) => reader.workspaces.match({ by: 'name', value: 'Acme' }, 1))
  const workspaceId = workspace?.id ?? ''
  const receiver = await receive()
  const store = await createStore({ database: db.url, keys: { file: testKeyFile() } })
  onTestFinished(store.close)

  const send = async (team_id: string) =>
    brief(await receiver.slack(fromSlack(signingSecret(1), slackEvent(message, { team_id }))))
  const outcomes = new Map<string, number>()
  let installing = true
  const sending = (async () => {
    while (installing) {
      const outcome = JSON.stringify(await send('T0FIRST00'))
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      await receiver.flush()
    }
  })()
  /** As an OAuth callback does, twice: a person has reloaded the page. */
  async function install(n: number) {
    const team = `T0TEAM${String(n).padStart(3, '0')}`
    const installation = {
      workspaceId,
      platform: 'slack',
      name: team,
      slackTeamId: team,
      secrets: { webhookSecret: signingSecret(1), accessToken: botToken(n) },
    } as const
    const update = { ifExists: 'update', graceMs: 0, actor: `user-${n}` } as const
    const both = await Promise.all([store.add(installation, update), store.add(installation, update)])
    // The first webhook of the team comes at once.
    return [both.map(({ outcome }) => outcome).sort(), await send(team)]
  }
  const all = Array.from({ length: installations }, (_, i) => i + 1)
  const installed = await Promise.all(all.map(install)).finally(() => {
    installing = false
  })
  await sending

  expect(installed).toEqual(
    all.map((n) => [
      ['added', 'unchanged'],
      [`T0TEAM${String(n).padStart(3, '0')}`, 'message', 1, 'current'],
    ]),
  )
  expect([...outcomes.keys()]).toEqual([JSON.stringify(['first', 'message', 1, 'current'])])
  expect(errors).toEqual([])
  expect(await store.list(workspaceId)).toHaveLength(installations + 1)
  expect(await db.query("SELECT count(*) AS n FROM integration_events WHERE declared_as LIKE 'application:%'")).toEqual(
    [{ n: kind === 'sqlite' ? installations : String(installations) }],
  )
})
