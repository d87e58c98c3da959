import type { Fingerprint, Instant, IntegrationId } from '../../src/brands.ts'

/** An instant that a test writes down. */
export const instant = (text: string) => text as Instant

/** The id of an integration that a test has put into a database itself. */
export const integrationId = (text: string) => text as IntegrationId

/** A fingerprint that a test makes up. */
export const fingerprint = (text: string) => text as Fingerprint
