import { group } from './group.ts'
import { command as add } from './workspaces/add.ts'
import { command as list } from './workspaces/list.ts'
import { command as remove } from './workspaces/remove.ts'
import { command as rename } from './workspaces/rename.ts'
import { command as show } from './workspaces/show.ts'

/** `integrations workspaces` */
export const command = group(
  'workspaces',
  'Workspaces, to which integrations belong. In an adopted database the application owns the workspaces, and this program only reads them.',
  [add, list, show, rename, remove],
)
