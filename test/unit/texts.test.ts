import { expect, test } from 'vitest'
import { commandLine, rotateCommand } from '../../src/operations/texts.ts'

test('a command to type has options behind the names, and before them where one begins with -', () => {
  const lines = (ref: string) => [
    commandLine('secrets finish', [ref, 'webhook-secret']),
    rotateCommand(ref, 'accessToken', 'refreshToken'),
  ]
  expect([...lines('Beta Labs/desk'), ...lines('-1St')]).toEqual([
    "integrations secrets finish 'Beta Labs/desk' webhook-secret",
    "integrations rotate 'Beta Labs/desk' --field access-token --field refresh-token",
    'integrations secrets finish -- -1St webhook-secret',
    'integrations rotate --field access-token --field refresh-token -- -1St',
  ])
})
