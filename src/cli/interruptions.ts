import { constants } from 'node:os'
import { cancelled } from '../errors.ts'
import { type IntegrationView, refOf } from '../integration.ts'
import type { Context } from './context.ts'

/** Signals that end this program, unless it listens for them. */
export const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

const exitCodeOf = (signal: (typeof endingSignals)[number] | undefined) =>
  signal === undefined ? undefined : 128 + constants.signals[signal]

/** Takes the first signal that would end this program for a request to stop soon, which `told` is called for; the second signal ends it. */
export function stopRequests(told: () => void = () => {}) {
  let requested: (typeof endingSignals)[number] | undefined
  let begun = false
  const request = (signal: (typeof endingSignals)[number]) => {
    requested = signal
    told()
  }
  return {
    /** Whether it was asked to stop. */
    requested: () => requested !== undefined,
    /** The exit code for the signal that came; undefined for none. */
    exitCode: () => exitCodeOf(requested),
    /** From now on. */
    begin: () => {
      if (!begun) for (const signal of endingSignals) process.once(signal, request)
      begun = true
    },
    /** From now on, the first signal ends the program again. */
    end: () => {
      for (const signal of endingSignals) process.off(signal, request)
    },
  }
}

/** Defers the signals that would end this program during a request whose answer a platform gives only once. */
export function createSignalGuard({ output }: Context) {
  const running = new Map<symbol, string>()
  let signalled: (typeof endingSignals)[number] | undefined
  const onSignal = (signal: (typeof endingSignals)[number]) => {
    const names = [...running.values()].join(', ')
    if (signalled === undefined) output.note(`stopping once the platform has answered, within 20 seconds: ${names}`)
    else
      output.warn(
        `stopping now would lose the new tokens of ${names}, and the old refresh tokens are used; to stop all the same, use kill -9, then integrations recover`,
      )
    signalled ??= signal
  }
  return {
    /** The exit code for a signal that came; undefined for none. */
    exitCode: () => exitCodeOf(signalled),

    /** Runs work that no signal interrupts. @throws CANCELLED after a signal */
    async uninterrupted<T>(integration: IntegrationView, work: () => Promise<T>): Promise<T> {
      if (signalled !== undefined) throw cancelled('stopped by a signal')
      const key = Symbol()
      if (running.size === 0) for (const signal of endingSignals) process.on(signal, onSignal)
      running.set(key, refOf(integration))
      try {
        return await work()
      } finally {
        running.delete(key)
        if (running.size === 0) for (const signal of endingSignals) process.off(signal, onSignal)
      }
    },
  }
}
