import { group } from './group.ts'
import { command as list } from './policy/list.ts'
import { command as remove } from './policy/remove.ts'
import { command as set } from './policy/set.ts'

/** `integrations policy` */
export const command = group(
  'policy',
  'What integrations are asked to keep: the largest ages of secrets and tokens, an expiry, an owner, and when reports begin to warn. A policy is for all integrations, or for those of a platform, a workspace or a tag; where several are for one integration, the strictest of each number counts. Reports tell what is not kept; nothing is refused for a policy.',
  [set, list, remove],
)
