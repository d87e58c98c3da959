import { createHmac } from 'node:crypto'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { judge } from '../../../src/operations/webhooks/diagnose.ts'
import { pylon } from '../../../src/platforms/pylon.ts'
import { Secret } from '../../../src/secret.ts'

const secret = 'one-secret-of-16-characters'

/** The verdict on a webhook that was signed as one body and came as another, with the secret stored in some form. */
function verdictOn(
  sent: string | Uint8Array,
  arrived: string | Uint8Array,
  { stored = secret, headers = [] }: { stored?: string; headers?: [string, string][] } = {},
) {
  const signature = createHmac('sha256', secret).update(sent).digest('hex')
  const { refusal, findings } = judge(
    pylon,
    { config: null, secrets: [{ value: new Secret(stored) }] },
    { captured: { headers: [['x-pylon-signature', signature], ...headers], body: Buffer.from(arrived) }, now: 0 },
  )
  expect(JSON.stringify(findings)).not.toContain(secret)
  return [refusal, ...findings]
}

const latin1 = (text: string) => Buffer.from(text, 'latin1')
const altered = (how: string) => ['body_altered', `the body was altered: the signature matches the body ${how}`]
const name = '{"name":"Jürgen","euro":"5 €"}'
const html = '{"b":"<p>A & B</p>","a":1}'
const form = 'text=a b (c)~*&user=x@y'

describe('the alterations of a body that are found', () => {
  test.each<[string, string | Uint8Array, string | Uint8Array, string]>([
    // Character sets.
    [
      'UTF-8 that was read as Latin-1',
      '{"n":"ü"}',
      '{"n":"Ã¼"}',
      'before a program read UTF-8 as Latin-1 and wrote UTF-8 again',
    ],
    [
      'UTF-8 that was read as Windows-1252',
      name,
      '{"name":"JÃ¼rgen","euro":"5 â‚¬"}',
      'before a program read UTF-8 as Windows-1252 and wrote UTF-8 again',
    ],
    ['UTF-8 that was written as Latin-1', '{"n":"ü"}', latin1('{"n":"\xfc"}'), 'as UTF-8, in place of Latin-1'],
    [
      'UTF-8 that was written as Windows-1252',
      '{"n":"€"}',
      latin1('{"n":"\x80"}'),
      'as UTF-8, in place of Windows-1252',
    ],
    ['UTF-8 that was written as UTF-16', name, Buffer.from(name, 'utf16le'), 'as UTF-8, in place of UTF-16LE'],
    ['a letter that ASCII lacks', '{"n":"Jürgen"}', '{"n":"J?rgen"}', 'with letters in place of question marks'],
    [
      'two of them, beside a question and a URL',
      '{"n":"Jürgen Größe?","u":"https://a.example/?b=c"}',
      '{"n":"J?rgen Gr??e?","u":"https://a.example/?b=c"}',
      'with letters in place of question marks',
    ],
    ['an emoji that ASCII lacks', '{"n":"done 🎉"}', '{"n":"done ??"}', 'with letters in place of question marks'],
    [
      'the bytes of a mark that ASCII lacks',
      '{"n":"it’s"}',
      '{"n":"it???s"}',
      'with letters in place of question marks',
    ],
    [
      'a letter that was not read as UTF-8',
      '{"n":"caf\u00e9"}',
      '{"n":"caf\ufffd"}',
      'with letters in place of replacement characters (U+FFFD)',
    ],
    ['letters that were composed', '{"n":"u\u0308"}', '{"n":"\u00fc"}', 'with its letters in the form NFD of Unicode'],
    // Escapes.
    [
      '\\u003c of Go and Greenhouse, lost',
      '{"b":"\\u003cp\\u003eA \\u0026 B\\u003c/p\\u003e","a":1}',
      html,
      'with \\u003c, \\u003e and \\u0026',
    ],
    [
      'the same, and laid out',
      '{"b":"\\u003cp\\u003eA \\u0026 B\\u003c/p\\u003e","a":1}',
      JSON.stringify(JSON.parse(html), null, 2),
      'as JSON serialized without spaces, with \\u003c, \\u003e and \\u0026',
    ],
    [
      '\\u003C of PHP, lost',
      '{"b":"\\u003Cp\\u003EA \\u0026 B\\u003C\\/p\\u003E","a":1}',
      html,
      'with \\/ for every slash and \\u003C, \\u003E and \\u0026',
    ],
    [
      'the escapes of .NET, lost',
      '{"b":"\\u003Cp\\u003EIt\\u0027s \\u0022\\u00FC\\u0022\\u002B"}',
      '{"b":"<p>It\'s \\"ü\\"+"}',
      'with \\u003C, \\u0027 and \\u0022 and \\u, with capital hex digits, for what is not ASCII',
    ],
    [
      '\\u003c, added',
      html,
      '{"b":"\\u003cp\\u003eA \\u0026 B\\u003c/p\\u003e","a":1}',
      'with every escape written out',
    ],
    ['\\u of letters, lost', '{"n":"\\u00fc"}', '{"n":"ü"}', 'with \\u for what is not ASCII'],
    ['\\u of letters, added', '{"n":"ü", "s":"a/b"}', '{"n":"\\u00fc", "s":"a\\/b"}', 'with every escape written out'],
    [
      'HTML entities, added',
      html,
      html.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;').replaceAll('>', '&gt;'),
      'with HTML entities decoded',
    ],
    // JSON that was parsed and written again.
    ['spaces, added', html, '{"b": "<p>A & B</p>", "a": 1}', 'as JSON serialized without spaces'],
    [
      'spaces, lost',
      '{"b": [1, 2], "a": {}}',
      '{"b":[1,2],"a":{}}',
      'as JSON serialized with a space after each comma and colon',
    ],
    ['indentation, lost', '{\n\t"b": 1\n}', '{"b":1}', 'as JSON serialized indented by tabs'],
    [
      'the newline of an encoder, lost too',
      '{"b":"\\u003c"}\n',
      '{"b": "<"}',
      'as JSON serialized without spaces, with \\u003c, \\u003e and \\u0026, and a newline at the end',
    ],
    [
      'keys in another order',
      '{"type":"a","event":{"x":1},"id":2}',
      '{"id":2,"type":"a","event":{"x":1}}',
      'as JSON with its keys in another order',
    ],
    [
      'keys that were sorted',
      '{"a":{"c":1,"d":2},"b":1,"e":1,"f":1,"g":1,"h":1,"i":1}',
      '{"i":1,"h":1,"g":1,"f":1,"e":1,"b":1,"a":{"d":2,"c":1}}',
      'as JSON with sorted keys, serialized without spaces',
    ],
    // Frames.
    ['CR and LF', '{\n}', '{\r\n}', 'with LF line endings in place of CR and LF'],
    ['LF', '{\r\n}', '{\n}', 'with CR and LF line endings in place of LF'],
    ['a byte order mark', html, `\ufeff${html}`, 'without the byte order mark'],
    ['a byte order mark that is lost', `\ufeff${html}`, html, 'with a byte order mark'],
    ['a newline', html, `${html}\n`, 'without the newline at the end'],
    ['a newline that is lost', 'a=1\n', 'a=1', 'with a newline at the end'],
    ['white space', html, `  ${html}  `, 'without surrounding white space'],
    [
      'chunks',
      html,
      `5\r\n${html.slice(0, 5)}\r\n${(html.length - 5).toString(16)}\r\n${html.slice(5)}\r\n0\r\n\r\n`,
      'without HTTP chunk framing',
    ],
    // Forms.
    [
      'a form that was encoded again, with plus',
      form
        .replaceAll(' ', '+')
        .replaceAll('@', '%40')
        .replaceAll('~', '%7E')
        .replaceAll('(', '%28')
        .replaceAll(')', '%29'),
      'text=a%20b%20(c)~*&user=x%40y',
      'as a re-encoded form',
    ],
    [
      'a form that was encoded again, with %20',
      'text=a%20b%20(c)~*&user=x%40y',
      'text=a+b+%28c%29%7E*&user=x%40y',
      'as a re-encoded form',
    ],
    ['lower-case hex digits', 'user=x%3a%2fy', 'user=x%3A%2Fy', 'as a re-encoded form'],
    [
      'a form that became JSON',
      'command=%2Fask&text=a+b',
      '{"command":"/ask","text":"a b"}',
      'as a form, in place of JSON',
    ],
    [
      'a payload that was decoded',
      'payload=%7B%22a%22%3A%22b%26c%3Dd%22%7D',
      'payload={"a":"b&c=d"}',
      'as a form, in place of the decoded text',
    ],
    ['a payload without its form', 'payload=%7B%22a%22%3A1%7D', '{"a":1}', 'as the field payload of a form'],
    // Gateways and queues.
    ['Base64', html, Buffer.from(html).toString('base64'), 'decoded from Base64'],
    [
      'the event of a gateway',
      html,
      JSON.stringify({ version: '2.0', body: html, isBase64Encoded: false }),
      'as the field body of the JSON',
    ],
    [
      'the same, in Base64',
      html,
      JSON.stringify({ body: Buffer.from(html).toString('base64'), isBase64Encoded: true }),
      'as the field body of the JSON, decoded from Base64',
    ],
    ['JSON in JSON', html, JSON.stringify(html), 'as the text that the JSON holds'],
    ['the JSON of a Buffer', html, JSON.stringify(Buffer.from(html)), 'as the bytes that the JSON of a Buffer lists'],
    ['gzip', html, gzipSync(html), 'decompressed with gzip'],
    ['deflate', html, deflateSync(html), 'decompressed with deflate'],
    ['brotli', html, brotliCompressSync(html), 'decompressed with brotli'],
    // One inside of another.
    [
      'a gateway, and JSON that was written again',
      '{"n":"\\u00fc"}',
      Buffer.from('{"n": "ü"}').toString('base64'),
      'decoded from Base64 and as JSON serialized without spaces, with \\u for what is not ASCII',
    ],
    [
      'a character set, and a newline',
      '{"n":"ü"}',
      '{"n":"Ã¼"}\n',
      'without the newline at the end and before a program read UTF-8 as Latin-1 and wrote UTF-8 again',
    ],
  ])('%s', (_, sent, arrived, how) => {
    expect(verdictOn(sent, arrived)).toEqual(altered(how))
  })
})

test.each<[string, string, string]>([
  ['quotes', `"${secret}"`, 'without its quotes'],
  ['typographic quotes', `“${secret}”`, 'without its quotes'],
  ['white space', ` ${secret}\t`, 'without white space around it'],
  ['a newline', `${secret}\r\n`, 'without white space around it'],
  ['a name', `PYLON_SECRET=${secret}`, 'without the name before it'],
  ['a name and quotes', `export PYLON_SECRET='${secret}'`, 'without the name before it'],
  ['a name and a colon', `secret: ${secret}`, 'without the name before it'],
  ['a word', `Bearer ${secret}`, 'without the word before it'],
  ['a character that cannot be seen', `${secret}\u200b`, 'without the characters that cannot be seen'],
  ['capitals', secret.toUpperCase(), 'in lower case'],
  ['Base64', Buffer.from(secret).toString('base64'), 'decoded from Base64'],
])('a secret that was stored with %s is found', (_, stored, how) => {
  expect(verdictOn('{}', '{}', { stored })).toEqual([
    'secret_altered',
    `the request is signed with the stored secret ${how}`,
  ])
})

test('a secret that the platform has with a newline, or in a URL, is found', () => {
  const found = (signing: string, stored: string) => {
    const headers = [['x-pylon-signature', createHmac('sha256', signing).update('{}').digest('hex')]] as const
    const captured = { headers, body: Buffer.from('{}') }
    const { refusal, findings } = judge(
      pylon,
      { config: null, secrets: [{ value: new Secret(stored) }] },
      { captured, now: 0 },
    )
    return [refusal, ...findings]
  }
  expect([found(`${secret}\n`, secret), found('a+b/c=', 'a%2Bb%2Fc%3D'), found('a"b', 'a\\"b')]).toEqual([
    ['secret_altered', 'the request is signed with the stored secret and a newline'],
    ['secret_altered', 'the request is signed with the stored secret decoded from a URL'],
    ['secret_altered', 'the request is signed with the stored secret with its escapes written out'],
  ])
})

describe('what cannot be undone is not blamed on the secret', () => {
  const none =
    'no secret of the integration made the signature, with the body as it is or with common alterations undone'
  const other = '{"name":"Another body"}'
  test.each<[string, string | Uint8Array, [string, string][], string]>([
    [
      'letters that ASCII lacks',
      '{"n":"?l und ?rger ?ber ?dnis, gro?e ?pfel"}',
      [],
      'the body has question marks where letters may have been, which a program lost that read or wrote another character set',
    ],
    [
      'bytes that were no UTF-8',
      '{"n":"\ufffd\ufffd\ufffd\ufffd \ufffd \ufffd \ufffd"}',
      [],
      'the body has replacement characters (U+FFFD) where letters may have been, which a program lost that read or wrote another character set',
    ],
    [
      'bytes that are no UTF-8',
      Uint8Array.of(0x22, 0xff, 0xfe, 0x22),
      [],
      'the body is not UTF-8, as JSON has to be: a program may have read or written it in another character set',
    ],
    ['another length', '{}', [['content-length', '9']], 'the body has 2 bytes, which is not what Content-Length says'],
    [
      'a compressed body',
      '{}',
      [['content-encoding', 'gzip']],
      'the request has a Content-Encoding, and the signature may cover the body before a program decompressed it',
    ],
  ])('%s', (_, arrived, headers, finding) => {
    expect(verdictOn(other, arrived, { headers })).toEqual(['body_suspect', none, finding])
  })

  test('a body without any sign is', () => {
    for (const body of ['{"n":"Who? Me?"}', '{"u":"https://a.example/?b"}', '{"u":"/path?b=c"}', '{}', '', 'a=1'])
      expect([body, verdictOn(other, body)]).toEqual([body, ['wrong_secret', none]])
  })

  test('the form of a stored secret is told, and nothing of it', () => {
    expect(verdictOn(other, '{}', { stored: '"$PYLON_SECRET"' })).toEqual([
      'wrong_secret',
      none,
      'the stored webhook secret begins with a quote',
    ])
  })
})

test.each([
  ['large', JSON.stringify({ text: 'ü</p> '.repeat(50_000) })],
  ['nested deeply', '['.repeat(100_000) + ']'.repeat(100_000)],
  ['full of question marks', '?a'.repeat(8000)],
])('a body that is %s is looked at as far as it goes', (_, body) => {
  expect(verdictOn('{}', body)[0]).toMatch(/^wrong_secret|body_suspect$/)
})
