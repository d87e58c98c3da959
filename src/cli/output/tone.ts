/** How a cell of a table may be painted. */
export type Tone = 'good' | 'bad' | 'warn' | 'dim' | 'plain'

/** What a table shows of a value; `narrow`: a shorter text, for a table that would not fit else. */
export type Cell = readonly [text: string, tone: Tone, narrow?: string]

/** Paints a text for a tone, or leaves it plain where there is no colour. */
export type Paint = (text: string, tone: Tone | 'head') => string

/** What paints on a stream: nothing where it shows no colours. */
export async function painter(env: NodeJS.ProcessEnv, isTTY: boolean): Promise<Paint> {
  if (colourLevel(env, isTTY) === 0) return (text) => text
  const { Chalk } = await import('chalk')
  const chalk = new Chalk({ level: 1 })
  const tones = {
    good: chalk.green,
    bad: chalk.red,
    warn: chalk.yellow,
    dim: chalk.dim,
    head: chalk.bold,
    plain: (text: string) => text,
  }
  return (text, tone) => tones[tone](text)
}

/** https://no-color.org and https://force-color.org; force wins. */
function colourLevel(env: NodeJS.ProcessEnv, isTTY: boolean): 0 | 1 {
  if (env.FORCE_COLOR) return env.FORCE_COLOR === '0' ? 0 : 1
  return isTTY && !env.NO_COLOR && env.TERM !== 'dumb' ? 1 : 0
}
