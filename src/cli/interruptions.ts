import { constants } from 'node:os'
import { cancelled } from '../errors.ts'
import type { IntegrationView } from '../integration.ts'
import type { Context } from './context.ts'

const deferred = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Puts off the signals that would end this program while a platform is about to answer with what it says only once. */
export function createSignalGuard({ output }: Context) {
  const under = new Map<symbol, string>()
  let signalled: (typeof deferred)[number] | undefined
  const onSignal = (signal: (typeof deferred)[number]) => {
    const names = [...under.values()].join(', ')
    if (signalled === undefined)
      output.note(`ending as soon as the platform has answered, in 20 seconds at most: ${names}`)
    else
      output.warn(
        `ending now would lose the new tokens of ${names}, and the old ones are used up; if it has to be, kill -9, and then integrations recover`,
      )
    signalled ??= signal
  }
  return {
    /** The exit code for a signal that came; undefined for none. */
    exitCode: () => (signalled === undefined ? undefined : 128 + constants.signals[signalled]),

    /** Does something that no signal interrupts; begins nothing after one. @throws CANCELLED */
    async uninterrupted<T>({ workspace, name }: IntegrationView, work: () => Promise<T>): Promise<T> {
      if (signalled !== undefined) throw cancelled('a signal came before it was begun')
      const key = Symbol()
      if (under.size === 0) for (const signal of deferred) process.on(signal, onSignal)
      under.set(key, `${workspace}/${name}`)
      try {
        return await work()
      } finally {
        under.delete(key)
        if (under.size === 0) for (const signal of deferred) process.off(signal, onSignal)
      }
    },
  }
}
