import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import frameworks from '../frameworks/package.json' with { type: 'json' }

/** The packages that may be named: this one, those that it installs itself, and those that it is tested with. */
const known = new Set([
  packageJson.name,
  ...Object.keys({ ...packageJson.dependencies, ...packageJson.devDependencies, ...frameworks.dependencies }),
])

// What installs names packages to the end of the command; what runs one names it first.
const installers = /\b(?:npm (?:i|install|add)|pnpm (?:i|add)|yarn add|bun add)((?: +[^\s`'"|&;#)]+)+)/g
const runners = /\b(?:npx|npm (?:exec|x)|pnpm dlx|yarn dlx|bunx)(?: +-\S+)*( +[^\s`'"|&;#)]+)/g
const library = /(['"`])((?:@[\w.-]+\/)?\w[\w.-]*)\/(receiver|store)\1/g

/** The packages that a text names: in a command that installs or runs one, or as the library. */
function packagesIn(text: string): string[] {
  const installed = [...text.matchAll(installers), ...text.matchAll(runners)].flatMap(([, words = '']) =>
    words
      .trim()
      .split(/ +/)
      // A flag, a folder or a tarball is no package of a registry.
      .filter((word) => !/^-|^[.~/$]|\.tgz$/.test(word))
      .map((word) => word.replace(/(?<=.)@.*$/, '')),
  )
  const imported = [...text.matchAll(library)]
    // `src/receiver` is a folder of ours.
    .filter(([, , name, part]) => !existsSync(`${name}/${part}`))
    .map(([, , name = '']) => name)
  return [...installed, ...imported]
}

test.each([
  ['npm install -g integrations@latest', ['integrations']],
  ['`npm i --save-dev @a/b@1.2.3 ./c.tgz`, then', ['@a/b']],
  ["import { createReceiver } from 'integrations/receiver'", ['integrations']],
  ["import { createStore } from 'integrations/store'", ['integrations']],
  ['npx vitest run a.test.ts && npm ci && npm link', ['vitest']],
  ['`src/receiver` is a folder', []],
  ["import { createReceiver } from '../receiver/receiver.ts'", []],
])('in %j, packages are found', (text, packages) => {
  expect(packagesIn(text)).toEqual(packages)
})

test('no text names a package that is not ours: people would install a stranger', () => {
  const files = execFileSync('git', ['ls-files', '*.md', 'src', 'docs', 'examples', 'bench', 'scripts', '.ci'], {
    encoding: 'utf8',
  })
  const named = files
    .trim()
    .split('\n')
    .flatMap((file) => packagesIn(readFileSync(file, 'utf8')).map((name) => ({ file, name })))
  expect(named).toContainEqual({ file: 'examples/receiver/server.js', name: packageJson.name })
  expect(named.filter(({ name }) => !known.has(name))).toEqual([])
})
