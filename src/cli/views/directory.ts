import type { App, User, Workspace } from '../../integration.ts'
import type { View } from '../output/values.ts'
import { ago, name, value } from './cells.ts'

/** How workspaces are shown. */
export const workspaceView: View<Workspace> = {
  columns: [value('id'), name('name'), value('integrations'), ago('createdAt', 'created')],
  short: ['name', 'integrations', 'createdAt', 'id'],
  essential: ['name', 'integrations', 'id'],
  id: (row) => row.id,
}

/** How users are shown. */
export const userView: View<User> = {
  columns: [value('id'), name('email'), name('name'), ago('createdAt', 'created')],
  short: ['email', 'name', 'createdAt', 'id'],
  essential: ['email', 'name', 'id'],
  id: (row) => row.id,
}

/** How OAuth apps are shown. */
export const appView: View<App> = {
  columns: [
    value('id'),
    name('name'),
    value('platform'),
    name('clientId'),
    value('keyId'),
    value('integrations'),
    ago('createdAt', 'created'),
  ],
  short: ['name', 'platform', 'clientId', 'integrations', 'createdAt', 'id'],
  essential: ['name', 'platform', 'integrations', 'id'],
  id: (row) => row.id,
}
