import { Command } from '@commander-js/extra-typings'
import type { Context } from '../context.ts'
import { editCommand } from './config/edit.ts'
import { getCommand } from './config/get.ts'
import { patchCommand } from './config/patch.ts'
import { schemaCommand } from './config/schema.ts'
import { setCommand } from './config/set.ts'
import { unsetCommand } from './config/unset.ts'
import { validateCommand } from './config/validate.ts'

/** `integrations config` */
export const configCommand = (ctx: Context) =>
  new Command('config')
    .description(
      'The config of an integration: a JSON object of channel and event filters. Each platform describes its own by a JSON Schema; keys that it does not name are kept.',
    )
    .addCommand(getCommand(ctx))
    .addCommand(setCommand(ctx))
    .addCommand(unsetCommand(ctx))
    .addCommand(patchCommand(ctx))
    .addCommand(editCommand(ctx))
    .addCommand(validateCommand(ctx))
    .addCommand(schemaCommand(ctx))
