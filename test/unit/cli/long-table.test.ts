import { describe, expect, test } from 'vitest'
import { LongTable } from '../../../src/cli/output/long-table.ts'
import { fit, table } from '../../../src/cli/output/table.ts'
import type { Cell, Paint } from '../../../src/cli/output/tone.ts'

const heads = ['NAME', 'WORKSPACE', 'ID']
const cell = (text: string): Cell => [text, 'plain']
const rows = [
  ['support', 'Acme', '0c27461f-acf2-40bf-9e29-a98a4edce1ba'],
  ['サポートの連携とその他', '', 'b743b9d4-7408-4083-8099-3a656ed2f7f1'],
  ['a name that goes on and on 👩‍👩‍👧', 'a workspace with a name', '1'],
].map((row) => row.map(cell))
const plain: Paint = (text) => text

/** A table of which the rows come one by one. */
function drawn(width: number | undefined, whole = -1, paint = plain): string {
  const long = new LongTable(heads, { paint, width }, whole)
  long.measure(rows.slice(0, 2))
  long.measure(rows.slice(2))
  return rows.map((row) => long.draw([row])).join('')
}

describe('a long table is drawn as a short one', () => {
  test.each([undefined, 200, 90, 70, 50, 36, 20])('in %s columns', (width) => {
    expect(drawn(width)).toBe(table(heads, rows, { paint: plain, width }))
  })
})

test('a long table cuts no id', () => {
  expect(drawn(70, 2)).toBe(`NAME            WORKSPACE       ID
support         Acme            0c27461f-acf2-40bf-9e29-a98a4edce1ba
サポートの連…                   b743b9d4-7408-4083-8099-3a656ed2f7f1
a name that g…  a workspace w…  1
`)
})

test('a column that stays whole stays so while another is as wide', () => {
  expect([fit([38, 60, 50], 100, 0), fit([38, 13, 13], 60, 0), fit([38], 20, 0)]).toEqual([
    [38, 31, 31],
    undefined,
    undefined,
  ])
})

test('a long table paints what it shows', () => {
  const painted: Paint = (text, tone) => `<${tone} ${text}>`
  expect(drawn(70, 2, painted).split('\n').slice(0, 2)).toEqual([
    '<head NAME>            <head WORKSPACE>       <head ID>',
    '<plain support>         <plain Acme>            <plain 0c27461f-acf2-40bf-9e29-a98a4edce1ba>',
  ])
})
