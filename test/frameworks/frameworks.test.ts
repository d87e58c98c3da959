import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { kinds } from '../support/database.ts'
import { type Block, document } from '../support/documents.ts'
import { freshFolder } from '../support/program.ts'
import { type Host, outcomesIn, serve, serveNext, stopAll } from './hosts.ts'
import { cases, consumed } from './requests.ts'

afterEach(stopAll)

/** Where the frameworks are installed, with the package as it is packed, and with what docs/frameworks.md shows. */
const folder = freshFolder()

const { blocks } = document('docs/frameworks.md')

/** Where npm puts the binaries of libsql. */
const libsql = 'node_modules/@libsql'

/** The code of the page, by the file that its first line names. */
const code = new Map(
  blocks.filter(({ info }) => info === 'js').map(({ text }) => [/^\/\/ (\S+)\n/.exec(text)?.[1] ?? '', text] as const),
)

/** Code of the page with a change, which has to fit. */
function changed(file: string, there: string, instead: string): string {
  const text = code.get(file) ?? ''
  expect(text).toContain(there)
  return text.replace(there, instead)
}

beforeAll(() => {
  const npm = (...args: string[]) =>
    execFileSync('npm', [...args, '--no-audit', '--no-fund', '--prefer-offline'], { cwd: folder })
  for (const file of ['package.json', 'package-lock.json', 'serve.mjs']) copy(file)
  npm('ci')
  // The set-up has built the rest, from which other tests are running.
  execFileSync('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { stdio: 'pipe' })
  const tarball = readdirSync(folder).find((file) => file.endsWith('.tgz')) ?? ''
  npm('install', '--no-save', join(folder, tarball))

  for (const [file, text] of [...code, ...variants()]) {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), text)
  }
  // The application's own function notes what it is given.
  copy('handle.js')
  for (const file of ['handle.js', 'receiver.js']) copyFileSync(join(folder, file), join(folder, 'parsed', file))
  rmSync(join(folder, 'next.config.js'))
  const bundlers = blocks.find(({ info, text }) => info === 'sh not-run' && text.includes('esbuild')) as Block
  execFileSync('bash', ['-euc', bundlers.text], { cwd: folder, stdio: 'pipe' })
})

const copy = (file: string) => copyFileSync(join('test/frameworks', file), join(folder, file))

/** What the page leaves to its reader: another version, and parsers of bodies that stand before the receiver. */
function variants(): [file: string, text: string][] {
  const parsing = changed('express.js', 'app = express()', 'app = express().use(express.json())')
  const version4 = ["from 'express'", "from 'express4'"] as const
  const reading = 'new Hono().use(async ({ req }, next) => (await req.json(), next()))'
  const parser = "new Koa().use((await import('@koa/bodyparser')).bodyParser())"
  return [
    ['express-4.js', changed('express.js', ...version4)],
    ['parsed/express.js', parsing],
    ['parsed/express-4.js', parsing.replace(...version4)],
    ['parsed/fastify.js', changed('fastify.js', 'webhooks.removeAllContentTypeParsers()', '')],
    ['parsed/hono.js', changed('hono.js', 'new Hono()', reading)],
    ['parsed/koa.js', changed('koa.js', 'new Koa()', parser)],
    ['parsed/serverless-http.js', changed('serverless-http.js', '', '')],
    ['parsed/serverless-express.js', changed('serverless-express.js', '', '')],
    [
      'app/parsed/route.js',
      changed('app/slack/route.js', 'const receiving', 'await request.json()\n  const receiving'),
    ],
  ]
}

/** What listens, and the code of the page that answers. */
const servers: Record<string, readonly [how: string, file: string]> = {
  'Express 5': ['express', 'express.js'],
  'Express 4': ['express', 'express-4.js'],
  Fastify: ['fastify', 'fastify.js'],
  Hono: ['hono', 'hono.js'],
  Koa: ['koa', 'koa.js'],
  'Lambda, API Gateway 1': ['api-gateway-1', 'lambda.js'],
  'Lambda, API Gateway 1 with Base64': ['api-gateway-1-base64', 'lambda.js'],
  'Lambda, API Gateway 2': ['api-gateway-2', 'lambda.js'],
  'serverless-http, API Gateway 1': ['api-gateway-1', 'serverless-http.js'],
  'serverless-http, API Gateway 2': ['api-gateway-2', 'serverless-http.js'],
  'serverless-express, API Gateway 1': ['api-gateway-1', 'serverless-express.js'],
  'serverless-express, API Gateway 2': ['api-gateway-2', 'serverless-express.js'],
}

/** What `onError` says of a body that was read before. */
const consumedError =
  'BAD_INPUT the body of the request was read before the receiver got the request, so the signature cannot be checked'

/** What `stop` gives after requests of both platforms. */
const used = ['repository', 'support']

/** Sends the whole table, and compares what came of it. */
async function expectTheSame(host: Host): Promise<void> {
  const table = cases(host.githubId)
  const expected = Object.fromEntries(Object.entries(table).map(([name, row]) => [name, row.expected]))
  expect(await outcomesIn(host, table)).toEqual(expected)
}

describe.each(kinds)('%s', (kind) => {
  test.each(Object.entries(servers))('%s: the same requests, the same outcomes', async (_, [how, file]) => {
    const host = await serve(kind, folder, how, file)
    await expectTheSame(host)
    expect(await host.stop()).toEqual({ errors: [], used })
  })

  test.each(['lambda.cjs', 'lambda.mjs'])('%s of esbuild works in a folder of its own', async (file) => {
    const elsewhere = freshFolder()
    for (const one of ['serve.mjs', `bundle/${file}`]) cpSync(join(folder, one), join(elsewhere, one))
    if (kind === 'sqlite') cpSync(join(folder, libsql), join(elsewhere, libsql), { recursive: true })
    await withoutFolder(async () => {
      const host = await serve(kind, elsewhere, 'api-gateway-2', `bundle/${file}`)
      await expectTheSame(host)
      expect(await host.stop()).toEqual({ errors: [], used })
    })
  })

  test.each(['--turbopack', '--webpack'])('Next.js %s, standalone, works in a folder of its own', async (bundler) => {
    const config = kind === 'sqlite' ? (code.get('next.config.js') ?? '') : 'export default {}\n'
    writeFileSync(join(folder, 'next.config.js'), config.replace('{', "{ output: 'standalone',"))
    buildNext(bundler)
    const elsewhere = freshFolder()
    cpSync(join(folder, '.next/standalone'), elsewhere, { recursive: true, verbatimSymlinks: true })
    if (kind === 'postgresql')
      for (const name of [packageJson.name, '@libsql'])
        rmSync(join(elsewhere, 'node_modules', name), { recursive: true, force: true })
    await withoutFolder(async () => {
      const host = await serveNext(kind, elsewhere, ['server.js'])
      await expectTheSame(host)
      const { sent, expected } = consumed()
      expect(await host.answer(sent, '/parsed')).toEqual(expected)
      expect(await host.stop()).toEqual({ errors: [consumedError], used })
    })
  })
})

test('Next.js starts what it built without any config', async () => {
  rmSync(join(folder, 'next.config.js'), { force: true })
  buildNext('--turbopack')
  const host = await serveNext('postgresql', folder, ['node_modules/next/dist/bin/next', 'start'])
  await expectTheSame(host)
  expect(await host.stop()).toEqual({ errors: [], used })
})

test.each(Object.entries(servers).filter(([, [, file]]) => file !== 'lambda.js'))(
  '%s: a body that a parser has read is told of',
  async (_, [how, file]) => {
    const host = await serve('sqlite', folder, how, `parsed/${file}`)
    const { sent, expected } = consumed()
    expect(await host.answer(sent)).toEqual(expected)
    expect(await host.stop()).toEqual({ errors: [consumedError], used: [] })
  },
)

/** Works where what is installed is not there. */
async function withoutFolder(work: () => Promise<void>): Promise<void> {
  const away = `${folder}-away`
  renameSync(folder, away)
  try {
    await work()
  } finally {
    renameSync(away, folder)
  }
}

/** Builds the routes of the page with Next.js. */
function buildNext(bundler: string): void {
  rmSync(join(folder, '.next'), { recursive: true, force: true })
  const env = { ...process.env, NEXT_TELEMETRY_DISABLED: '1', NODE_ENV: 'production' }
  execFileSync('npx', ['next', 'build', bundler], { cwd: folder, env, stdio: 'pipe' })
}
