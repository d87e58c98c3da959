import type { Fingerprint } from '../../brands.ts'
import { fingerprint } from '../../crypto/hmac.ts'
import type { KeySource } from '../../crypto/key-source.ts'
import { openKeyring } from '../../crypto/keyring.ts'
import type { Secret } from '../../secret.ts'
import type { Store } from '../../store/store.ts'

/** The fingerprint that a value has in a database, which keys it. @throws KEYS_MISSING, KEYS_INVALID, KEY_WRONG */
export async function fingerprintOf(store: Store, source: KeySource, value: Secret): Promise<Fingerprint> {
  const database = await store.read((db) => db.keys.known())
  const set = await source.load(database)
  if (set.size === 0) throw await source.empty()
  return fingerprint(openKeyring(set, database.keys, source.name).fingerprintKey, value)
}
