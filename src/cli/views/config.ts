import { refOf } from '../../integration.ts'
import type { JsonObject } from '../../json.ts'
import type { ChangedConfig } from '../../operations/config/config.ts'
import type { ConfigFinding } from '../../operations/config/document.ts'
import type { RecordedRevision } from '../../operations/config/revisions.ts'
import type { Context } from '../context.ts'
import { warnAll } from '../input/arguments.ts'
import type { Tone } from '../output/tone.ts'
import type { View } from '../output/values.ts'
import { outcomeOf } from '../output/values.ts'
import { who } from './audit.ts'
import { ago, value } from './cells.ts'
import { integrationView } from './integration.ts'

/** A config as text that people read and edit. */
export const configText = (config: JsonObject | null): string => `${JSON.stringify(config ?? {}, null, 2)}\n`

// The time to compare grows with the square of this.
const mostChangedLines = 4000

const tones: { readonly [sign: string]: Tone } = { '+': 'good', '-': 'bad', '@': 'dim' }

/** What differs between two configs, as lines for people. */
export async function configDiff(
  from: JsonObject | null,
  to: JsonObject | null,
): Promise<(readonly [line: string, tone: Tone])[]> {
  const { structuredPatch } = await import('diff')
  const options = { context: 3, maxEditLength: mostChangedLines }
  const patch = structuredPatch('', '', configText(from), configText(to), '', '', options)
  if (!patch) return [['more lines change than can be shown', 'dim']]
  return patch.hunks
    .flatMap(({ oldStart, newStart, lines }) => [`@@ line ${oldStart} -> ${newStart}`, ...lines])
    .map((line) => [line, tones[line.charAt(0)] ?? 'plain'])
}

/** Answers a change of a config; `shown`: a person has seen what changes, and the warnings. */
export async function answerConfigChange(
  ctx: Context,
  { before, after, from, to, warnings }: ChangedConfig,
  { dryRun, shown = false }: { readonly dryRun: boolean; readonly shown?: boolean },
): Promise<void> {
  if (!shown) warnAll(ctx, warnings)
  const name = `the config of ${refOf(after)}`
  const nothing = before === after
  await ctx.output.change(integrationView, after, {
    outcome: outcomeOf(!nothing, dryRun),
    sentence: nothing ? `no changes made to ${name}` : `${dryRun ? 'would change' : 'changed'} ${name}`,
  })
  if (!nothing && !shown && ctx.output.table()) await ctx.output.lines(await configDiff(from, to), 'stdout')
}

/** How the changes of a config are shown. */
export const revisionView: View<RecordedRevision> = {
  columns: [
    value('version'),
    ago('changedAt', 'when'),
    { field: 'who', value: ({ event }) => (event ? who(event) : null), cut: 'end' },
    { field: 'reason', value: ({ event }) => event?.reason ?? null, cut: 'end' },
    { field: 'seq', head: 'event', value: ({ event }) => (event ? Number(event.seq) : null) },
  ],
  short: ['version', 'changedAt', 'who', 'reason', 'seq'],
  essential: ['version', 'changedAt', 'who', 'seq'],
  id: ({ version }) => String(version),
}

/** How deleted revisions are shown. */
export const revisionPurgeView: View<{ readonly purged: number }> = {
  columns: [value('purged')],
  short: ['purged'],
  id: ({ purged }) => String(purged),
}

/** How findings about a config are shown. */
export const findingView: View<ConfigFinding> = {
  columns: [
    {
      field: 'severity',
      value: (row) => row.severity,
      cell: (row) => [row.severity, row.severity === 'error' ? 'bad' : 'warn'],
    },
    value('path'),
    { ...value('message'), cut: 'end' },
  ],
  short: ['severity', 'path', 'message'],
  id: (row) => row.path,
}
