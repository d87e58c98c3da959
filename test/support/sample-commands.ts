import { createHmac } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CommandUnknownOpts } from '@commander-js/extra-typings'
import { createContext } from '../../src/cli/context.ts'
import { fieldsOf } from '../../src/cli/input/arguments.ts'
import { program } from '../../src/cli/program.ts'
import { copyOf, freshDatabase, type Kind, type TestDatabase } from './database.ts'
import { startEndpoint } from './endpoint.ts'
import { runInProcess } from './in-process.ts'
import { freshFolder, type Outcome, quote, runInTerminal, runProgram } from './program.ts'
import { botToken, refreshToken, signingSecret } from './samples.ts'

/** A command line to try, on a database that `populate` has filled. */
export interface Sample {
  /** As in `config get`. */
  readonly command: string
  readonly args: readonly string[]
  readonly input?: string
  readonly env?: Record<string, string>
  /** What is typed at a terminal, by question; without it there is none. */
  readonly answers?: readonly (readonly [question: string, answer: string])[]
}

/** Every command that changes nothing, in the ways that read differently. */
export const readOnlyCommands: readonly Sample[] = [
  { command: 'list', args: ['list'] },
  { command: 'list', args: ['list', '-o', 'json'] },
  {
    command: 'list',
    args: ['list', '--workspace', 'Acme', '--active', '--name', 'SUP', '--sort=-lastUsedAt', '--limit', '5'],
  },
  { command: 'list', args: ['list', '--created-by', 'ana@example.com'] },
  { command: 'list', args: ['list', '--expired', '-o', 'json'] },
  { command: 'list', args: ['list', '--missing-secret', '-o', 'csv'] },
  { command: 'list', args: ['list', '--stale', '7d', '-o', 'id'] },
  { command: 'list', args: ['list', '--no-owner', '-o', 'id'] },
  { command: 'show', args: ['show', 'Acme/support', '-o', 'json'] },
  { command: 'workspaces list', args: ['workspaces', 'list', '-o', 'json'] },
  { command: 'workspaces show', args: ['workspaces', 'show', 'Acme'] },
  { command: 'users list', args: ['users', 'list', '--email', 'ana'] },
  { command: 'config get', args: ['config', 'get', 'Acme/support', 'slackEvents[0]'] },
  { command: 'config history', args: ['config', 'history', 'Acme/support'] },
  { command: 'config diff', args: ['config', 'diff', 'Acme/support'] },
  { command: 'config validate', args: ['config', 'validate', 'Acme/support', '-o', 'json'] },
  { command: 'config schema', args: ['config', 'schema', 'slack'] },
  { command: 'db status', args: ['db', 'status', '-o', 'json'] },
  { command: 'report', args: ['report', '--fail-on', 'never', '-o', 'json'] },
  { command: 'report ignored', args: ['report', 'ignored', '-o', 'json'] },
  { command: 'policy list', args: ['policy', 'list', '-o', 'json'] },
  { command: 'db index', args: ['db', 'index'] },
  { command: 'completion', args: ['completion', 'bash'] },
  { command: 'complete', args: ['complete', 'zsh', '--', 'show', 'Acme/'] },
  { command: 'complete', args: ['complete', 'zsh', '--', 'users', 'remove', 'a'] },
  { command: 'help', args: ['help', 'environment'] },
  { command: 'secrets list', args: ['secrets', 'list', 'Acme/support', '-o', 'json'] },
  { command: 'apps list', args: ['apps', 'list', '-o', 'json'] },
  { command: 'refresh', args: ['refresh', '--all', '--dry-run', '-o', 'json'] },
  { command: 'keys mode', args: ['keys', 'mode'] },
  { command: 'audit list', args: ['audit', 'list', '--ref', 'Acme/support', '-o', 'json'] },
  { command: 'audit checkpoint', args: ['audit', 'checkpoint'] },
]

/** Commands that change nothing and look at more with keys than without. */
export const commandsWithKeys: readonly Sample[] = [
  { command: 'keys list', args: ['keys', 'list'] },
  { command: 'keys status', args: ['keys', 'status'] },
  { command: 'doctor', args: ['doctor', '-o', 'json'] },
  { command: 'audit verify', args: ['audit', 'verify', '-o', 'json'] },
  { command: 'audit show', args: ['audit', 'show', '3'] },
]

/** What shows a secret on purpose, on standard output alone. */
export const revealingCommands: readonly Sample[] = [
  { command: 'secrets reveal', args: ['secrets', 'reveal', 'Acme/support', 'webhook-secret'] },
  { command: 'exec', args: ['exec', 'Acme/support', '--', 'env'] },
]

/** Checks a webhook of Pylon's, which has no time, signed with a secret. */
export const verifyingCommand = (secret: string): Sample => ({
  command: 'webhook verify',
  args: [
    ...['webhook', 'verify', 'Acme/desk', '--body-file', '-', '--header'],
    `X-Pylon-Signature: ${createHmac('sha256', secret).update('{}').digest('hex')}`,
  ],
  input: '{}',
})

const { url: endpoint } = await startEndpoint()
const piped = ['--webhook-secret-stdin', '--grace', '0']

/** A server that plays the platforms, and knows every token. */
const api = { INTEGRATIONS_API_URL: process.env.INTEGRATIONS_TEST_API ?? '' }

/** An end of a finding that is ignored. */
const soon = new Date(Date.now() + 86_400_000).toISOString()

/** Every command that changes something, in an order in which each has something to do. */
export const changingCommands: readonly Sample[] = [
  { command: 'init', args: ['init'] },
  // These add to the audit log alone.
  {
    command: 'webhook sign',
    args: ['webhook', 'sign', 'Acme/support', '--body-file', '-', '--secret', 'previous'],
    input: '{}',
  },
  verifyingCommand(signingSecret(3)),
  { command: 'webhook send', args: ['webhook', 'send', 'Acme/support', endpoint, '--sample', 'message'] },
  { command: 'secrets revert', args: ['secrets', 'revert', 'Acme/support', 'webhook-secret'] },
  { command: 'secrets finish', args: ['secrets', 'finish', 'Acme/support', 'webhook-secret', '--force'] },
  { command: 'secrets purge', args: ['secrets', 'purge'] },
  { command: 'keys reencrypt', args: ['keys', 'reencrypt'] },
  { command: 'workspaces add', args: ['workspaces', 'add', 'Globex'] },
  { command: 'workspaces rename', args: ['workspaces', 'rename', 'Globex', 'Initech'] },
  { command: 'users add', args: ['users', 'add', 'bob@example.com'] },
  {
    command: 'add',
    args: ['add', '--platform', 'slack', '--workspace', 'Initech', '--name', 'new', '--webhook-secret-stdin'],
    input: signingSecret(5),
  },
  { command: 'add', args: ['add', '--platform', 'pylon', '--new-workspace', 'Hooli', '--name', 'new'] },
  {
    command: 'report ignore',
    args: ['report', 'ignore', 'stale', 'Acme/support', '--until', soon, '--reason', 'OPS-1'],
  },
  { command: 'policy set', args: ['policy', 'set', 'all', '--max-secret-age', '90d', '--require-owner'] },
  { command: 'policy remove', args: ['policy', 'remove', 'all'] },
  { command: 'report unignore', args: ['report', 'unignore', 'stale', 'Acme/support'] },
  { command: 'update', args: ['update', 'Acme/support', '--name', 'care'] },
  {
    command: 'update',
    args: ['update', 'Acme/care', '--name', 'support', '--owner', 'team-a', '--tag', 'env=staging'],
  },
  { command: 'update', args: ['update', 'Acme/support', '--unset', 'owner', '--tag', 'env=production'] },
  { command: 'rotate', args: ['rotate', 'Acme/desk', ...piped], input: signingSecret(6) },
  { command: 'rotate', args: ['rotate', 'Acme/support', ...piped, '--end-previous'], input: signingSecret(7) },
  { command: 'check', args: ['check', 'Acme/support'], env: api },
  {
    command: 'secrets revoke',
    args: ['secrets', 'revoke', 'Acme/support', 'access-token', '--confirm', 'support'],
    env: api,
  },
  { command: 'disable', args: ['disable', 'Acme/support'] },
  { command: 'enable', args: ['enable', 'Acme/support'] },
  { command: 'toggle', args: ['toggle', 'Acme/support'] },
  { command: 'config set', args: ['config', 'set', 'Acme/support', 'slackEvents=["app_mention"]'] },
  { command: 'config unset', args: ['config', 'unset', 'Acme/support', 'slackEvents'] },
  { command: 'config patch', args: ['config', 'patch', 'Acme/support'], input: '{"slackEvents":["message"]}' },
  {
    command: 'config edit',
    args: ['config', 'edit', 'Acme/support'],
    env: { NO_COLOR: '1', VISUAL: editor(`sed -i s/message/app_mention/ "$1"`) },
    answers: [['Change the config of', 'y\r']],
  },
  { command: 'config revert', args: ['config', 'revert', 'Acme/support'] },
  { command: 'config purge', args: ['config', 'purge', '--all'] },
  { command: 'recover', args: ['recover', 'Acme/support'] },
  {
    command: 'apps add',
    args: ['apps', 'add', 'second', '--platform', 'slack', '--client-id', '1.2', '--client-secret-stdin'],
    input: signingSecret(8),
  },
  { command: 'apps remove', args: ['apps', 'remove', 'bot', '--confirm', 'bot'] },
  { command: 'remove', args: ['remove', 'Acme/desk', '--confirm', 'desk'] },
  { command: 'users remove', args: ['users', 'remove', 'ana@example.com', '--confirm', 'ana@example.com'] },
  { command: 'workspaces remove', args: ['workspaces', 'remove', 'Empty', '--confirm', 'Empty'] },
]

/** Commands that neither read a database nor change one. */
export const neitherCommands: readonly string[] = ['db roles']

/**
 * Commands that have nothing to do where a database is ready, its keys are made, and its log is whole, whose work is with
 * one key, or that are confirmed by the URL of the database.
 */
export const settledCommands: readonly string[] = [
  'audit acknowledge',
  'db migrate',
  'db adopt',
  'db new-id',
  'db sweep',
  'keys init',
  'keys add',
  'keys activate',
  'keys retire',
]

/** Every command that there is, as in `config get`, those for shells included. */
export async function everyCommand(): Promise<string[]> {
  const leaves = (command: CommandUnknownOpts, path: string[]): string[] => [
    // One that does something itself answers with fields.
    ...(command.commands.length === 0 || fieldsOf.has(command) ? [path.join(' ')] : []),
    ...command.commands.flatMap((one) => leaves(one, [...path, one.name()])),
  ]
  return leaves(await program(createContext(process), () => true), [])
}

/** An editor, as VISUAL names it: a script that has the file as its first argument. */
function editor(script: string): string {
  const file = join(freshFolder(), 'editor')
  writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  return quote(file)
}

/**
 * Runs a command line; what was on a terminal counts as standard error.
 *
 * @param run `answer` where many are run for what they say; `exec` and what is on a terminal are started anyway
 */
export async function runSample(
  { command, args, input, env, answers }: Sample,
  more: Record<string, string>,
  run = runProgram,
): Promise<Outcome> {
  if (!answers) {
    const start = command === 'exec' ? runProgram : run
    return start(args, { env: { ...env, ...more }, ...(input === undefined ? {} : { input }) })
  }
  const { code, screen } = await runInTerminal(args, answers, { env: { ...env, ...more } })
  return { code, stdout: '', stderr: screen.replaceAll('\r', '') }
}

/** Secrets that a database is filled with. */
export interface Secrets {
  readonly signingSecret: string
  readonly oldSigningSecret: string
  readonly botToken: string
  readonly refreshToken: string
  readonly pylonSecret: string
  readonly clientSecret: string
}

/** Fills a database: two workspaces, a user, an app, and two integrations, of which one was rotated and keeps its old value, and whose config was changed. */
export async function populate(
  db: TestDatabase,
  more: Record<string, string> = {},
  secrets: Secrets = {
    signingSecret: signingSecret(1),
    oldSigningSecret: signingSecret(2),
    botToken: botToken(),
    refreshToken: refreshToken(),
    pylonSecret: signingSecret(3),
    clientSecret: signingSecret(4),
  },
  run: typeof runInProcess = runInProcess,
): Promise<void> {
  const env = { DATABASE_URL: db.url, TOKEN: secrets.botToken, REFRESH: secrets.refreshToken, ...more }
  const steps: [string[], string?][] = [
    [['workspaces', 'add', 'Empty']],
    [['users', 'add', 'ana@example.com', '--name', 'Ana']],
    [
      ['apps', 'add', 'bot', '--platform', 'slack', '--client-id', '1.2', '--client-secret-stdin'],
      secrets.clientSecret,
    ],
    [
      [
        ...[
          'add',
          '--platform',
          'slack',
          '--new-workspace',
          'Acme',
          '--name',
          'support',
          '--created-by',
          'ana@example.com',
        ],
        ...[
          '--webhook-secret-stdin',
          '--access-token-env',
          'TOKEN',
          '--refresh-token-env',
          'REFRESH',
          '--expires-in',
          '12h',
        ],
        ...['--config', '{"slackEvents":["message"]}', '--slack-team-id', 'T012345'],
      ],
      secrets.oldSigningSecret,
    ],
    [
      ['add', '--platform', 'pylon', '--workspace', 'Acme', '--name', 'desk', '--webhook-secret-stdin'],
      secrets.pylonSecret,
    ],
    [['rotate', 'Acme/support', '--webhook-secret-stdin', '--grace', '24h'], secrets.signingSecret],
    [['config', 'set', 'Acme/support', 'slackEvents=["message","team_join"]']],
  ]
  for (const [args, input = ''] of steps) {
    const { code, stderr } = await run(args, { env, input })
    if (code !== 0) throw new Error(`integrations ${args[0]} failed: ${stderr}`)
  }
}

const filled = new Map<Kind, Promise<TestDatabase>>()

/** A database as `populate` fills it, by processes of its own, which it does once for a file of tests. */
export async function filledDatabase(kind: Kind): Promise<TestDatabase> {
  const original =
    filled.get(kind) ??
    freshDatabase(kind).then(async (db) => {
      await populate(db, {}, undefined, runProgram)
      return db
    })
  filled.set(kind, original)
  return copyOf(await original)
}
