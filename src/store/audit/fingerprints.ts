import type { Fingerprint } from '../../brands.ts'

/** The fingerprint of a field before and after a change; null for no value. */
export interface FingerprintChange {
  readonly field: string
  readonly from: Fingerprint | null
  readonly to: Fingerprint | null
}

/** The fingerprints that a change has changed. */
export type FingerprintChanges = readonly FingerprintChange[]

/** Writes fingerprints as an event keeps them: `field=before>after` with commas between them, - for none. */
export const fingerprintsText = (changes: FingerprintChanges): string =>
  changes.map(({ field, from, to }) => `${field}=${from ?? '-'}>${to ?? '-'}`).join(',')

/** Reads the fingerprints of an event. */
export const fingerprintsOf = (text: string | null): FingerprintChanges =>
  (text ?? '').split(',').flatMap((part) => {
    const [, field, from, to] = /^(\w+)=([\w-]+)>([\w-]+)$/.exec(part) ?? []
    if (field === undefined || from === undefined || to === undefined) return []
    return [{ field, from: isFingerprint(from) ? from : null, to: isFingerprint(to) ? to : null }]
  })

/** Whether a text is a fingerprint. */
export const isFingerprint = (text: string): text is Fingerprint => /^[0-9a-f]{16}$/.test(text)
