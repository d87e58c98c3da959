import { refOf } from '../../integration.ts'
import { type Finding, type FindingCode, findingCodes } from '../../operations/report/finding.ts'
import { printable } from '../output/text.ts'
import type { Writer, WriterOptions } from './writer.ts'

/** The tests of a code, how many they are and fail, and the last integration, which may have several findings of a code. */
interface Suite {
  /** As bytes, which take a third of the memory: the text begins with how many tests there are. */
  readonly texts: Buffer[]
  tests: number
  failures: number
  last: { readonly id: string; readonly times: number }
}

/**
 * A suite of tests for each code that was looked for, with a test for each finding. One that is a failure fails; others are
 * skipped, so that what a pipeline shows agrees with the exit code. A code without findings is a test that passes: a report
 * without tests is an error to Jenkins.
 */
export function junit({ failing }: Pick<WriterOptions, 'failing'>): Writer {
  const suites = new Map<FindingCode, Suite>()
  return {
    find(findings) {
      for (const finding of findings) {
        const suite = suites.get(finding.code) ?? { texts: [], tests: 0, failures: 0, last: { id: '', times: 0 } }
        suites.set(finding.code, suite)
        suite.tests++
        const id = finding.integration?.id ?? ''
        suite.last = { id, times: suite.last.id === id ? suite.last.times + 1 : 1 }
        const isFailure = failing.includes(finding.severity)
        if (isFailure) suite.failures++
        suite.texts.push(Buffer.from(testOf(finding, suite.last.times, isFailure ? 'failure' : 'skipped')))
      }
    },
    *text({ at, byCode }) {
      const all = [...byCode.keys()].map((code) => {
        const suite = suites.get(code)
        if (suite) return { ...suite, code, skipped: suite.tests - suite.failures }
        const passed = element('testcase', { classname: code, name: 'none found', time: 0 })
        return { code, texts: [passed], tests: 1, failures: 0, skipped: 0 }
      })
      const sum = (count: (suite: (typeof all)[number]) => number) =>
        all.reduce((total, suite) => total + count(suite), 0)
      const totals = {
        tests: sum(({ tests }) => tests),
        failures: sum(({ failures }) => failures),
        skipped: sum(({ skipped }) => skipped),
      }
      yield '<?xml version="1.0" encoding="UTF-8"?>\n'
      yield `<testsuites${attributes({ name: 'integrations report', ...totals, errors: 0, time: 0 })}>\n`
      for (const { code, texts, tests, failures, skipped } of all) {
        const counts = { tests, failures, skipped, errors: 0, time: 0 }
        // JUnit's times have no zone.
        yield `<testsuite${attributes({ name: code, timestamp: at.slice(0, 19), ...counts })}>\n`
        for (const text of texts) yield text.toString()
        yield '</testsuite>\n'
      }
      yield '</testsuites>\n'
    },
  }
}

function testOf(
  { code, severity, integration, since, evidence, next }: Finding,
  times: number,
  outcome: 'failure' | 'skipped',
): string {
  // GitLab takes the first of the tests that have the same name, and tells those of the last run by it.
  const name = integration === null ? 'the database' : `${refOf(integration)} (${integration.id})`
  const lines = [
    findingCodes[code][1],
    evidence,
    ...(integration?.owner ? [`owner: ${integration.owner}`] : []),
    ...(since === null ? [] : [`since ${since}`]),
    ...(next === null ? [] : [`next: ${next}`]),
  ]
  const told = element(outcome, { type: severity, message: evidence }, lines.map(inert).join('\n'))
  return element('testcase', { classname: code, name: times === 1 ? name : `${name} ${times}`, time: 0 }, told)
}

function element(name: string, values: Readonly<Record<string, string | number>>, content = ''): string {
  return `<${name}${attributes(values)}${content === '' ? '/' : `>${content}</${name}`}>\n`
}

const attributes = (values: Readonly<Record<string, string | number>>) =>
  Object.entries(values)
    .map(([name, value]) => ` ${name}="${typeof value === 'string' ? inert(value) : value}"`)
    .join('')

/** What XML 1.0 forbids even as a reference. */
const forbidden = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu

const references: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** A text within XML, which acts on no terminal either. */
const inert = (text: string): string =>
  printable(text.replace(forbidden, '\ufffd')).replace(/[&<>"]/g, (character) => references[character] ?? '')
