import { hostname } from 'node:os'
import packageJson from '../../package.json' with { type: 'json' }
import { platformIds } from '../platforms/platforms.ts'
import { readableByOthers, requirePrivateDatabase } from '../store/database/private-files.ts'
import { openStore } from '../store/open.ts'
import type { StoreOptions } from '../store/schema/ready.ts'
import type { Store } from '../store/store.ts'
import { userName } from '../user-name.ts'

/** What an application opens its database with. */
export interface DatabaseOptions extends Pick<StoreOptions, 'database' | 'keys' | 'wait'> {
  /** What the audit log calls this process. */
  readonly declaredAs: string
  /** Told of a database file that others can read. */
  readonly onReadable: (error: Error) => void
}

/**
 * Opens a database within an application, which waits for nothing by stopping the event loop. Nothing is remembered on this
 * machine, and nothing is printed.
 *
 * @throws as `openStore`, and NOT_PERMITTED for a file that others can change
 */
export async function openDatabase({ declaredAs, onReadable, ...options }: DatabaseOptions): Promise<Store> {
  const me = process.getuid?.()
  const readable = readableByOthers(requirePrivateDatabase(options.database, me), me)
  const store = await openStore({
    ...options,
    onReadable,
    me,
    neverBlock: true,
    create: false,
    readOnly: false,
    notice: () => {},
    platforms: platformIds,
    attribution: {
      ciIdentity: null,
      osUser: userName(me),
      host: hostname(),
      pid: process.pid,
      declaredAs,
      reason: null,
      programVersion: packageJson.version,
    },
  })
  if (readable && store.adopted && store.applicationWrites)
    onReadable(new Error(`${readable.message}: ${readable.hint}`))
  return store
}
