import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'

/** The rooms of src, each with those it may import from besides itself. */
const rooms: Record<string, readonly string[]> = {
  cli: ['operations', 'store', 'platforms', 'keys', 'crypto', 'root'],
  operations: ['store', 'platforms', 'crypto', 'root'],
  store: ['crypto', 'root'],
  keys: ['crypto', 'root'],
  crypto: ['root'],
  platforms: ['root'],
  receiver: ['operations', 'store', 'platforms', 'keys', 'crypto', 'root'],
  // errors.ts, secret.ts and integration.ts, which every room may import.
  root: [],
}

/** Packages that one room alone may import. */
const tied: readonly (readonly [packages: RegExp, room: string])[] = [
  [/^(@prisma|@libsql)\/|^(pg|libsql|sql-template-tag)$/, 'store'],
  [
    /^(chalk|cli-progress|cli-table3|commander|@commander-js\/extra-typings|@inquirer\/.*|csv-stringify.*|string-width)$/,
    'cli',
  ],
]

const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.includes('generated'))
  .map((file) => ({ file, room: roomOf(file), code: withoutComments(readFileSync(join('src', file), 'utf8')) }))

function roomOf(file: string): string {
  return file.includes('/') ? (file.split('/')[0] ?? '') : 'root'
}

/** Comments may speak of `process`; a URL in a string is no comment. */
function withoutComments(code: string): string {
  return code.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '')
}

const imports = files.flatMap(({ file, room, code }) =>
  [...code.matchAll(/\bfrom '([^']+)'|\bimport\('([^']+)'\)|^import '([^']+)'/gm)].map((match) => ({
    file,
    room,
    from: match[1] ?? match[2] ?? match[3] ?? '',
  })),
)

test('the sources are read', () => {
  expect(new Set(files.map(({ room }) => room))).toEqual(new Set(Object.keys(rooms)))
  expect(imports).toContainEqual({ file: 'cli/run.ts', room: 'cli', from: '../errors.ts' })
  expect(imports).toContainEqual({ file: 'cli/input/prompts.ts', room: 'cli', from: '@inquirer/prompts' })
})

test('a room imports only from the rooms below it', () => {
  const wrong = imports
    .filter(({ from }) => from.startsWith('.') && !from.endsWith('package.json'))
    .filter(({ file, room, from }) => {
      const to = roomOf(normalize(join(dirname(file), from)))
      return to !== room && !rooms[room]?.includes(to)
    })
  expect(wrong).toEqual([])
})

test('what draws on terminals is imported by cli alone, what speaks to databases by store alone', () => {
  const wrong = imports.filter(({ room, from }) =>
    tied.some(([packages, owner]) => packages.test(from) && room !== owner),
  )
  expect(wrong).toEqual([])
})

test('only cli touches the process and its streams; the library knows who and which it is', () => {
  const touching = { cli: /(?!)/, receiver: /\bprocess\.(?!pid\b|getuid\b)|\bconsole\.|'node:process'/ }
  const others = /\bprocess\.|\bconsole\.|'node:process'/
  const wrong = files
    .filter(({ room, code }) => (touching[room as keyof typeof touching] ?? others).test(code))
    .map(({ file }) => file)
  expect(wrong).toEqual([])
})
