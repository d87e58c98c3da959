import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import { loadConfig } from 'rolldown/config'
import { beforeAll, describe, expect, test } from 'vitest'
import { kinds } from '../support/database.ts'
import { bin, freshFolder, type RunOptions, runCommand, runProgram } from '../support/program.ts'
import { filledDatabase } from '../support/sample-commands.ts'
import { signingSecret } from '../support/samples.ts'

/** The packages that a chunk is made of, by its file name. */
const packagesOf = new Map<string, Set<string>>()

beforeAll(async () => {
  const config = await loadConfig('rolldown.config.js')
  if (typeof config === 'function' || Array.isArray(config) || Array.isArray(config.output))
    throw new Error('one build with one output is expected')
  // The same sources and settings give the same names as `npm run build` did.
  const build = await rolldown({ ...config, logLevel: 'silent' })
  const { output } = await build.generate(config.output)
  // Node 20 cannot import() from what it compiled before.
  expect(output.filter((chunk) => chunk.type === 'chunk' && /\bimport\(/.test(chunk.code))).toEqual([])
  for (const chunk of output)
    if (chunk.type === 'chunk')
      packagesOf.set(
        basename(chunk.fileName),
        new Set(
          chunk.moduleIds.flatMap(
            (id) =>
              /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(id)?.[1] ??
              (id.includes('generated') ? 'generated client' : []),
          ),
        ),
      )
  await build.close()
})

/** Packages of a few kilobytes, which the command line itself is made of. */
const light = ['@commander-js/extra-typings', 'commander', 'dot-prop', 'fastest-levenshtein', 'ms']

/** The scripts that a run of the program loads, as V8 counts them. */
async function loaded(args: readonly string[], { env, ...options }: RunOptions = {}): Promise<string[]> {
  const folder = freshFolder()
  // V8 calls a script that was kept by the name that it had for whoever compiled it, which may be another installation.
  const apart = { NODE_V8_COVERAGE: folder, NODE_DISABLE_COMPILE_CACHE: '1' }
  await runProgram(args, { ...options, env: { ...env, ...apart } })
  const reports = readdirSync(folder).map((file): { result: { url: string }[] } =>
    JSON.parse(readFileSync(join(folder, file), 'utf8')),
  )
  return reports
    .flatMap(({ result }) => result.map(({ url }) => url))
    .filter((url) => /^(file:|\/)/.test(url))
    .map((url) => (url.startsWith('/') ? url : fileURLToPath(url)))
}

const packages = (scripts: readonly string[]) =>
  new Set(scripts.flatMap((script) => [...(packagesOf.get(basename(script)) ?? [])]))

test.each([
  [['--help']],
  [['--version']],
  [['list', '--help']],
  [['help', 'exit-codes']],
  [['nonsense']],
  [['list', '--nonsense']],
  [['completion', 'bash']],
])('%j loads the command line and nothing heavy', async (args) => {
  const scripts = await loaded(args)
  expect(scripts.filter((script) => script.includes('node_modules'))).toEqual([])
  const chunks = scripts.filter((script) => script.includes('/dist/')).map((script) => basename(script))
  expect(chunks).toContain('main.cjs')
  expect(
    chunks.filter((chunk) => !packagesOf.has(chunk)),
    'a stale build: npm run build',
  ).toEqual([])
  expect([...packages(scripts)].filter((one) => !light.includes(one))).toEqual([])
  expect(chunks.length).toBeLessThanOrEqual(14)
})

test.each(['--help', '--version'])('%s is answered without reading the command line', async (flag) => {
  expect(packages(await loaded([flag]))).toEqual(new Set())
})

test('the help that the build wrote down is the help', async () => {
  expect(await runProgram(['--help'])).toEqual(await runProgram(['help']))
})

describe('what Node compiled', () => {
  const node = `${process.version}-${process.arch}`
  const files = (folder: string) =>
    readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile())

  test('is kept for the user alone, and what is damaged is made again', async () => {
    const cache = freshFolder()
    const run = () => runProgram(['help', 'output'], { env: { XDG_CACHE_HOME: cache } })
    const first = await run()
    expect(first).toMatchObject({ code: 0, stderr: '' })
    const kept = files(cache)
    expect(kept.length).toBeGreaterThan(1)
    expect(statSync(join(cache, 'integrations', node)).mode & 0o777).toBe(0o700)
    for (const { parentPath, name } of kept) writeFileSync(join(parentPath, name), 'damaged')
    expect(await run()).toEqual(first)
    for (const { parentPath, name } of kept) expect(readFileSync(join(parentPath, name), 'latin1')).not.toBe('damaged')
    expect(files(cache)).toHaveLength(kept.length)
  })

  test('is kept for each command apart, and for words that are no command together', async () => {
    const cache = freshFolder()
    for (const args of [['list', '--help'], ['lsit'], ['--read-only', 'list', '--help']])
      await runProgram(args, { env: { XDG_CACHE_HOME: cache } })
    expect(readdirSync(join(cache, 'integrations', node)).sort()).toEqual(['list', 'other'])
  })

  test('is neither kept nor read where others can write, or when that is not wanted', async () => {
    const open = freshFolder()
    const folder = join(open, 'integrations', node)
    mkdirSync(folder, { recursive: true })
    chmodSync(folder, 0o777)
    const unwanted = freshFolder()
    // As with sudo and the HOME of another user. Who is not root cannot make such a folder.
    const theirs = freshFolder()
    const root = process.getuid?.() === 0
    if (root) chownSync(theirs, 65_534, 65_534)
    expect([
      await runProgram(['help', 'output'], { env: { XDG_CACHE_HOME: open } }),
      await runProgram(['help', 'output'], { env: { XDG_CACHE_HOME: unwanted, NODE_DISABLE_COMPILE_CACHE: '1' } }),
      await runProgram(['help', 'output'], { env: { XDG_CACHE_HOME: '/proc/nowhere' } }),
      await runProgram(['help', 'output'], { env: { XDG_CACHE_HOME: root ? theirs : '/proc/nowhere' } }),
    ]).toEqual(Array(4).fill(await runProgram(['help', 'output'])))
    expect([files(open), files(unwanted), files(theirs)]).toEqual([[], [], []])
  })
})

test('a command that needs them does load them', async () => {
  expect([...packages(await loaded(['list', '-o', 'csv']))]).toEqual(
    expect.arrayContaining(['@prisma/adapter-libsql', 'csv-stringify']),
  )
})

test('a list reads few files', async () => {
  const db = await filledDatabase('sqlite')
  const scripts = await loaded(['list'], { env: { DATABASE_URL: db.url } })
  // Each is looked for and opened, which takes longer than what many of them do.
  expect(scripts.filter((script) => script.includes('/dist/')).length).toBeLessThanOrEqual(9)
})

test.each([
  ['sqlite', /^NativeModule (stream|net|tty|tls|crypto|zlib|child_process)$/, ['pg', '@prisma/adapter-pg']],
  // Of cryptography, a server may want the proof of a password.
  ['postgresql', /^NativeModule (tty|tls|zlib|child_process)$/, ['libsql', '@libsql/client', '@prisma/adapter-libsql']],
] as const)('a list on %s loads no part of Node, and no package, that it does without', async (kind, parts, others) => {
  const db = await filledDatabase(kind)
  const folder = freshFolder()
  const [told, modules] = [join(folder, 'told.cjs'), join(folder, 'modules')]
  writeFileSync(
    told,
    `process.on('exit', () => require('node:fs').writeFileSync(${JSON.stringify(modules)}, process.moduleLoadList.join()))`,
  )
  const env = { DATABASE_URL: db.url }
  const run = await runCommand(process.execPath, ['--require', told, bin, 'list', '-o', 'id'], { env })
  expect(run).toMatchObject({ code: 0, stderr: '' })
  const builtIn = readFileSync(modules, 'utf8').split(',')
  expect(builtIn).toContain('NativeModule fs')
  expect(builtIn.filter((one) => parts.test(one))).toEqual([])
  const used = packages(await loaded(['list', '-o', 'id'], { env }))
  expect(used).toContain('@prisma/driver-adapter-utils')
  expect(others.filter((one) => used.has(one))).toEqual([])
})

const queryCompiler = ['@prisma/client', 'generated client']

test.each(kinds)('a change on %s loads the query compiler where a user or an app is added alone', async (kind) => {
  const db = await filledDatabase(kind)
  const env = { DATABASE_URL: db.url }
  const compilers = async (args: readonly string[], input = '') =>
    [...packages(await loaded(args, { env, input }))].filter((one) => queryCompiler.includes(one))
  const value = signingSecret(7)
  expect([
    await compilers(['toggle', 'Acme/support']),
    await compilers(['config', 'set', 'Acme/support', 'slackEvents=["app_mention"]']),
    await compilers(['rotate', 'Acme/support', '--webhook-secret-stdin', '--grace', '0', '--end-previous'], value),
    await compilers(['remove', 'Acme/desk', '--confirm', 'desk']),
    await compilers([...'add --platform slack --workspace Acme --name desk --webhook-secret-stdin'.split(' ')], value),
    await compilers(['workspaces', 'add', 'Globex']),
    (await compilers(['users', 'add', 'ada@acme.example'])).sort(),
  ]).toEqual([[], [], [], [], [], [], queryCompiler])
  const actions = await db.query('SELECT action FROM integration_events ORDER BY seq DESC LIMIT 7')
  expect(actions.map(({ action }) => action)).toEqual([
    'user.add',
    'workspace.add',
    'integration.add',
    'integration.remove',
    'secret.rotate',
    'config.change',
    expect.stringMatching(/^integration\.(en|dis)able$/),
  ])
})
