import { marked } from 'marked'
import { expect, test } from 'vitest'
import { markdown } from '../../../src/cli/report/markdown.ts'
import type { Finding } from '../../../src/operations/report/finding.ts'
import { countsOf, findingOf, hostileNames, integrationOf } from '../../support/findings.ts'

function written(findings: readonly Finding[]): string {
  const writer = markdown()
  writer.find(findings)
  return [...writer.text(countsOf(findings))].join('')
}

test('markdown has the worst first, those of a code by name, and what is known of each', () => {
  const named = (name: string) => ({ integration: integrationOf({ name }) })
  expect(
    written([
      findingOf('use-not-recorded', {
        integration: null,
        since: null,
        evidence: 'no receiver records use, so nothing can be told about it',
        next: null,
      }),
      findingOf('stale', named('b')),
      findingOf('stale', named('a')),
      findingOf('token-expired', { integration: integrationOf({ name: 'c', owner: 'team-a' }), since: null }),
    ]),
  ).toBe(`## 1 error, 2 warnings, 1 unknown finding in 4 integrations

As of 2026-11-28T00:00:00.000Z.

### error: token-expired (1)

The access token has expired.

- \`Acme/c\`, owner: \`team-a\`, \`seen\`, next: \`integrations show id-1\`

### warning: stale (2)

Not used for 30 days, or for the time that a policy names.

- \`Acme/a\`, since 2026-11-28T00:00:00.000Z, \`seen\`, next: \`integrations show id-1\`
- \`Acme/b\`, since 2026-11-28T00:00:00.000Z, \`seen\`, next: \`integrations show id-1\`

### unknown: use-not-recorded (1)

No receiver records use, so nothing can be told about it.

- the database
`)
  expect(written([])).toBe('## No findings in 0 integrations\n\nAs of 2026-11-28T00:00:00.000Z.\n')
})

test('names, evidence and commands do nothing in markdown, whatever they hold', () => {
  const findings = hostileNames.map((name) =>
    findingOf('stale', {
      integration: integrationOf({ workspace: name, name, owner: name }),
      evidence: name,
      next: name,
    }),
  )
  const text = written(findings)
  // Not even where a program takes the text for another kind.
  expect(text).not.toContain('<')
  const html = marked(text, { async: false })
  const outside = html.replace(/<code>[^<]*<\/code>/g, '')
  expect([...new Set(outside.match(/<[^>]*>/g))].sort()).toEqual([
    ...['</h2>', '</h3>', '</li>', '</p>', '</ul>', '<h2>', '<h3>', '<li>', '<p>', '<ul>'],
  ])
  // Mentions and references are looked for in what is not code.
  expect(
    outside
      .replace(/<[^>]*>/g, '')
      .replace(/\s+/g, ' ')
      // One of them is empty, and left out.
      .replaceAll(', owner: ', '')
      .trim(),
  ).toBe(
    `${hostileNames.length} warnings in ${hostileNames.length} integrations As of 2026-11-28T00:00:00.000Z. warning: stale (${hostileNames.length}) Not used for 30 days, or for the time that a policy names. ${hostileNames.map(() => ', since 2026-11-28T00:00:00.000Z, , next:').join(' ')}`,
  )
})

test('markdown is cut at 60,000 characters, with every code and the number left out', () => {
  const many = Array.from({ length: 5_000 }, (_, i) =>
    findingOf(i % 2 === 0 ? 'token-expired' : 'stale', { integration: integrationOf({ name: `n${10_000 + i}` }) }),
  )
  const text = written([...many, findingOf('token-expired', { evidence: 'x'.repeat(70_000) })])
  const shown = text.match(/^- .*/gm) ?? []
  expect(text.length).toBeGreaterThan(59_000)
  expect(text.length).toBeLessThanOrEqual(60_000)
  expect(shown.every((line, i) => line.startsWith(`- \`Acme/n${10_000 + 2 * i}\`, `))).toBe(true)
  expect(text.match(/^###.*/gm)).toEqual(['### error: token-expired (2501)', '### warning: stale (2500)'])
  expect(text).toMatch(
    new RegExp(
      `\n\nLeft out, as the text would be too long: ${5_001 - shown.length} findings. \`integrations report -o jsonl\` shows all.\n$`,
    ),
  )
})
