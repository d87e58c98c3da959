import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { mistakeIn } from '../../../src/platforms/secret-mistakes.ts'
import { botToken, refreshToken, signingSecret } from '../../support/samples.ts'

const value = signingSecret(7)

test.each([
  ['begins with a quote', [`"${value}"`, `'${value}'`, `\`${value}\``, `“${value}”`, `„${value}“`, `«${value}»`]],
  ['begins with a quote', [`"${value}`, `‘${value}’`, `\\"${value}\\"`, `&quot;${value}&quot;`, `%22${value}%22`]],
  ['ends with a quote', [`${value}"`, `${value}',`, `${value}”`]],
  ['begins with a command that sets a variable', [`export SECRET=${value}`, `set SECRET=${value}`]],
  ['begins with an authorization scheme', [`Bearer ${value}`, `bearer ${value}`, `token ${value}`, `Basic ${value}`]],
  ['begins with a name and an equals sign', [`SECRET=${value}`, `slack.secret = ${value}`, `--secret=${value}`]],
  ['begins with a name and an equals sign', [`$env:SECRET = ${value}`, `sha256=${value}`]],
  ['begins with a name and a colon', [`secret: ${value}`, `Authorization: Bearer ${value}`, `password:${value}`]],
  ['begins with a name and a colon', [`SLACK_SIGNING_SECRET:${value}`, `slack_secret:${value}`]],
  ['begins with a name and a colon', [`X-Hub-Token:${value}`, `x-hub-token:${value}`, `signingSecret:${value}`]],
  ['begins with a name and a colon', [`Authorization:Bearer=${value}`]],
  ['contains a placeholder that was not filled in', ['\u0024{SLACK}', '\u0024{{ secrets.SLACK }}', '{{ slack }}']],
  ['contains a placeholder that was not filled in', ['$(cat secret)', '<%= secret %>', '((secret))', '[[secret]]']],
  ['is JSON', [`{"secret": "${value}"}`, '{}', `["${value}"]`]],
  [
    'is a variable that was not expanded',
    ['$SLACK_SECRET', '%SLACK_SECRET%', '$env:SLACK', '__SECRET__', '\u0024{SLACK'],
  ],
  ['is a variable that was not expanded', ['secrets.GITHUB_WEBHOOK', 'env.SLACK_SECRET', 'var.slack_secret']],
  ['is a variable that was not expanded', ['process.env.SECRET', 'process.env[SECRET]', 'import.meta.env.SECRET']],
  ['is a variable that was not expanded', [`os.environ["SECRET"]`, `os.getenv("SECRET")`, `ENV['SECRET']`]],
  ['is a URL', ['https://example.com/hook', 'postgres://a:b@example.com/c']],
  ['is a reference to a secret in another place', ['op://vault/item/field', 'vault://a#b', 'ref+vault://a#b']],
  [
    'is a reference to a secret in another place',
    ['vault:secret/data/app#key', 'arn:aws:secretsmanager:eu:1:secret:x'],
  ],
  ['is a reference to a secret in another place', ['ENC[AES256_GCM,data:x]', 'projects/acme/secrets/slack/versions/1']],
  ['is in brackets', ['<signing-secret>', '[signing secret]', '(none given)', '[object Object]']],
  ['begins with a bracket', [`{${value}`, `<${value}`, `{{${value}`]],
  ['ends with a bracket', [`${value}}`, `${value}>`, `${value}}}`]],
  [
    'is masked or shortened',
    ['********', `${value.slice(0, 4)}****`, '••••••••', 'abcd…wxyz', 'xxxxxxxx', 'abcd...wxyz'],
  ],
  ['begins with @, as the name of a file does', ['@secret.txt']],
  ['is a path', ['/run/secrets/slack', './secret.txt', '~/secret', 'C:\\secrets\\slack']],
  ['is a placeholder', ['changeme', 'CHANGE_ME', 'undefined', 'password', 'your-signing-secret', 'xoxb-your-token']],
  ['is a placeholder', ['null', 'None', 'NaN', 'undefinedundefined', 'null-null', `undefined${value}`]],
  ['contains white space', ['two words here', `${value}\t${value}`]],
  ['contains a character that is not ASCII', [`${value}–${value}`, `${value}é`]],
  ['contains a backslash', [`${value}\\n`]],
  ['ends with a comma or a semicolon', [`${value},`, `${value};`]],
  ['is shorter than 8 characters', ['x', 'abc1234']],
])('a value that %s', (seen, values) => {
  expect(values.map((one) => [one, mistakeIn(one)])).toEqual(values.map((one) => [one, seen]))
})

test('what platforms and generators issue has no mistake', () => {
  const issued = [value, botToken(), refreshToken(), ['github', '_pat_', 'A1'.repeat(41)].join(''), 'v1.abc:def=']
  const random = Array.from({ length: 1000 }, (_, n) => createHash('sha256').update(`${n}`).digest())
  const values = [
    ...issued,
    ...random.flatMap((bytes) => (['hex', 'base64', 'base64url'] as const).map((as) => bytes.toString(as))),
  ]
  expect(values.filter((one) => mistakeIn(one) !== undefined)).toEqual([])
})

test('no random secret of 20 characters or more has a mistake, with punctuation inside either', () => {
  const characters = (allowed: string) => fc.string({ unit: fc.constantFrom(...allowed), minLength: 20, maxLength: 64 })
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
  const ends = fc.constantFrom(...letters)
  const bytes = fc.uint8Array({ minLength: 15, maxLength: 64 })
  const encoded = fc
    .tuple(bytes, fc.constantFrom('hex', 'base64', 'base64url'))
    .map(([random, as]) => Buffer.from(random).toString(as))
  const password = fc
    .tuple(ends, characters(`${letters}!"#$%&'()*+,-./:;<=>?@[]^_\`{|}~`), ends)
    .map((parts) => parts.join(''))
    // A name and a sign, a URL, an encoded quote, a placeholder, a mask.
    .filter(
      (one) => !/^[\w.-]{3,}=|^[\w-]{2,}:|:\/\/|%2[27]$|[$#]\{|\$\(|\{\{|\[\[|\(\(|<%|\*{3}|\.{3}|x{6}/i.test(one),
    )
  fc.assert(
    fc.property(fc.oneof(encoded, password), (secret) => {
      expect([secret, mistakeIn(secret)]).toEqual([secret, undefined])
    }),
    { numRuns: 5000 },
  )
})
