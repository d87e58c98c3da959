import { expect, test } from 'vitest'
import { setActive } from '../../../src/operations/integrations/set-active.ts'
import { SecretReader } from '../../../src/receiver/lookup/secrets.ts'
import type { Store } from '../../../src/store/store.ts'
import { kinds } from '../../support/database.ts'
import { storeOptions } from '../../support/keyring.ts'
import { add, start } from '../../support/receiver.ts'
import { signingSecret } from '../../support/samples.ts'

test.each(kinds)('on %s, an end of the log is of an older copy when a later one was known before', async (kind) => {
  const { db, store } = await start(kind)
  const id = await add(store, 'support', signingSecret(1))
  let release = () => {}
  const released = new Promise<void>((done) => (release = done))
  let answered = () => {}
  const isAnswered = new Promise<void>((done) => (answered = done))
  let isFirst = true
  // The answer to the first question is handled after that to the second.
  const settings = async <T>(read: () => Promise<T>): Promise<T> => {
    const isHeld = isFirst
    isFirst = false
    const answer = await read()
    if (!isHeld) return answer
    answered()
    await released
    return answer
  }
  const outOfOrder: Store = {
    ...store,
    read: (work) =>
      store.read((reader) =>
        work({ ...reader, keys: { ...reader.keys, settings: () => settings(reader.keys.settings) } }),
      ),
  }
  const secrets = new SecretReader({ store: outOfOrder, keys: storeOptions(db).keys, onError: () => {} })
  const lookUp = async () => {
    const { entries } = await secrets.lookUp({ kind: 'match', match: { by: 'id', value: id } })
    return entries.map(({ integration }) => integration.isActive)
  }
  const first = lookUp()
  await isAnswered
  const [{ seq, value, mac } = {}] = await db.query(
    "SELECT seq, value, mac FROM integration_settings WHERE key = 'head'",
  )
  await setActive(store, id, { to: false })
  expect(await lookUp()).toEqual([false])
  release()
  expect(await first).toEqual([false])

  const put = "UPDATE integration_settings SET seq = ?, value = ?, mac = ? WHERE key = 'head'"
  await db.query(put, Number(seq), String(value), String(mac))
  await expect(lookUp()).rejects.toMatchObject({ code: 'DATABASE_TAMPERED' })
})
