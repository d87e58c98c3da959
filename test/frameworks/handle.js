import { appendFileSync } from 'node:fs'

/** Notes an outcome where the test reads it, before the answer. */
export async function handle(outcome) {
  const { kind, reason, detail, integration, event, usedPreviousSecret } = outcome
  const noted =
    kind === 'event'
      ? { kind, integration: integration.name, event: event.name, payload: event.payload, usedPreviousSecret }
      : { kind, reason, detail }
  appendFileSync(process.env.OUTCOMES, `${JSON.stringify(noted)}\n`)
}
