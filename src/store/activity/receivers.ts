/** What receivers report of themselves, each in a row of its own. @module */
import sql from 'sql-template-tag'
import type { Fingerprint, Instant, IntegrationId } from '../../brands.ts'
import { reportMac } from '../../crypto/hmac.ts'
import type { Keyring } from '../../crypto/keyring.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements } from '../database/statements.ts'

/** For how long a receiver accepts an expired secret, in seconds. */
export interface ReceiverLimits {
  /** At most, where the receiver can reach the database. */
  readonly remember: number
  /** At most, where the receiver cannot. */
  readonly stale: number
}

/** When a request last matched a webhook secret of an integration. */
export type ReportedMatch = readonly [integration: IntegrationId, fingerprint: Fingerprint, lastAt: Instant]

/** What a receiver reports. All times are by the database's clock. */
export interface ReceiverReport extends ReceiverLimits {
  /** As of when. */
  readonly at: Instant
  /** Every previous secret that matched since then is in the report. */
  readonly since: Instant
  /** Current secrets that matched during a grace period; not every one. */
  readonly current: readonly ReportedMatch[]
  /** Previous secrets that matched. */
  readonly previous: readonly ReportedMatch[]
}

/** A report as it is stored. */
export interface SignedReport {
  /** Of the receiver. */
  readonly id: string
  readonly report: string
  readonly mac: string
}

/** The word of a receiver of a version before, which nothing vouches for. */
export interface UnsignedReport {
  readonly at: Instant
  /** null: it did not say. */
  readonly limits: ReceiverLimits | null
}

/** What can be read of reports. */
export interface ReceiverReader {
  /**
   * What receivers have reported, those included that have stopped without a word.
   *
   * @param databaseId of this database
   * @returns the newest first; undefined for a report that no receiver of this database has made
   */
  reports(keyring: Pick<Keyring, 'auditKey'>, databaseId: string): Promise<readonly (ReceiverReport | undefined)[]>
  /** What receivers of versions before have said. */
  unsigned(): Promise<readonly UnsignedReport[]>
}

/** What can be written of reports. */
export interface ReceiverWriter {
  /** Puts a report in the place of the receiver's last, and removes those of receivers that are long gone. */
  report(report: SignedReport, now: Date): Promise<void>
  /** Removes what a receiver has reported. */
  withdraw(id: string): Promise<void>
}

/** How many reports are read, and how many of them at a time. */
const maxReports = 1000
const reportsAtOnce = 50

/** How long the report of a receiver is kept that has stopped without a word. */
const keptMs = 86_400_000

/** Signs a report as one of a receiver about a database. */
export function signReport(
  { auditKey }: Pick<Keyring, 'auditKey'>,
  { id, databaseId, ...report }: ReceiverReport & { readonly id: string; readonly databaseId: string },
): SignedReport {
  const text = JSON.stringify(report)
  return { id, report: text, mac: reportMac(auditKey, [databaseId, id, text]) }
}

/** Reads reports. */
export const receiverReader = (db: Statements, { toRfc3339, comparableTime }: Dialect): ReceiverReader => ({
  async reports({ auditKey }, databaseId) {
    const reports: (ReceiverReport | undefined)[] = []
    // Those of many integrations, or of another program, may be too long to be read at once.
    for (let left = true; left && reports.length < maxReports; ) {
      const { rows, after } = await db.queryPage<SignedReport>(
        { id: sql`r.id`, report: sql`r.report`, mac: sql`r.mac` },
        sql`FROM integration_receivers r ORDER BY ${comparableTime(sql`r.updated_at`)} DESC, r.id
          LIMIT ${reportsAtOnce} OFFSET ${reports.length}`,
      )
      for (const { id, report, mac, damage } of rows) {
        const isSigned = !damage && mac === reportMac(auditKey, [databaseId, id, report])
        reports.push(isSigned ? (JSON.parse(report) as ReceiverReport) : undefined)
      }
      left = rows.length > 0 && (after > 0 || rows.length === reportsAtOnce)
    }
    return reports
  },
  async unsigned() {
    const rows = await db.queryAll<{ key: string; at: Instant }>(
      { key: sql`s.key`, at: toRfc3339(sql`s.updated_at`) },
      sql`FROM integration_settings s WHERE s.key LIKE 'receiver%' AND length(s.key) < 30 LIMIT ${maxReports}`,
    )
    return rows.flatMap(({ key, at, damage }) => {
      const [whole, remember, stale] = /^receiver(?: (\d{1,6}) (\d{1,6}))?$/.exec(key) ?? []
      if (whole === undefined || damage) return []
      return [{ at, limits: remember && stale ? { remember: Number(remember), stale: Number(stale) } : null }]
    })
  },
})

/** Writes reports. */
export const receiverWriter = (db: Statements, { comparableTime }: Dialect): ReceiverWriter => ({
  async report({ id, report, mac }, now) {
    await db.execute(sql`INSERT INTO integration_receivers (id, report, mac, updated_at) VALUES (${id}, ${report}, ${mac}, ${now})
      ON CONFLICT (id) DO UPDATE SET report = excluded.report, mac = excluded.mac, updated_at = excluded.updated_at`)
    const isWithin = (ms: number) => comparableTime(sql`${new Date(now.getTime() + ms)}`)
    const updatedAt = comparableTime(sql`updated_at`)
    await db.execute(
      sql`DELETE FROM integration_receivers WHERE ${updatedAt} < ${isWithin(-keptMs)} OR ${updatedAt} > ${isWithin(keptMs)}`,
    )
  },
  async withdraw(id) {
    await db.execute(sql`DELETE FROM integration_receivers WHERE id = ${id}`)
  },
})
