/** The shells that completion is there for. */
export const shells = ['bash', 'zsh', 'fish'] as const
/** A shell that completion is there for. */
export type Shell = (typeof shells)[number]

/** What each shell reads once; at a Tab it asks `integrations complete`, which never fails and never asks. */
export const scripts: Record<Shell, string> = {
  // Nothing is expanded or evaluated here: compgen -W would run what stands in $(…) in a name. Runs on bash 3.2.
  bash: `# bash completion for integrations
_integrations() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      COMPREPLY=()
      compopt -o default 2>/dev/null
      return
    fi
    COMPREPLY+=("$line")
  done < <(command integrations complete bash -- "$COMP_WORDBREAKS" "\${COMP_LINE:0:COMP_POINT}" 2>/dev/null </dev/null)
}
complete -F _integrations integrations
`,
  zsh: `#compdef integrations
# zsh completion for integrations
_integrations() {
  local value description
  local -a values descriptions shown
  local -i i widest=0
  while IFS=$'\\t' read -r value description; do
    if [[ $value == :files ]]; then
      _files
      return
    fi
    values+=("$value")
    descriptions+=("$description")
    (( \${(m)#value} > widest )) && widest=\${(m)#value}
  done < <(command integrations complete zsh -- "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null </dev/null)
  # A line each, as wide as the terminal at most: zsh would break longer ones anywhere.
  for (( i = 1; i <= $#values; i++ )); do
    value=\${values[i]}
    [[ -n \${descriptions[i]} ]] && value="\${(mr:widest:)value}  -- \${descriptions[i]}"
    (( \${(m)#value} >= COLUMNS )) && value="\${(mr:COLUMNS-2:)value}…"
    shown+=("$value")
  done
  compadd -l -d shown -a values
}
if [[ $funcstack[1] == _integrations ]]; then
  _integrations "$@"
else
  compdef _integrations integrations
fi
`,
  fish: `# fish completion for integrations
function __integrations_complete
  set -l words (commandline -opc)
  set -l lines (command integrations complete fish -- $words[2..-1] (commandline -ct) 2>/dev/null </dev/null)
  if test "$lines[1]" = ':files'
    __fish_complete_path (commandline -ct)
  else
    printf '%s\\n' $lines
  end
end
complete -c integrations -e
complete -c integrations -f -a '(__integrations_complete)'
`,
}

/** A command line up to the cursor, as bash reads it. */
export interface Line {
  /** The finished words. */
  readonly words: readonly string[]
  /** The beginning of the last word, without its quotes. */
  readonly current: string
  /** How much of it bash keeps: it replaces what follows the last break character only. */
  readonly kept: string
  /** The quote that is open at the cursor; empty for none. */
  readonly quote: string
}

/** Splits a line into words as a shell does, without expanding anything. */
export function readLine(line: string, breaks = ''): Line {
  const words: string[] = []
  let word: string | undefined
  let kept = ''
  let quote = ''
  for (let i = 0; i < line.length; i++) {
    const character = line.charAt(i)
    const next = line.charAt(i + 1)
    if (quote !== '' && character === quote) quote = ''
    else if (character === '\\' && quote !== "'" && (quote === '' || '"$`\\'.includes(next))) {
      word = (word ?? '') + next
      i++
    } else if (quote !== '') word = (word ?? '') + character
    else if (character === '"' || character === "'") {
      quote = character
      kept = word ??= ''
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word)
      word = undefined
      kept = ''
    } else {
      word = (word ?? '') + character
      if (breaks.includes(character)) kept = word
    }
  }
  return { words, current: word ?? '', kept, quote }
}

/** A text as bash takes it literally, outside of quotes or after an opening one. */
export function quoted(text: string, quote: string): string {
  if (quote === "'") return text.replaceAll("'", `'\\''`)
  // A "!" would stand for an earlier command, and has no escape between double quotes.
  if (quote === '"') return text.replace(/["$`\\]/g, '\\$&').replaceAll('!', `"'!'"`)
  return text.replace(/[^\p{L}\p{N}_.,:=@%+/-]/gu, '\\$&')
}
