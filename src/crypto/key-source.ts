import type { IntegrationsError } from '../errors.ts'
import type { KeySet, RootKey } from './key-set.ts'
import type { KnownKey } from './keyring.ts'

/** What tells which keys a database needs. */
export interface KnownDatabase {
  /** The id that the database gives, which whoever can write to it can set to any text. */
  readonly id: string
  readonly keys: readonly KnownKey[]
}

/** Where the keys of a database come from. */
export interface KeySource {
  /** Where that is, for messages; where it depends on the database, as it was when the keys were last loaded. */
  readonly name: string
  /** Whether keys can be added to it from here. */
  readonly writable: boolean
  /**
   * The keys that are there; none when there is no set yet.
   *
   * @param database undefined: it is still to be made, and has no id yet
   * @throws KEYS_INVALID, KEYS_MISSING, NOT_PERMITTED, DATABASE_INVALID for an id that no database of this program has
   */
  load(database: KnownDatabase | undefined): Promise<KeySet>
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
