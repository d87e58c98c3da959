import { SaxesParser } from 'saxes'
import { expect, test } from 'vitest'
import { junit } from '../../../src/cli/report/junit.ts'
import type { ListedIntegration } from '../../../src/integration.ts'
import { codesWorstFirst, type Finding, type Severity } from '../../../src/operations/report/finding.ts'
import { countsOf, findingOf, hostileNames, integrationOf } from '../../support/findings.ts'

interface Element {
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  readonly children: Element[]
  text: string
}

/** Reads XML with a parser that refuses what is not well-formed. */
function parsed(xml: string): Element {
  const root: Element = { name: '', attributes: {}, children: [], text: '' }
  const open = [root]
  const parser = new SaxesParser()
  parser.on('opentag', ({ name, attributes }) => {
    const element = { name, attributes, children: [], text: '' }
    open.at(-1)?.children.push(element)
    open.push(element)
  })
  parser.on('closetag', () => open.pop())
  parser.on('text', (text) => {
    const element = open.at(-1)
    if (element) element.text += text
  })
  parser.write(xml).close()
  return root
}

function written(findings: readonly Finding[], failing: readonly Severity[] = ['error']): string {
  const writer = junit({ failing })
  writer.find(findings)
  return [...writer.text(countsOf(findings))].join('')
}

test('JUnit has a suite for each code: failures fail, other findings are skipped, none is a test that passes', () => {
  const findings = [
    findingOf('token-expired', { since: null, integration: integrationOf({ owner: 'team-a' }) }),
    findingOf('secret-not-encrypted', { evidence: 'the webhook secret is not encrypted' }),
    findingOf('secret-not-encrypted', { evidence: 'the access token is not encrypted' }),
    findingOf('stale'),
    findingOf('use-not-recorded', { integration: null, next: null }),
  ]
  const [testsuites] = parsed(written(findings)).children
  expect(testsuites?.attributes).toEqual({
    ...{ name: 'integrations report', tests: String(codesWorstFirst.length + 1), failures: '3', skipped: '2' },
    ...{ errors: '0', time: '0' },
  })
  const suites = (testsuites?.children ?? []).map(({ attributes, children }) => [
    attributes.name,
    `${attributes.tests} ${attributes.failures} ${attributes.skipped} ${attributes.errors} ${attributes.timestamp}`,
    children.map(({ name, attributes: { classname, ...rest }, children }) => {
      expect([name, classname, rest.time]).toEqual(['testcase', attributes.name, '0'])
      return [rest.name, ...children.map(({ name, attributes, text }) => [name, attributes, text])]
    }),
  ])
  const at = '2026-11-28T00:00:00'
  const name = 'Acme/support (id-1)'
  const expected: Record<string, unknown> = {
    'token-expired': [
      `1 1 0 0 ${at}`,
      [
        [
          name,
          [
            'failure',
            { type: 'error', message: 'seen' },
            'the access token has expired\nseen\nowner: team-a\nnext: integrations show id-1',
          ],
        ],
      ],
    ],
    'secret-not-encrypted': [
      `2 2 0 0 ${at}`,
      [
        [name, ['failure', { type: 'error', message: 'the webhook secret is not encrypted' }, expect.any(String)]],
        [`${name} 2`, ['failure', { type: 'error', message: 'the access token is not encrypted' }, expect.any(String)]],
      ],
    ],
    stale: [`1 0 1 0 ${at}`, [[name, ['skipped', { type: 'warning', message: 'seen' }, expect.any(String)]]]],
    'use-not-recorded': [
      `1 0 1 0 ${at}`,
      [['the database', ['skipped', { type: 'unknown', message: 'seen' }, expect.any(String)]]],
    ],
  }
  expect(suites).toEqual(
    codesWorstFirst.map((code) => [code, ...((expected[code] as unknown[]) ?? [`1 0 0 0 ${at}`, [['none found']]])]),
  )
})

test('--fail-on says what fails', () => {
  const findings = [findingOf('token-expired'), findingOf('stale'), findingOf('use-not-recorded')]
  const failures = (failing: readonly Severity[]) => written(findings, failing).match(/<failure type="\w+"/g) ?? []
  expect(failures([])).toEqual([])
  expect(failures(['error', 'warning', 'unknown']).length).toBe(3)
})

test('names, evidence and commands do nothing in XML, and what it forbids is U+FFFD', () => {
  const findings = hostileNames.map((name, i) =>
    findingOf('stale', {
      integration: integrationOf({ workspace: name, name, owner: name, id: `${i}` as ListedIntegration['id'] }),
      evidence: name,
      next: name,
    }),
  )
  const xml = written(findings)
  expect(xml).not.toMatch(/[^\P{C}\n]/u)
  const tests = parsed(xml).children[0]?.children.find(({ attributes }) => attributes.name === 'stale')?.children
  const shown = (text = '') =>
    text
      .replace(/[\p{Cs}\p{Cn}]|[^\P{Cc}\n\r\t\u{80}-\u{9f}]/gu, '\ufffd')
      .replaceAll('\n', '\\n')
      .replaceAll('\r', '\\r')
      .replaceAll('\t', '\\t')
      .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.charCodeAt(0).toString(16)}}`)
  expect(tests?.map(({ attributes, children }) => [attributes.name, children[0]?.attributes.message])).toEqual(
    hostileNames.map((name, i) => [`${shown(name)}/${shown(name)} (${i})`, shown(name)]),
  )
})
