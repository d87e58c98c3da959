import type { Store } from '../store/store.ts'

/** Makes the keys of a database that knows none yet, as its first change would. @throws KEYS_INVALID, KEYS_MISSING, KEY_WRONG */
export async function prepareKeys(store: Store): Promise<void> {
  const known = await store.read((rows) => rows.keys.list())
  if (known.length === 0) await store.mutate(async () => {})
}
