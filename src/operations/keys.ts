import type { Store } from '../store/store.ts'

/** Makes the keys of a database that knows none yet, as its first change would. @throws KEYS_INVALID, KEYS_MISSING, KEY_WRONG */
export const prepareKeys = (store: Store): Promise<void> => store.mutate(async () => {})
