import { group } from './group.ts'
import { command as finish } from './secrets/finish.ts'
import { command as list } from './secrets/list.ts'
import { command as purge } from './secrets/purge.ts'
import { command as reveal } from './secrets/reveal.ts'
import { command as revert } from './secrets/revert.ts'
import { command as revoke } from './secrets/revoke.ts'

/** `integrations secrets` */
export const command = group(
  'secrets',
  'The versions of a secret. After a rotation the previous secret stays valid for a grace period: see whether it is still used, expire it early, or make it current again.',
  [list, finish, revert, revoke, reveal, purge],
)
