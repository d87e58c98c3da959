import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { freshFolder, runCommand } from '../support/program.ts'
import { signingSecret } from '../support/samples.ts'

test('the packed program works where it is installed, and brings nothing that downloads', async () => {
  const folder = freshFolder()
  const npm = (args: string[], cwd: string) =>
    runCommand('npm', [...args, '--no-audit', '--no-fund'], { cwd, env: npmEnvironment() })
  const packed = await npm(['pack', '--ignore-scripts', '--json', '--pack-destination', folder], process.cwd())
  expect(packed).toMatchObject({ code: 0 })
  const [tarball = ''] = readdirSync(folder).filter((name) => name.endsWith('.tgz'))

  const home = freshFolder()
  writeFileSync(join(home, 'package.json'), '{}')
  expect(await npm(['install', '--omit=dev', join(folder, tarball)], home)).toMatchObject({ code: 0 })

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

test('the receiver is there for modules, for require and for TypeScript', async () => {
  const home = freshFolder()
  mkdirSync(join(home, 'node_modules'))
  symlinkSync(process.cwd(), join(home, 'node_modules/integrations-admin'))
  writeFileSync(join(home, 'package.json'), '{"type":"module"}')
  const use = `const { code } = await createReceiver({ database: 'file:/nowhere/x.db', keys: { set: '{"keys":[]}' } }).catch((error) => error)
    console.log(code)`
  writeFileSync(join(home, 'module.js'), `import { createReceiver } from 'integrations-admin/receiver'\n${use}`)
  writeFileSync(
    join(home, 'script.cjs'),
    `const { createReceiver } = require('integrations-admin/receiver');(async () => {${use}})()`,
  )
  writeFileSync(
    join(home, 'typed.ts'),
    `import { createReceiver, fromNode, type Outcome } from 'integrations-admin/receiver'
    const receiver = await createReceiver({ database: '', keys: { file: '' } })
    export const slack: Outcome = await receiver.slack(new Request('http://localhost/'))
    export const pylon: Outcome = await receiver.pylon(fromNode({ headers: {} }, ''), { integrationId: '' })
    export const name: string | null = slack.kind === 'event' ? slack.event.name : slack.kind === 'handled' ? slack.detail : slack.reason
    // @ts-expect-error Pylon does not say whose a request is
    await receiver.pylon(new Request('http://localhost/'))
    // @ts-expect-error there is no such platform
    receiver.solar`,
  )
  const run = (command: string, ...args: string[]) => runCommand(command, args, { cwd: home })
  const tsc = resolve('node_modules/.bin/tsc')
  const types = ['--typeRoots', resolve('node_modules/@types'), '--types', 'node', '--lib', 'es2024']
  expect([
    await run(process.execPath, 'module.js'),
    await run(process.execPath, 'script.cjs'),
    await run(tsc, '--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', ...types, 'typed.ts'),
  ]).toEqual([
    { code: 0, stdout: 'DATABASE_MISSING\n', stderr: '' },
    { code: 0, stdout: 'DATABASE_MISSING\n', stderr: '' },
    { code: 0, stdout: '', stderr: '' },
  ])
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
