import { Command } from '@commander-js/extra-typings'
import type { Context } from '../context.ts'
import { command as edit } from './config/edit.ts'
import { command as get } from './config/get.ts'
import { command as patch } from './config/patch.ts'
import { command as schema } from './config/schema.ts'
import { command as set } from './config/set.ts'
import { command as unset } from './config/unset.ts'
import { command as validate } from './config/validate.ts'

/** `integrations config` */
export const command = (ctx: Context) =>
  new Command('config')
    .description(
      'The config of an integration: a JSON object of channel and event filters. Each platform describes its config with a JSON Schema; unknown keys are kept.',
    )
    .addCommand(get(ctx))
    .addCommand(set(ctx))
    .addCommand(unset(ctx))
    .addCommand(patch(ctx))
    .addCommand(edit(ctx))
    .addCommand(validate(ctx))
    .addCommand(schema(ctx))
