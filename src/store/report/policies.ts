/** What integrations are asked to keep, which reports compare them with. @module */
import sql from 'sql-template-tag'
import type { Instant } from '../../brands.ts'
import { damageText } from '../../damage.ts'
import { databaseInvalid } from '../../errors.ts'
import { type WrittenColumns, wholeRow } from '../audit/written.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements } from '../database/statements.ts'

/** Which integrations a policy is for: those that meet all of these; null: any. */
export interface PolicyScope {
  readonly platform: string | null
  readonly workspaceId: string | null
  readonly tagKey: string | null
  /** null: any value of the tag */
  readonly tagValue: string | null
}

/** What a policy asks; null: nothing. */
export interface Requirements {
  /** How old a webhook secret and a refresh token may be, in seconds. */
  readonly maxSecretAge: number | null
  /** How old an access token may be, in seconds. */
  readonly maxTokenAge: number | null
  /** How long before its end a report begins to warn of an access token, in seconds. */
  readonly expiresWithin: number | null
  /** After how long without use a report warns, in seconds. */
  readonly unusedAfter: number | null
  /** An access token has to end. */
  readonly expiryRequired: boolean
  /** Somebody has to answer for the integration. */
  readonly ownerRequired: boolean
}

/** What integrations are asked to keep. */
export interface Policy extends PolicyScope, Requirements {
  readonly name: string
  /** The name of the workspace; its id where that is gone. */
  readonly workspace: string | null
  /** When it was last set. */
  readonly updatedAt: Instant
}

/** What can be read of policies. */
export interface PolicyReader {
  /** All of them, in the order of their names. @throws DATABASE_INVALID for one that cannot be read, which may ask what nobody would tell then */
  list(): Promise<Policy[]>
  /** Whether there is one with this name, though it may not be readable. */
  has(name: string): Promise<boolean>
}

/** What can be changed of policies. */
export interface PolicyWriter {
  /** Sets all that a policy asks, of one that there is or a new one. */
  set(policy: Omit<Policy, 'workspace' | 'updatedAt'>): Promise<void>
  remove(name: string): Promise<void>
}

/** A policy as it is stored. */
type PolicyRow = Omit<Policy, NumberField | FlagField> & {
  readonly [F in NumberField]: number | bigint | string | null
} & { readonly [F in FlagField]: boolean | number | bigint | string }
type NumberField = 'maxSecretAge' | 'maxTokenAge' | 'expiresWithin' | 'unusedAfter'
type FlagField = 'expiryRequired' | 'ownerRequired'

/** Reads policies. */
export const policyReader = (db: Statements, { whole, flag, binaryOrder, toRfc3339 }: Dialect): PolicyReader => ({
  async list() {
    const rows = await db.queryInPages<PolicyRow>(
      {
        name: sql`p.name`,
        platform: sql`p.platform`,
        workspaceId: sql`p.workspace_id`,
        workspace: sql`coalesce(w.name, p.workspace_id)`,
        tagKey: sql`p.tag_key`,
        tagValue: sql`p.tag_value`,
        maxSecretAge: whole(sql`p.max_secret_age`),
        maxTokenAge: whole(sql`p.max_token_age`),
        expiresWithin: whole(sql`p.expires_within`),
        unusedAfter: whole(sql`p.unused_after`),
        updatedAt: toRfc3339(sql`p.updated_at`),
        expiryRequired: flag(sql`p.expiry_required`, sql`(p.expiry_required IS TRUE)`),
        ownerRequired: flag(sql`p.owner_required`, sql`(p.owner_required IS TRUE)`),
      },
      sql`FROM integration_policies p LEFT JOIN workspaces w ON w.id = p.workspace_id ORDER BY ${binaryOrder(sql`p.name`)}`,
    )
    return rows.map(({ damage, ...row }) => {
      if (damage)
        throw databaseInvalid(
          `a policy cannot be read: ${damageText(row.name, damage)}`,
          `integrations policy remove, and integrations policy set again; integrations audit list --action policy tells what it was`,
        )
      const number = (field: NumberField) => (row[field] === null ? null : Number(row[field]))
      return {
        ...row,
        ...{ maxSecretAge: number('maxSecretAge'), maxTokenAge: number('maxTokenAge') },
        ...{ expiresWithin: number('expiresWithin'), unusedAfter: number('unusedAfter') },
        ...{ expiryRequired: Boolean(row.expiryRequired), ownerRequired: Boolean(row.ownerRequired) },
      }
    })
  },
  has: (name) => db.some(sql`FROM integration_policies p WHERE p.name = ${name}`),
})

/** Changes policies, within a transaction. */
export const policyWriter = (
  db: Statements,
  { now, written }: { readonly now: Date; readonly written: WrittenColumns },
): PolicyWriter => ({
  async set({ name, platform, workspaceId, tagKey, tagValue, expiryRequired, ownerRequired, ...numbers }) {
    const { maxSecretAge, maxTokenAge, expiresWithin, unusedAfter } = numbers
    await db.execute(sql`DELETE FROM integration_policies WHERE name = ${name}`)
    await db.execute(sql`INSERT INTO integration_policies (name, platform, workspace_id, tag_key, tag_value, max_secret_age, max_token_age,
        expires_within, unused_after, expiry_required, owner_required, updated_at)
      VALUES (${name}, ${platform}, ${workspaceId}, ${tagKey}, ${tagValue}, ${maxSecretAge}, ${maxTokenAge},
        ${expiresWithin}, ${unusedAfter}, ${expiryRequired}, ${ownerRequired}, ${now})`)
    written.add('policy', name, wholeRow)
  },
  async remove(name) {
    await db.execute(sql`DELETE FROM integration_policies WHERE name = ${name}`)
  },
})
