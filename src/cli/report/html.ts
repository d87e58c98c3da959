import packageJson from '../../../package.json' with { type: 'json' }
import { flagOf } from '../../integration.ts'
import type { AuditEvent } from '../../store/audit/events.ts'
import { who } from '../views/audit.ts'
import { sentenceOf } from '../views/report.ts'
import { collector, shown } from './page/collect.ts'
import type { PageChange } from './page/data.ts'
import { pageOf } from './page/page.ts'
import type { Writer, WriterOptions } from './writer.ts'

/** A page for a browser, which can be sent: one file. */
export function html({ database, limits }: WriterOptions): Writer {
  const page = collector()
  return {
    see: page.see,
    find: page.find,
    lastChanges: 20,
    *text(counts) {
      const { at, ignored, ignoredUntil, changes } = counts
      yield pageOf({
        version: packageJson.version,
        database: shown(database),
        at,
        sentence: sentenceOf(counts),
        limits: Object.entries(limits).flatMap(limitWords),
        isPartial: limits.newSince !== undefined || limits.finding !== undefined,
        ignored,
        ignoredUntil,
        ...page.collected(),
        changes: changes?.map(changeOf) ?? null,
      })
    },
  }
}

/** An option as it is typed, more or less: durations are in hours. */
function limitWords([option, value]: readonly [string, unknown]): readonly string[] {
  if (value === undefined) return []
  if (Array.isArray(value)) return value.flatMap((one) => limitWords([option, one]))
  if (value === false) return [`--no-${flagOf(option)}`]
  const text = value === true ? '' : typeof value === 'number' ? ` ${value / 3_600_000}h` : ` ${value}`
  return [shown(`--${flagOf(option)}${text}`)]
}

const changeOf = (event: AuditEvent): PageChange => ({
  at: shown(event.at),
  action: shown(event.action),
  target: event.targetType === 'database' ? 'the database' : shown(event.targetName ?? event.targetId ?? ''),
  who: shown(who(event)),
  reason: event.reason && shown(event.reason),
})
