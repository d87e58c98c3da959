import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openmetrics } from '../../../src/cli/report/openmetrics.ts'
import type { ListedIntegration } from '../../../src/integration.ts'
import { codesWorstFirst, findingCodes } from '../../../src/operations/report/finding.ts'
import type { Setting } from '../../../src/operations/report/judge.ts'
import { at, countsOf, findingOf, hostileNames, integrationOf } from '../../support/findings.ts'

const setting: Setting = {
  ...{ now: 0, required: true, usableKeys: new Set(), usesRecorded: true, lastReport: null },
  policies: [],
}

function written(integrations: readonly ListedIntegration[], { usesRecorded = true } = {}) {
  const warnings: string[] = []
  const writer = openmetrics({ warn: (text) => warnings.push(text) })
  writer.see?.(integrations, { ...setting, usesRecorded })
  return { text: [...writer.text(countsOf([findingOf('stale')]))].join(''), warnings }
}

/** The samples of a text by name, each with its labels, as OpenMetrics says how they are read. */
function read(text: string) {
  const samples: Record<string, Record<string, number>> = {}
  for (const line of text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))) {
    const [, name = '', labels = '', value] =
      /^([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)$/.exec(line) ?? []
    const read = [...labels.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map(([, label = '', value = '']) => [
      label,
      value.replace(/\\(.)/g, (_, character) => (character === 'n' ? '\n' : character)),
    ])
    samples[name] ??= {}
    samples[name][JSON.stringify(Object.fromEntries(read))] = Number(value)
  }
  return samples
}

const id = (id: string) => ({ id: id as ListedIntegration['id'] })

test('OpenMetrics has gauges alone: findings of each code, and what is known of active integrations', () => {
  const { text, warnings } = written([
    integrationOf({ ...id('1'), tokenExpiresAt: at(1000), tokenExpiry: 'dated', lastUsedAt: at(-500), owner: 'Ana' }),
    integrationOf({ ...id('2'), tokenExpiry: 'never', lastUsedAt: null }),
    integrationOf({ ...id('3'), tokenExpiry: 'unknown', name: 'b' }),
    integrationOf({ ...id('4'), damage: ['tokenExpiresAt'] }),
    integrationOf({ ...id('5'), isActive: false, tokenExpiresAt: at(0), tokenExpiry: 'dated' }),
  ])
  const [of1, of2, of3, of4] = ['1', '2', '3', '4'].map((id) =>
    [`{id="${id}",integration="Acme/${id === '3' ? 'b' : 'support'}"`, 'workspace="Acme"', 'platform="slack"'].join(
      ',',
    ),
  )
  expect({ text, warnings }).toEqual({
    warnings: [],
    text: `# TYPE integrations_findings gauge
# HELP integrations_findings Findings of the report.
${codesWorstFirst
  .map(
    (code) => `integrations_findings{code="${code}",severity="${findingCodes[code][0]}"} ${code === 'stale' ? 1 : 0}\n`,
  )
  .join('')}# TYPE integrations_findings_ignored gauge
# HELP integrations_findings_ignored Findings that the report leaves out until a date.
integrations_findings_ignored 0
# TYPE integrations_token_expiry_timestamp_seconds gauge
# UNIT integrations_token_expiry_timestamp_seconds seconds
# HELP integrations_token_expiry_timestamp_seconds When the access token expires; the earliest of several. Missing where there is no such instant, or it is not known.
integrations_token_expiry_timestamp_seconds${of1},owner="Ana"} 1795824001
# TYPE integrations_token_expiry_known gauge
# HELP integrations_token_expiry_known 1 if it is known when the access token expires, or that there is no such instant; 0 if it is not known of all of several.
integrations_token_expiry_known${of1},owner="Ana"} 1
integrations_token_expiry_known${of2}} 1
integrations_token_expiry_known${of3}} 0
integrations_token_expiry_known${of4}} 0
# TYPE integrations_last_used_timestamp_seconds gauge
# UNIT integrations_last_used_timestamp_seconds seconds
# HELP integrations_last_used_timestamp_seconds When the integration was last used; the earliest of several. Missing where there is no such instant, or it is not known.
integrations_last_used_timestamp_seconds${of1},owner="Ana"} 1795823999.5
# TYPE integrations_last_used_known gauge
# HELP integrations_last_used_known 1 if it is known when the integration was last used, or that there is no such instant; 0 if it is not known of all of several.
integrations_last_used_known${of1},owner="Ana"} 1
integrations_last_used_known${of2}} 1
integrations_last_used_known${of3}} 1
integrations_last_used_known${of4}} 0
# TYPE integrations_report_timestamp_seconds gauge
# UNIT integrations_report_timestamp_seconds seconds
# HELP integrations_report_timestamp_seconds When the report was made.
integrations_report_timestamp_seconds 1795824000
# EOF
`,
  })
})

test('where no use is recorded, it is not known when those were last used that have not been', () => {
  const { text } = written([integrationOf({ ...id('1'), lastUsedAt: at(0) }), integrationOf(id('2'))], {
    usesRecorded: false,
  })
  expect(Object.values(read(text).integrations_last_used_known ?? {})).toEqual([1, 0])
})

test.each([
  [1250, 1, 1, 'integration', undefined, 1250],
  [1251, 2, 1, 'workspace and platform', '{"workspace":"w0","platform":"p0"}', 2],
  [1251, 1251, 1, 'platform', '{"platform":"p0"}', 1],
  [1251, 1251, 1251, 'nothing', '{}', 1],
] as const)('%i integrations in %i workspaces on %i platforms are told by %s', (...one) => {
  const [count, workspaces, platforms, by, labels, series] = one
  const { text, warnings } = written(
    Array.from({ length: count }, (_, i) =>
      integrationOf({
        ...id(String(i)),
        workspace: `w${i % workspaces}`,
        platform: `p${i % platforms}`,
        tokenExpiresAt: i === 0 ? null : at(1000 * i),
        tokenExpiry: i === 0 ? 'unknown' : 'dated',
      }),
    ),
  )
  const samples = read(text)
  expect(Object.keys(samples.integrations_token_expiry_known ?? {}).length).toBe(series)
  expect(text.split('\n').length).toBeLessThan(5_100)
  expect(warnings).toEqual(
    labels === undefined
      ? []
      : [`more than 5000 series: those of integrations are by ${by}, with the earliest instant of each`],
  )
  if (labels === undefined) return
  // The worst of several is what an alert is about.
  expect(samples.integrations_token_expiry_known?.[labels]).toBe(0)
  expect(samples.integrations_token_expiry_timestamp_seconds?.[labels]).toBe(1795824000 + (workspaces === 2 ? 2 : 1))
})

test('names do nothing in OpenMetrics', () => {
  const { text } = written(
    hostileNames.map((name, i) =>
      integrationOf({ ...id(`${name}${i}`), workspace: name, name, platform: name, owner: name }),
    ),
  )
  expect(text).not.toMatch(/[^\P{C}\n]/u)
  const told = Object.keys(read(text).integrations_token_expiry_known ?? {}).map((labels) => JSON.parse(labels))
  const shown = told.map(({ workspace }) => workspace)
  expect(told).toEqual(
    shown.map((name, i) => ({
      ...{ id: `${name}${i}`, integration: `${name}/${name}` },
      ...{ workspace: name, platform: name, owner: name },
    })),
  )
  const printable = hostileNames.flatMap((name, i) => (/\p{C}|[\p{Zl}\p{Zp}]/u.test(name) ? [] : [[i, name] as const]))
  expect(printable.length).toBeGreaterThan(8)
  for (const [i, name] of printable) expect(shown[i]).toBe(name)
})

const without = spawnSync('promtool', ['--version']).status !== 0 && !process.env.CI
const reason = without ? ' (skipped: promtool is not installed; Debian has it in the package prometheus)' : ''

const promtool = (args: readonly string[], input = '') => {
  const { status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8' })
  return { status, stdout, stderr }
}

const alerts = 'examples/prometheus/alerts.yml'

test.skipIf(without)(`promtool takes the metrics, whatever names they hold, and the alerts${reason}`, () => {
  const { text } = written(
    hostileNames.map((name, i) =>
      integrationOf({ ...id(`${i}`), workspace: name, name, platform: name, owner: name, lastUsedAt: at(0) }),
    ),
  )
  expect(promtool(['check', 'metrics'], text)).toEqual({ status: 0, stdout: '', stderr: '' })
  expect(promtool(['check', 'rules', alerts])).toMatchObject({ status: 0, stdout: expect.stringContaining('SUCCESS') })
  const names = new Set(text.match(/(?<=^# TYPE )integrations_\w+/gm))
  const used = [...readFileSync(alerts, 'utf8').matchAll(/^ +expr: (.*)$/gm)].flatMap(
    ([, expression = '']) => expression.match(/integrations_\w+/g) ?? [],
  )
  expect(used.length).toBeGreaterThan(5)
  expect(used.filter((name) => !names.has(name))).toEqual([])
})

test.skipIf(without)(`the alerts come of the metrics${reason}`, () => {
  // promtool's clock begins in 1970, and so does this report.
  const early = Date.parse('1970-01-01T00:00:00Z') - Date.parse(at(0))
  const { text } = written([
    integrationOf({
      ...id('1'),
      tokenExpiresAt: at(early + 60_000),
      tokenExpiry: 'dated',
      owner: 'Ana',
      lastUsedAt: at(early),
    }),
    integrationOf({ ...id('2'), tokenExpiry: 'unknown', name: '{{ $value }}', lastUsedAt: at(early) }),
  ])
  const samples = text.split('\n').filter((line) => /^integrations_/.test(line) && !line.includes('report_timestamp'))
  const alert = (at: string, name: string, labels: object, annotations: object) => ({
    eval_time: at,
    alertname: name,
    exp_alerts: [{ exp_labels: labels, exp_annotations: annotations }],
  })
  const about = (id: string, integration: string) => ({ id, integration, workspace: 'Acme', platform: 'slack' })
  const folder = mkdtempSync(join(tmpdir(), 'alerts-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'test.json')
  writeFileSync(
    file,
    JSON.stringify({
      rule_files: [resolve(alerts)],
      evaluation_interval: '1h',
      tests: [
        {
          interval: '1h',
          input_series: samples.map((line) => {
            const [, series, value] = /^(.*) (\S+)$/.exec(line) ?? []
            return { series, values: `${value}x30` }
          }),
          alert_rule_test: [
            alert(
              '1h',
              'IntegrationTokenExpired',
              { ...about('1', 'Acme/support'), owner: 'Ana', severity: 'critical' },
              {
                summary: 'The access token of Acme/support (slack) has expired, owner Ana',
                description: '"integrations report --finding token-expired" tells what to type.',
              },
            ),
            alert(
              '25h',
              'IntegrationTokenExpiryUnknown',
              { ...about('2', 'Acme/{{ $value }}'), severity: 'info' },
              {
                summary: 'It is not known when the access token of Acme/{{ $value }} (slack) expires',
                description:
                  '"integrations check" asks the platform; "integrations report --finding token-expiry-unknown" tells what to type.',
              },
            ),
            alert(
              '25h',
              'IntegrationWarnings',
              { code: 'stale', severity: 'warning' },
              {
                summary: '1 integrations: stale',
                description: '"integrations report --finding stale" tells which, and what to type.',
              },
            ),
            { eval_time: '25h', alertname: 'IntegrationErrors', exp_alerts: [] },
            { eval_time: '25h', alertname: 'IntegrationsUnknown', exp_alerts: [] },
            alert(
              '1h',
              'IntegrationsReportMissing',
              { severity: 'critical' },
              {
                summary: 'There is no report on integrations of the last 2 hours',
                description: 'The job that runs "integrations report -o openmetrics" does not run, or fails.',
              },
            ),
          ],
        },
      ],
    }),
  )
  expect(promtool(['test', 'rules', file])).toMatchObject({ status: 0, stdout: expect.stringContaining('SUCCESS') })
})
