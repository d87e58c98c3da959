import { accessSync, constants, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { decrypt, encrypt } from '../../crypto/jwe.ts'
import type { KeySet, RootKey } from '../../crypto/key-set.ts'
import { badInput } from '../../errors.ts'
import { syncFolder, writeDurably } from '../../files.ts'
import type { Instant } from '../../integration.ts'
import { Secret } from '../../secret.ts'
import type { RefreshAttempt } from '../../store/tables/refresh-attempts.ts'

/** New tokens, as a platform has issued them. */
export interface NewTokens {
  readonly accessToken: Secret
  /** null: the old one goes on. */
  readonly refreshToken: Secret | null
  /** null: the platform does not say. */
  readonly expiresAt: Instant | null
}

/** A file that keeps new tokens, sealed, until they are in the database. */
export interface Spooled {
  readonly path: string
  readonly attempt: string
  /** undefined for a file that was not written to its end. */
  readonly content?: { readonly database: string; readonly integration: string; readonly sealed: string }
}

const cell = (id: string) => ({ id, field: 'spool' })

/** Makes the folder of the spool, which nobody else can look into. @throws BAD_INPUT when it cannot be written */
export function prepareSpool(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    accessSync(folder, constants.W_OK | constants.X_OK)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw badInput(
      `new tokens cannot be kept safe in ${folder} (${code ?? 'unknown error'}), so the platform was asked for none`,
      'see that it is a folder of your own, or name another place with XDG_STATE_HOME',
    )
  }
}

/** Writes new tokens to a file of their own, so that they survive a crash. @returns its path */
export async function writeSpool(
  folder: string,
  key: RootKey,
  database: string,
  { integrationId, id, oldFingerprint }: Pick<RefreshAttempt, 'integrationId' | 'id' | 'oldFingerprint'>,
  { accessToken, refreshToken, expiresAt }: NewTokens,
): Promise<string> {
  const tokens = {
    attempt: id,
    oldFingerprint,
    accessToken: accessToken.reveal(),
    refreshToken: refreshToken?.reveal() ?? null,
    expiresAt,
  }
  const sealed = await encrypt(key, cell(integrationId), new Secret(JSON.stringify(tokens)))
  const path = join(folder, `${id}.json`)
  writeDurably(path, `${JSON.stringify({ database, integration: integrationId, sealed })}\n`)
  return path
}

/** The files of the spool. @throws BAD_INPUT when the folder or a file cannot be read: what is in it is not known then */
export function readSpool(folder: string): Spooled[] {
  return (unlessGone(folder, () => readdirSync(folder)) ?? [])
    .filter((name) => /^[\w-]{36}\.json$/.test(name))
    .sort()
    .flatMap((name) => {
      const path = join(folder, name)
      const text = unlessGone(path, () => readFileSync(path, 'utf8'))
      return text === undefined ? [] : [{ path, attempt: name.slice(0, -'.json'.length), ...contentOf(text) }]
    })
}

function contentOf(text: string): Pick<Spooled, 'content'> {
  try {
    const { database, integration, sealed } = JSON.parse(text) as Record<string, unknown>
    if (typeof database !== 'string' || typeof integration !== 'string' || typeof sealed !== 'string') return {}
    return { content: { database, integration, sealed } }
  } catch {
    return {}
  }
}

/** What `read` gives; undefined when there is nothing. That it cannot be read does not mean that it is of no use. */
function unlessGone<T>(path: string, read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    throw badInput(
      `${path}, where new tokens may be kept, cannot be read (${code ?? 'unknown error'})`,
      'run it as the user that it belongs to, or give this one the right to read it',
    )
  }
}

/** Opens the tokens that a file keeps. @throws KEY_NOT_FOUND, DECRYPTION_FAILED when it was changed, or belongs to another attempt */
export async function openSpooled(
  keys: KeySet,
  { attempt, content }: Spooled,
): Promise<(NewTokens & { readonly oldFingerprint: string }) | undefined> {
  if (!content) return undefined
  const { database: _, integration, sealed } = content
  const tokens = JSON.parse((await decrypt(keys, cell(integration), sealed)).reveal()) as {
    attempt: string
    oldFingerprint: string
    accessToken: string
    refreshToken: string | null
    expiresAt: Instant | null
  }
  if (tokens.attempt !== attempt) return undefined
  return {
    oldFingerprint: tokens.oldFingerprint,
    accessToken: new Secret(tokens.accessToken),
    refreshToken: tokens.refreshToken === null ? null : new Secret(tokens.refreshToken),
    expiresAt: tokens.expiresAt,
  }
}

/** Removes a file of the spool. */
export function removeSpooled(folder: string, path: string): void {
  try {
    rmSync(path, { force: true })
    syncFolder(folder)
  } catch {
    // What is left over is found, and removed, by the next recovery.
  }
}
