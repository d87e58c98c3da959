import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import axe from 'axe-core'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { madeUpReport } from '../../scripts/made-up-report.ts'
import { type FindingCode, findingCodes } from '../../src/operations/report/finding.ts'
import { browserProgram, startBrowser } from '../support/browser.ts'
import { freshDatabase, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { faketime, freshFolder } from '../support/program.ts'
import { seedIntegrations } from '../support/seed.ts'

const without = !process.env.CI && (!browserProgram || !faketime)
if (without) console.warn('the page of a report is not tested: Chromium or libfaketime is not installed')

describe.skipIf(without)('the page of a report', () => {
  let browser: Browser
  let madeUp: string
  beforeAll(async () => {
    browser = await startBrowser()
    madeUp = await madeUpReport()
  })
  afterAll(() => browser?.close())

  /** What a page asked for besides itself, ran into, or was refused. */
  interface Opened {
    readonly page: Page
    readonly asked: string[]
    readonly told: string[]
  }

  /** Opens a page as a file. */
  async function open(html: string, options: Parameters<Browser['newPage']>[0] = {}): Promise<Opened> {
    const file = join(freshFolder(), 'report.html')
    writeFileSync(file, html)
    const page = await browser.newPage(options)
    const [asked, told]: [string[], string[]] = [[], []]
    page.on('request', (request) => asked.push(request.url()))
    page.on('console', (message) => told.push(message.text()))
    page.on('pageerror', (error) => told.push(error.message))
    page.on('dialog', (dialog) => {
      told.push(`dialog: ${dialog.message()}`)
      void dialog.dismiss()
    })
    await page.goto(`file://${file}`)
    expect(asked.splice(0)).toEqual([`file://${file}`])
    return { page, asked, told }
  }

  const report = async ({ url }: TestDatabase, ...flags: string[]) => {
    const { stdout, stderr } = await runInProcess(['report', '-o', 'html', '--fail-on', 'never', ...flags], {
      env: { DATABASE_URL: url },
    })
    expect(stderr).toMatch(/ in [\d,]+ integrations?\n/)
    return stdout
  }

  /** A database with an integration that has expired, which was given by hand what no command takes. */
  async function start(): Promise<TestDatabase> {
    const db = await freshDatabase('sqlite')
    const env = { DATABASE_URL: db.url, W: '01'.repeat(16), A: 'token-01' }
    const secrets = ['--webhook-secret-env', 'W', '--access-token-env', 'A', '--force-shape', '--expires-in', '90d']
    const own = ['--platform', 'slack', '--new-workspace', 'Acme', '--name', 'support']
    const { code, stderr } = await runInProcess(['add', ...own, ...secrets], { env })
    expect([code, stderr]).toEqual([0, expect.any(String)])
    await db.query(
      "UPDATE integrations SET token_expires_at = '2026-01-02T03:04:05.678+00:00', last_used_at = created_at",
    )
    // Copies share no value.
    await db.query('UPDATE integration_secrets SET fingerprint = NULL')
    return db
  }

  /** What axe finds in a page: each rule that is violated, with where. */
  const violations = async (page: Page) => {
    // The policy of the page keeps out every script but its own; what a debugger evaluates is none.
    await page.evaluate(axe.source)
    const { violations } = (await page.evaluate('axe.run()')) as {
      violations: { id: string; nodes: { html: string }[] }[]
    }
    return violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html }) => html) }))
  }

  test('can be used by everybody, in both themes and on a phone', async () => {
    for (const [colorScheme, width] of [
      ['light', 1240],
      ['dark', 1240],
      ['light', 390],
    ] as const) {
      const { page, asked, told } = await open(madeUp, { colorScheme, viewport: { width, height: 900 } })
      expect(await page.title()).toBe('Integrations report: file:/srv/app/integrations.db')
      expect(await page.getByRole('heading').allTextContents()).toEqual([
        'Integrations report',
        'In short',
        'By platform',
        'By owner',
        'What was found',
        'Expiry of access tokens',
        'Next to be replaced',
        'Last use',
        'Findings',
        'Last 20 changes',
      ])
      // Only what is meant to be scrolled by itself is wider than the screen.
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width)
      await page.locator('summary').click()
      expect(await violations(page)).toEqual([])
      expect({ asked, told }).toEqual({ asked: [], told: [] })
      await page.close()
    }
  })

  test('tells by roles what it shows', async () => {
    const { page } = await open(madeUp)
    const cells = (table: string) =>
      page
        .getByRole('table', { name: table })
        .getByRole('row')
        .evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent).join(' | ')))
    expect(await cells('Integrations and findings by platform')).toMatchInlineSnapshot(`
      [
        "Platform | Integrations | Errors | Warnings | Unknown | No finding",
        "slack | 12 | 2 | 4 | 0 | 5 of 11",
        "github | 6 | 1 | 1 | 0 | 4 of 6",
        "pylon | 4 | 0 | 2 | 1 | 1 of 4",
      ]
    `)
    expect(await cells('Integrations and findings by owner')).toMatchInlineSnapshot(`
      [
        "Owner | Integrations | Errors | Warnings | Unknown | No finding",
        "team-platform | 6 | 2 | 1 | 0 | 3 of 6",
        "no owner | 6 | 1 | 1 | 0 | 3 of 5",
        "team-support | 8 | 0 | 4 | 1 | 3 of 8",
        "team-growth | 2 | 0 | 1 | 0 | 1 of 2",
      ]
    `)
    const meaning = (code: FindingCode) => findingCodes[code][1]
    expect((await cells('Findings, the worst first')).slice(0, 3)).toEqual([
      'Severity | Finding | Integration | Since | What to type',
      `error | ${meaning('token-expired')} expired at Nov\u00a025,\u00a02026,\u00a007:00\u00a0UTC token-expired | Acme/alerts slack owner team-platform | 3 days ago | integrations rotate 019ab1de-5f0c-4d3a-9c41-2b7e6f80a1d3 --field access-token`,
      `error | ${meaning('check-failed')} refused (token_revoked) check-failed | Hooli/search slack | 1 day ago | integrations check 029ab1de-5f0c-4d3a-9c41-2b7e6f80a1d3`,
    ])
    expect((await cells('The last changes, the newest first')).slice(0, 4)).toMatchInlineSnapshot(`
      [
        "When | Change | What | Who | Reason",
        "5 hours ago | config.change | Hooli/search | github:ana:8123 | ",
        "19 hours ago | secret.rotate | Globex/support | github:ana:8123 | ticket 4802",
        "2 days ago | integration.disable | Initech/printers | github:ben:8123 | customer left",
      ]
    `)
    const kind = (code: FindingCode, count: number) => `${findingCodes[code][0]} ${meaning(code)} ${count}`
    expect(await page.getByRole('listitem').allTextContents()).toEqual([
      '3 errors does not work, or will not tomorrow',
      '7 warnings somebody should look',
      '1 unknown finding cannot be told, and does not count as fine',
      '10 without a finding of 21 active integrations; 1 inactive',
      kind('token-expired', 1),
      kind('check-failed', 1),
      kind('token-expires-1d', 1),
      kind('token-expires-7d', 1),
      kind('token-expires-30d', 2),
      kind('new-secret-unmatched', 1),
      kind('webhooks-refused', 1),
      kind('never-used', 1),
      kind('stale', 1),
      kind('token-expiry-unknown', 1),
      'has expired',
      'has to be replaced within a week',
      'has to be replaced',
      'is refreshed by the program',
      'never: 5',
      'not known: 1',
    ])
    await page.close()
  })

  test('shows as text whatever the database holds, and asks for nothing', async () => {
    const hostile = [
      '</script><img src=x onerror=alert(1)>',
      '"><svg onload=alert(1)>',
      'javascript:alert(1)',
      '<!--<script>alert(1)</script>',
      'left\u202eright\u2066\u0007\u200b',
      "'); alert(1); //",
      'x'.repeat(400),
      ' ',
    ]
    const db = await start()
    await seedIntegrations(db, hostile.length + 1)
    const ids = (await db.query('SELECT id FROM integrations ORDER BY id')).map(({ id }) => String(id))
    for (const [i, text] of hostile.entries())
      await db.query(
        'UPDATE integrations SET name = ?, platform = ?, config = ? WHERE id = ?',
        text,
        i % 2 === 0 ? 'slack' : text,
        JSON.stringify({ [text]: text, slackEvents: text }),
        ids[i] ?? '',
      )
    await db.query(
      "INSERT INTO integration_labels (integration_id, key, value) SELECT id, 'owner', ? FROM integrations",
      hostile[1] ?? '',
    )
    await db.query('DROP TRIGGER integration_events_no_update')
    await db.query('UPDATE workspaces SET name = ?', hostile.join(' '))
    await db.query(
      "UPDATE integration_events SET target_name = ?, reason = ?, os_user = ? WHERE target_type = 'integration'",
      ...hostile.slice(0, 3),
    )
    // What no instant is, and what no text is.
    await db.query(
      "UPDATE integration_events SET at = 'tomorrow' WHERE seq = (SELECT max(seq) FROM integration_events)",
    )
    await db.query("UPDATE integration_health SET refused_since = 'never' WHERE refused_at IS NOT NULL")
    await db.query(
      "UPDATE integrations SET created_at = 'long ago', last_used_at = 'soon', token_expires_at = 'x', name = CAST(x'ff00fe' AS TEXT) WHERE id = ?",
      ids.at(-1) ?? '',
    )
    for (const [javaScriptEnabled, width] of [
      [true, 1240],
      [true, 390],
      [false, 1240],
    ] as const) {
      const { page, asked, told } = await open(await report(db), {
        javaScriptEnabled,
        viewport: { width, height: 900 },
      })
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width)
      const text = await page.locator('body').innerText()
      expect(text).toContain(javaScriptEnabled ? hostile[0] : 'Open this file in a browser that runs scripts')
      if (javaScriptEnabled) {
        expect(text).toContain('left\\u{202e}right\\u{2066}\\u{7}\\u{200b}')
        for (const one of hostile.slice(0, 4)) await page.getByLabel('Filter').fill(one)
        expect(await page.getByRole('table', { name: 'Findings, the worst first' }).innerText()).toContain(hostile[3])
        expect(await violations(page)).toEqual([])
      }
      expect(
        await page
          .locator(
            'img, iframe, object, a, link, base, form, [style], [onload], [onerror], script:not(#data):not(:last-child)',
          )
          .count(),
      ).toBe(0)
      expect({ asked, told }).toEqual({ asked: [], told: [] })
      await page.close()
    }
  })

  test('never holds more than 500 rows, and is filtered and turned by keys', async () => {
    const db = await start()
    await seedIntegrations(db, 10_000)
    const { page, told } = await open(await report(db))
    const rows = () => page.locator('tr').count()
    const list = page.getByRole('table', { name: 'Findings, the worst first' })
    const names = () => list.getByRole('row').locator('td.who > .name').allTextContents()
    const status = page.locator('#findings').getByRole('status')
    const numbered = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, i) => `Acme/n${String(from + i).padStart(5, '0')}`)
    expect(await status.textContent()).toBe('1 to 100 of 10,000 findings')
    expect(await names()).toEqual(numbered(1, 101))
    expect(await rows()).toBeLessThan(500)

    // A person without a mouse comes to the filter, and then to the pages.
    const focused = () =>
      page.evaluate('document.activeElement.id || document.activeElement.textContent') as Promise<string>
    const tabs: string[] = []
    while (tabs.length < 30 && tabs.at(-1) !== 'filter') {
      await page.keyboard.press('Tab')
      tabs.push(await focused())
    }
    expect(tabs.at(-1)).toBe('filter')
    await page.keyboard.press('Tab')
    expect(await focused()).toBe('Next')
    await page.keyboard.press('Enter')
    expect(await status.textContent()).toBe('101 to 200 of 10,000 findings')
    expect(await names()).toEqual(numbered(101, 201))
    await page.getByLabel('Filter').focus()
    await page.keyboard.type('EXPIRED n0123')
    expect(await status.textContent()).toBe('10 findings that match')
    expect(await names()).toEqual(numbered(1230, 1240))
    await page.keyboard.type('x')
    expect(await status.textContent()).toBe('no finding matches')
    expect(await names()).toEqual([])

    // The kinds lead to their findings.
    await page.getByRole('button', { name: 'the access token has expired' }).click()
    expect([await focused(), await status.textContent()]).toEqual(['filter', '1 to 100 of 10,000 findings that match'])

    await page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(await names()).toEqual(numbered(1, 301))
    expect(await rows()).toBeLessThan(500)
    await page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(await names()).toEqual(numbered(1, 101))
    expect(told).toEqual([])
    await page.close()
  })
})
