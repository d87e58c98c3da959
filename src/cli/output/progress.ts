import type { Context } from '../context.ts'

/** Work that can be seen to go on. */
export interface ProgressBar {
  /** Shows how much is done, of how much. */
  update(done: number, of: number): void
  /** Takes the bar away. */
  stop(): void
}

/** Draws a bar on stderr while something takes its time; where that is no terminal, or in CI, nothing moves. */
export async function progressBar({ host }: Context, what: string): Promise<ProgressBar> {
  if (!host.stderr.isTTY || host.env.CI || host.env.TERM === 'dumb') return { update: () => {}, stop: () => {} }
  const { default: progress } = await import('cli-progress')
  const bar = new progress.SingleBar({
    stream: host.stderr,
    format: `${what} {bar} {value} of {total}`,
    clearOnComplete: true,
    barsize: 30,
  })
  bar.start(0, 0)
  return {
    update: (done, of) => {
      bar.setTotal(of)
      bar.update(done)
    },
    stop: () => bar.stop(),
  }
}
