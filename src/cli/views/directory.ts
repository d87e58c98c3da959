import type { App, User, Workspace } from '../../integration.ts'
import type { View } from '../output/output.ts'
import { ago, value } from './cells.ts'

/** How workspaces are shown. */
export const workspaceView: View<Workspace> = {
  columns: [value('id'), value('name'), value('integrations'), ago('createdAt')],
  short: ['name', 'integrations', 'createdAt', 'id'],
  id: (row) => row.id,
}

/** How users are shown. */
export const userView: View<User> = {
  columns: [value('id'), value('email'), value('name'), ago('createdAt')],
  short: ['email', 'name', 'createdAt', 'id'],
  id: (row) => row.id,
}

/** How OAuth apps are shown. */
export const appView: View<App> = {
  columns: [
    value('id'),
    value('name'),
    value('platform'),
    value('clientId'),
    value('keyId'),
    value('integrations'),
    ago('createdAt'),
  ],
  short: ['name', 'platform', 'clientId', 'integrations', 'createdAt', 'id'],
  id: (row) => row.id,
}
