import { expect } from 'vitest'
import { fingerprint } from '../../src/crypto/hmac.ts'
import { decrypt } from '../../src/crypto/jwe.ts'
import { headerOf, isEncrypted } from '../../src/crypto/jwe-format.ts'
import { openKeyring } from '../../src/crypto/keyring.ts'
import { allRows } from '../../src/store/all-rows.ts'
import { eventHash } from '../../src/store/audit/events.ts'
import { fingerprintsOf } from '../../src/store/audit/fingerprints.ts'
import { openStore } from '../../src/store/open.ts'
import type { TestDatabase } from './database.ts'
import { storeOptions, testKeyFile, testKeys } from './keyring.ts'

/**
 * Expects of a database, whatever was done to it, that every secret opens where it stands, each version is that of the
 * last event, the log has no gap and no broken link, and the current values are those it tells of.
 *
 * @param file the keys of the database
 * @returns how many rotations the log tells of
 */
export async function expectInvariants(db: TestDatabase, file = testKeyFile()): Promise<number> {
  const store = await openStore(storeOptions(db, file))
  const keys = testKeys(file)
  const { keyring, events, head } = await store.snapshot(async (db) => {
    return {
      keyring: openKeyring(keys, await db.keys.list(), 'the test keys'),
      events: await allRows(db.audit.list({}, { sort: 'seq', descending: false })),
      head: await db.audit.head(),
    }
  })
  await store.close()

  const settings = new Map(
    (await db.query('SELECT key, value FROM integration_settings')).map(({ key, value }) => [key, value]),
  )
  let previous = String(settings.get('id'))
  const fingerprints = new Map<string, string | null>()
  const versions = new Map<string, number>()
  for (const [i, event] of events.entries()) {
    expect([event.seq, event.previousHash]).toEqual([String(i + 1), previous])
    expect(event.hash).toBe(eventHash(keyring, previous, event))
    previous = event.hash
    for (const { field, to } of fingerprintsOf(event.fingerprints)) fingerprints.set(`${event.targetId} ${field}`, to)
    if (event.versionAfter !== null) {
      const before = versions.get(event.targetId ?? '') ?? 0
      expect([event.versionBefore, event.versionAfter]).toEqual([String(before), String(before + 1)])
      versions.set(event.targetId ?? '', before + 1)
    }
  }
  expect([head.seq, head.hash]).toEqual([BigInt(events.length), previous])

  for (const row of await db.query('SELECT integration_id, version FROM integration_versions'))
    expect(versions.get(String(row.integration_id))).toBe(Number(row.version))
  for (const { id: integration, ...columns } of await db.query(
    'SELECT id, webhook_secret, access_token, refresh_token FROM integrations',
  ))
    for (const [field, stored] of Object.entries(columns)) {
      if (stored === null) continue
      // Those that an application has written are in no event.
      if (!isEncrypted(String(stored)) && settings.get('sealing') !== 'required') continue
      const cell = { id: String(integration), field }
      const value = decrypt(keys, cell, String(stored))
      const told = fingerprints.get(`${cell.id} ${cell.field}`)
      if (told !== undefined || settings.get('database') !== 'adopted')
        expect(fingerprint(keyring.fingerprintKey, value)).toBe(told)
      const versions = await db.query(
        'SELECT fingerprint, sealed, valid_until FROM integration_secrets WHERE integration_id = ? AND field = ? ORDER BY number DESC',
        cell.id,
        field,
      )
      expect(versions.filter((version) => version.valid_until === null)).toHaveLength(1)
      for (const version of versions)
        if (version.sealed !== null) {
          const previous = headerOf(String(version.sealed))?.previous
          const value = decrypt(keys, { ...cell, ...(previous ? { previous } : {}) }, String(version.sealed))
          expect(fingerprint(keyring.fingerprintKey, value)).toBe(version.fingerprint)
        }
    }
  return events.filter(({ action }) => action === 'secret.rotate').length
}
