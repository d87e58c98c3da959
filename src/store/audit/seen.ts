/** Where a machine saw audit logs end, so that it can tell a database that is older than it was. @module */
import { createHash } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { jsonOf, objectOf } from '../../json.ts'
import type { Database } from '../database/url.ts'
import type { Settings } from '../tables/keys.ts'
import type { AuditReader, Head } from './events.ts'

/** Small texts that a machine keeps by their names. Nothing fails: what cannot be kept is not kept. */
export interface HeadMemory {
  read(name: string): string | undefined
  write(name: string, text: string): void
  /** Told, for people, that a log is not the one that was seen. */
  readonly warn: (text: string) => void
}

/** Where this machine saw the log of a database end, by the id of the database; a copy at another address is another one. */
export class SeenHeads {
  readonly #memory: HeadMemory | undefined
  readonly #address: string
  readonly #names = new Map<string, string>()

  /** @param memory without it, nothing is remembered */
  constructor(memory: HeadMemory | undefined, database: Database) {
    this.#memory = memory
    this.#address = memory ? addressOf(database) : ''
  }

  /** The end that was seen; undefined for none, or one that cannot be read. */
  of(id: string): Head | undefined {
    const seen = objectOf(jsonOf(this.#memory?.read(this.#name(id)) ?? ''))
    if (seen?.id !== id || typeof seen.hash !== 'string' || !/^[0-9a-f]{64}$/.test(seen.hash)) return undefined
    if (typeof seen.seq !== 'number' || !Number.isSafeInteger(seen.seq) || seen.seq < 1) return undefined
    return { seq: BigInt(seen.seq), hash: seen.hash }
  }

  /**
   * Remembers where a log ends, unless another process has seen it go further meanwhile.
   *
   * @param over an end to forget, even if it is a later one
   */
  keep(id: string, { seq, hash }: Head, over?: Head): void {
    const seen = this.of(id)
    if (!this.#memory || seq < 1n || seen?.hash === hash) return
    if (seen && seen.seq >= seq && seen.hash !== over?.hash) return
    this.#memory.write(this.#name(id), `${JSON.stringify({ id, seq: Number(seq), hash })}\n`)
  }

  /** Warns of a log that does not go on from the end that was seen. */
  warn({ seq }: Head): void {
    this.#memory?.warn(
      `this machine saw event ${seq} of the audit log, which the log does not hold any more: the database was rolled back, or is another copy; integrations audit verify tells more, and docs/databases.md what to do`,
    )
  }

  #name(id: string): string {
    const known = this.#names.get(id)
    if (known !== undefined) return known
    const hash = createHash('sha256').update(JSON.stringify([id, this.#address]))
    const name = hash.digest('hex').slice(0, 32)
    this.#names.set(id, name)
    return name
  }
}

/** The log of a database during one change, beside what this machine has seen of it. */
export class FollowedLog {
  readonly #seen: SeenHeads
  #id = ''
  /** The end that was seen and is not part of the log. */
  #lost: Head | undefined
  #accepted = false

  constructor(seen: SeenHeads) {
    this.#seen = seen
  }

  /** Compares, while the head row is locked: no other process can have seen a later end then. The change may begin again. */
  async begin({ settings: { id, head }, audit }: { readonly settings: Settings; readonly audit: AuditReader }) {
    const seen = this.#seen.of(id)
    this.#id = id
    this.#accepted = false
    this.#lost = seen && (await isLost(audit, seen, head)) ? seen : undefined
  }

  /** The log as it is goes on. */
  accept(): void {
    this.#accepted = true
  }

  /** Warns of what was lost, unless that was accepted. */
  warn(): void {
    if (this.#lost && !this.#accepted) this.#seen.warn(this.#lost)
  }

  /** Remembers where the log ends after the change, unless something was lost. */
  keep({ id, head }: { readonly id: string; readonly head: Head }): void {
    if (this.#lost && !this.#accepted) return
    // With the id of before, this would be an older copy.
    for (const one of new Set([id, this.#id])) this.#seen.keep(one, head, this.#lost)
  }
}

/** Whether a log lacks the event that was its last when it was seen. @param head its end now */
export async function isLost(db: AuditReader, seen: Head, head: Head): Promise<boolean> {
  if (seen.seq > head.seq) return true
  return (seen.seq === head.seq ? head.hash : await db.hashOf(seen.seq)) !== seen.hash
}

/** Where a database is, without what only tells how to get in. */
function addressOf(database: Database): string {
  if (database.provider === 'postgresql')
    return JSON.stringify([database.hosts.map(({ host, port }) => [host, port]), database.database, database.schema])
  try {
    return realpathSync(database.file)
  } catch {
    return database.file
  }
}
