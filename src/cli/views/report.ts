import type { Instant } from '../../brands.ts'
import { refOf } from '../../integration.ts'
import { type Finding, type Severity, severities } from '../../operations/report/finding.ts'
import type { CountedPolicy } from '../../operations/report/policies.ts'
import type { Counts } from '../../operations/report/report.ts'
import { durationText } from '../../operations/texts.ts'
import type { IgnoredFinding } from '../../store/report/ignored-findings.ts'
import type { Policy } from '../../store/report/policies.ts'
import { plural } from '../output/text.ts'
import type { Tone } from '../output/tone.ts'
import type { Column, View } from '../output/values.ts'
import { ago, name, value } from './cells.ts'

const tones: Record<Severity, Tone> = { error: 'bad', warning: 'warn', unknown: 'dim' }

/** How a finding of a report is shown. */
export const findingView: View<Finding> = {
  columns: [
    {
      field: 'severity',
      value: ({ severity }) => severity,
      cell: ({ severity }) => [severity, tones[severity]],
    },
    // Its colour stays where there is no room for the severity.
    { field: 'code', value: ({ code }) => code, cell: ({ code, severity }) => [code, tones[severity]] },
    {
      field: 'integration',
      value: ({ integration }) => integration && refOf(integration),
      cell: ({ integration }) => [integration ? refOf(integration) : 'the database', 'plain'],
      cut: 'middle',
    },
    { field: 'id', value: ({ integration }) => integration?.id ?? null },
    { field: 'platform', value: ({ integration }) => integration?.platform ?? null },
    { field: 'owner', value: ({ integration }) => integration?.owner ?? null, cut: 'middle' },
    ago('since', 'since'),
    {
      field: 'evidence',
      value: ({ evidence }) => evidence,
      cell: ({ evidence }, { tell }) => [
        evidence.replace(/\bat (\d{4}-\d\d-\d\dT[\d:.]+Z)/g, (_, at: string) => tell(at as Instant)[0]),
        'plain',
      ],
      cut: 'end',
      least: 24,
    },
    { ...value('next'), cut: 'end' },
  ],
  short: ['severity', 'code', 'integration', 'since', 'evidence'],
  notable: ['owner'],
  essential: ['integration', 'code', 'severity', 'evidence'],
  id: ({ integration }) => integration?.id ?? '',
}

const words = { error: 'error', warning: 'warning', unknown: 'unknown finding' } as const

/** How many findings there are, as in `2 errors, 1 warning in 12 integrations`. */
export function sentenceOf({ findings, integrations }: Counts): string {
  const counted = severities.flatMap((severity) =>
    findings[severity] === 0 ? [] : [plural(findings[severity], words[severity])],
  )
  return `${counted.length === 0 ? 'no findings' : counted.join(', ')} in ${plural(integrations, 'integration')}`
}

/** How many findings were left out, and until when, as in `2 more findings ignored, until 2027-01-31T12:00:00.000Z or later`. */
export const ignoredSentence = ({ ignored, ignoredUntil }: Counts): string =>
  `${plural(ignored, 'more finding')} ignored, until ${ignoredUntil}${ignored > 1 ? ' or later' : ''}`

/** How ignored findings are shown. */
export const ignoredFindingView: View<IgnoredFinding> = {
  columns: [
    value('code'),
    {
      field: 'integration',
      value: (row) => ignoredRef(row),
      cell: (row) => [ignoredRef(row) ?? 'all', 'plain'],
      cut: 'middle',
    },
    { field: 'id', value: ({ integrationId }) => integrationId },
    {
      field: 'until',
      value: ({ until }) => until,
      cell: ({ until }, clock) => {
        const [text, narrow] = clock.tell(until)
        return Date.parse(until) > clock.now ? [text, 'plain', narrow] : [`ended ${text}`, 'warn', narrow]
      },
    },
    { ...value('reason'), cut: 'end' },
    ago('ignoredAt', 'ignored'),
    { ...value('ignoredBy'), head: 'by', cut: 'end' },
  ],
  short: ['code', 'integration', 'until', 'reason', 'ignoredBy'],
  essential: ['code', 'integration', 'until', 'reason'],
  id: ({ integrationId }) => integrationId ?? '',
}

const ignoredRef = ({ workspace, name }: IgnoredFinding) =>
  workspace === null || name === null ? null : refOf({ workspace, name })

const time = (field: 'maxSecretAge' | 'maxTokenAge' | 'expiresWithin' | 'unusedAfter'): Column<CountedPolicy> => ({
  field,
  value: ({ [field]: seconds }) => (seconds === null ? null : durationText(seconds * 1000)),
})

const required = (field: 'expiryRequired' | 'ownerRequired'): Column<CountedPolicy> => ({
  ...value(field),
  cell: ({ [field]: isRequired }) => [isRequired ? 'yes' : '', 'plain'],
})

/** Which integrations a policy is for, as in `slack in Acme, env=production`. */
function scopeOf({ platform, workspace, tagKey, tagValue }: Policy): string {
  const tag = tagKey === null || tagValue === null ? tagKey : `${tagKey}=${tagValue}`
  const where = workspace === null ? platform : `${platform ?? 'all'} in ${workspace}`
  return [where, tag].filter((part) => part !== null).join(', ') || 'all'
}

/** What a policy asks, as in `secrets of at most 90d, an owner`. */
function askedBy(policy: Policy): string {
  const within = (seconds: number | null, text: (time: string) => string) =>
    seconds === null ? [] : [text(durationText(seconds * 1000))]
  return [
    ...within(policy.maxSecretAge, (time) => `secrets of at most ${time}`),
    ...within(policy.maxTokenAge, (time) => `tokens of at most ${time}`),
    ...(policy.expiryRequired ? ['an expiry'] : []),
    ...(policy.ownerRequired ? ['an owner'] : []),
    ...within(policy.expiresWithin, (time) => `warns ${time} before an expiry`),
    ...within(policy.unusedAfter, (time) => `unused after ${time}`),
  ].join(', ')
}

/** What of a policy changed, as in `scope "all" -> "slack"`; empty: nothing. */
export const changesOf = (before: Policy, after: Policy): string =>
  [
    ['for', scopeOf(before), scopeOf(after)],
    ['asks', askedBy(before), askedBy(after)],
  ]
    .flatMap(([what, from, to]) => (from === to ? [] : [`${what} ${JSON.stringify(from)} -> ${JSON.stringify(to)}`]))
    .join(', ')

/** How policies are shown; times as they can be typed, as in `90d`. */
export const policyView: View<CountedPolicy> = {
  columns: [
    name('name'),
    value('platform'),
    name('workspace'),
    {
      field: 'tag',
      value: ({ tagKey, tagValue }) => (tagKey === null || tagValue === null ? tagKey : `${tagKey}=${tagValue}`),
      cut: 'middle',
    },
    time('maxSecretAge'),
    time('maxTokenAge'),
    time('expiresWithin'),
    time('unusedAfter'),
    required('expiryRequired'),
    required('ownerRequired'),
    value('integrations'),
    { field: 'scope', value: scopeOf, head: 'for', cut: 'middle' },
    { field: 'asks', value: askedBy, cut: 'end' },
  ],
  short: ['name', 'integrations', 'scope', 'asks'],
  essential: ['name', 'asks', 'scope', 'integrations'],
  id: (policy) => policy.name,
}

/** How a policy that was removed is shown. */
export const removedPolicyView: View<{ readonly name: string }> = {
  columns: [name('name')],
  short: ['name'],
  id: (policy) => policy.name,
}
