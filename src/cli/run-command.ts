import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { isatty } from 'node:tty'
import { IntegrationsError, systemCode } from '../errors.ts'

/** Signals that are sent to this process alone. */
const sent = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const
/** Signals that keys send: a terminal sends them to every process on it. */
const typed = ['SIGINT', 'SIGQUIT'] as const

/**
 * Runs a command in the place of this program, which passes on signals and does nothing else meanwhile.
 *
 * @param env all of its environment
 * @returns its exit code, 128 and the number of the signal that ended it
 * @throws COMMAND_NOT_FOUND, COMMAND_NOT_STARTED
 */
export async function runCommand(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  let child: ChildProcess | undefined
  const pass = (signal: NodeJS.Signals) => void child?.kill(signal)
  // The command has a key's signal from the terminal already; a second one means "at once" to many programs.
  const onTerminal = [0, 1, 2].some((descriptor) => isatty(descriptor))
  const typedOnce = onTerminal ? () => {} : pass
  const listen = (how: 'on' | 'off') => {
    for (const signal of sent) process[how](signal, pass)
    for (const signal of typed) process[how](signal, typedOnce)
  }
  listen('on')
  try {
    return await new Promise((done, failed) => {
      // What cannot be passed to a program at all is thrown here, such as a list of arguments that is too long.
      child = spawn(command, args, { env, stdio: 'inherit' })
      child.on('error', failed)
      child.on('exit', (code, signal) => done(code ?? 128 + (signal === null ? 0 : constants.signals[signal])))
    })
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT')
      throw new IntegrationsError({
        code: 'COMMAND_NOT_FOUND',
        message: `there is no command ${JSON.stringify(command)}`,
        hint: 'check the spelling, and that its folder is in PATH',
      })
    throw new IntegrationsError({
      code: 'COMMAND_NOT_STARTED',
      message: `the command ${JSON.stringify(command)} cannot be started (${code})`,
      hint: 'check that it is an executable file that you may run',
    })
  } finally {
    listen('off')
  }
}
