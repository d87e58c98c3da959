import { badInput } from '../errors.ts'
import { flagOf, type PlatformColumn } from '../integration.ts'
import type { Platform } from '../platforms/platform.ts'
import { unprintable } from './names.ts'

/**
 * Checks one of a platform's own identifiers.
 *
 * @throws BAD_INPUT when the platform has no such identifier, or it has another shape and `force` is not given
 */
export function checkId(platform: Platform | undefined, column: PlatformColumn, value: string, force: boolean): string {
  const flag = `--${flagOf(column)}`
  if (value.trim() === '' || !value.isWellFormed() || unprintable.test(value) || value.includes('\uFFFD'))
    throw badInput(`${flag} is empty or holds characters that cannot be shown`, `to clear it: --unset ${flag.slice(2)}`)
  // What the application calls the ids of a platform that only it knows is its own matter.
  if (!platform) return value
  const definition = platform.ids[column]
  if (!definition) {
    const own = Object.keys(platform.ids).map((known) => `--${flagOf(known)}`)
    throw badInput(
      `${platform.title} has no ${flag.slice(2).replaceAll('-', ' ')}`,
      own.length > 0 ? `it has ${own.join(', ')}` : 'leave the flag out',
    )
  }
  const { shape, label } = definition
  if (shape && !shape.pattern.test(value) && !force)
    throw badInput(
      `a ${platform.title} ${label} should ${shape.should}`,
      'correct it, or pass --force if you know better',
    )
  return value
}
