import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { freshDatabase } from '../support/database.ts'
import { freshFolder, runProgram } from '../support/program.ts'
import { addSlack } from '../support/slack-integration.ts'

const page = 4096

/** What a power loss or a bad disk makes of a file; `at` is somewhere between 0 and 1. */
const damages: { readonly [name: string]: (code: Buffer, at: number) => Buffer } = {
  'an empty last page': (code) => code.fill(0, Math.floor((code.length - 1) / page) * page),
  'an empty page in the middle': (code, at) => {
    const from = Math.floor((code.length * at) / page) * page
    return code.fill(0, from, Math.min(from + page, code.length))
  },
  'a bit that fell over': (code, at) => {
    const i = Math.floor(code.length * at)
    code[i] = (code[i] ?? 0) ^ (1 << (i % 8))
    return code
  },
  'a cut': (code, at) => code.subarray(0, Math.floor(code.length * at)),
  'words in another order': (code, at) => {
    const i = Math.floor((code.length * at) / 8) * 8
    return Buffer.concat([
      code.subarray(0, i),
      code.subarray(i + 8, i + 16),
      code.subarray(i, i + 8),
      code.subarray(i + 16),
    ])
  },
  nothing: () => Buffer.alloc(0),
}

test('compiled code that is damaged in the cache is not run', async () => {
  const db = await freshDatabase('sqlite')
  const cache = freshFolder()
  const env = { DATABASE_URL: db.url, XDG_CACHE_HOME: cache }
  await addSlack(env)
  const list = () => runProgram(['list', '-o', 'json'], { env })
  const right = await list()
  expect(right).toMatchObject({ code: 0, stderr: '' })
  const files = () =>
    readdirSync(cache, { recursive: true, encoding: 'utf8' })
      .map((name) => join(cache, name))
      .filter((file) => statSync(file).isFile())
  expect(files().length).toBeGreaterThan(3)
  const kept = new Map(files().map((file) => [file, readFileSync(file)]))

  let at = 0.37
  for (const [name, damage] of Object.entries(damages))
    for (let round = 0; round < 3; round++) {
      for (const [file, code] of kept) {
        at = (at * 7.31 + 0.117) % 1
        writeFileSync(file, damage(Buffer.from(code), at))
      }
      expect({ name, round, ...(await list()) }).toEqual({ name, round, ...right })
    }
  // What was damaged is whole again, and in use.
  for (const [file, code] of kept) writeFileSync(file, code)
  expect(await list()).toEqual(right)
  expect(files().sort()).toEqual([...kept.keys()].sort())
})
