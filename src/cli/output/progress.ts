import type { Context } from '../context.ts'

/** A progress bar. */
export interface ProgressBar {
  /** Draws the progress. */
  update(done: number, of: number): void
  /** Removes the bar. */
  stop(): void
}

/** Draws a progress bar on stderr; does nothing in CI and without a terminal. @param what names the items */
export async function progressBar({ host: { stderr, env } }: Context, what: string): Promise<ProgressBar> {
  if (!stderr.isTTY || env.CI || env.TERM === 'dumb') return { update: () => {}, stop: () => {} }
  const { default: progress } = await import('cli-progress')
  const bar = new progress.SingleBar({
    stream: stderr,
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

/** Does work with a progress bar on stderr. @param what names the items */
export async function withProgressBar<T>(
  ctx: Context,
  what: string,
  work: (update: ProgressBar['update']) => Promise<T>,
): Promise<T> {
  const bar = await progressBar(ctx, what)
  try {
    return await work(bar.update)
  } finally {
    bar.stop()
  }
}
