import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test, vi } from 'vitest'
import { keyFile } from '../../../src/keys/file.ts'
import { activateKey, addKey } from '../../../src/operations/keys/keys.ts'
import { openStore } from '../../../src/store/open.ts'
import { kinds } from '../../support/database.ts'
import { storeOptions } from '../../support/keyring.ts'
import { freshFolder } from '../../support/program.ts'
import { add, brief, rotate, start } from '../../support/receiver.ts'
import { signingSecret } from '../../support/samples.ts'
import { fromSlack, message, slackEvent } from '../../support/webhooks.ts'

afterEach(() => vi.restoreAllMocks())

test.each(kinds)('on %s, a key that is not here yet stops those alone whose values need it', async (kind) => {
  const { db, errors, receive } = await start(kind)
  const file = join(freshFolder(), 'keys.json')
  copyFileSync(process.env.INTEGRATIONS_TEST_KEYS ?? '', file)
  const source = keyFile(file, process.getuid?.())
  const store = await openStore({ ...storeOptions(db), keys: source })
  try {
    await add(store, 'one', signingSecret(1))
    const id = await add(store, 'two', signingSecret(2), { team: 'T222AB3CD' })
    let set: string | Error = readFileSync(file, 'utf8')
    const keyring = () => (set instanceof Error ? Promise.reject(set) : set)
    const receiver = await receive({ keys: { set: keyring } })
    let passed = 0
    const now = performance.now.bind(performance)
    vi.spyOn(performance, 'now').mockImplementation(() => now() + passed)
    const slack = async (n: number, team_id: string) =>
      brief(await receiver.slack(fromSlack(signingSecret(n), slackEvent(message, { team_id }))))
    const outcomes = async () => [
      await slack(1, 'T012AB3CD'),
      await slack(2, 'T222AB3CD'),
      await slack(3, 'T222AB3CD'),
      await slack(3, 'T333AB3CD'),
    ]
    const { key } = await addKey(store, source, { dryRun: false })
    await activateKey(store, { source, id: key.id }, { dryRun: false })
    await rotate(store, id, signingSecret(3), 60_000)
    const lacking = [
      ['one', 'message', 1, 'current'],
      ['two', 'message', 1, 'previous'],
      [503, 'unavailable'],
      [503, 'unavailable'],
    ]
    expect(await outcomes()).toEqual(lacking)
    // The keyring is asked again, now and then; what it cannot say leaves the keys that are known.
    passed = 6000
    set = new Error('the keyring is away')
    expect(await outcomes()).toEqual(lacking)
    expect(errors).toContain(set)
    expect(new Set(errors.map((error) => (error as { code?: string }).code))).toEqual(
      new Set(['KEY_NOT_FOUND', undefined]),
    )
    passed = 12_000
    set = readFileSync(file, 'utf8')
    expect(await outcomes()).toEqual([
      ['one', 'message', 1, 'current'],
      ['two', 'message', 1, 'previous'],
      ['two', 'message', 2, 'current'],
      [200, 'unclaimed'],
    ])
  } finally {
    await store.close()
  }
})

test.each(kinds)('on %s, a new key that is being loaded is waited for by all whose values need it', async (kind) => {
  const { db, receive } = await start(kind)
  const file = join(freshFolder(), 'keys.json')
  copyFileSync(process.env.INTEGRATIONS_TEST_KEYS ?? '', file)
  const source = keyFile(file, process.getuid?.())
  const store = await openStore({ ...storeOptions(db), keys: source })
  try {
    const one = await add(store, 'one', signingSecret(1))
    const two = await add(store, 'two', signingSecret(2), { team: 'T222AB3CD' })
    let loadings = 0
    const set = async () => {
      if (++loadings > 1) await sleep(300)
      return readFileSync(file, 'utf8')
    }
    const receiver = await receive({ keys: { set } })
    const now = performance.now.bind(performance)
    vi.spyOn(performance, 'now').mockImplementation(() => now() + 6000)
    const { key } = await addKey(store, source, { dryRun: false })
    await activateKey(store, { source, id: key.id }, { dryRun: false })
    await rotate(store, one, signingSecret(3), 0)
    await rotate(store, two, signingSecret(4), 0)
    const slack = async (n: number, team_id: string) =>
      brief(await receiver.slack(fromSlack(signingSecret(n), slackEvent(message, { team_id }))))
    expect([await Promise.all([slack(3, 'T012AB3CD'), slack(4, 'T222AB3CD')]), loadings]).toEqual([
      [
        ['one', 'message', 2, 'current'],
        ['two', 'message', 2, 'current'],
      ],
      2,
    ])
  } finally {
    await store.close()
  }
})

test('a receiver that is closed answers 503, and times that are not numbers are refused', async () => {
  const { store, errors, receive } = await start('sqlite')
  await add(store, 'support', signingSecret(1))
  const receiver = await receive()
  await receiver.close()
  expect([brief(await receiver.slack(fromSlack(signingSecret(1)))), errors]).toEqual([[503, 'unavailable'], []])
  for (const options of [{ remember: Number.NaN }, { staleSeconds: Number.POSITIVE_INFINITY }])
    await expect(receive(options)).rejects.toMatchObject({ code: 'BAD_INPUT' })
})
