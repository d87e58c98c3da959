/**
 * npm run screenshots
 *
 * Writes the pictures of the page of a report that docs/reporting.md shows, in both themes. They have the fonts of the
 * machine: on Debian, that is the package fonts-inter.
 */
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startBrowser } from '../test/support/browser.ts'
import { madeUpReport } from './made-up-report.ts'

const file = join(tmpdir(), `integrations-report-${process.pid}.html`)
writeFileSync(file, await madeUpReport())
const browser = await startBrowser()
for (const theme of ['light', 'dark'] as const) {
  const page = await browser.newPage({ colorScheme: theme, viewport: { width: 1240, height: 1160 } })
  await page.goto(`file://${file}`)
  await page.screenshot({ path: `docs/report-${theme}.png` })
}
await browser.close()
