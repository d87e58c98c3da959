import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'
import { document, documents } from '../support/documents.ts'

/** The links to files of this repository, as `file#anchor` seen from its root. */
const links = documents.flatMap(({ file, prose }) =>
  [...prose.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].map(([, target = '']) => {
    const [path = '', anchor] = target.split('#')
    return { file, path: path === '' ? file : normalize(join(dirname(file), path)), anchor }
  }),
)

/** The anchors of a document, as GitHub makes them from headings. */
const anchorsOf = (path: string) =>
  [...readFileSync(path, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )

test('every link leads to a file, and to a heading in it', () => {
  expect(links.length).toBeGreaterThan(40)
  const broken = links.filter(
    ({ path, anchor }) => !existsSync(path) || (anchor !== undefined && !anchorsOf(path).includes(anchor)),
  )
  expect(broken).toEqual([])
})

test('the README leads to every chapter', () => {
  const linked = links.filter(({ file }) => file === 'README.md').map(({ path }) => path)
  expect(documents.map(({ file }) => file).filter((file) => file !== 'README.md' && !linked.includes(file))).toEqual([])
})

test('the README stays short', () => {
  expect(document('README.md').text.split('\n').length).toBeLessThanOrEqual(251)
})
