import type { Check } from '../../operations/doctor/checks.ts'
import type { Cell, Tone } from '../output/tone.ts'
import type { View } from '../output/values.ts'
import { value } from './cells.ts'

const tones: Record<Check['state'], Tone> = { ok: 'good', warning: 'warn', problem: 'bad', unknown: 'dim' }

/** How a check of `doctor` is shown. */
export const checkView: View<Check> = {
  columns: [value('check'), value('state'), value('detail'), value('hint')],
  short: ['check', 'state', 'detail', 'hint'],
  id: ({ check }) => check,
}

/** What people read: a line a check, with its hint below. */
export const checkLines = (checks: readonly Check[]): Cell[] =>
  checks.flatMap(({ check, state, detail, hint }): Cell[] => [
    [`${state.padEnd(7)}  ${check}: ${detail}`, tones[state]],
    ...(hint === null ? [] : [[`         hint: ${hint}`, 'plain'] satisfies Cell]),
  ])
