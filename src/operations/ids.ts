import { badInput } from '../errors.ts'
import { flagOf, type PlatformColumn, wordsOf } from '../integration.ts'
import type { Platform } from '../platforms/platform.ts'
import { unprintable } from './names.ts'

/**
 * Checks one of a platform's own identifiers.
 *
 * @throws BAD_INPUT when the platform has no such identifier, or the value has another shape and `forceShape` is false
 */
export function checkId(
  platform: Platform | undefined,
  column: PlatformColumn,
  { value, forceShape }: { readonly value: string; readonly forceShape: boolean },
): string {
  const flag = `--${flagOf(column)}`
  if (value.trim() === '' || !value.isWellFormed() || unprintable.test(value) || value.includes('\uFFFD'))
    throw badInput(
      `${flag} is empty or contains unprintable characters`,
      `leave ${flag} out; integrations update <ref> --unset ${flag.slice(2)} clears the value`,
    )
  // The application may have platforms that this program does not know.
  if (!platform) return value
  const definition = platform.ids[column]
  if (!definition) {
    const own = Object.keys(platform.ids).map((known) => `--${flagOf(known)}`)
    throw badInput(
      `${platform.title} has no ${wordsOf(column)}`,
      own.length > 0 ? `${platform.title} has ${own.join(', ')}` : `remove ${flag}`,
    )
  }
  const { shape, label } = definition
  if (shape && !shape.pattern.test(value) && !forceShape)
    throw badInput(
      `a ${platform.title} ${label} should ${shape.should}`,
      'correct the value, or pass --force-shape to accept it',
    )
  return value
}
