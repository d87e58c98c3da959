import { application, database, rows } from './application.ts'
import type { Kind, TestDatabase } from './database.ts'
import { runInProcess } from './in-process.ts'

/** How a database keeps secrets. */
export const encryptionModes = ['off', 'migrating', 'required'] as const
/** A mode. */
export type EncryptionMode = (typeof encryptionModes)[number]

/** What `rows` of an application has: a workspace, a user of it, and an integration with plain secrets. */
export const acme = {
  workspaceId: 'V1StGXR8_Z5jdHi6B-myT',
  userId: 'cjld2cjxh0000qzrmn831i7rn',
  integrationId: 'IRFa-VaY2b_6KKrd',
}

/** The database of an application, adopted and brought to a mode; in `required`, its values are encrypted. */
export async function adoptedDatabase(kind: Kind, mode: EncryptionMode): Promise<TestDatabase> {
  const db = await database(kind, application[kind], rows)
  const words = {
    off: ['db adopt'],
    migrating: ['db adopt', 'keys mode migrating --confirm migrating'],
    required: [
      'db adopt',
      'keys mode migrating --confirm migrating',
      'keys reencrypt',
      'keys mode required --confirm required',
    ],
  }
  for (const command of words[mode]) {
    const { code, stderr } = await runInProcess(command.split(' '), { env: { DATABASE_URL: db.url } })
    if (code !== 0) throw new Error(`${command}: ${stderr}`)
  }
  return db
}
