import type { KeySet } from '../crypto/key-set.ts'
import type { KeySource } from '../crypto/key-source.ts'
import { badInput, IntegrationsError, keysMissing } from '../errors.ts'
import { openDatabase } from '../library/database.ts'
import { withDeadline } from '../library/deadline.ts'
import { type Keys, keySource } from '../library/key-source.ts'
import { parseDatabaseUrl } from '../store/database/url.ts'
import type { Store } from '../store/store.ts'
import { declaredBy, text } from './input.ts'
import { told } from './told.ts'

/** How long to go on while the database is busy, in milliseconds. */
const waitMs = 10_000

/** How long closing waits for the connections, in milliseconds. */
const disconnectDeadlineMs = 3000

/** What a connection is made with. */
interface ConnectionOptions {
  /** A URL, as in `postgresql://app@db.example.com/app` or `file:/srv/app/integrations.db`; a relative path is one of the working directory. */
  readonly database: string
  readonly keys: Keys
}

/** A connection to the database, which is opened when it is used, and again where a file has taken the place of another. */
export function connectionTo({ database: url, keys }: ConnectionOptions) {
  const database = parseDatabaseUrl(text('database', url), { cwd: process.cwd(), env: process.env })
  const source = remembered(keySource(keys, 'store'))
  const running = new Set<Promise<unknown>>()
  let opened: Promise<Store> | undefined
  let closed = false
  function open(): Promise<Store> {
    opened ??= openDatabase({
      database,
      keys: source,
      wait: waitMs,
      declaredAs: declaredBy(undefined),
      // A receiver tells, and each command.
      onReadable: () => {},
    }).catch((error) => {
      opened = undefined
      throw error
    })
    return opened
  }
  async function current(): Promise<Store> {
    const asked = open()
    const store = await asked
    if (!store.replaced()) return store
    if (opened === asked) opened = undefined
    return open()
  }
  return {
    /** Does work, opening the database where it is not open. @throws IntegrationsError in the words of the library */
    async use<T>(work: (store: Store) => Promise<T>): Promise<T> {
      if (closed) throw badInput('the store is closed', 'create another store')
      const result = current().then(work)
      const settled: Promise<unknown> = result.then(
        () => running.delete(settled),
        () => running.delete(settled),
      )
      running.add(settled)
      return result.catch((error) => {
        throw told(error)
      })
    },
    /** Waits for the work that is under way, and closes the database. */
    async close(): Promise<void> {
      closed = true
      await Promise.all(running)
      const store = await opened?.catch(() => undefined)
      if (store) await withDeadline(disconnectDeadlineMs, store.close()).catch(() => {})
    },
  }
}

/** Remembers a key set until the database knows a key that the set lacks: no secret manager is asked for each change. */
function remembered(source: KeySource): KeySource {
  let set: KeySet | undefined
  return {
    ...source,
    async load(database) {
      const isWhole = set && database?.keys.every(({ id, state }) => state === 'retired' || set?.has(id))
      if (!set || !isWhole) set = await source.load(database).catch(refuse)
      return set
    },
  }
}

/** The message of the application's own error may hold what its function has asked with. @throws KEYS_MISSING in its place */
function refuse(error: unknown): never {
  if (error instanceof IntegrationsError) throw error
  throw keysMissing(
    `the function of keys.set has failed (${error instanceof Error ? error.name : typeof error})`,
    'have the function return the text of a JWK Set, and log its own errors',
  )
}
