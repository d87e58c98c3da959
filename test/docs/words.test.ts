import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { documents } from '../support/documents.ts'

/** Words that are not used any more, or that hide who is meant: see CONTRIBUTING.md and docs/glossary.md. */
const unwanted = /seal|nobody|about to end|so already/gi

/** Names that are stored or foreign, and stay as they are. */
const stored =
  /`?(?<!\w)(integration_secrets\.sealed|sealed IS NOT NULL|SELECT sealed|seal-[0-9a-f]+|key = 'sealing'|'sealing'|sealed \}|typeof sealed)|SEAL_BROKEN/g

/** What of a document has to name stored words: the glossary, which lists them, and the page for other programs. */
const allowed: Readonly<Record<string, readonly RegExp[]>> = {
  'docs/glossary.md': [/^Words that are stored or foreign.*$/gm, /^\| \*\*.*$/gm],
  'docs/reading-secrets.md': [/`sealing`/g, /\bdecrypt\(keys, id, field, sealed\) for \(sealed,\)/g],
}

const linesWith = (file: string, text: string) =>
  text
    .split('\n')
    .filter((line) => line.search(unwanted) >= 0)
    .map((line) => ({ file, line: line.trim() }))

test('documents and the reference use the words of the glossary', () => {
  const texts = [...documents, { file: 'docs/reference.md', text: readFileSync('docs/reference.md', 'utf8') }]
  const found = texts.flatMap(({ file, text }) =>
    linesWith(
      file,
      [stored, ...(allowed[file] ?? [])].reduce((left, pattern) => left.replace(pattern, ''), text),
    ),
  )
  expect(found).toEqual([])
})

test('texts in the sources do', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.includes('generated'))
    .map((file) => join('src', file))
  expect(files.length).toBeGreaterThan(100)
  const found = files.flatMap((file) =>
    linesWith(
      file,
      // What a person reads are strings of several words.
      [
        ...readFileSync(file, 'utf8')
          .replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$|sql`[^`]*`/gm, '')
          .matchAll(/(['"`])(.*? .*?)\1/g),
      ]
        .map(([text]) => text)
        .filter((text) => !/\b(SELECT|UPDATE|INSERT|DELETE|WHERE|FROM|IS NOT NULL)\b/.test(text))
        .join('\n')
        .replace(stored, ''),
    ),
  )
  expect(found).toEqual([])
})
