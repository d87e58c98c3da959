import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { execute, freshFolder } from '../support/cli.ts'
import { signingSecret } from '../support/samples.ts'

test('the packed program works where it is installed, and brings nothing that downloads', async () => {
  const folder = freshFolder()
  const npm = (args: string[], cwd: string) =>
    execute('npm', [...args, '--no-audit', '--no-fund'], { cwd, env: npmEnvironment() })
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
    execute(join(home, 'node_modules/.bin/integrations'), args, { env: { HOME: home }, cwd: home, input })
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

/** What npm needs besides a PATH, where the registry is set by the environment or a file. */
function npmEnvironment(): Record<string, string> {
  const names = Object.keys(process.env).filter((name) =>
    /^(npm_config_(registry|cache|userconfig)|NPM_CONFIG_.*|https?_proxy|HTTPS?_PROXY|NODE_EXTRA_CA_CERTS|HOME)$/.test(
      name,
    ),
  )
  return Object.fromEntries(names.map((name) => [name, process.env[name] ?? '']))
}
