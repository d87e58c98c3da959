import { expect } from 'vitest'
import { runInProcess } from './in-process.ts'
import type { Outcome } from './program.ts'
import { signingSecret } from './samples.ts'

/** Adds a Slack integration with its first signing secret, in the workspace Acme. */
export async function addSlack(env: Record<string, string>, name = 'support', ...flags: string[]): Promise<string> {
  const workspace = name === 'support' ? '--new-workspace' : '--workspace'
  const { code, stdout, stderr } = await runInProcess(
    ['add', '--platform', 'slack', workspace, 'Acme', '--name', name, '--webhook-secret-stdin', '-o', 'id', ...flags],
    { env, input: signingSecret(1) },
  )
  expect({ code, stderr }).toMatchObject({ code: 0 })
  return stdout.trim()
}

/** Puts another signing secret in. */
export const rotate = (env: Record<string, string>, n: number, ...flags: string[]): Promise<Outcome> =>
  runInProcess(['rotate', 'support', '--webhook-secret-stdin', '-o', 'id', ...flags], { env, input: signingSecret(n) })

/** The value of a secret, as the program opens it. */
export async function revealed(
  env: Record<string, string>,
  field = 'webhook-secret',
  ref = 'support',
): Promise<string> {
  const { code, stdout } = await runInProcess(['secrets', 'reveal', ref, field], { env })
  return code === 0 ? stdout.replace(/\n$/, '') : `exit ${code}`
}
