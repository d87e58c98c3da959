import { expect, test } from 'vitest'
import { widthOf } from '../../../src/cli/output/table/measures.ts'
import { printable } from '../../../src/cli/output/text.ts'

const [joiner, rightToLeft, isolate, tag, end] = ['\u200d', '\u202e', '\u2066', '\u{e0067}', '\u{e007f}']

test('emoji that are joined to one are shown as they are, two columns wide', () => {
  const scotland = '🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}'
  for (const emoji of [
    `👩${joiner}💻`,
    `👨${joiner}👩${joiner}👧${joiner}👦`,
    `🏳️${joiner}🌈`,
    `👩🏽${joiner}🚀`,
    scotland,
  ])
    expect([printable(emoji), widthOf(printable(`Team ${emoji}`))]).toEqual([emoji, 7])
})

test('what is invisible or reorders text is escaped, also beside such emoji', () => {
  for (const [text, shown] of [
    [`a${joiner}b`, 'a\\u{200d}b'],
    [`👩${joiner}`, '👩\\u{200d}'],
    [`👩${joiner}x`, '👩\\u{200d}x'],
    [`👩${joiner}${joiner}💻`, '👩\\u{200d}\\u{200d}💻'],
    [`👩${joiner}💻${rightToLeft}gpj`, `👩${joiner}💻\\u{202e}gpj`],
    [`${isolate}👩${joiner}💻`, `\\u{2066}👩${joiner}💻`],
    [`x${tag}${end}`, 'x\\u{e0067}\\u{e007f}'],
    [`👩${joiner}💻\u001b[31m\n`, `👩${joiner}💻\\u{1b}[31m\\n`],
    ['\u200b\ufeff\u00ad', '\\u{200b}\\u{feff}\\u{ad}'],
  ] as const)
    expect(printable(text)).toBe(shown)
})
