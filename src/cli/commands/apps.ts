import { command as add } from './apps/add.ts'
import { command as list } from './apps/list.ts'
import { command as remove } from './apps/remove.ts'
import { group } from './group.ts'

/** `integrations apps` */
export const command = group(
  'apps',
  'OAuth apps: the client id and client secret with which access tokens are refreshed. The client secret is encrypted, and never shown. An integration names its app with update --app; the only app of a platform needs no naming.',
  [add, list, remove],
)
