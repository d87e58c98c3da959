import { command as diff } from './config/diff.ts'
import { command as edit } from './config/edit.ts'
import { command as get } from './config/get.ts'
import { command as history } from './config/history.ts'
import { command as patch } from './config/patch.ts'
import { command as purge } from './config/purge.ts'
import { command as revert } from './config/revert.ts'
import { command as schema } from './config/schema.ts'
import { command as set } from './config/set.ts'
import { command as unset } from './config/unset.ts'
import { command as validate } from './config/validate.ts'
import { group } from './group.ts'

/** `integrations config` */
export const command = group(
  'config',
  'The config of an integration: a JSON object of channel and event filters. Each platform describes its config with a JSON Schema; unknown keys are kept.',
  [get, set, unset, patch, edit, validate, schema, history, diff, revert, purge],
)
