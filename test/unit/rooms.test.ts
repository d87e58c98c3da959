import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'

/** The floors of src, each with those it may import from besides itself. Every floor may import the files beside them. */
const floors: Record<string, readonly string[]> = {
  cli: ['operations', 'store', 'platforms', 'keys', 'crypto'],
  receiver: ['library', 'operations', 'store', 'platforms', 'keys', 'crypto'],
  installations: ['library', 'operations', 'store', 'platforms', 'keys', 'crypto'],
  library: ['store', 'platforms', 'keys', 'crypto'],
  operations: ['store', 'platforms', 'crypto'],
  store: ['crypto'],
  keys: ['crypto'],
  crypto: [],
  platforms: [],
}

/** The rooms of a floor, each with those of the same floor that it may import from besides itself. */
const siblings: Record<string, readonly string[]> = {
  store: [
    'store/activity',
    'store/audit',
    'store/report',
    'store/schema',
    'store/secrets',
    'store/tables',
    'store/database',
  ],
  // The migrations.
  'store/schema': [
    'store',
    'store/audit',
    'store/tables',
    'store/database',
    'store/database/postgresql',
    'store/database/sqlite',
  ],
  'store/activity': ['store/database'],
  'store/report': ['store/audit', 'store/database'],
  'store/secrets': ['store/audit', 'store/tables', 'store/database'],
  'store/audit': ['store/tables', 'store/database'],
  'store/tables': ['store/activity', 'store/audit', 'store/database'],
  'store/database': ['store/database/postgresql'],
  'store/database/postgresql': ['store/database'],
  'store/database/sqlite': ['store/database'],
  'operations/integrations': [
    'operations',
    'operations/directory',
    'operations/refresh',
    'operations/check',
    'operations/secrets',
    'operations/config',
  ],
  'operations/directory': ['operations', 'operations/refresh', 'operations/secrets'],
  'operations/webhooks': ['operations', 'operations/secrets'],
  'operations/secrets': ['operations', 'operations/check'],
  'operations/check': ['operations'],
  'operations/refresh': ['operations', 'operations/keys'],
  'operations/audit': ['operations'],
  'operations/config': ['operations'],
  'operations/keys': ['operations'],
  'operations/report': ['operations', 'operations/config'],
  'operations/doctor': ['operations/keys', 'operations/refresh'],
  operations: [],
  cli: ['cli/commands', 'cli/input', 'cli/output'],
  'cli/commands': ['cli', 'cli/completion', 'cli/report', 'cli/views', 'cli/input', 'cli/output'],
  'cli/report': ['cli', 'cli/report/page', 'cli/output', 'cli/views'],
  'cli/completion': ['cli/commands', 'cli/input', 'cli/output'],
  'cli/views': ['cli', 'cli/input', 'cli/output'],
  'cli/input': ['cli', 'cli/output'],
  'cli/output': ['cli', 'cli/output/table'],
  'cli/output/table': ['cli/output'],
  'cli/report/page': ['cli/output'],
  'cli/report/page/client': ['cli/report/page'],
  receiver: ['receiver/lookup', 'receiver/request'],
  'receiver/lookup': [],
  'receiver/request': [],
  installations: [],
  library: [],
  keys: [],
  crypto: [],
  platforms: [],
}

/** Packages that one floor alone may import. */
const tied: readonly (readonly [packages: RegExp, floor: string])[] = [
  [/^(@prisma|@libsql)\/|^(pg|libsql|sql-template-tag)$/, 'store'],
  [
    /^(chalk|cli-progress|cli-table3|commander|@commander-js\/extra-typings|@inquirer\/.*|csv-stringify.*|string-width)$/,
    'cli',
  ],
]

const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.includes('generated'))
  .map((file) => ({ file, floor: floorOf(file), code: withoutComments(readFileSync(join('src', file), 'utf8')) }))

/** The floor of a file: `beside` for one that stands beside them. */
function floorOf(file: string): string {
  return file.includes('/') ? (file.split('/')[0] ?? '') : 'beside'
}

/** The room of a file; the groups of commands are one room. */
const roomOf = (file: string) => dirname(file).replace(/^(cli\/commands)\/.*/, '$1')

/** Comments may speak of `process`; a URL in a string is no comment. */
function withoutComments(code: string): string {
  return code.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '')
}

const imports = files.flatMap(({ file, floor, code }) =>
  [...code.matchAll(/\bfrom '([^']+)'|\bimport\('([^']+)'\)|^import '([^']+)'/gm)].map((match) => ({
    file,
    floor,
    from: match[1] ?? match[2] ?? match[3] ?? '',
  })),
)

/** The imports of files of ours, by path. */
const arrows = imports
  .filter(({ from }) => from.startsWith('.') && !from.endsWith('package.json') && !from.includes('generated'))
  .map(({ file, from }) => ({ from: file, to: normalize(join(dirname(file), from)) }))

test('the sources are read', () => {
  expect(new Set(files.map(({ floor }) => floor))).toEqual(new Set([...Object.keys(floors), 'beside']))
  expect(new Set(files.map(({ file }) => roomOf(file)))).toEqual(new Set([...Object.keys(siblings), '.']))
  expect(imports).toContainEqual({ file: 'cli/run.ts', floor: 'cli', from: '../errors.ts' })
  expect(imports).toContainEqual({ file: 'cli/input/prompts.ts', floor: 'cli', from: '@inquirer/prompts' })
  expect(arrows).toContainEqual({ from: 'cli/run.ts', to: 'errors.ts' })
})

test('a floor imports only from those below it', () => {
  const allowed = (from: string, to: string) =>
    to === from || to === 'beside' || (from !== 'beside' && floors[from]?.includes(to))
  expect(arrows.filter(({ from, to }) => !allowed(floorOf(from), floorOf(to)))).toEqual([])
})

test('a room imports only from those of its floor that are in its table, and the table names no others', () => {
  const between = arrows
    .map(({ from, to }) => ({ from: roomOf(from), to: roomOf(to) }))
    .filter(({ from, to }) => from !== to && floorOf(`${from}/`) === floorOf(`${to}/`))
  expect(between.filter(({ from, to }) => !siblings[from]?.includes(to))).toEqual([])
  const used = new Set(between.map(({ from, to }) => `${from} -> ${to}`))
  const named = Object.entries(siblings).flatMap(([from, all]) => all.map((to) => `${from} -> ${to}`))
  expect(named.filter((arrow) => !used.has(arrow))).toEqual([])
})

test('no files import each other in a circle, not even types', () => {
  const done = new Set<string>()
  function circle(file: string, path: readonly string[]): readonly string[] | undefined {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
    if (done.has(file)) return undefined
    for (const { to } of arrows.filter(({ from }) => from === file)) {
      const found = circle(to, [...path, file])
      if (found) return found
    }
    done.add(file)
    return undefined
  }
  expect(files.map(({ file }) => circle(file, [])).filter(Boolean)).toEqual([])
})

test('a file, and a folder but that of the commands, stays small enough to be seen whole', () => {
  const long = files.map(({ file }) => ({
    file,
    lines: readFileSync(join('src', file), 'utf8').split('\n').length - 1,
  }))
  expect(long.filter(({ lines }) => lines > 300)).toEqual([])
  const folders = new Set(files.map(({ file }) => dirname(file)).filter((folder) => !folder.startsWith('cli/commands')))
  const sizes = [...folders].map((folder) => ({
    folder,
    files: files.filter(({ file }) => dirname(file) === folder).length,
  }))
  expect(sizes.filter((one) => one.files > 15)).toEqual([])
})

test('what draws on terminals is imported by cli alone, what speaks to databases by store alone', () => {
  const wrong = imports.filter(({ floor, from }) =>
    tied.some(([packages, owner]) => packages.test(from) && floor !== owner),
  )
  expect(wrong).toEqual([])
})

test('only cli touches the process and its streams; the library knows who and which it is, and where', () => {
  // The library hands on the variables of PostgreSQL's own programs, which complete a database URL.
  const library = /\bprocess\.(?!pid\b|getuid\b|cwd\b|env\b(?!\.))|\bconsole\.|'node:process'/
  const touching = { cli: /(?!)/, receiver: library, installations: library, library }
  const others = /\bprocess\.|\bconsole\.|'node:process'/
  const wrong = files
    .filter(({ floor, code }) => (touching[floor as keyof typeof touching] ?? others).test(code))
    .map(({ file }) => file)
  expect(wrong).toEqual([])
})
