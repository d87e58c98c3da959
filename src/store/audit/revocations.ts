/** What platforms answered to requests to revoke an access token, as the audit log has it. @module */
import sql, { join, type Sql } from 'sql-template-tag'
import type { Fingerprint, Instant } from '../../brands.ts'
import { secretColumns } from '../../integration.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements } from '../database/statements.ts'

/** A request to revoke a token whose outcome is not known. */
export interface UnknownRevocation {
  /** Of the token. */
  readonly fingerprint: Fingerprint
  /** When the platform was asked. */
  readonly at: Instant
  /** The integration with its workspace, as they were named then. */
  readonly name: string | null
  /** When the token expires, as far as is recorded with its value. */
  readonly expiresAt: Instant | null
}

/** What can be read of revocations. */
export interface RevocationReader {
  /** The last answers about the tokens of an integration, in the word that the log has for it; `started`: none is recorded. */
  answers(integrationId: string): Promise<ReadonlyMap<Fingerprint, string>>
  /** The requests of which no answer is recorded, or that it is unknown, by the id of the integration, oldest first. @param since an instant */
  unknown(since: Instant): Promise<ReadonlyMap<string, readonly UnknownRevocation[]>>
}

/** How many tokens are looked up at a time. */
const tokensAtOnce = 500

/** Reads revocations. */
export function revocationReader(db: Statements, dialect: Dialect): RevocationReader {
  const { toRfc3339, comparableTime, timeLiteral } = dialect

  /** The events about revocations, in their order. What cannot be read of the log, audit verify tells. */
  async function events(condition: Sql) {
    const rows = await db.queryInPages<{ id: string | null; name: string | null; at: Instant; fields: string | null }>(
      { id: sql`e.target_id`, name: sql`e.target_name`, at: toRfc3339(sql`e.at`), fields: sql`e.fields` },
      // Written out, so that the index of these events alone is used.
      sql`FROM integration_events e WHERE e.action = 'secret.revoke' AND ${condition} ORDER BY e.seq`,
    )
    return rows.flatMap(({ id, name, at, fields, damage }) => {
      const parts = damage ? [] : (fields ?? '').split(',')
      const part = (name: string) => parts.find((one) => one.startsWith(`${name}:`))?.slice(name.length + 1)
      const fingerprint = part('fingerprint') as Fingerprint | undefined
      return id === null || fingerprint === undefined
        ? []
        : [{ id, name, at, fingerprint, answer: part('outcome') ?? 'started' }]
    })
  }

  /** When tokens expire, as far as is recorded. */
  async function expiries(fingerprints: readonly Fingerprint[]): Promise<ReadonlyMap<Fingerprint, Instant>> {
    const ends = new Map<Fingerprint, Instant>()
    for (let i = 0; i < fingerprints.length; i += tokensAtOnce) {
      const rows = await db.queryAll<{ fingerprint: Fingerprint; at: Instant }>(
        { fingerprint: sql`s.fingerprint`, at: toRfc3339(sql`s.expires_at`) },
        sql`FROM integration_secrets s WHERE s.field = ${secretColumns.accessToken} AND s.expires_at IS NOT NULL
          AND s.fingerprint IN (${join(fingerprints.slice(i, i + tokensAtOnce))})`,
      )
      for (const { fingerprint, at, damage } of rows) if (!damage) ends.set(fingerprint, at)
    }
    return ends
  }

  return {
    async answers(integrationId) {
      const all = await events(sql`e.target_id = ${integrationId}`)
      return new Map(all.map(({ fingerprint, answer }) => [fingerprint, answer]))
    },
    async unknown(since) {
      /** By token: the integrations for which its platform was asked, and when first without an answer. */
      const open = new Map<Fingerprint, Map<string, Pick<UnknownRevocation, 'at' | 'name'>>>()
      for (const { id, name, at, fingerprint, answer } of await events(
        sql`${comparableTime(sql`e.at`)} >= ${timeLiteral(since)}`,
      )) {
        const asked = open.get(fingerprint) ?? new Map<string, Pick<UnknownRevocation, 'at' | 'name'>>()
        if (answer !== 'started' && answer !== 'unknown') open.delete(fingerprint)
        else open.set(fingerprint, asked.set(id, asked.get(id) ?? { at, name }))
      }
      const ends = await expiries([...open.keys()])
      const unknown = new Map<string, UnknownRevocation[]>()
      for (const [fingerprint, asked] of open)
        for (const [id, request] of asked) {
          const one = { fingerprint, ...request, expiresAt: ends.get(fingerprint) ?? null }
          unknown.set(id, [...(unknown.get(id) ?? []), one])
        }
      return unknown
    },
  }
}
