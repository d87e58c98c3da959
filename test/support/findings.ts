import { type Instant, instantOf } from '../../src/brands.ts'
import type { ListedIntegration, SecretFacts } from '../../src/integration.ts'
import {
  codesWorstFirst,
  type Finding,
  type FindingCode,
  findingCodes,
  severities,
} from '../../src/operations/report/finding.ts'
import type { Counts } from '../../src/operations/report/report.ts'

/** The moment of the reports that tests make up. */
export const moment: Instant = instantOf(Date.parse('2026-11-28T00:00:00Z'))

/** An instant so many milliseconds after it. */
export const at = (distanceMs: number): Instant => instantOf(Date.parse(moment) + distanceMs)

/** Names that people, applications and platforms could give, to harm whoever looks at a report. */
export const hostileNames: readonly string[] = [
  '</script><img src=x onerror=alert(1)>',
  '<b>bold</b> &lt;i&gt; &amp; &#60;i&#62;',
  '` ``` `````` <img src=x>',
  `${'`'.repeat(100)}<img src=x>`,
  '[link](https://evil.example) ![image](https://evil.example/a.png)',
  '<https://evil.example> www.evil.example https://evil.example mail@evil.example',
  '@everyone @octocat #12 GH-12 octo/cat#12 <!channel> <@U012ABCDEF>',
  '| pipe | \\| `|`',
  '# heading\n\n- item\n> quote\r\n***\n~~~\n\n<img src=x>',
  '*a* _b_ ~~c~~ $d$ [^1]: \\`',
  '{{ template }} $\u007b{ secrets.TOKEN }} ::error::command',
  'left\u202eright\u2066 \u200b\u00ad \u0000\u0007\u001b[31m\u009b \ud800 \ufffe\uffff',
  '\' OR 1=1 -- "quoted" ]]> <![CDATA[ <?xml?> <!--',
  'two\nlines\u2028\u2029\t\u0085',
  ' ',
  '',
]

const held: SecretFacts = { set: true, fingerprint: null, setAt: null, previousValidUntil: null }

/** An integration of a report that a test makes up. */
export const integrationOf = (more: Partial<ListedIntegration> = {}): ListedIntegration => ({
  id: 'id-1' as ListedIntegration['id'],
  workspaceId: 'w',
  workspace: 'Acme',
  platform: 'slack',
  name: 'support',
  webhookSecret: held,
  accessToken: held,
  refreshToken: held,
  tokenExpiresAt: null,
  tokenExpiry: 'never',
  tokenRefresh: null,
  app: null,
  slackTeamId: null,
  slackTeamName: null,
  slackBotUserId: null,
  pylonAccountId: null,
  isActive: true,
  config: null,
  lastUsedAt: null,
  createdAt: moment,
  createdBy: null,
  version: 1,
  owner: null,
  tags: {},
  note: null,
  lastCheck: null,
  refusedWebhooks: null,
  ...more,
})

/** A finding that a test makes up. */
export const findingOf = (code: FindingCode, more: Partial<Omit<Finding, 'code'>> = {}): Finding => ({
  code,
  severity: findingCodes[code][0],
  integration: integrationOf(),
  since: moment,
  evidence: 'seen',
  next: 'integrations show id-1',
  ...more,
})

/** What a report of findings counts. */
export function countsOf(findings: readonly Finding[], integrations = findings.length): Counts {
  const byCode = new Map(codesWorstFirst.map((code) => [code, findings.filter((one) => one.code === code).length]))
  const [error = 0, warning = 0, unknown = 0] = severities.map(
    (one) => findings.filter(({ severity }) => severity === one).length,
  )
  return {
    ...{ at: moment, integrations, findings: { error, warning, unknown }, byCode },
    ...{ undated: { told: 0, leftOut: 0 }, ignored: 0, ignoredUntil: null, changes: null },
  }
}
