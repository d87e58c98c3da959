import { createHmac, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import type { Fingerprint } from '../brands.ts'
import type { Secret } from '../secret.ts'
import type { RootKey } from './key-set.ts'

/** What is hashed, each with a key derived for it alone. */
type Use = 'fingerprint/v1' | 'audit/v1' | 'acknowledge/v1' | 'state/v1' | 'row/v1' | 'check/v1' | 'receiver/v1'

/** A keyed hash (HMAC-SHA256, RFC 2104) as hex. */
export function hmacHex(key: RootKey, use: Use, ...parts: readonly (string | Uint8Array)[]): string {
  const hmac = createHmac('sha256', derived(key, use))
  for (const part of parts) hmac.update(part)
  return hmac.digest('hex')
}

const derivedKeys = new WeakMap<RootKey, Map<Use, KeyObject>>()

/** Derived once: a log has many events. */
function derived(key: RootKey, use: Use): KeyObject {
  const keys = derivedKeys.get(key) ?? new Map<Use, KeyObject>()
  derivedKeys.set(key, keys)
  const known = keys.get(use)
  if (known) return known
  const made = createSecretKey(new Uint8Array(hkdfSync('sha256', key.bytes, '', use, 32)))
  keys.set(use, made)
  return made
}

/** The fingerprint of a value. */
export const fingerprint = (key: RootKey, value: Secret): Fingerprint =>
  hmacHex(key, 'fingerprint/v1', value.reveal()).slice(0, 16) as Fingerprint

/**
 * The hash of an audit event, which covers the event before it and every column: text with its length before it, so
 * that no two events have the same bytes.
 *
 * @param previous the hash of the event before, or the id of the database for the first
 * @param columns every column in the order of the table, null for none
 */
export const eventMac = (key: RootKey, previous: string, columns: readonly (string | null)[]): string =>
  hmacHex(key, 'audit/v1', lengthPrefixed('integrations/audit/v1', previous, ...columns))

/**
 * What vouches for the state of a database: the parts, each with its length before it.
 *
 * @param parts what the state consists of, null for none
 */
export const stateMac = (key: RootKey, parts: readonly (string | null)[]): string =>
  hmacHex(key, 'state/v1', lengthPrefixed('integrations/state/v1', ...parts))

/** What vouches for a report of a receiver. @param parts the database, the receiver and the report */
export const reportMac = (key: RootKey, parts: readonly [database: string, receiver: string, report: string]): string =>
  hmacHex(key, 'receiver/v1', lengthPrefixed(...parts))

/** What stands for a long text, or for several rows, of a row whose state the audit log keeps. */
export const rowHash = (key: RootKey, parts: readonly string[]): string =>
  hmacHex(key, 'row/v1', lengthPrefixed(...parts))

/** Texts, each with its length before it, as one: to hash each by itself takes half as long again. */
function lengthPrefixed(...texts: readonly (string | null)[]): string {
  let all = ''
  for (const text of texts) all += text === null ? '-;' : `${Buffer.byteLength(text)}:${text};`
  return all
}
