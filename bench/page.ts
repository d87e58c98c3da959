import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startBrowser } from '../test/support/browser.ts'
import type { Data } from './data.ts'
import { environment, median, type Program } from './measure.ts'

/** What the page of a report takes in Chromium, in milliseconds, and how many findings it lists. */
export interface PageTimes {
  /** From the opening of the file until it is drawn. */
  readonly open: number
  /** From a key in the filter until what it leaves is drawn. */
  readonly key: number
  readonly findings: string
}

/** Measures the page of the report on a database. @param rounds how often it is opened, and a key is pressed */
export async function pageTimes({ args }: Program, { env }: Data, folder: string, rounds: number): Promise<PageTimes> {
  const file = join(folder, 'report.html')
  const options = { env: { ...environment, ...env }, maxBuffer: 2 ** 28, stdio: 'pipe' } as const
  writeFileSync(file, execFileSync(process.execPath, [...args, 'report', '-o', 'html', '--fail-on', 'never'], options))
  const browser = await startBrowser()
  try {
    const [opened, keys]: [number[], number[]] = [[], []]
    let findings = ''
    for (let round = 0; round < rounds; round++) {
      const page = await browser.newPage()
      await page.goto(`file://${file}`)
      opened.push(Number(await page.evaluate(`${drawn}.then(() => performance.now())`)))
      findings = (await page.getByRole('status').textContent()) ?? ''
      for (const text of ['s', 'st', 'sta'])
        keys.push(
          Number(
            await page.evaluate(`(() => {
              const input = document.getElementById('filter')
              const from = performance.now()
              input.value = ${JSON.stringify(text)}
              input.dispatchEvent(new Event('input'))
              return ${drawn}.then(() => performance.now() - from)
            })()`),
          ),
        )
      await page.close()
    }
    return { open: median(opened), key: median(keys), findings }
  } finally {
    await browser.close()
  }
}

/** In a page: what it has changed is on the screen. */
const drawn = 'new Promise((done) => requestAnimationFrame(() => setTimeout(done)))'
