import { appendFileSync } from 'node:fs'
import { quoted, systemCode } from '../../errors.ts'
import type { Output } from '../output/output.ts'

/**
 * Adds a text to the summary of a GitHub job, which several steps and programs write to
 * (https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions#adding-a-job-summary). Warns where that
 * fails: the answer is elsewhere.
 */
export function addToJobSummary(file: string, text: Iterable<string>, output: Output): void {
  try {
    appendFileSync(file, `${[...text].join('')}\n`)
  } catch (error) {
    output.warn(
      `the summary of the job, ${quoted(file)} (GITHUB_STEP_SUMMARY), cannot be written: ${systemCode(error)}`,
    )
  }
}
