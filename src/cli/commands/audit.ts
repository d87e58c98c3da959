import { command as acknowledge } from './audit/acknowledge.ts'
import { command as checkpoint } from './audit/checkpoint.ts'
import { command as list } from './audit/list.ts'
import { command as show } from './audit/show.ts'
import { command as verify } from './audit/verify.ts'
import { group } from './group.ts'

/** `integrations audit` */
export const command = group(
  'audit',
  'The audit log: every change and every access to a secret, each event chained to the previous event with a key that is not in the database.',
  [list, show, verify, checkpoint, acknowledge],
)
