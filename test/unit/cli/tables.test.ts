import { describe, expect, test } from 'vitest'
import { LongTable } from '../../../src/cli/output/table/long-table.ts'
import { type Heading, Measures } from '../../../src/cli/output/table/measures.ts'
import { record, table } from '../../../src/cli/output/table/table.ts'
import type { Cell, Paint } from '../../../src/cli/output/tone.ts'

const headings: Heading[] = [
  { text: 'NAME', cut: 'middle', rank: 0, stays: false },
  { text: 'WORKSPACE', cut: 'middle', rank: 1, stays: false },
  { text: 'APP', cut: undefined, rank: 5, stays: false },
  { text: 'REASON', cut: 'end', rank: 4, stays: false },
  { text: 'USED', cut: undefined, rank: 3, stays: false },
  { text: 'ID', cut: undefined, rank: 2, stays: false },
]
const rows: Cell[][] = [
  ['support', 'Acme', '', 'the first one there was', '3 days ago', '0c27461f'],
  ['サポートの連携とその他のもの', '', '', '', '11 months ago', 'b743b9d4'],
  ['customer-escalations-emea', 'a workspace with a name', '', 'k', 'never', '1'],
].map((row) =>
  row.map((text): Cell => {
    const narrow = text.replace(/ (\w)\w* ago/, '$1 ago')
    return text === narrow ? [text, 'plain'] : [text, 'plain', narrow]
  }),
)
const plain: Paint = (text) => text

function short(width: number | undefined, paint = plain): string {
  const measures = new Measures(headings)
  measures.add(rows)
  return table(headings, rows, { paint, placed: measures.placed(width) })
}

/** A table of which the rows come one by one. */
function long(width: number | undefined, paint = plain): string {
  const table = new LongTable(headings, { paint, width })
  for (const row of rows) table.measures.add([row])
  return rows.map((row) => table.draw([row])).join('')
}

/** What is shown in so many columns. */
const screens: readonly (readonly [width: number | undefined, screen: string])[] = [
  [
    undefined,
    `NAME                          WORKSPACE                REASON                   USED           ID
support                       Acme                     the first one there was  3 days ago     0c27461f
サポートの連携とその他のもの                                                    11 months ago  b743b9d4
customer-escalations-emea     a workspace with a name  k                        never          1
`,
  ],
  [
    100,
    `NAME                          WORKSPACE                REASON                   USED     ID
support                       Acme                     the first one there was  3d ago   0c27461f
サポートの連携とその他のもの                                                    11m ago  b743b9d4
customer-escalations-emea     a workspace with a name  k                        never    1
`,
  ],
  [
    90,
    `NAME                          WORKSPACE                REASON            USED     ID
support                       Acme                     the first one t…  3d ago   0c27461f
サポートの連携とその他のもの                                             11m ago  b743b9d4
customer-escalations-emea     a workspace with a name  k                 never    1
`,
  ],
  [
    70,
    `NAME               WORKSPACE           REASON        USED     ID
support            Acme                the first o…  3d ago   0c27461f
サポート…他のもの                                    11m ago  b743b9d4
customer…ons-emea  a workspa…h a name  k             never    1
`,
  ],
  [
    50,
    `NAME                 WORKSPACE            ID
support              Acme                 0c27461f
サポート…他のもの                         b743b9d4
customer-…ions-emea  a workspa…th a name  1
`,
  ],
  [
    20,
    `NAME       WORKSPACE
support    Acme
サポ…もの
cust…emea  a wo…name
`,
  ],
]

describe('a table fits a terminal, a line a row', () => {
  test.each(screens)('%s columns wide', (width, screen) => {
    expect({ short: short(width), long: long(width) }).toEqual({ short: screen, long: screen })
  })
})

test('a table paints what it shows', () => {
  const painted: Paint = (text, tone) => `<${tone} ${text}>`
  expect(long(50, painted).split('\n').slice(0, 2)).toEqual([
    '<head NAME>                 <head WORKSPACE>            <head ID>',
    '<plain support>              <plain Acme>                 <plain 0c27461f>',
  ])
})

test('one thing is told a line a field, and what is too long goes on below', () => {
  const cells: Cell[] = [
    ['one two three four five six', 'plain'],
    ['a'.repeat(30), 'plain'],
  ]
  expect(record(['A', 'LONG HEAD'], cells, { paint: plain, width: 24 })).toBe(`A          one two three
           four five six
LONG HEAD  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
`)
})
