import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { instantOf } from '../../../src/brands.ts'
import { collector, listedFindings, listedOfEach } from '../../../src/cli/report/page/collect.ts'
import type { PageData } from '../../../src/cli/report/page/data.ts'
import { pageOf } from '../../../src/cli/report/page/page.ts'
import type { ListedIntegration } from '../../../src/integration.ts'
import { type FindingCode, findingCodes } from '../../../src/operations/report/finding.ts'
import { findingOf, hostileNames, integrationOf, moment } from '../../support/findings.ts'

const now = Date.parse(moment)
const at = (days: number) => instantOf(now + days * 86_400_000)
const setting = {
  now,
  usesRecorded: true,
  required: true,
  usableKeys: new Set<string>(),
  lastReport: null,
  policies: [],
}

const add = (into: ReturnType<typeof collector>, integration: ListedIntegration, ...codes: FindingCode[]) => {
  into.see([integration], setting)
  into.find(codes.map((code) => findingOf(code, { integration })))
}

const listed = { since: moment, evidence: 'seen', next: 'integrations show id-1' }

test('a page counts integrations and findings by platform, code, expiry and last use', () => {
  const expiring = (days: number) => ({ tokenExpiry: 'dated' as const, tokenExpiresAt: at(days) })
  const page = collector()
  const expired = integrationOf({ name: 'expired', owner: 'ana', ...expiring(-8), lastUsedAt: at(-8) })
  add(page, expired, 'token-expired', 'token-expired', 'stale')
  add(page, integrationOf({ name: 'fine', platform: 'pylon', ...expiring(3) }))
  add(page, integrationOf({ name: 'refreshed', ...expiring(0.5), app: 'bot', lastUsedAt: at(-0.1) }))
  const globex = { workspaceId: 'w2', workspace: 'Globex' }
  add(page, integrationOf({ name: 'far', ...globex, ...expiring(400), lastUsedAt: at(-100) }))
  add(page, integrationOf({ name: 'off', isActive: false, ...expiring(3) }), 'secret-shared')
  page.find([findingOf('receiver-silent', { integration: null })])
  const { expiry, use, ...rest } = page.collected()
  const counts = { isRest: false, inactive: 0, clean: 0, error: 0, warning: 0, unknown: 0 }
  const code = (name: FindingCode, count: number) => ({
    code: name,
    severity: findingCodes[name][0],
    meaning: findingCodes[name][1],
    count,
  })
  const ofExpired = { integration: 'Acme/expired', platform: 'slack', owner: 'ana', ...listed }
  expect(rest).toEqual({
    platforms: [
      { ...counts, name: 'slack', integrations: 4, inactive: 1, clean: 2, error: 2, warning: 2 },
      { ...counts, name: 'pylon', integrations: 1, clean: 1 },
    ],
    owners: [
      { ...counts, name: 'ana', integrations: 1, error: 2, warning: 1 },
      { ...counts, name: null, integrations: 4, inactive: 1, clean: 3, warning: 1 },
    ],
    codes: [code('token-expired', 2), code('secret-shared', 1), code('stale', 1), code('receiver-silent', 1)],
    findings: [
      { code: 'token-expired', ...ofExpired },
      { code: 'token-expired', ...ofExpired },
      { code: 'secret-shared', integration: 'Acme/off', platform: 'slack', owner: null, ...listed },
      { code: 'stale', ...ofExpired },
      { code: 'receiver-silent', integration: null, platform: null, owner: null, ...listed },
    ],
  })
  const { weeks, ...outside } = expiry
  expect(weeks.flatMap((week, i) => (week.all === 0 ? [] : [[i - 13, week]]))).toEqual([
    [-2, { all: 1, refreshed: 0 }],
    [0, { all: 2, refreshed: 1 }],
  ])
  expect(outside).toEqual({
    earlier: 0,
    later: 1,
    never: 0,
    unknown: 0,
    next: [
      { integration: 'Acme/fine', platform: 'pylon', owner: null, at: at(3) },
      { integration: 'Globex/far', platform: 'slack', owner: null, at: at(400) },
    ],
  })
  const weeksOf = (...numbers: number[]) => [...numbers, ...Array<number>(12 - numbers.length).fill(0)]
  expect(use).toEqual({
    recorded: true,
    rows: [
      { workspace: 'Acme', integrations: 3, weeks: weeksOf(1, 1), earlier: 0, never: 1 },
      { workspace: 'Globex', integrations: 1, weeks: weeksOf(), earlier: 1, never: 0 },
    ],
  })
})

test('of more findings than a page lists, it lists some of each code and counts all', () => {
  const page = collector()
  for (let i = 0; i <= listedFindings; i++)
    add(
      page,
      integrationOf({ name: `n${i}`, workspaceId: `w${i}`, platform: `p${i}` }),
      'stale',
      ...(i < 3 ? (['config-invalid'] as const) : []),
    )
  const { codes, findings, use, platforms } = page.collected()
  expect(codes.map(({ code, count }) => [code, count])).toEqual([
    ['config-invalid', 3],
    ['stale', listedFindings + 1],
  ])
  expect(findings.map(({ code }) => code)).toEqual([
    ...Array(3).fill('config-invalid'),
    ...Array(listedOfEach).fill('stale'),
  ])
  const sizes = (rows: readonly { readonly integrations: number }[]) => rows.map(({ integrations }) => integrations)
  expect(sizes(use.rows)).toEqual([...Array(20).fill(1), listedFindings - 19])
  expect(use.rows.at(-1)?.workspace).toBe(null)
  expect(sizes(platforms)).toEqual([...Array(20).fill(1), listedFindings - 19])
  expect(platforms[0]).toMatchObject({ name: 'p0', error: 1, warning: 1 })
  expect(platforms.at(-1)).toMatchObject({ name: null, isRest: true, warning: listedFindings - 19, clean: 0 })
})

test('texts of the database are data in the page, without anything that ends it, and as a terminal shows them', () => {
  const page = collector()
  for (const name of hostileNames) {
    const integration = integrationOf({ name, workspace: name, workspaceId: name, platform: name, owner: name })
    page.see([integration], setting)
    page.find([findingOf('config-invalid', { integration, evidence: `${name}${'x'.repeat(1000)}`, next: name })])
  }
  const data: PageData = {
    ...page.collected(),
    version: '1',
    database: 'file:/x.db',
    at: moment,
    sentence: '16 errors in 16 integrations',
    limits: [],
    isPartial: false,
    ignored: 0,
    ignoredUntil: null,
    changes: null,
  }
  const html = pageOf(data, { script: 'alert(0)', style: 'p {}' })
  const [, json = ''] = /<script type="application\/json" id="data">([^<]*)<\/script>/.exec(html) ?? []
  expect(JSON.parse(json)).toEqual(data)
  expect(json).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
  for (const { integration, evidence } of data.findings) {
    expect(integration).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
    expect(evidence.length).toBeLessThan(400)
    expect(evidence).toMatch(/x…$/)
  }
  expect(data.findings.map(({ integration }) => integration)).toContain(
    '</script><img src=x onerror=alert(1)>/</script><img src=x onerror=alert(1)>',
  )

  // Nothing of the database is anywhere else.
  const harmless = { ...data, ...collector().collected() }
  const rest = (page: string) => page.replace(/<script type="application.*/, '')
  expect(rest(html)).toBe(rest(pageOf(harmless, { script: 'alert(0)', style: 'p {}' })))
  expect(html).toContain(`<p>16 errors in 16 integrations, ${moment}</p>`)

  const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
  expect(/Content-Security-Policy" content="([^"]*)"/.exec(html)?.[1]).toBe(
    `default-src 'none'; style-src ${hash('p {}')}; script-src ${hash('alert(0)')}; base-uri 'none'; form-action 'none'`,
  )
})
