import type { IntegrationId } from '../../src/brands.ts'
import { keyFile } from '../../src/keys/file.ts'
import { openDatabase } from '../../src/library/database.ts'
import { Refusals } from '../../src/receiver/refusals.ts'
import { UsageRecorder } from '../../src/receiver/usage.ts'
import { parseDatabaseUrl } from '../../src/store/database/url.ts'

/** Writes down a use of each of as many integrations as the argument says, which `addSealed` has added, as a receiver does. */
async function run(count: number): Promise<void> {
  const { DATABASE_URL = '', INTEGRATIONS_KEYS_FILE = '' } = process.env
  const failed = (error: unknown) => {
    throw error
  }
  const store = await openDatabase({
    database: parseDatabaseUrl(DATABASE_URL, { cwd: '/', env: {} }),
    keys: keyFile(INTEGRATIONS_KEYS_FILE, process.getuid?.()),
    wait: 10_000,
    declaredAs: 'receiver',
    onReadable: failed,
  })
  const limits = { remember: 5, stale: 300 }
  const usage = new UsageRecorder({
    store,
    onError: failed,
    limits,
    refusals: new Refusals(),
    keyring: () => Promise.reject(new Error('no keys')),
  })
  for (let i = 0; i < count; i++) {
    const id = `sealed-${String(i).padStart(8, '0')}` as IntegrationId
    usage.record({ id, number: 1, count: 1, lastAt: new Date() })
  }
  await usage.close()
  await store.close()
}

void run(Number(process.argv[2]))
