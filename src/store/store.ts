import type { Keyring } from '../crypto/keyring.ts'
import type { IntegrationsError } from '../errors.ts'
import type { HealthWriter } from './activity/health.ts'
import type { ReceiverReader } from './activity/receivers.ts'
import type { UsageWriter } from './activity/usage.ts'
import type { ConfigRevisionReader, ConfigRevisionWriter } from './audit/config-revisions.ts'
import type { AuditReader, NewEvent } from './audit/events.ts'
import type { PreviousValues } from './audit/head.ts'
import type { RevocationReader } from './audit/revocations.ts'
import type { StateReader } from './audit/row-states.ts'
import type { SeenHeads } from './audit/seen.ts'
import type { Database } from './database/url.ts'
import type { IgnoredFindingReader, IgnoredFindingWriter } from './report/ignored-findings.ts'
import type { PolicyReader, PolicyWriter } from './report/policies.ts'
import type { TableDifference } from './schema/application-tables.ts'
import type { TriggerDifference } from './schema/triggers.ts'
import type { AcceptedSecretReader } from './secrets/accepted.ts'
import type { SecretWriter } from './secrets/changes.ts'
import type { HolderReader } from './secrets/holders.ts'
import type { StoredValueWriter } from './secrets/reencrypt.ts'
import type { ReportReader } from './secrets/report-facts.ts'
import type { StoredValueReader } from './secrets/stored.ts'
import type { AppReader, AppWriter } from './tables/apps.ts'
import type { DamagedRow } from './tables/damaged-rows.ts'
import type { IntegrationReader, IntegrationWriter } from './tables/integrations.ts'
import type { EncryptionMode, KeyReader, KeyWriter, Settings } from './tables/keys.ts'
import type { LabelReader, LabelWriter } from './tables/labels.ts'
import type { RefreshReader, RefreshWriter } from './tables/refresh-attempts.ts'
import type { SecretVersionReader } from './tables/secret-metadata.ts'
import type { UserReader, UserWriter } from './tables/users.ts'
import type { WorkspaceReader, WorkspaceWriter } from './tables/workspaces.ts'

/** What can be read. */
export interface Reader {
  /** The application owns workspaces and users, and writes secrets too. */
  readonly adopted: boolean
  readonly integrations: IntegrationReader
  readonly workspaces: WorkspaceReader
  readonly users: UserReader
  readonly secrets: SecretReader
  readonly storedValues: StoredValueReader
  readonly keys: KeyReader
  readonly apps: AppReader
  readonly refresh: RefreshReader
  readonly configRevisions: ConfigRevisionReader
  readonly labels: LabelReader
  readonly audit: AuditReader
  /** What of this program's own tables cannot be read. */
  damagedRows(): Promise<readonly DamagedRow[]>
  readonly states: StateReader
  readonly receivers: ReceiverReader
  readonly report: ReportReader
  readonly ignoredFindings: IgnoredFindingReader
  readonly revocations: RevocationReader
  readonly policies: PolicyReader
  /** How the tables differ from those that this program can share with an application. */
  tableDifferences(): Promise<readonly TableDifference[]>
  /** Whether the application shows its integrations as a view. */
  showsViews(): Promise<boolean>
  /** How the triggers on the tables of this program differ from those of its migrations. */
  triggerDifferences(): Promise<readonly TriggerDifference[]>
  /** The database's clock. */
  clock(): Promise<Date>
}

/** What can be read of secrets: what is recorded, and what is valid now. */
type SecretReader = SecretVersionReader & AcceptedSecretReader & HolderReader

/** What can be read and changed, within a transaction. */
export interface Transaction extends Reader {
  readonly integrations: IntegrationReader & IntegrationWriter
  readonly secrets: SecretReader & SecretWriter
  readonly storedValues: StoredValueReader & StoredValueWriter
  readonly keys: KeyReader & KeyWriter
  readonly apps: AppReader & AppWriter
  readonly refresh: RefreshReader & RefreshWriter
  readonly configRevisions: ConfigRevisionReader & ConfigRevisionWriter
  readonly health: HealthWriter
  readonly labels: LabelReader & LabelWriter
  readonly ignoredFindings: IgnoredFindingReader & IgnoredFindingWriter
  readonly policies: PolicyReader & PolicyWriter
  readonly workspaces: WorkspaceReader & WorkspaceWriter
  readonly users: UserReader & UserWriter
  /** As they are once the first change has decided the mode. */
  readonly settings: Settings & { readonly mode: EncryptionMode }
  readonly keyring: Keyring
  /** How previous values are there; a change that the user asked for has bound them. */
  readonly previousValues: PreviousValues
  /** The database's clock at the beginning. */
  readonly now: Date
  /**
   * Records that expired values were destroyed at the beginning, as is done before the first event of any other change.
   *
   * @param atOnce destroys those too that expired less than a day ago; no event may have been recorded
   * @returns how many; none: nothing is recorded
   */
  purge(atOnce?: boolean): Promise<number>
  /**
   * Appends to the audit log, when the change ends. What secrets of the same integration were found to be changed by the
   * application goes with it; where nothing is recorded of an integration, that is an event of its own. A change without
   * any event is not kept.
   */
  record(event: NewEvent): Promise<void>
  /** Has this machine forget where it saw the log end, once the change is kept: a person says that the log as it is goes on. */
  acceptLog(): void
}

/** How a change is made. */
interface MutateOptions {
  readonly dryRun?: boolean
  readonly auditOnly?: boolean
  readonly withModels?: boolean
}

/** An open database. */
export interface Store {
  readonly database: Database
  /** Whether it had no tables of ours, or older ones, when it was opened. */
  readonly initialised: boolean
  readonly adopted: boolean
  /** The application may write secrets, so that they may be there as plain text. */
  readonly applicationWrites: boolean
  /** Where this machine saw the audit log end. */
  readonly seen: SeenHeads
  /** Why this is not the database of its URL any more: a SQLite file that was replaced, or is gone. Nothing is read or written then. */
  replaced(): IntegrationsError | undefined
  /** Reads; `work` may run again when the database is busy. */
  read<T>(work: (db: Reader) => Promise<T>): Promise<T>
  /** Reads what a change needs before it begins. @throws NOT_PERMITTED when nothing may be changed */
  readForChange<T>(work: (db: Reader) => Promise<T>): Promise<T>
  /** Reads in one transaction, so that all of it shows one moment. */
  snapshot<T>(work: (db: Reader) => Promise<T>): Promise<T>
  /**
   * Changes something, in one transaction that holds the head row's lock from its first statement on. `work` may run
   * again when the database is busy, so it changes nothing but the database. What it did is kept when it has recorded
   * an event, and undone when it has not.
   *
   * @param options `dryRun`: undo it all the same; `auditOnly`: it does not count as a change that the user asked for; `withModels`: load Prisma's
   *   models, which it writes with, before the lock is held
   * @throws DATABASE_BUSY when other processes held it until the time was up, COMMIT_UNKNOWN when the connection was lost at
   *   COMMIT, KEYS_MISSING, KEY_WRONG, NOT_PERMITTED when nothing may be changed
   */
  mutate<T>(work: (tx: Transaction) => Promise<T>, options?: MutateOptions): Promise<T>
  /** The same database; its changes are recorded as those of another, by `declared_as`. What is closed with one is closed. */
  as(declaredAs: string): Store
  /** Writes down how secrets were used, and which webhooks were refused, which is not a change; `work` may run again when the database is busy. */
  recordUsage<T>(work: (usage: UsageWriter) => Promise<T>): Promise<T>
  close(): Promise<void>
}
