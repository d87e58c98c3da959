import type { Instant } from '../../brands.ts'
import { entriesOf, type ListedIntegration, refOf } from '../../integration.ts'
import { findingCodes } from '../../operations/report/finding.ts'
import { printable } from '../output/text.ts'
import type { Writer, WriterOptions } from './writer.ts'

/** How many series there may be of integrations: each costs its collector memory for weeks. */
const mostSeries = 5_000

/** An instant and whether it is known, of both. */
const seriesOfEach = 4

/** What tells the series of integrations apart, in as much detail as there is room for. */
const levels: readonly { readonly by: string; readonly labelsOf: (integration: ListedIntegration) => string }[] = [
  {
    by: 'integration',
    // An application may have made several that have all else in common.
    labelsOf: ({ id, workspace, name, platform, owner }) =>
      labels({
        id,
        integration: refOf({ workspace, name }),
        workspace,
        platform,
        ...(owner === null ? {} : { owner }),
      }),
  },
  { by: 'workspace and platform', labelsOf: ({ workspace, platform }) => labels({ workspace, platform }) },
  { by: 'platform', labelsOf: ({ platform }) => labels({ platform }) },
  { by: 'nothing', labelsOf: () => '' },
]

/** What is told of integrations: by the name in a series, and as help completes "when …". */
const instants = { token_expiry: 'the access token expires', last_used: 'the integration was last used' } as const

/** The earliest of several instants, in seconds since 1970, and whether each of them is known, or known not to be. */
interface Earliest {
  seconds: number | undefined
  isKnown: boolean
}

/** What is told of the integrations that have the same labels. */
type Group = { readonly [I in keyof typeof instants]: Earliest }

/**
 * Gauges for Prometheus, and for node_exporter, which takes them from a file: findings by code, and of active integrations
 * when the access token expires and when they were last used. Whether that is known is a series that is never missing.
 */
export function openmetrics({ warn }: Pick<WriterOptions, 'warn'>): Writer {
  const kept = levels.map((level) => ({ ...level, groups: new Map<string, Group>() }))
  return {
    find: () => {},
    see(integrations, { usesRecorded }) {
      for (const integration of integrations) {
        if (!integration.isActive) continue
        const { tokenExpiresAt, tokenExpiry, lastUsedAt, damage } = integration
        for (const { labelsOf, groups } of kept) {
          const key = labelsOf(integration)
          const group = groups.get(key) ?? { token_expiry: nothing(), last_used: nothing() }
          groups.set(key, group)
          add(group.token_expiry, tokenExpiresAt, tokenExpiry !== 'unknown' && !damage)
          add(group.last_used, lastUsedAt, usesRecorded && !damage)
        }
      }
      while (kept.length > 1 && (kept[0]?.groups.size ?? 0) * seriesOfEach > mostSeries) kept.shift()
    },
    *text({ at, byCode, ignored }) {
      const [{ by, groups } = { by: '', groups: new Map<string, Group>() }] = kept
      if (by !== levels[0]?.by)
        warn(`more than ${mostSeries} series: those of integrations are by ${by}, with the earliest instant of each`)
      yield* gauge(
        'integrations_findings',
        'Findings of the report.',
        [...byCode].map(([code, count]) => [labels({ code, severity: findingCodes[code][0] }), count]),
      )
      yield* gauge('integrations_findings_ignored', 'Findings that the report leaves out until a date.', [
        ['', ignored],
      ])
      for (const [name, meaning] of entriesOf(instants)) {
        const values = [...groups].map(([key, group]) => [key, group[name]] as const)
        yield* gauge(
          `integrations_${name}_timestamp_seconds`,
          `When ${meaning}; the earliest of several. Missing where there is no such instant, or it is not known.`,
          values.flatMap(([key, { seconds }]) => (seconds === undefined ? [] : [[key, seconds]])),
        )
        yield* gauge(
          `integrations_${name}_known`,
          `1 if it is known when ${meaning}, or that there is no such instant; 0 if it is not known of all of several.`,
          values.map(([key, { isKnown }]) => [key, isKnown ? 1 : 0]),
        )
      }
      yield* gauge('integrations_report_timestamp_seconds', 'When the report was made.', [['', secondsOf(at)]])
      yield '# EOF\n'
    },
  }
}

const nothing = (): Earliest => ({ seconds: undefined, isKnown: true })

const secondsOf = (instant: Instant) => Date.parse(instant) / 1000

/** @param isNoneKnown without an instant: whether it is known that there is none */
function add(earliest: Earliest, instant: Instant | null, isNoneKnown: boolean): void {
  const seconds = instant === null ? Number.NaN : secondsOf(instant)
  // A column of the application may hold what is no instant.
  if (Number.isNaN(seconds)) earliest.isKnown &&= instant === null && isNoneKnown
  else earliest.seconds = Math.min(seconds, earliest.seconds ?? seconds)
}

function* gauge(name: string, help: string, samples: readonly (readonly [labels: string, value: number])[]) {
  yield `# TYPE ${name} gauge\n${name.endsWith('_seconds') ? `# UNIT ${name} seconds\n` : ''}# HELP ${name} ${help}\n`
  for (const [labels, value] of samples) yield `${name}${labels} ${value}\n`
}

/** Labels, whose values act on no terminal and end no line. */
const labels = (values: Readonly<Record<string, string>>): string =>
  `{${Object.entries(values)
    .map(([name, value]) => `${name}="${printable(value).replace(/["\\]/g, '\\$&')}"`)
    .join(',')}}`
