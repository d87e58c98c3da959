import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { createContext } from '../../src/cli/context.ts'
import type { Host } from '../../src/cli/host.ts'
import { fieldsOf } from '../../src/cli/input/arguments.ts'
import { program } from '../../src/cli/program.ts'
import { run } from '../../src/cli/run.ts'
import { freshDatabase } from '../support/database.ts'
import { everyCommand } from '../support/sample-commands.ts'
import { signingSecret } from '../support/samples.ts'
import { next, notes } from '../support/told.ts'

/** A host without a terminal. */
function fakeHost(args: readonly string[], env: Record<string, string>) {
  const { cwd, pid } = process
  return {
    ...{ stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() },
    ...{ argv: ['node', 'integrations', ...args], env, cwd, pid },
  } as unknown as Host & Record<'stdout' | 'stderr', PassThrough>
}

/** Runs a command line within this process. */
async function within(args: readonly string[], env: Record<string, string> = {}) {
  const host = fakeHost(args, env)
  const printed = Promise.all([text(host.stdout), text(host.stderr)])
  const code = await run(host)
  host.stdout.end()
  host.stderr.end()
  const [stdout, stderr] = await printed
  return { code, stdout, stderr }
}

const refused = (code: number, message: string, hint: string) => ({
  code,
  stdout: '',
  stderr: `error: ${message}\nhint: ${hint}\n`,
})

test('every command says which fields it answers with, but for those that answer with text, a document or keys', async () => {
  const root = await program(createContext(process), () => true)
  const found = (path: string) =>
    path.split(' ').reduce((command, name) => command.commands.find((one) => one.name() === name) ?? command, root)
  expect((await everyCommand()).filter((path) => !fieldsOf.has(found(path))).sort()).toEqual([
    'audit checkpoint',
    'complete',
    'completion',
    'config diff',
    'config get',
    'config schema',
    'db roles',
    'exec',
    'help',
    'keys init',
    'secrets reveal',
    'webhook sign',
  ])
})

test.each([
  [['completion', 'bash', '-o', 'jsonl']],
  [['help', 'output', '-o', 'csv']],
  [['help', 'show', '-o', 'id']],
  [['db', 'roles', '--fields', 'id']],
])('%j: text has one form', async (args) => {
  const { stderr, ...outcome } = await within(args, { DATABASE_URL: 'postgresql://nobody@localhost:1/none' })
  expect(outcome).toEqual({ code: 2, stdout: '' })
  expect(stderr).toContain('the output is text, without other formats and fields')
})

test.each([
  [['audit', 'checkpoint', '-o', 'csv']],
  [['audit', 'checkpoint', '-o', 'json', '--fields', 'seq']],
  [['secrets', 'reveal', 'support', 'webhook-secret', '-o', 'id']],
  [['webhook', 'sign', 'support', '--body-file', 'none', '--fields', 'id']],
])('%j: text or a JSON document, refused before the database is asked', async (args) => {
  const { stderr, ...outcome } = await within(args, { DATABASE_URL: 'postgresql://nobody@localhost:1/none' })
  expect(outcome).toEqual({ code: 2, stdout: '' })
  expect(stderr).toContain('the output is text or JSON, without other formats and fields')
})

test('init answers with the database', async () => {
  const { url } = await freshDatabase('sqlite')
  const env = { DATABASE_URL: url, INTEGRATIONS_KEYS_FILE: process.env.INTEGRATIONS_TEST_KEYS ?? '' }
  expect(await within(['init', '-o', 'json', '--fields', 'database,state,workspaces'], env)).toEqual({
    code: 0,
    stdout: `${JSON.stringify({ database: url, state: 'ready', workspaces: 0 }, null, 2)}\n`,
    stderr: `${notes(`${url} is ready`)}${next('integrations workspaces add <name>', 'integrations add')}`,
  })
})

test('rotate --shared answers with an array, also of one; without it, with the one thing', async () => {
  const { url } = await freshDatabase('sqlite')
  const env = {
    DATABASE_URL: url,
    INTEGRATIONS_KEYS_FILE: process.env.INTEGRATIONS_TEST_KEYS ?? '',
    ...Object.fromEntries([1, 2, 3, 4].map((n) => [`SECRET_${n}`, signingSecret(n)])),
  }
  const add = ['add', '--platform', 'slack', '--webhook-secret-env']
  for (const [n, name, place] of [
    [1, 'support', '--new-workspace'],
    [1, 'sales', '--workspace'],
    [2, 'other', '--workspace'],
  ] as const)
    expect(await within([...add, `SECRET_${n}`, '--name', name, place, 'Acme'], env)).toMatchObject({ code: 0 })
  const rotate = async (ref: string, n: number, ...flags: string[]) => {
    const { code, stdout } = await within(
      ['rotate', ref, '--webhook-secret-env', `SECRET_${n}`, '--grace', '0', '-o', 'json', ...flags],
      env,
    )
    return { code, answer: stdout === '' ? '' : JSON.parse(stdout) }
  }
  const all = (outcome: string) => [
    { name: 'support', version: 2, outcome },
    { name: 'sales', version: 2, outcome },
  ]
  const fields = ['--fields', 'name,version,outcome']
  expect(await rotate('support', 3, '--shared', '--dry-run', ...fields)).toEqual({
    code: 0,
    answer: all('would change'),
  })
  expect(await rotate('support', 3, '--shared', ...fields)).toEqual({ code: 0, answer: all('changed') })
  expect(await rotate('other', 4, '--shared')).toEqual({
    code: 0,
    answer: [expect.objectContaining({ name: 'other', version: 2, outcome: 'changed' })],
  })
  // What is not there is refused before anything is changed.
  expect(await rotate('other', 3, '--fields', 'none')).toEqual({ code: 2, answer: '' })
  expect(await rotate('other', 3, ...fields)).toEqual({
    code: 0,
    answer: { name: 'other', version: 3, outcome: 'changed' },
  })
})

test('exec says how it is typed', async () => {
  const { url } = await freshDatabase('sqlite')
  const env = { DATABASE_URL: url, INTEGRATIONS_KEYS_FILE: process.env.INTEGRATIONS_TEST_KEYS ?? '' }
  const usage = 'integrations exec [options] <ref> -- <command> [args...]'
  const needed = (hint: string) => refused(125, 'exec needs -- once, between the integration and the command', hint)
  for (const [args, outcome] of [
    [['exec'], refused(125, "missing required argument 'ref'", usage)],
    [['exec', 'Acme/support'], refused(125, "missing required argument 'command'", usage)],
    [['exec', 'Acme/support', '--'], refused(125, "missing required argument 'command'", usage)],
    [['exec', '--', 'true'], refused(125, "missing required argument 'command'", usage)],
    [['exec', 'Acme/support', 'true'], needed('integrations exec Acme/support -- true')],
    [['exec', 'Acme/support', '--', '--', 'true'], needed('integrations exec Acme/support -- true')],
    [['exec', '--', 'Acme/support', '--', 'true'], needed('integrations exec Acme/support -- true')],
    [['config', 'set', 'exec', '--', 'a=1'], refused(3, 'there is no integration "exec"', 'integrations list')],
    [['exec', '--', 'npm', 'start'], needed('integrations exec npm -- start')],
    [['exec', 'npm', '--', 'start'], refused(125, 'there is no integration "npm"', 'integrations list')],
  ] as const)
    expect([args, await within(args, env)]).toEqual([args, outcome])
})

test.each([
  [undefined, false],
  ['', false],
  ['0', false],
  ['false', false],
  ['False', false],
  ['1', true],
  ['true', true],
  ['no', true],
  [' ', true],
])('INTEGRATIONS_READ_ONLY=%j refuses changes: %s', (setting, expected) => {
  const env = { DATABASE_URL: 'file:/nowhere', ...(setting === undefined ? {} : { INTEGRATIONS_READ_ONLY: setting }) }
  const ctx = createContext(fakeHost([], env))
  expect(ctx.storeOptions(false).readOnly).toBe(expected)
  // The flag is stronger, and only ever switches it on.
  ctx.options = { ...ctx.options, readOnly: true }
  expect(ctx.storeOptions(false).readOnly).toBe(true)
})

test('no flag takes INTEGRATIONS_READ_ONLY back', async () => {
  const { url } = await freshDatabase('sqlite')
  const env = { DATABASE_URL: url, INTEGRATIONS_READ_ONLY: '1' }
  for (const [flag, code] of [
    ['--read-only=false', 2],
    ['--no-read-only', 2],
    ['--read-only', 4],
  ] as const)
    expect(await within([flag, 'workspaces', 'add', 'Acme'], env)).toMatchObject({ code, stdout: '' })
})
