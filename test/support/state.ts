import { instantOf } from '../../src/brands.ts'
import { decrypt, encrypt } from '../../src/crypto/jwe.ts'
import { headerOf } from '../../src/crypto/jwe-format.ts'
import { keyFor } from '../../src/crypto/key-set.ts'
import { openKeyring } from '../../src/crypto/keyring.ts'
import { changeMode } from '../../src/operations/keys/mode.ts'
import { headMac } from '../../src/store/audit/head.ts'
import { openStore } from '../../src/store/open.ts'
import type { TestDatabase } from './database.ts'
import { storeOptions, testKeys } from './keyring.ts'

/** Has a database keep secrets as they are, which applications read and write themselves. */
export async function turnEncryptionOff(db: TestDatabase): Promise<void> {
  const store = await openStore(storeOptions(db))
  for (const step of ['migrating', 'off'] as const) await changeMode(store, step, { dryRun: false })
  await store.close()
}

/** Vouches for a database as it is, as somebody who has the keys can. */
export async function vouchFor(db: TestDatabase): Promise<void> {
  const auditKey = keyFor(testKeys(), 'audit')
  if (!auditKey) throw new Error('the test keys lack an audit key')
  const store = await openStore(storeOptions(db))
  const settings = await store.read((reader) => reader.keys.settings())
  await store.close()
  const mac = headMac({ auditKey }, settings, settings.head)
  await db.query("UPDATE integration_settings SET mac = ? WHERE key = 'head'", mac)
}

/** Changes a column of the newest event, as a machine with another clock or program would have written it: the log's own triggers let nobody do so. */
export async function changeNewestEvent(db: TestDatabase, column: 'at' | 'program_version', value: string) {
  const [off, on] =
    db.kind === 'postgresql'
      ? ['DISABLE TRIGGER USER', 'ENABLE TRIGGER USER'].map((what) => `ALTER TABLE integration_events ${what}`)
      : []
  const triggers =
    db.kind === 'sqlite'
      ? await db.query("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'integration_events'")
      : []
  for (const { name } of triggers) await db.query(`DROP TRIGGER ${name}`)
  if (off) await db.query(off)
  await db.query(
    `UPDATE integration_events SET ${column} = ? WHERE seq = (SELECT max(seq) FROM integration_events)`,
    value,
  )
  if (on) await db.query(on)
  for (const { sql } of triggers) await db.query(String(sql))
}

/** Moves the end of a kept value, as somebody who has the keys can: without them, it would be refused. */
export async function moveGracePeriod(db: TestDatabase, number: number, until: Date): Promise<void> {
  const keys = testKeys()
  const store = await openStore(storeOptions(db))
  const keyring = openKeyring(keys, await store.read((reader) => reader.keys.list()), 'the test keys')
  const rows = await db.query(
    'SELECT integration_id, field, sealed FROM integration_secrets WHERE number = ? AND sealed IS NOT NULL',
    number,
  )
  for (const { integration_id, field, sealed } of rows as Record<string, string>[]) {
    const [id = '', text = ''] = [integration_id, sealed]
    const place = { id, field: field ?? '' }
    const { previous } = headerOf(text) ?? {}
    if (!previous) throw new Error('the value is not a previous one')
    const value = decrypt(keys, { ...place, previous }, text)
    const moved = encrypt(keyring.encryptionKey, { ...place, previous: { number, until: instantOf(until) } }, value)
    await db.query(
      'UPDATE integration_secrets SET sealed = ?, valid_until = ? WHERE integration_id = ? AND number = ?',
      moved,
      until.toISOString().replace('T', ' ').replace('Z', ''),
      id,
      number,
    )
    const target = { type: 'integration', id, name: null } as const
    await store.mutate((tx) => tx.record({ action: 'state.recorded', target }))
  }
  await store.close()
}
