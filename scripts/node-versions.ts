/** Runs the smoke test on every version of Node that the package is for, and on the newest. npm has them as packages. @module */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

const versions = ['20.19', '22', '24', '26']

// The package "node" itself would need an install script.
const name = `node-${process.platform}-${process.arch}`

const folder = mkdtempSync(join(tmpdir(), 'integrations-nodes-'))
try {
  for (const version of versions) {
    const prefix = join(folder, version)
    const run = (command: string, args: readonly string[], path = '') =>
      execFileSync(command, args, {
        stdio: ['ignore', path === '' ? 'ignore' : 'inherit', 'inherit'],
        env: { ...process.env, PATH: [path, process.env.PATH].filter(Boolean).join(delimiter) },
      })
    run('npm', ['install', '--silent', '--no-audit', '--no-fund', '--prefix', prefix, `${name}@${version}`])
    const bin = join(prefix, 'node_modules', name, 'bin')
    run('node', ['--version'], bin)
    run('npx', ['vitest', 'run', '--project', 'system', 'test/e2e/smoke.test.ts'], bin)
  }
} finally {
  rmSync(folder, { recursive: true })
}
