import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { IntegrationsError, systemCode } from '../errors.ts'
import type { HeadMemory } from '../store/audit/seen.ts'
import { requirePrivateFolder } from '../store/database/private-files.ts'
import type { Output } from './output/output.ts'
import { homeFolder } from './paths.ts'

/** Keeps the ends of audit logs in the user's folder for state, a file each; without a home, nowhere. */
export function headMemory(env: NodeJS.ProcessEnv, output: Output): HeadMemory {
  const home = homeFolder(env, 'state')
  const folder = home === undefined ? undefined : join(home, 'integrations', 'heads')
  let usable = folder !== undefined
  let checked = false
  let made = false
  let warned = false
  /** Does something with the folder, and nothing from the first failure on. */
  function attempt<T>(work: (folder: string) => T): T | undefined {
    if (!usable || folder === undefined) return undefined
    try {
      // What another user can write proves nothing.
      if (!checked)
        for (const one of [dirname(folder), folder])
          requirePrivateFolder(one, { setting: 'XDG_STATE_HOME', me: process.getuid?.() })
      checked = true
      return work(folder)
    } catch (error) {
      usable = false
      const reason =
        error instanceof IntegrationsError ? error.message : `${folder} cannot be written (${systemCode(error)})`
      output.note(`this machine cannot remember where the audit log ends: ${reason}`)
      return undefined
    }
  }
  return {
    read: (name) =>
      attempt((folder) => {
        try {
          return readFileSync(join(folder, `${name}.json`), 'utf8')
        } catch {
          return undefined
        }
      }),
    write: (name, text) =>
      attempt((folder) => {
        const file = join(folder, `${name}.${crypto.randomUUID()}`)
        try {
          if (!made) mkdirSync(folder, { recursive: true, mode: 0o700 })
          made = true
          writeFileSync(file, text, { flag: 'wx', mode: 0o600 })
          renameSync(file, join(folder, `${name}.json`))
        } catch (error) {
          rmSync(file, { force: true })
          throw error
        }
      }),
    warn: (text) => {
      if (!warned) output.warn(text)
      warned = true
    },
  }
}
