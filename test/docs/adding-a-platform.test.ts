import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const guide = readFileSync('docs/adding-a-platform.md', 'utf8')
const sources = ['github.ts', 'github-webhooks.ts', 'platforms.ts']
  .map((file) => readFileSync(`src/platforms/${file}`, 'utf8'))
  .join('\n')

test('every excerpt stands in the sources', () => {
  const excerpts = [...guide.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code = '']) => code)
  expect(excerpts.length).toBeGreaterThan(10)
  expect(excerpts.filter((code) => !sources.includes(code))).toEqual([])
})
