import { command as adopt } from './db/adopt.ts'
import { command as index } from './db/index.ts'
import { command as migrate } from './db/migrate.ts'
import { command as newId } from './db/new-id.ts'
import { command as roles } from './db/roles.ts'
import { command as status } from './db/status.ts'
import { command as sweep } from './db/sweep.ts'
import { group } from './group.ts'

/** `integrations db` */
export const command = group(
  'db',
  'The database itself. The embedded default database is created and migrated automatically, any other database only on request.',
  [status, migrate, adopt, index, sweep, newId, roles],
)
