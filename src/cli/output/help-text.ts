/** How far a description is indented that has no room beside its term. */
const below = 6

/** The least columns beside a term that a description is put into. */
const leastBeside = 24

/**
 * Text of help in so many columns of a terminal: lines that are too long are broken between words, and a description that
 * has no room beside its term goes below it. Commands to type are left whole. Lines that are short enough stay as they are.
 *
 * @param width undefined: as wide as it takes
 */
export function fitHelp(text: string, width: number | undefined): string {
  if (width === undefined) return text
  const lines: string[] = []
  /** Where the text of the line before begins, which was too long, so that this line may go on with it. */
  let open: { readonly at: number; readonly isDescription: boolean } | undefined
  for (const line of text.split('\n')) {
    const [, indent = '', term = '', gap = '', description = ''] = parts.exec(line) ?? []
    const at = indent.length
    if (open && gap === '' && term !== '' && (at === open.at || (open.isDescription && at >= deep))) {
      const last = lines.pop() ?? ''
      const margin = last.length - last.trimStart().length
      lines.push(...broken(`${last.trimStart()} ${term}`, { first: margin, margin, width }))
      continue
    }
    const isTooLong = line.length > width && !command.test(line)
    const hang = gap === '' ? at : at + term.length + gap.length
    open = isTooLong ? { at: hang, isDescription: gap !== '' } : undefined
    if (!isTooLong) lines.push(line)
    else if (gap === '') {
      const margin = at >= deep ? below : at
      lines.push(...broken(term, { first: margin, margin, width }))
    } else if (width - hang >= leastBeside) lines.push(...broken(line.trimStart(), { first: at, margin: hang, width }))
    else lines.push(`${indent}${term}`, ...broken(description, { first: below, margin: below, width }))
  }
  return lines.join('\n')
}

/** A line: its indentation, and a term with a description behind a gap, or a text alone. */
const parts = /^( *)(\S.*?)(?:( {2,})(\S.*))?$/

/** The indentation from which on a line is no text of its own, but the rest of a description. */
const deep = 16

/** An example of a command. */
const command = /^ *\$ /

/** A text in lines, broken at single spaces: a gap between a term and its description is no place to break a line. */
function broken(
  text: string,
  { first, margin, width }: { readonly first: number; readonly margin: number; readonly width: number },
): string[] {
  const lines: string[] = []
  for (const word of text.split(/(?<! ) (?! )/)) {
    const line = lines.at(-1)
    if (line !== undefined && line.length + 1 + word.length <= width) lines[lines.length - 1] = `${line} ${word}`
    else lines.push(`${' '.repeat(lines.length === 0 ? first : margin)}${word}`)
  }
  return lines
}
