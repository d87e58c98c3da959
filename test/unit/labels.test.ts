import { expect, test } from 'vitest'
import { givenLabels } from '../../src/cli/commands/labels.ts'
import { IntegrationsError } from '../../src/errors.ts'
import { checkLabels, checkTagKey } from '../../src/operations/integrations/labels.ts'

/** What a check says: nothing of what is accepted. */
function refusal(check: () => unknown): string | undefined {
  try {
    check()
    return undefined
  } catch (error) {
    if (error instanceof IntegrationsError) return `${error.message}; ${error.hint}`
    throw error
  }
}

test('the keys of tags', () => {
  const long = 'k'.repeat(63)
  const malformed = (key: string) =>
    `the tag key ${JSON.stringify(key)} is malformed; use at most 63 lower-case letters and digits, with ".", "_" or "-" between them, as in team`
  for (const key of ['t', '7', 'team', 'cost-center', 'a.b_c', 'constructor', long])
    expect([key, refusal(() => checkTagKey(key))]).toEqual([key, undefined])
  for (const key of ['', 'Team', 'équipe', 'a b', 'a=b', 'a,b', 'a/b', '-a', 'a.', '__proto__', `${long}k`, 'a\n'])
    expect(refusal(() => checkTagKey(key))).toBe(malformed(key))
  expect(refusal(() => checkTagKey('owner'))).toBe('owner is not a tag; pass --owner')
  expect(refusal(() => checkTagKey('note', '--unset note'))).toBe('note is not a tag; pass --unset note')
})

test('the values of labels', () => {
  const long = (length: number) => '🙂'.repeat(length)
  expect(
    refusal(() => checkLabels({ owner: long(255), note: long(1000), tags: { env: long(255), old: null } })),
  ).toBeUndefined()
  expect(refusal(() => checkLabels({ owner: null, note: undefined, tags: {} }))).toBeUndefined()
  const refused = [
    [{ owner: long(256) }, 'the owner is longer than 255 characters; shorten the owner'],
    [{ note: long(1001) }, 'the note is longer than 1000 characters; shorten the note'],
    [{ tags: { env: long(256) } }, 'the env tag is longer than 255 characters; shorten the tag'],
    [{ tags: { env: '' } }, 'the env tag is empty; give it at least one visible character'],
    [{ owner: ' x' }, 'the owner begins or ends with a space; remove the space'],
    ...['\n', '\u202e', '\u200b'].map(
      (one) =>
        [
          { note: `a${one}b` },
          'the note contains a control, invisible or unassigned character; remove the character',
        ] as const,
    ),
  ] as const
  for (const [labels, why] of refused) expect(refusal(() => checkLabels(labels))).toBe(why)
})

test('options for labels', () => {
  const tag = [
    ['env', 'a=b'],
    ['team', 'x'],
  ] as const
  expect(givenLabels({ owner: 'ana', tag }, ['old'])).toEqual({
    owner: 'ana',
    note: undefined,
    tags: { env: 'a=b', team: 'x', old: null },
  })
  expect(refusal(() => givenLabels({ tag }, ['team']))).toBe('the tag team is given twice; keep one of the two')
})
