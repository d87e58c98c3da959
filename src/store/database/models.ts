import type { SqlDriverAdapter, SqlQueryable, SqlResultSet } from '@prisma/driver-adapter-utils'
import type { Prisma } from '../generated/sqlite/client.ts'

/** Prisma's models of the tables. */
export type Models = Prisma.TransactionClient

/** What a query is answered that only warms the models up. */
const nothing: SqlResultSet = { columnNames: [], columnTypes: [], rows: [] }

/** Prisma's client for the transactions of one connection, of which one is open at a time. */
export interface ModelLoader {
  /** Loads the client and its query compiler, which takes longer than a change does: before a lock is held. */
  warmUp(): Promise<void>
  /** The models on a transaction that is open. */
  on(transaction: SqlQueryable): Promise<Models>
}

/**
 * @param makeClient makes Prisma's client on an adapter
 * @param connection what transactions are begun on
 */
export function modelLoader(
  makeClient: (adapter: SqlDriverAdapter) => Promise<Models>,
  connection: Pick<SqlDriverAdapter, 'provider' | 'adapterName' | 'getConnectionInfo'>,
): ModelLoader {
  let open: SqlQueryable | undefined
  const { provider, adapterName } = connection
  const statements = {
    provider,
    adapterName,
    queryRaw: async (query) => open?.queryRaw(query) ?? nothing,
    executeRaw: async (query) => open?.executeRaw(query) ?? 0,
  } satisfies SqlQueryable
  const adapter: SqlDriverAdapter = {
    ...statements,
    executeScript: () => Promise.reject(new Error('models run no scripts')),
    getConnectionInfo: () => connection.getConnectionInfo?.() ?? { supportsRelationJoins: false },
    // A call of several statements is part of the transaction, which ends it.
    startTransaction: async () => ({
      ...statements,
      options: { usePhantomQuery: true },
      commit: async () => {},
      rollback: async () => {},
      createSavepoint: async () => {},
      rollbackToSavepoint: async () => {},
      releaseSavepoint: async () => {},
    }),
    dispose: async () => {},
  }
  let client: Promise<Models> | undefined
  const load = () => {
    client ??= makeClient(adapter)
    return client
  }
  return {
    async warmUp() {
      // The transaction of the attempt before has ended.
      open = undefined
      await (await load()).integrationSetting.findFirst({ select: { key: true } })
    },
    on(transaction) {
      open = transaction
      return load()
    },
  }
}
