import { group } from './group.ts'
import { command as add } from './users/add.ts'
import { command as list } from './users/list.ts'
import { command as remove } from './users/remove.ts'

/** `integrations users` */
export const command = group(
  'users',
  'Users, who create integrations. In an adopted database the application owns the users, and this program only reads them.',
  [add, list, remove],
)
