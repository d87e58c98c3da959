import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Json } from '../../../src/json.ts'
import { type AskOptions, askAbout, differences } from '../../../src/operations/check/token.ts'
import { parseApiUrl } from '../../../src/platforms/api-urls.ts'
import { github } from '../../../src/platforms/github.ts'
import { createClient, retryAfter } from '../../../src/platforms/http.ts'
import type { Finding, Platform } from '../../../src/platforms/platform.ts'
import { platforms } from '../../../src/platforms/platforms.ts'
import { pylon } from '../../../src/platforms/pylon.ts'
import { slack } from '../../../src/platforms/slack.ts'
import { Secret } from '../../../src/secret.ts'
import {
  endless,
  githubOk,
  type PlatformServer,
  pylonError,
  pylonOk,
  type Script,
  slackError,
  slackOk,
  startPlatformServer,
} from '../../support/platform-server.ts'

let server: PlatformServer
/** Stands for what a platform must never lead to, such as the metadata of a cloud's machine. */
let metadata: PlatformServer

beforeAll(async () => {
  server = await startPlatformServer()
  metadata = await startPlatformServer('127.0.0.2')
})
afterAll(() => Promise.all([server.close(), metadata.close()]))

let tokens = 0

/** What each platform answers a good token with. */
const good: { readonly [id: string]: Script } = { slack: slackOk(), pylon: pylonOk(), github: githubOk() }

/** What a platform's check makes of an answer. */
async function finding(platform: Platform, script: Script, timeout = 5000): Promise<Finding> {
  const token = `token-${++tokens}`
  server.script(token, script)
  return platform.api.check(createClient(new URL(server.url), timeout), new Secret(token))
}

const words = (text: string) => text.trim().split(/\s+/)

describe('the verdict of every code that Slack documents', () => {
  test.each([
    ...words('invalid_auth token_revoked account_inactive not_authed not_allowed_token_type').map((code) => [
      code,
      'refused',
    ]),
    ['token_expired', 'expired'],
    ...words(
      'missing_scope no_permission team_access_not_granted access_denied two_factor_setup_required ekm_access_denied',
    ).map((code) => [code, 'limited']),
    ...words(
      `ratelimited internal_error fatal_error service_unavailable request_timeout team_added_to_org org_login_required`,
    ).map((code) => [code, 'unreachable']),
    ['nobody_knows_this', 'unknown'],
    ['toString', 'unknown'],
  ])('%s: %s', async (code, verdict) => {
    expect(await finding(slack, slackError(code))).toEqual({ verdict, code })
  })

  test('ok tells whose the token is, what it may do and when it ends', async () => {
    expect(await finding(slack, slackOk({ expires_in: 43200 }, 'chat:write,users:read'))).toEqual({
      verdict: 'ok',
      code: null,
      ids: { slackTeamId: 'T012345', slackTeamName: 'Acme Inc', slackBotUserId: 'U012345' },
      scopes: ['chat:write', 'users:read'],
      expiresIn: 43200,
    })
    // A person's token, in a whole organization.
    expect(
      await finding(slack, slackOk({ bot_id: undefined, is_enterprise_install: true, enterprise_id: 'E012345' })),
    ).toEqual({ verdict: 'ok', code: null, ids: { slackTeamId: 'E012345', slackTeamName: 'Acme Inc' } })
  })

  test.each<[string, Script, Finding]>([
    ['a code that is none', slackError('<script>\u001b[2J'), { verdict: 'unknown', code: 'http_200' }],
    ['ok that is a text', { body: { ok: 'true' } }, { verdict: 'unknown', code: 'http_200' }],
    ['a list', { body: [] }, { verdict: 'unknown', code: 'http_200' }],
  ])('%s is not believed', async (_, script, expected) => {
    expect(await finding(slack, script)).toEqual(expected)
  })
})

describe('the verdict of every code that Pylon documents', () => {
  test.each<[number, string | undefined, object]>([
    [401, 'invalid_authorization_header', { verdict: 'refused' }],
    [401, 'invalid_api_token', { verdict: 'refused' }],
    [401, 'invalid_oauth_token', { verdict: 'refused' }],
    [401, undefined, { verdict: 'refused', code: 'http_401' }],
    [
      401,
      'wrong_region_token',
      { verdict: 'refused', reason: 'a token of the other region: set pylonRegion in the config' },
    ],
    [403, 'permission_denied', { verdict: 'limited' }],
    [404, 'not_found', { verdict: 'unknown' }],
    [400, undefined, { verdict: 'unknown', code: 'http_400' }],
    [200, undefined, { verdict: 'unknown', code: 'http_200' }],
  ])('%d %s: %o', async (status, code, expected) => {
    expect(await finding(pylon, pylonError(status, code))).toEqual({ code, ...expected })
  })

  test('ok tells the organization', async () => {
    expect(await finding(pylon, pylonOk('org-7'))).toEqual({
      verdict: 'ok',
      code: null,
      ids: { pylonAccountId: 'org-7' },
    })
  })
})

describe('the verdict of every status that GitHub documents', () => {
  const date = 'Tue, 24 Nov 2026 10:00:00 GMT'
  const used = (reset: string) => ({ date, 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': reset })
  const at = (seconds: number) => String(Date.parse(date) / 1000 + seconds)
  const limited = { verdict: 'unreachable', code: 'ratelimited' }
  test.each<[string, number, Record<string, string>, unknown, object]>([
    ['a user', 200, {}, { login: 'ana' }, { verdict: 'ok', code: null }],
    [
      'the user of a classic token',
      200,
      { 'x-oauth-scopes': 'repo, read:org' },
      { login: 'ana' },
      { verdict: 'ok', code: null, scopes: ['repo', 'read:org'] },
    ],
    [
      'the user of one without a scope',
      200,
      { 'x-oauth-scopes': '' },
      { login: 'ana' },
      { verdict: 'ok', code: null, scopes: [] },
    ],
    ['the last answer of the hour', 200, used(at(60)), { login: 'ana' }, { verdict: 'ok', code: null }],
    ['no user', 200, {}, {}, { verdict: 'unknown', code: 'http_200' }],
    ['bad credentials', 401, {}, { message: 'Bad credentials' }, { verdict: 'refused', code: 'http_401' }],
    ['bad credentials, and nothing left', 401, used(at(60)), {}, { verdict: 'refused', code: 'http_401' }],
    [
      'the token of an installation',
      403,
      { 'x-ratelimit-remaining': '4999', 'x-ratelimit-reset': at(60) },
      {},
      { verdict: 'limited', code: 'http_403' },
    ],
    ['nothing left', 403, { 'x-ratelimit-remaining': '0' }, {}, limited],
    ['nothing left until later', 403, used(at(90)), {}, { ...limited, retryAfterSeconds: 90 }],
    ['nothing left until later, as 429', 429, used(at(90)), {}, { ...limited, retryAfterSeconds: 90 }],
    ['nothing left until just before', 403, used(at(-5)), {}, { ...limited, retryAfterSeconds: 0 }],
    ['nothing left for years', 403, used(at(1_000_000)), {}, limited],
    ['nothing left until nobody knows', 403, used('soon'), {}, limited],
    ['too much at once', 403, { 'retry-after': '60' }, {}, { ...limited, retryAfterSeconds: 60 }],
    [
      'too much at once, first of all',
      403,
      { ...used(at(90)), 'retry-after': '7' },
      {},
      { ...limited, retryAfterSeconds: 7 },
    ],
    ['too much at once, as 429', 429, { 'retry-after': '7' }, {}, { ...limited, retryAfterSeconds: 7 }],
    ['a fault', 502, {}, '', { verdict: 'unreachable', code: 'http_502' }],
    ['nothing there', 404, {}, {}, { verdict: 'unknown', code: 'http_404' }],
  ])('%s', async (_, status, headers, body, expected) => {
    expect(await finding(github, { status, headers, body })).toEqual(expected)
  })
})

test.each<[string, Record<string, string>, number | undefined]>([
  ['seconds', { 'retry-after': '7' }, 7],
  ['a time', { 'retry-after': 'Tue, 24 Nov 2026 10:00:07 GMT' }, 7],
  ['a time that is over', { 'retry-after': 'Tue, 24 Nov 2026 09:00:00 GMT' }, 0],
  ['a time in eleven days', { 'retry-after': 'Sat, 05 Dec 2026 23:46:39 GMT' }, 999_999],
  ['a time after that', { 'retry-after': 'Sat, 05 Dec 2026 23:46:40 GMT' }, undefined],
  ['no time', { 'retry-after': 'Tue, 99 Nov 2026 10:00:07 GMT' }, undefined],
  ['another way to write a time', { 'retry-after': '2026-11-24T10:00:07Z' }, undefined],
  ['too many seconds', { 'retry-after': '1000000' }, undefined],
  ['nothing', {}, undefined],
])('a platform that is to be left alone says so with %s', (_, headers, seconds) => {
  const date = 'Tue, 24 Nov 2026 10:00:00 GMT'
  expect(retryAfter(new Headers({ date, ...headers })).retryAfterSeconds).toBe(seconds)
})

/** What no API answers, or only when something is wrong; and the code of it, where that is the same for all. */
const disturbances: readonly (readonly [what: string, script: Script, code: string | undefined])[] = [
  ['no answer in time', () => {}, 'timeout'],
  ['half an answer in time', (response) => void response.writeHead(200).write('{"ok":'), 'timeout'],
  ['a connection that is reset', (_, request) => void request.socket.resetAndDestroy(), 'connection_lost'],
  [
    'a connection that is reset within the answer',
    (response, request) => {
      response.writeHead(200, { 'content-length': '1000' })
      response.write('{"ok":', () => request.socket.resetAndDestroy())
    },
    'connection_lost',
  ],
  ['500', { status: 500, body: { ok: false } }, 'http_500'],
  ['500 in HTML', { status: 500, headers: { 'content-type': 'text/html' }, body: '<h1>No</h1>' }, 'http_500'],
  ['503 that calls itself ok', { status: 503, body: '' }, 'http_503'],
  ['10 MB', { body: `"${'x'.repeat(10_000_000)}"` }, 'too_large'],
  ['an answer without an end', endless, 'too_large'],
  ['429', { status: 429, body: '' }, undefined],
]

describe.each(platforms.map((platform) => [platform.id, platform as Platform] as const))('%s', (_, platform) => {
  test.each(disturbances)('%s is no verdict on the token', async (what, script, code) => {
    const found = await finding(platform, script, code === 'timeout' ? 300 : 5000)
    expect(found).toEqual({ verdict: 'unreachable', code: code ?? expect.stringMatching(/^(ratelimited|http_429)$/) })
    expect(what).toBeDefined()
  })

  test('HTML with status 200 is an answer that nothing is known of', async () => {
    expect(await finding(platform, { body: '<h1>Sign in</h1>' })).toEqual({ verdict: 'unknown', code: 'http_200' })
  })

  test.each([301, 302, 303, 307, 308])('%d to another address is not followed', async (status) => {
    const location = `${metadata.url}latest/meta-data/`
    expect(await finding(platform, { status, headers: { location }, body: '' })).toEqual({
      verdict: 'unreachable',
      code: 'redirected',
    })
    expect(metadata.connections()).toBe(0)
  })

  test('nobody who listens, and no host of that name, are told apart from what may have been read', async () => {
    const gone = await startPlatformServer()
    await gone.close()
    const check = (url: string) => platform.api.check(createClient(new URL(url), 5000), new Secret('token'))
    expect(await check(gone.url)).toEqual({ verdict: 'unreachable', code: 'connection_refused' })
    expect(await check('http://127.0.0.1:6000/')).toEqual({ verdict: 'unreachable', code: 'bad_port' })
    expect(await check('http://nobody.invalid/')).toEqual({ verdict: 'unreachable', code: 'no_such_host' })
    // Speaks no TLS.
    expect(await check(server.url.replace('http:', 'https:'))).toEqual({ verdict: 'unreachable', code: 'tls_failed' })
  })

  test('its own address is https, and one of those between which its config may choose', () => {
    const properties = Object.entries(platform.config.properties)
    const configOf = (key: string, value: unknown) => ({ [key]: value }) as Json
    const meant = properties.flatMap(([key, { enum: values }]) =>
      Array.isArray(values) ? values.map((value) => configOf(key, value)) : [],
    )
    const odd = properties.flatMap(([key]) =>
      ['//127.0.0.2', '@127.0.0.2/', ['x'], 7].map((value) => configOf(key, value)),
    )
    const urls = (configs: Json[]) => new Set(configs.map((config) => platform.api.url(config)))
    const own = urls([{}, ...meant])
    for (const url of own) expect(url).toMatch(/^https:\/\/[a-z][\w.-]+\.[a-z]+\/(?:[\w.-]+\/)*$/)
    expect([...urls([null, 'x', ...odd])].filter((url) => !own.has(url))).toEqual([])
  })

  describe('where it wants to be asked later', () => {
    const later = (seconds: string, name = 'retry-after'): Script => ({
      status: 429,
      headers: { [name]: seconds },
      body: '',
    })
    const ok = () => good[platform.id] ?? { body: 'no good answer is known of this platform' }
    async function ask(wait: number, ...scripts: Script[]) {
      const token = `token-${++tokens}`
      server.script(token, ...scripts)
      const asking: AskOptions = { urls: new Map([[platform.id, new URL(server.url)]]), wait }
      const before = server.asked.length
      const { verdict } = await askAbout({ platform, integration: { config: null }, token: new Secret(token) }, asking)
      return { verdict, times: server.asked.length - before }
    }

    test('it is asked again then, and no sooner', async () => {
      const started = performance.now()
      expect(await ask(60_000, later('1'), ok())).toEqual({ verdict: 'ok', times: 2 })
      expect(performance.now() - started).toBeGreaterThan(990)
    })

    test('or at a time', async () => {
      const time = new Date(Date.now() + 1000).toUTCString()
      expect(await ask(60_000, later(time), ok())).toEqual({ verdict: 'ok', times: 2 })
    })

    test('0 seconds is not at once, again and again', async () => {
      const started = performance.now()
      expect(await ask(60_000, later('0'), ok())).toEqual({ verdict: 'ok', times: 2 })
      expect(performance.now() - started).toBeGreaterThan(990)
    })

    test.each([
      ['60', 5000],
      ['1', 500],
      ['-1', 60_000],
      ['soon', 60_000],
      ['99999999999', 60_000],
      ['Fri, 31 Dec 9999 23:59:59 GMT', 60_000],
    ])('not in %s s, when there are %d ms', async (seconds, wait) => {
      expect(await ask(wait, later(seconds), ok())).toEqual({ verdict: 'unreachable', times: 1 })
    })

    test('or not again, where it does not say when', async () => {
      expect(await ask(60_000, { status: 429, body: '' }, ok())).toEqual({ verdict: 'unreachable', times: 1 })
    })
  })
})

test("Pylon's own header for it is read as well", async () => {
  expect(await finding(pylon, { status: 429, headers: { 'x-retry-after': '7' }, body: '' })).toEqual({
    verdict: 'unreachable',
    code: 'http_429',
    retryAfterSeconds: 7,
  })
})

test('a connection made to the metadata address would be seen', async () => {
  const { hostname, port } = new URL(metadata.url)
  await new Promise<void>((done) =>
    connect(Number(port), hostname, done).on('connect', function (this: { destroy(): void }) {
      this.destroy()
    }),
  )
  await expect.poll(metadata.connections).toBe(1)
})

describe('an address in place of the platform’s', () => {
  test.each([
    ['slack=https://example.com/api', 'slack', 'https://example.com/api/'],
    ['slack=http://127.0.0.1:1234', 'slack', 'http://127.0.0.1:1234/'],
    ['pylon=http://[::1]:1/x/', 'pylon', 'http://[::1]:1/x/'],
    ['pylon=http://localhost:80', 'pylon', 'http://localhost/'],
    ['pylon=http://0x7f.1/', 'pylon', 'http://127.0.0.1/'],
  ])('%s is taken', (text, platform, href) => {
    const [id, url] = parseApiUrl(text)
    expect([id, url.href]).toEqual([platform, href])
  })

  test.each([
    ['https://ana:hidden@example.com/', 'an API URL lacks the name of a platform'],
    ['https://ana:hidden@example.com/?a=b', 'an API URL lacks the name of a platform'],
    ['=http://127.0.0.1/', 'an API URL lacks the name of a platform'],
    ['gitlab=https://example.com/', 'there is no platform "gitlab"'],
    ['slack=nonsense', 'the API URL of slack is not a URL'],
    ['slack=file:///etc/passwd', 'the API URL of slack is neither https nor http'],
    ['slack=http://example.com/', 'the API URL of slack is not encrypted'],
    ['slack=http://169.254.169.254/', 'the API URL of slack is not encrypted'],
    ['slack=http://127.0.0.1.example.com/', 'the API URL of slack is not encrypted'],
    ['slack=http://localhost.example.com/', 'the API URL of slack is not encrypted'],
    ['slack=http://128.0.0.1/', 'the API URL of slack is not encrypted'],
    ['slack=http://[::2]/', 'the API URL of slack is not encrypted'],
    ['slack=https://ana:hidden@example.com/', 'the API URL of slack contains a user name or a password'],
    ['slack=http://hidden@127.0.0.1/', 'the API URL of slack contains a user name or a password'],
    ['slack=https://example.com/?a=hidden', 'the API URL of slack has a query, a fragment or a comma'],
    ['slack=https://example.com/#hidden', 'the API URL of slack has a query, a fragment or a comma'],
    ['slack=https://example.com/a,b', 'the API URL of slack has a query, a fragment or a comma'],
  ])('%s is refused', (text, message) => {
    const refusal = expect.objectContaining({ code: 'BAD_INPUT' })
    try {
      expect(parseApiUrl(text)).toBe('refused')
    } catch (error) {
      expect(error).toEqual(refusal)
      const { message: said, hint } = error as { message: string; hint: string }
      expect(said).toContain(message)
      expect(`${said} ${hint}`).not.toContain('hidden')
    }
  })
})

test('what is stored is compared with what the platform says', () => {
  const empty = { slackTeamId: null, slackTeamName: null, slackBotUserId: null, pylonAccountId: null }
  const said = {
    verdict: 'ok' as const,
    code: null,
    reason: null,
    ids: { slackTeamId: 'T2', slackTeamName: 'New', slackBotUserId: 'U2' },
    scopes: null,
    expiresAt: null,
  }
  const soon = new Date(Date.now() + 3_600_000).toISOString()
  const later = new Date(Date.now() + 7_200_000).toISOString()
  const fields = (stored: object, more: object = {}) =>
    differences(
      slack,
      { ...empty, tokenExpiresAt: null, tokenExpiry: 'unknown', ...stored },
      { ...said, ids: {}, ...more },
    )
  const dated = (tokenExpiresAt: string) => ({ tokenExpiresAt, tokenExpiry: 'dated' })
  const difference = (stored: string, platform: string) => [{ field: 'tokenExpiresAt', stored, platform }]
  expect(fields({}, { ids: said.ids })).toEqual([])
  expect(fields({ slackTeamId: 'T2', slackTeamName: 'Old', slackBotUserId: 'U1' }, { ids: said.ids })).toEqual([
    { field: 'slackBotUserId', stored: 'U1', platform: 'U2' },
  ])
  expect(fields({ slackTeamId: 'T1' }, { ids: said.ids })).toEqual([
    { field: 'slackTeamId', stored: 'T1', platform: 'T2' },
  ])
  expect(fields(dated(soon), { expiresAt: soon })).toEqual([])
  expect(fields(dated(soon), { expiresAt: new Date(Date.parse(soon) + 540_000).toISOString() })).toEqual([])
  expect(fields(dated(soon), { expiresAt: later })).toEqual(difference(soon, later))
  expect(fields({ tokenExpiry: 'never' }, { expiresAt: later })).toEqual(difference('never', later))
  expect(fields({ tokenExpiry: 'unknown' }, { expiresAt: later })).toEqual([])
  expect(fields(dated('2020-01-01T00:00:00.000Z'))).toEqual(difference('2020-01-01T00:00:00.000Z', 'valid'))
  expect(fields(dated(soon), { verdict: 'expired' })).toEqual(difference(soon, 'expired'))
  expect(fields({ tokenExpiry: 'never' }, { verdict: 'expired' })).toEqual(difference('never', 'expired'))
  expect(fields(dated('2020-01-01T00:00:00.000Z'), { verdict: 'expired' })).toEqual([])
})
