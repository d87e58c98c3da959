import { expect, test } from 'vitest'
import { openStore } from '../../../src/store/open.ts'
import { addMany, freshDatabase, kinds } from '../../support/database.ts'
import { storeOptions } from '../../support/keyring.ts'

const ids = ['0c27461f-acf2', '0c27461f-b000', '0c27461g', 'e', 'e-1', 'ÅÄÖ-åäö-1', 'ÅÄÖ-åäö-2', 'zzzzzzzzzzzzzzz']

/** What is shown of each id when it is on a page alone. */
const shown = ['0c27461f-a', '0c27461f-b', '0c27461g', 'e', 'e-1', 'ÅÄÖ-åäö-1', 'ÅÄÖ-åäö-2', 'zzzzzzzz']

test.each(kinds)(
  'on %s, an id is shown as long as it takes to name it, with an index and without one',
  async (kind) => {
    const db = await freshDatabase(kind)
    await addMany(db, ids.length)
    for (const [i, id] of ids.entries())
      await db.query('UPDATE integrations SET id = ? WHERE id = ?', id, `many-${String(i + 1).padStart(5, '0')}`)
    const store = await openStore(storeOptions(db))
    const lengths = async () => {
      const lengths: (number | undefined)[] = []
      for (const id of ids) lengths.push(await store.read(({ integrations }) => integrations.idLength([id])))
      return lengths
    }
    const expected = shown.map((text) => Math.max(8, [...text].length))
    expect(await lengths()).toEqual(expected)
    for (const [i, text] of shown.entries())
      if ([...text].length >= 6)
        expect(
          await store.read(({ integrations }) => integrations.match({ by: 'idPrefix', value: text }, 2)),
        ).toMatchObject([{ id: ids[i] }])
    expect(await store.read(({ integrations }) => integrations.idLength(ids))).toBe(10)
    if (kind === 'postgresql') {
      await db.query('DROP INDEX integration_id_idx')
      expect(await lengths()).toEqual(expected)
    }
    await store.close()
  },
)

test.each(kinds)('on %s, ids are whole where too many begin alike to be compared, without an index', async (kind) => {
  const db = await freshDatabase(kind)
  await addMany(db, 2001)
  await db.query("UPDATE integrations SET id = 'many-000' || substr(name, 6) || '-long'")
  if (kind === 'postgresql') await db.query('DROP INDEX integration_id_idx')
  const store = await openStore(storeOptions(db))
  const length = () => store.read(({ integrations }) => integrations.idLength(['many-00000001-long']))
  expect(await length()).toBe(kind === 'sqlite' ? 13 : 18)
  await db.query("DELETE FROM integrations WHERE name = 'many-02001'")
  expect(await length()).toBe(13)
  await store.close()
})

test.each(kinds)('on %s, an id is not shortened to what another integration is named', async (kind) => {
  const db = await freshDatabase(kind)
  await addMany(db, 3)
  const ids = ['deadbeef-acf2', 'c0ffee00-b000', 'e']
  for (const [i, id] of ids.entries())
    await db.query(
      'UPDATE integrations SET id = ?, name = ? WHERE id = ?',
      id,
      ['c0ffee00-', 'deadbeef', 'DEADBEEF-'][i] ?? '',
      `many-${String(i + 1).padStart(5, '0')}`,
    )
  const store = await openStore(storeOptions(db))
  const length = (some: string[]) => store.read(({ integrations }) => integrations.idLength(some))
  expect([await length(ids), await length([ids[0] ?? '']), await length([ids[1] ?? '']), await length(['e'])]).toEqual([
    10, 9, 8, 8,
  ])
  await store.close()
})
