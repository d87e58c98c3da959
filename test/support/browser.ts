import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

/** Chromium, where it is installed. */
export const browserProgram: string | undefined = [
  process.env.CHROMIUM ?? '',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find(existsSync)

/** Starts Chromium. @throws where it is not installed */
export function startBrowser(): Promise<Browser> {
  if (!browserProgram) throw new Error('Chromium is not installed; CHROMIUM names it elsewhere')
  // Its sandbox does not run as root.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : []
  return chromium.launch({ executablePath: browserProgram, args })
}
