import {
  createPrompt,
  isEnterKey,
  makeTheme,
  useEffect,
  useKeypress,
  usePrefix,
  useRef,
  useState,
} from '@inquirer/core'
import { plural } from '../output/text.ts'
import { restMs, severalLines } from './paste-guard.ts'

/** A question that one line answers. */
interface Question {
  readonly message: string
  /** Show nothing of the answer; of one that was pasted, how many characters came. */
  readonly masked: boolean
  /** What is wrong with an answer; true for nothing. */
  readonly validate: (answer: string) => true | string
}

/**
 * Asks for a line. A paste of several lines is refused as a whole: its first line would answer this question, and the
 * others the next ones. A masked answer that is refused is cleared: it cannot be corrected unseen.
 */
export const linePrompt = createPrompt<string, Question>(({ message, masked, validate }, done) => {
  const theme = makeTheme()
  const [status, setStatus] = useState<'idle' | 'done'>('idle')
  const [value, setValue] = useState('')
  const [wasPasted, setPasted] = useState(false)
  const [problem, setProblem] = useState<string>()
  const prefix = usePrefix({ status, theme })
  const typing = useRef({ ended: false, several: false, pasting: false, keysAtOnce: 0 })
  const rest = useRef<NodeJS.Timeout | undefined>(undefined)
  useEffect(() => () => clearTimeout(rest.current), [])

  useKeypress((key, rl) => {
    if (status === 'done') return
    const state = typing.current
    // Two keys at once are a paste.
    state.keysAtOnce++
    setImmediate(() => {
      state.keysAtOnce = 0
    })
    const again = (why: string | undefined, line: string) => {
      Object.assign(state, { ended: false, several: false })
      rl.clearLine(0)
      rl.write(line)
      if (line === '') setPasted(false)
      setValue(line)
      setProblem(why)
    }
    const end = () => {
      const verdict = state.several ? severalLines : validate(value)
      if (verdict !== true) return again(verdict, masked || state.several ? '' : value)
      setStatus('done')
      done(value)
    }
    if (key.name === 'paste-start') {
      state.pasting = true
      setPasted(true)
    } else if (key.name === 'paste-end') {
      state.pasting = false
      // A newline after the only line that was pasted is not an Enter that somebody pressed.
      if (state.ended) again(state.several ? severalLines : undefined, state.several ? '' : value)
    } else if (state.ended || isEnterKey(key)) {
      state.several ||= state.ended && rl.line !== ''
      state.ended = true
      clearTimeout(rest.current)
      if (!state.pasting) rest.current = setTimeout(end, restMs)
    } else {
      setValue(rl.line)
      setProblem(undefined)
      if (rl.line === '') setPasted(false)
      else if (state.keysAtOnce > 1) setPasted(true)
    }
  })

  const length = [...value].length
  const mask =
    wasPasted && length > 0 ? `[${plural(length, 'character')}]` : status === 'done' ? '' : '[input is masked]'
  const shown = masked ? theme.style.help(mask) : status === 'done' ? theme.style.answer(value) : value
  return [
    [prefix, theme.style.message(message, status), shown].join(' '),
    problem === undefined ? '' : theme.style.error(problem),
  ]
})
