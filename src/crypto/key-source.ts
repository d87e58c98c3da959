import type { IntegrationsError } from '../errors.ts'
import type { KeySet, RootKey } from './key-set.ts'

/** Where the keys of a database come from. */
export interface KeySource {
  /** Where that is, for messages. */
  readonly name: string
  /** Whether keys can be added to it from here. */
  readonly writable: boolean
  /** The keys that are there; none when there is no set yet. @throws KEYS_INVALID, KEYS_MISSING */
  load(): Promise<KeySet>
  /** The error for a set without any key, where keys are needed: KEYS_MISSING. */
  empty(): Promise<IntegrationsError>
  /**
   * Adds keys to the set, as one write; those that another process has added meanwhile stay. To add none tells whether some
   * could be added.
   *
   * @throws KEYS_MISSING, KEYS_INVALID when it cannot be written here
   */
  add(keys: readonly RootKey[]): Promise<KeySet>
}
