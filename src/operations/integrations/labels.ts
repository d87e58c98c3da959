/** What people say of an integration, for themselves: who answers for it, tags, and a note. @module */
import type { IntegrationId } from '../../brands.ts'
import { badInput, quoted } from '../../errors.ts'
import type { IntegrationView, Labels } from '../../integration.ts'
import type { Reader, Transaction } from '../../store/store.ts'
import { checkText } from '../names.ts'

/** New labels of an integration; null removes one. */
export interface LabelChange {
  readonly owner?: string | null | undefined
  readonly note?: string | null | undefined
  /** By their keys. */
  readonly tags?: { readonly [key: string]: string | null } | undefined
}

/** How many tags an integration may have. */
const maxTags = 50

/** The longest values, in characters. */
const maxValueLength = 255
const maxNoteLength = 1000

/** The labels that are no tags. */
const ownKeys: readonly string[] = ['owner', 'note']

/** Checks the key of a tag, which scripts and filters name it by. @param flag what a label that is no tag is given with @throws BAD_INPUT */
export function checkTagKey(key: string, flag = `--${key}`): string {
  if (ownKeys.includes(key)) throw badInput(`${key} is not a tag`, `pass ${flag}`)
  if (!/^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$/.test(key))
    throw badInput(
      `the tag key ${quoted(key)} is malformed`,
      'use at most 63 lower-case letters and digits, with ".", "_" or "-" between them, as in team',
    )
  return key
}

/** Checks labels to store. @throws BAD_INPUT */
export function checkLabels({ owner, note, tags = {} }: LabelChange): void {
  if (typeof owner === 'string') checkText('owner', owner, maxValueLength)
  if (typeof note === 'string') checkText('note', note, maxNoteLength)
  for (const [key, value] of Object.entries(tags)) {
    checkTagKey(key)
    if (value !== null) checkText(`${key} tag`, value, maxValueLength)
  }
}

/** Changes labels within a transaction. @returns the fields that differ, as events name them @throws BAD_INPUT for too many tags */
export async function changeLabels(
  tx: Transaction,
  id: IntegrationId,
  { owner, note, tags = {} }: LabelChange,
): Promise<string[]> {
  const wanted = Object.entries({ ...tags, owner, note }).filter(([, value]) => value !== undefined)
  if (wanted.length === 0) return []
  const now = await tx.labels.of(id)
  const known = new Map(Object.entries({ ...now.tags, owner: now.owner, note: now.note }))
  // One that cannot be read differs from any.
  const different = wanted.filter(([key, value]) => now.damage !== undefined || (known.get(key) ?? null) !== value)
  if (different.length === 0) return []
  const left = Object.values({ ...now.tags, ...tags }).filter((value) => value !== null)
  // Of more, which another program has given it, some can be removed.
  if (left.length > Math.max(maxTags, Object.keys(now.tags).length))
    throw badInput(
      `the integration would have ${left.length} tags, and ${maxTags} are possible`,
      'remove tags with --untag',
    )
  await tx.labels.set(id, Object.fromEntries(different.map(([key, value]) => [key, value ?? null])))
  return different.map(([key]) => `labels.${key}`)
}

/** An integration with its labels. */
export async function withLabels(
  db: Reader,
  { damage = [], ...integration }: IntegrationView,
): Promise<IntegrationView & Labels> {
  const labels = await db.labels.of(integration.id)
  const all = [...damage, ...(labels.damage ?? [])]
  return { ...integration, ...labels, ...(all.length > 0 ? { damage: all } : {}) }
}
