import {
  accessSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Fingerprint, Instant } from '../../brands.ts'
import { decrypt, encrypt } from '../../crypto/jwe.ts'
import type { KeySet, RootKey } from '../../crypto/key-set.ts'
import { badInput, type IntegrationsError, systemCode } from '../../errors.ts'
import { syncFolder, writeDurably } from '../../files.ts'
import { jsonOf, objectOf } from '../../json.ts'
import { maxAnswerBytes } from '../../platforms/http.ts'
import { Secret } from '../../secret.ts'
import type { RefreshAttempt } from '../../store/tables/refresh-attempts.ts'

/** New tokens as issued by a platform. */
export interface NewTokens {
  readonly accessToken: Secret
  /** null: the refresh token stays valid. */
  readonly refreshToken: Secret | null
  /** null: unknown. */
  readonly expiresAt: Instant | null
}

/** A file that keeps new tokens, encrypted, until they are in the database. */
export interface Spooled {
  readonly path: string
  readonly attempt: string
  /** When the room was reserved, in milliseconds since 1970; absent once anything was written into it. */
  readonly reservedAtMs?: number
  /** Absent for an incomplete file. */
  readonly content?: { readonly database: string; readonly integration: string; readonly sealed: string }
}

const locationOf = (id: string) => ({ id, field: 'spool' })

/** Makes the folder of the spool, which only its owner can read. @throws BAD_INPUT when it is not writable */
export function prepareSpool(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    accessSync(folder, constants.W_OK | constants.X_OK)
  } catch (error) {
    throw cannotBeStored(folder, error)
  }
}

function cannotBeStored(folder: string, error: unknown): IntegrationsError {
  const code = systemCode(error)
  return badInput(
    `new tokens cannot be stored in ${folder} (${code}), so the platform was not asked`,
    ['ENOSPC', 'EDQUOT'].includes(code)
      ? 'make room on that disk, or set XDG_STATE_HOME to a folder on another disk'
      : 'check that you own that folder, or set XDG_STATE_HOME to another folder',
  )
}

/** Two tokens out of the largest answer that is read, encrypted and in Base64. */
const reservedBytes = maxAnswerBytes + maxAnswerBytes / 2

const pathOf = (folder: string, attempt: string) => join(folder, `${attempt}.json`)

/**
 * Takes the room on the disk that the answer of a platform may need, before the platform is asked: a file of blanks, which
 * `writeSpool` writes over.
 *
 * @returns the path of the file
 * @throws BAD_INPUT when there is not enough
 */
export function reserveSpool(folder: string, attempt: string): string {
  const path = pathOf(folder, attempt)
  try {
    writeDurably(path, ' '.repeat(reservedBytes))
    syncFolder(folder)
  } catch (error) {
    rmSync(path, { force: true })
    throw cannotBeStored(folder, error)
  }
  return path
}

/** Writes new tokens to a file of their own, into the room that was reserved, encrypted with `key`, so that they survive a crash */
export async function writeSpool(
  folder: string,
  source: {
    readonly key: RootKey
    readonly database: string
    readonly attempt: Pick<RefreshAttempt, 'integrationId' | 'id' | 'oldFingerprint'>
    readonly tokens: NewTokens
  },
): Promise<void> {
  const {
    key,
    database,
    attempt,
    tokens: { accessToken, refreshToken, expiresAt },
  } = source
  const { integrationId, id, oldFingerprint } = attempt
  const tokens = {
    attempt: id,
    oldFingerprint,
    accessToken: accessToken.reveal(),
    refreshToken: refreshToken?.reveal() ?? null,
    expiresAt,
  }
  const sealed = encrypt(key, locationOf(integrationId), new Secret(JSON.stringify(tokens)))
  writeDurably(pathOf(folder, id), `${JSON.stringify({ database, integration: integrationId, sealed })}\n`, {
    over: true,
  })
  syncFolder(folder)
}

/** The files of the spool. @throws BAD_INPUT when the folder or a file cannot be read, since it may hold new tokens */
export function readSpool(folder: string): Spooled[] {
  return (unlessGone(folder, () => readdirSync(folder)) ?? [])
    .filter((name) => /^[\w-]{36}\.json$/.test(name))
    .sort()
    .flatMap((name) => {
      const path = join(folder, name)
      const read = unlessGone(path, () => ({ atMs: statSync(path).mtimeMs, text: textOf(path) }))
      if (!read) return []
      const content = read.text === '' ? { reservedAtMs: read.atMs } : contentOf(read.text)
      return [{ path, attempt: name.slice(0, -'.json'.length), ...content }]
    })
}

/** What a file holds; of room that is only reserved, no more than the first byte is read. */
function textOf(path: string): string {
  const file = openSync(path, 'r')
  try {
    const first = Buffer.alloc(1)
    return readSync(file, first, 0, 1, 0) === 1 && first.toString() === '{' ? readFileSync(path, 'utf8') : ''
  } finally {
    closeSync(file)
  }
}

function contentOf(text: string): Pick<Spooled, 'content'> {
  const { database, integration, sealed } = objectOf(jsonOf(text)) ?? {}
  if (typeof database !== 'string' || typeof integration !== 'string' || typeof sealed !== 'string') return {}
  return { content: { database, integration, sealed } }
}

/** The result of `read`; undefined when the file does not exist. An unreadable file may hold tokens, so it is an error. */
function unlessGone<T>(path: string, read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT') return undefined
    throw badInput(
      `${path} cannot be read (${code}), and may hold new tokens`,
      'run the command as the owner of that file, or make the file readable',
    )
  }
}

/** Decrypts a file; undefined for an incomplete or renamed file. @throws KEY_NOT_FOUND, DECRYPTION_FAILED for a changed file */
export async function decryptSpooled(
  keys: KeySet,
  { attempt, content }: Spooled,
): Promise<(NewTokens & { readonly oldFingerprint: Fingerprint }) | undefined> {
  if (!content) return undefined
  const { database: _, integration, sealed } = content
  const tokens = JSON.parse(decrypt(keys, locationOf(integration), sealed).reveal()) as {
    attempt: string
    oldFingerprint: Fingerprint
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
    // The next recovery finds and removes the file.
  }
}
