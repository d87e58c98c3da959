import { Option } from '@commander-js/extra-typings'
import { badInput } from '../../errors.ts'
import type { Secret } from '../../secret.ts'
import type { Context } from '../context.ts'

/** `--mask`, of commands that give a secret to the log of a job or to a program that may print it. */
export const maskOption = () =>
  new Option(
    '--mask <system>',
    'have the log of a CI job hide the value from now on, by a command to the CI system on standard error',
  ).choices(['github'] as const)

/** Refuses to mask values in the job of a system that would print the commands, before anything is read. @throws BAD_INPUT */
export function checkMask({ host: { env } }: Context, system: 'github' | undefined): void {
  const other = ['GITLAB_CI', 'BUILDKITE', 'CIRCLECI'].find((name) => env[name])
  if (system !== undefined && other && !env.GITHUB_ACTIONS)
    throw badInput(
      `--mask github would show the value: ${other} says that this is another CI system`,
      'leave --mask out, and mask the value as this system does',
    )
}

/**
 * Has the log of a GitHub job hide values, each of whose lines is told to it before the value is written anywhere
 * (https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions#masking-a-value-in-a-log). Without
 * the option nothing of a value is written; in a GitHub job a warning names the option.
 */
export async function mask(
  { host, output }: Context,
  system: 'github' | undefined,
  values: readonly Secret[],
): Promise<void> {
  if (system === undefined) {
    if (host.env.GITHUB_ACTIONS)
      output.warn('the log of this job shows the value wherever a step prints it; pass --mask github to hide it')
    return
  }
  const shown = new Set(values.flatMap((value) => [value.reveal(), inJson(value.reveal())]))
  const lines = new Set([...shown].flatMap((text) => text.split(/\r\n|\r|\n/)).filter((line) => line.trim() !== ''))
  const commands = [...lines].map((line) => `::add-mask::${line.replaceAll('%', '%25')}\n`).join('')
  await new Promise<void>((written) => host.stderr.write(commands, () => written()))
}

/** A value as it stands in JSON, where it may look different. */
const inJson = (text: string) => JSON.stringify(text).slice(1, -1)
