declare const brand: unique symbol
type Branded<Name extends string> = string & { readonly [brand]: Name }

/** An instant as RFC 3339 text in UTC with milliseconds, as in `2026-11-22T17:02:18.000Z`. */
export type Instant = Branded<'Instant'>
/** The id of an integration in the database; what a person typed becomes such an id by a look-up alone. */
export type IntegrationId = Branded<'IntegrationId'>
/** 8 bytes of hex by which two secrets can be compared unseen. */
export type Fingerprint = Branded<'Fingerprint'>

/** @param time a date, or milliseconds since 1970 */
export const instantOf = (time: Date | number): Instant => new Date(time).toISOString() as Instant

/** An id for a new integration. */
export const newIntegrationId = () => crypto.randomUUID() as string as IntegrationId
