import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { freshFolder, runCommand } from '../support/program.ts'
import { signingSecret } from '../support/samples.ts'

/** A folder where the package is installed, and nothing else. */
const home = freshFolder()
const installedPackage = join(home, 'node_modules', packageJson.name)

beforeAll(async () => {
  const folder = freshFolder()
  const npm = (args: string[], cwd: string) =>
    runCommand('npm', [...args, '--no-audit', '--no-fund'], { cwd, env: npmEnvironment() })
  expect(await npm(['run', 'types'], process.cwd())).toMatchObject({ code: 0 })
  // The set-up has built the rest, from which other tests are running.
  const packed = await npm(['pack', '--ignore-scripts', '--json', '--pack-destination', folder], process.cwd())
  expect(packed).toMatchObject({ code: 0 })
  const [tarball = ''] = readdirSync(folder)
  writeFileSync(join(home, 'package.json'), '{}')
  expect(await npm(['install', '--omit=dev', join(folder, tarball)], home)).toMatchObject({ code: 0 })
})

test('the packed program works where it is installed, and brings nothing that downloads', async () => {
  const lock = JSON.parse(readFileSync(join(home, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { hasInstallScript?: boolean }>
  }
  const installed = Object.entries(lock.packages)
  expect(installed.filter(([, { hasInstallScript }]) => hasInstallScript).map(([name]) => name)).toEqual([])
  expect(
    installed.map(([name]) => name).filter((name) => /node_modules\/(prisma|@prisma\/(client|engines))$/.test(name)),
  ).toEqual([])

  const program = (args: string[], input = '') =>
    runCommand(join(home, 'node_modules/.bin/integrations'), args, { env: { HOME: home }, cwd: home, input })
  expect(await program(['init'])).toMatchObject({ code: 0 })
  expect(
    await program(
      [
        'add',
        '--platform',
        'slack',
        '--new-workspace',
        'Acme',
        '--name',
        'support',
        '--webhook-secret-stdin',
        '--config',
        '{"slackEvents":["message"]}',
      ],
      signingSecret(),
    ),
  ).toMatchObject({ code: 0 })
  expect(await program(['list', '--fields', 'workspace,name,config'])).toEqual({
    code: 0,
    stdout: 'Acme\tsupport\t{"slackEvents":["message"]}\n',
    stderr: '',
  })
})

test('the package holds the licences of what is bundled, no types but the public ones, and nothing that runs by itself', () => {
  const text = (file: string) => readFileSync(join(installedPackage, file), 'utf8')
  const { components } = JSON.parse(text('dist/sbom.cdx.json')) as {
    components: { name: string; version: string; licenses: [{ license: { id: string } }] }[]
  }
  expect(components.map(({ name }) => name)).toEqual(expect.arrayContaining(['commander', 'pg', '@prisma/client']))
  const headings = components.map(({ name, version, licenses: [{ license }] }) => `${name} ${version}, ${license.id}`)
  expect([...text('dist/THIRD_PARTY_NOTICES').matchAll(/^-{80}\n(.*)$/gm)].map(([, heading]) => heading)).toEqual(
    headings,
  )
  expect(
    readdirSync(installedPackage, { recursive: true, encoding: 'utf8' }).filter((file) => /\.d\.[cm]?ts$/.test(file)),
  ).toEqual(['receiver', 'store', 'types'].flatMap((name) => [`dist/${name}.d.cts`, `dist/${name}.d.ts`]))
  const { scripts } = JSON.parse(text('package.json')) as { scripts: Record<string, string> }
  expect(Object.keys(scripts).filter((name) => /^(pre|post)?(install|prepare)$/.test(name))).toEqual([])
})

test.each([
  ['receiver', 'createReceiver'],
  ['store', 'createStore'],
])('the %s is there for modules and for require', async (name, create) => {
  const use = `const { code } = await ${create}({ database: 'file:/nowhere/x.db', keys: { set: '{"keys":[]}' } }).catch((error) => error)
    console.log(code)`
  const library = `${packageJson.name}/${name}`
  writeFileSync(join(home, 'module.mjs'), `import { ${create} } from '${library}'\n${use}`)
  writeFileSync(join(home, 'script.cjs'), `const { ${create} } = require('${library}');(async () => {${use}})()`)
  const run = (file: string) => runCommand(process.execPath, [file], { cwd: home })
  const missing = { code: 0, stdout: 'DATABASE_MISSING\n', stderr: '' }
  expect([await run('module.mjs'), await run('script.cjs')]).toEqual([missing, missing])
})

test('the receiver alone loads nothing of the store, and both share their errors', async () => {
  const script = `
    const { readFileSync } = require('node:fs')
    const loads = () => Object.keys(require.cache).some((file) => file !== __filename && readFileSync(file, 'utf8').includes('to leave it as it is'))
    const receiver = require('${packageJson.name}/receiver')
    const alone = loads()
    const store = require('${packageJson.name}/store')
    console.log(alone, loads(), receiver.IntegrationsError === store.IntegrationsError)`
  writeFileSync(join(home, 'script.cjs'), script)
  expect(await runCommand(process.execPath, ['script.cjs'], { cwd: home })).toEqual({
    code: 0,
    stdout: 'false true true\n',
    stderr: '',
  })
})

/** An application in TypeScript that uses the receiver and the store, and shares the types of the data model. */
const application = (request: string) => `
  import { createReceiver, fromNode, IntegrationsError, type Outcome, type WebhookEvent } from '${packageJson.name}/receiver'
  import type { Integration, IntegrationConfig, IntegrationPlatform, NewIntegration } from '${packageJson.name}/receiver'
  interface Envelope { readonly event: { readonly type: string; readonly channel?: string } }
  const act = ({ event }: Extract<Outcome<Envelope>, { kind: 'event' }>): string => channelOf(event)
  const channelOf = ({ payload }: WebhookEvent<Envelope>): string => payload.event.channel ?? 'none'
  import { createStore, type Added, type Installation, type IntegrationStore } from '${packageJson.name}/store'
  export async function receive(): Promise<string | null> {
    const receiver = await createReceiver({ database: '', keys: { file: '' } })
    const slack: Outcome = await receiver.slack(${request})
    await receiver.pylon(fromNode({ headers: {} }, ''), { integrationId: '' })
    // @ts-expect-error Pylon does not say whose a request is
    await receiver.pylon(${request})
    // @ts-expect-error there is no such platform
    receiver.solar
    const own = await receiver.slack<Envelope>(${request})
    if (own.kind === 'event') act(own)
    const issue = await receiver.github<{ action: string }>(${request}, { integrationId: '' })
    if (issue.kind === 'event') issue.event.payload.action.toUpperCase()
    // @ts-expect-error the application's own type has no such field
    if (issue.kind === 'event') issue.event.payload.label
    // @ts-expect-error without a type of the application's own, a payload is any JSON
    if (slack.kind === 'event') slack.event.payload.event
    return slack.kind === 'event' ? slack.event.name : slack.kind === 'handled' ? slack.detail : slack.reason
  }
  export async function install(installation: Installation): Promise<string> {
    const store: IntegrationStore = await createStore({ database: '', keys: { file: '' } })
    const added: Added = await store.add(installation, { ifExists: 'update', graceMs: 0, actor: 'ana' })
    const shown: import('${packageJson.name}/receiver').IntegrationView = added.integration
    // @ts-expect-error what becomes of the secrets that are replaced has to be said
    await store.add(installation, { ifExists: 'update' })
    // @ts-expect-error there is nothing to replace
    await store.add(installation, { ifExists: 'keep', graceMs: 0 })
    // @ts-expect-error the same
    await store.rotate(shown.id, { accessToken: '' }, {})
    // @ts-expect-error there is no such platform
    await store.add({ workspaceId: '1', platform: 'solar', name: 'x' })
    const { outcome } = await store.rotate(shown.id, { accessToken: '' }, { graceMs: 0, tokenExpiresAt: 'never' })
    return outcome
  }
  export const isOurs = (error: unknown): boolean => error instanceof IntegrationsError && error.code === 'NOT_FOUND'
  export const platforms: IntegrationPlatform[] = ['slack', 'pylon', 'github']
  export const config: IntegrationConfig = { slackChannels: [{ id: 'C1', name: 'help' }], pylonRegion: 'eu', ours: [1] }
  // @ts-expect-error a channel has a name
  config.slackChannels = [{ id: 'C1' }]
  // @ts-expect-error there is no such region
  config.pylonRegion = 'mars'
  export const added: NewIntegration = { id: '1', workspaceId: '2', platform: 'slack', name: 'support', config }
  // @ts-expect-error a row has a name
  export const nameless: NewIntegration = { id: '1', workspaceId: '2', platform: 'slack' }
  export const isActive = (row: Integration): boolean => row.isActive !== false && row.lastUsedAt instanceof Date
`

const compilers = [
  ['TypeScript 5.9', 'node_modules/typescript5/bin/tsc', ['node10', 'node16', 'nodenext', 'bundler']],
  ['TypeScript 7', 'node_modules/@typescript/native/bin/tsc', ['node16', 'nodenext', 'bundler']],
] as const

/** Where an application has its types from, besides the language; a browser's are tried with a bundler. */
const surroundings = [
  { types: ['node'], lib: ['es2022'], request: `new Request('http://localhost/')` },
  { types: [], lib: ['es2022'], request: `fromNode({ headers: {} }, new Uint8Array())` },
  { types: [], lib: ['es2022', 'dom'], request: `new Request('http://localhost/')`, only: 'bundler' },
]

test.each(compilers)('with %s, applications compile however modules are resolved', async (_, tsc, resolutions) => {
  for (const moduleResolution of resolutions)
    for (const { types, lib, request, only } of surroundings) {
      if (only !== undefined && only !== moduleResolution) continue
      const module = { node10: 'commonjs', bundler: 'esnext', node16: 'node16', nodenext: 'nodenext' }[moduleResolution]
      // The modes of Node know modules and CommonJS by the name of the file.
      const files = module === moduleResolution ? ['application.mts', 'application.cts'] : ['application.ts']
      for (const file of files) writeFileSync(join(home, file), application(request))
      const typesFrom = { lib, types, typeRoots: [resolve('node_modules/@types')], skipDefaultLibCheck: true }
      const compilerOptions = { module, moduleResolution, ...typesFrom, target: 'es2022', strict: true, noEmit: true }
      writeFileSync(join(home, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
      const ran = await runCommand(process.execPath, [resolve(tsc)], { cwd: home })
      expect(ran, JSON.stringify(compilerOptions)).toEqual({ code: 0, stdout: '', stderr: '' })
    }
})

/** What npm needs besides a PATH, where the registry is set by the environment or a file. */
function npmEnvironment(): Record<string, string> {
  const names = Object.keys(process.env).filter((name) =>
    /^(npm_config_(registry|cache|userconfig)|NPM_CONFIG_.*|https?_proxy|HTTPS?_PROXY|NODE_EXTRA_CA_CERTS|HOME)$/.test(
      name,
    ),
  )
  return Object.fromEntries(names.map((name) => [name, process.env[name] ?? '']))
}
