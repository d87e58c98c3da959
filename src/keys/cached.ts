import type { KeySet } from '../crypto/key-set.ts'
import type { KeySource } from '../crypto/key-source.ts'

/** A source that is read once. */
export function cached(source: KeySource): KeySource {
  let loaded: Promise<KeySet> | undefined
  return {
    ...source,
    load: () => {
      loaded ??= source.load()
      return loaded
    },
    add: (keys) => {
      loaded = source.add(keys)
      return loaded
    },
  }
}
