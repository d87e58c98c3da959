import { Command } from '@commander-js/extra-typings'
import type { Context } from '../context.ts'
import { declareChange, dryRunOption, ifVersionOption, refArgument } from '../input/arguments.ts'
import { integrationView } from '../views/integration.ts'

/** The head of a command that changes one integration, and answers with it. */
export const changeCommand = (ctx: Context, name: string) =>
  declareChange(new Command(name), ctx.output, integrationView)
    .addArgument(refArgument())
    .addOption(ifVersionOption())
    .addOption(dryRunOption())
