/**
 * npm run demo
 *
 * The main job on an embedded database in a folder that is removed in the end, every command shown as it is run.
 */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'

const hex = (bytes: number) => randomBytes(bytes).toString('hex')

const steps: readonly (readonly [why: string, command: string])[] = [
  ['Make a workspace. The database is made on first use.', 'integrations workspaces add Acme'],
  [
    'Add an integration. Secrets come from a pipe, a file or a variable, never from the command line.',
    `printf %s "$SECRET" | integrations add --platform slack --workspace Acme --name support \\
    --webhook-secret-stdin --access-token-env SLACK_TOKEN --no-expiry --slack-team-id T012AB3CD \\
    --config '{"slackChannels":[{"id":"C024BE91L","name":"help"}]}'`,
  ],
  [
    'See what there is. Of secrets, only facts are shown.',
    'integrations list --fields name,workspace,platform,isActive,lastUsedAt,webhookSecret',
  ],
  ['The same for a script.', 'integrations list -o json --fields id,name,isActive,webhookSecret'],
  [
    'Replace the signing secret. The previous secret stays valid for a day.',
    'printf %s "$NEW" | integrations rotate Acme/support --webhook-secret-stdin --grace 24h',
  ],
  ['Change one value of its config.', `integrations config set Acme/support 'slackChannels[0].name="triage"'`],
  ['Switch it off, and on again.', 'integrations toggle Acme/support && integrations toggle Acme/support'],
  ['Look at all of it.', 'integrations show Acme/support -o json'],
]

const folder = mkdtempSync(join(tmpdir(), 'integrations-demo-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1))

writeFileSync(join(folder, 'integrations'), '#!/bin/sh\nexec "$NODE" "$PROGRAM" "$@"\n', { mode: 0o755 })
const { DATABASE_URL: _, XDG_DATA_HOME: __, ...inherited } = process.env
const env = {
  ...inherited,
  NODE: process.execPath,
  PROGRAM: resolve(import.meta.dirname, '../bin/integrations.js'),
  PATH: `${folder}${delimiter}${process.env.PATH ?? ''}`,
  HOME: folder,
  SECRET: hex(16),
  NEW: hex(16),
  SLACK_TOKEN: ['xox', `b-1111111111-2222222222-${hex(12)}`].join(''),
}

for (const [why, command] of steps) {
  process.stdout.write(`# ${why}\n$ ${command}\n`)
  const { status } = spawnSync('sh', ['-c', command], { env, stdio: ['ignore', 1, 1] })
  process.stdout.write('\n')
  if (status !== 0) {
    process.exitCode = 1
    break
  }
}
