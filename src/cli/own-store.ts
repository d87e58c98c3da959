import type { StoreOptions } from '../store/schema/ready.ts'
import type { Store } from '../store/store.ts'
import type { Context } from './context.ts'

/** Works with a store of its own. The default database is not created anew if it is gone. */
export async function withOwnStore<T>(
  ctx: Context,
  options: Pick<StoreOptions, 'wait'> & Partial<StoreOptions>,
  work: (store: Store) => Promise<T>,
): Promise<T> {
  const { openStore } = await import('../store/open.ts')
  const database = ctx.database()
  const store = await openStore({
    ...ctx.storeOptions(false),
    database: database.provider === 'sqlite' ? { ...database, isDefault: false } : database,
    // Its time is its own.
    waitBudget: undefined,
    ...options,
  })
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}
