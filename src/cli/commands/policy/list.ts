import { Command } from '@commander-js/extra-typings'
import { countedPolicies } from '../../../operations/report/policies.ts'
import type { Context } from '../../context.ts'
import { declareOutput, examples } from '../../input/arguments.ts'
import { policyView } from '../../views/report.ts'

/** `integrations policy list` */
export const command = (ctx: Context) =>
  declareOutput(new Command('list'), ctx.output, policyView)
    .summary('list policies')
    .description('List policies, each with the number of the integrations that it is for.')
    .addHelpText(...examples('integrations policy list', 'integrations policy list -o json'))
    .action(async () => {
      const store = await ctx.store()
      const policies = await store.snapshot(countedPolicies)
      await ctx.output.rows(policyView, (emit) => emit(policies), { paged: true })
      ctx.output.noteIfEmpty(policies.length, 'integrations policy set <policy> --help')
    })
