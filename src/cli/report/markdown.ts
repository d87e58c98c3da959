import { refOf } from '../../integration.ts'
import { type Finding, type FindingCode, findingCodes } from '../../operations/report/finding.ts'
import { printable } from '../output/text.ts'
import { ignoredSentence, sentenceOf } from '../views/report.ts'
import type { Writer } from './writer.ts'

/** How long the text may be, in characters: a comment on GitHub takes 65,536. */
const most = 60_000

/** The findings by code, the worst first, for the summary of a job, a comment or a message. */
export function markdown(): Writer {
  const kept = new Map<FindingCode, { readonly lines: string[]; left: number }>()
  return {
    find(findings) {
      for (const finding of findings) {
        const same = kept.get(finding.code) ?? { lines: [], left: most }
        kept.set(finding.code, same)
        const line = lineOf(finding)
        if (line.length > same.left) continue
        same.lines.push(line)
        same.left -= line.length
      }
    },
    *text(counts) {
      const ignored = counts.ignored > 0 ? ` ${ignoredSentence(counts)}.` : ''
      const title = `## ${capital(sentenceOf(counts))}\n\nAs of ${counts.at}.${ignored}\n`
      const found = [...counts.byCode].flatMap(([code, count]) =>
        count === 0 ? [] : [{ code, count, head: headOf(code, count) }],
      )
      // Who reads no further than the cut knows of every code.
      let left = most - [title, ...found.map(({ head }) => head), leftOut(Number.MAX_SAFE_INTEGER)].join('').length
      let unwritten = 0
      yield title
      for (const { code, count, head } of found) {
        const lines = (kept.get(code)?.lines ?? []).toSorted().filter((line) => {
          if (line.length > left) return false
          left -= line.length
          return true
        })
        unwritten += count - lines.length
        yield `${head}${lines.join('')}`
      }
      if (unwritten > 0) yield leftOut(unwritten)
    },
  }
}

const headOf = (code: FindingCode, count: number) =>
  `\n### ${findingCodes[code][0]}: ${code} (${count})\n\n${capital(findingCodes[code][1])}.\n\n`

function lineOf({ code, integration, since, evidence, next }: Finding): string {
  const parts = [
    integration === null ? 'the database' : inert(refOf(integration)),
    ...(integration?.owner ? [`owner: ${inert(integration.owner)}`] : []),
    ...(since === null ? [] : [`since ${since}`]),
    ...(evidence === findingCodes[code][1] ? [] : [inert(evidence)]),
    ...(next === null ? [] : [`next: ${inert(next)}`]),
  ]
  return `- ${parts.join(', ')}\n`
}

const leftOut = (count: number) =>
  `\nLeft out, as the text would be too long: ${count} findings. \`integrations report -o jsonl\` shows all.\n`

/**
 * A text from elsewhere as code, in which no renderer looks for links, images, mentions or HTML. The characters that would
 * end the code, or that begin HTML where code is not known, are escapes, as those are that a terminal acts on.
 */
const inert = (text: string): string =>
  // Two of them with nothing between would begin something else.
  `\`${printable(text).replaceAll('`', '\\u{60}').replaceAll('<', '\\u{3c}') || ' '}\``

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)
