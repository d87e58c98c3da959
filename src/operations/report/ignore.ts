import { type Instant, instantOf } from '../../brands.ts'
import { badInput, IntegrationsError, notFound, quoted } from '../../errors.ts'
import { refOf } from '../../integration.ts'
import type { IgnoredFinding } from '../../store/report/ignored-findings.ts'
import type { Reader, Store } from '../../store/store.ts'
import type { DryRun } from '../change.ts'
import { findIntegration } from '../find.ts'
import { type FindingCode, isIntegrationCode } from './finding.ts'

/** For how many days at most a finding is ignored. */
export const mostIgnoredDays = 90

const dayMs = 86_400_000

/** Which finding: a code of one integration, or wherever it is found. */
interface Which {
  readonly code: FindingCode
  /** undefined: of every integration, and of the database */
  readonly ref: string | undefined
}

/** How a finding is ignored. */
interface Ignoring extends Which, DryRun {
  readonly until: Instant
  readonly reason: string
  /** Who does it. */
  readonly by: string
}

/** An ignored finding in words, as in `token-expired of Acme/support`. */
export const ignoredName = ({ code, workspace, name }: Pick<IgnoredFinding, 'code' | 'workspace' | 'name'>): string =>
  workspace === null || name === null ? `${code} everywhere` : `${code} of ${refOf({ workspace, name })}`

/**
 * Leaves a finding out of reports until an instant; one that is left out already gets the new instant and reason.
 *
 * @returns `isNew`: whether this differs from what there was
 * @throws BAD_INPUT for an instant that is over or too far ahead, or an integration of a finding about the database, NOT_FOUND, AMBIGUOUS
 */
export async function ignoreFinding(
  store: Store,
  { code, ref, until, reason, by, dryRun }: Ignoring,
): Promise<{ readonly ignored: IgnoredFinding; readonly isNew: boolean }> {
  if (ref !== undefined && !isIntegrationCode(code))
    throw badInput(`${code} is about the database, and not about an integration`, `leave out ${quoted(ref)}`)
  const found =
    ref === undefined ? undefined : await store.readForChange((db) => findIntegration(db, ref, { damagedToo: true }))
  const integrationId = found?.id ?? null
  return store.mutate(
    async (tx) => {
      checkEnd(until, tx.now)
      const before = (await tx.ignoredFindings.list()).find(
        (one) => one.code === code && one.integrationId === integrationId,
      )
      if (before?.until === until && before.reason === reason) return { ignored: before, isNew: false }
      const ignored = {
        id: before?.id ?? crypto.randomUUID(),
        code,
        integrationId,
        workspace: found?.workspace ?? null,
        name: found?.name ?? null,
        until,
        reason,
        ignoredAt: instantOf(tx.now),
        ignoredBy: by,
      }
      await tx.ignoredFindings.put(ignored)
      await tx.record({ action: 'finding.ignore', target: targetOf(ignored) })
      return { ignored, isNew: true }
    },
    { dryRun },
  )
}

function checkEnd(until: Instant, now: Date): void {
  const end = Date.parse(until)
  const last = now.getTime() + mostIgnoredDays * dayMs
  const hint = `choose a date of the next ${mostIgnoredDays} days, before ${instantOf(last)}`
  if (end <= now.getTime()) throw badInput('the end is in the past', hint)
  if (end > last) throw badInput(`the end is more than ${mostIgnoredDays} days ahead`, hint)
}

/** Has reports tell a finding again that is ignored, or was. @throws NOT_FOUND, AMBIGUOUS */
export const unignoreFinding = (store: Store, which: Which, options: DryRun): Promise<IgnoredFinding> =>
  store.mutate(async (tx) => {
    const [ignored, ...others] = await ignoredOnes(tx, which)
    if (!ignored)
      throw notFound(
        `${which.code} is not ignored ${which.ref === undefined ? 'everywhere' : `of ${quoted(which.ref)}`}`,
        'integrations report ignored',
      )
    for (const one of [ignored, ...others]) {
      await tx.ignoredFindings.remove(one.id)
      await tx.record({ action: 'finding.unignore', target: targetOf(one) })
    }
    return ignored
  }, options)

/** The rows of an ignored finding, whose integration may be gone: another program may have put in several. */
async function ignoredOnes(db: Reader, { code, ref }: Which): Promise<IgnoredFinding[]> {
  const own = (await db.ignoredFindings.list()).filter((one) => one.code === code)
  if (ref === undefined) return own.filter(({ integrationId }) => integrationId === null)
  const exact = own.filter(({ integrationId }) => integrationId === ref)
  if (exact.length > 0) return exact
  try {
    const { id } = await findIntegration(db, ref, { damagedToo: true })
    return own.filter(({ integrationId }) => integrationId === id)
  } catch (error) {
    const removed = own.filter((one) => ignoredName(one) === `${code} of ${ref}`)
    if (removed.length === 0 || !(error instanceof IntegrationsError && error.code === 'NOT_FOUND')) throw error
    return removed
  }
}

const targetOf = (ignored: IgnoredFinding) => ({ type: 'finding', id: ignored.id, name: ignoredName(ignored) }) as const
