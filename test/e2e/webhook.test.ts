import { createHmac } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { begin, contents, freshDatabase, kinds, type TestDatabase } from '../support/database.ts'
import { type Endpoint, startEndpoint } from '../support/endpoint.ts'
import { runInProcess } from '../support/in-process.ts'
import { freshFolder, type Outcome, runProgram } from '../support/program.ts'
import { populate } from '../support/sample-commands.ts'
import { signingSecret, stable } from '../support/samples.ts'
import { failed } from '../support/told.ts'

const [current, old, pylons, others] = [1, 2, 3, 4].map(signingSecret) as [string, string, string, string]
const hmac = (secret: string, text: string) => createHmac('sha256', secret).update(text).digest('hex')
const seconds = () => Math.floor(Date.now() / 1000)

const folder = freshFolder()
const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}

/** A request of Slack's, as a proxy would have captured it. */
const captured = (name: string, secret: string, sent: string, arrived = sent, at = seconds() + 60) =>
  file(
    name,
    `POST /slack HTTP/1.1\r\nHost: app\r\nX-Slack-Request-Timestamp: ${at}\r\nX-Slack-Signature: v0=${hmac(secret, `v0:${at}:${sent}`)}\r\n\r\n${arrived}`,
  )

describe.each(kinds)('webhooks on %s', (kind) => {
  let db: TestDatabase
  let endpoint: Endpoint
  let fingerprints: Record<string, unknown>

  beforeAll(async () => {
    db = await freshDatabase(kind)
    endpoint = await startEndpoint()
    await populate(db)
    const added = await run(
      ['add', '--platform', 'slack', '--workspace', 'Acme', '--name', 'other', '--webhook-secret-stdin'],
      {},
      others,
    )
    expect(added).toMatchObject({ code: 0 })
    const rows = await db.query(
      "SELECT i.name, s.number, s.fingerprint FROM integration_secrets s JOIN integrations i ON i.id = s.integration_id WHERE s.field = 'webhook_secret'",
    )
    fingerprints = Object.fromEntries(rows.map(({ name, number, fingerprint }) => [`${name} ${number}`, fingerprint]))
  })

  const run = (args: readonly string[], env: Record<string, string> = {}, input = '') =>
    // What is to be loaded before the program takes a process.
    (env.NODE_OPTIONS ? runProgram : runInProcess)(args, { env: { DATABASE_URL: db.url, ...env }, input })

  /** Runs a command that may add events, and nothing else: gives its outcome and what it added. No secret shows. */
  async function recorded(args: readonly string[], input = '', env = {}): Promise<Outcome & { events: string[] }> {
    const besidesLog = async () => {
      const { integration_events, integration_settings, ...rest } = await contents(db)
      return rest
    }
    const before = await besidesLog()
    const [last] = await db.query('SELECT max(seq) AS seq FROM integration_events')
    const outcome = await run(args, env, input)
    expect(await besidesLog()).toEqual(before)
    const events = await db.query(
      'SELECT action, outcome, target_name, fields, count FROM integration_events WHERE seq > ? ORDER BY seq',
      Number(last?.seq),
    )
    const told = events.map((event) =>
      [event.action, event.outcome, event.target_name, event.fields, event.count]
        .filter((word) => word !== null)
        .join(' '),
    )
    const seen = outcome.stdout + outcome.stderr + JSON.stringify(await contents(db))
    for (const secret of [current, old, pylons, others]) expect(seen).not.toContain(secret)
    return { ...outcome, events: told }
  }

  test('sign prints the headers of the platform, by the current secret and the one before', async () => {
    const body = '{"text":"ü"}\n'
    const before = seconds()
    const lines = await recorded(['webhook', 'sign', 'Acme/support', '--body-file', file('body', body)])
    const at = Number(/timestamp: (\d+)/.exec(lines.stdout)?.[1])
    expect(at - before).toBeGreaterThanOrEqual(0)
    expect(lines).toEqual({
      code: 0,
      stdout: `content-type: application/json\nx-slack-request-timestamp: ${at}\nx-slack-signature: v0=${hmac(current, `v0:${at}:${body}`)}\n`,
      stderr: '',
      events: ['webhook.sign done Acme/support webhook_secret'],
    })
    const json = await recorded(
      ['webhook', 'sign', 'Acme/support', '--body-file', '-', '--secret', 'previous', '-o', 'json'],
      body,
    )
    const headers = JSON.parse(json.stdout)
    expect(headers).toEqual({
      'content-type': 'application/json',
      'x-slack-request-timestamp': expect.stringMatching(/^\d{10}$/),
      'x-slack-signature': `v0=${hmac(old, `v0:${headers['x-slack-request-timestamp']}:${body}`)}`,
    })
    expect(json).toMatchObject({ code: 0, events: ['webhook.sign done Acme/support previous_webhook_secret'] })
    expect(await recorded(['webhook', 'sign', 'Acme/desk', '--body-file', '-', '--secret', 'previous'], body)).toEqual({
      code: 3,
      stdout: '',
      stderr: expect.stringMatching(
        /^error: Acme\/desk has no previous webhook secret that is still valid\nhint: integrations secrets list Acme\/desk\n$/,
      ),
      events: [],
    })
  })

  test('verify says which secret matched, or why none did', async () => {
    const event = '{"type":"event_callback","url":"a/b"}'
    const verify = async (ref: string, path: string) => {
      const { code, stdout, stderr, events } = await recorded(['webhook', 'verify', ref, '--file', path, '-o', 'json'])
      const { error } = stderr === '' ? { error: null } : JSON.parse(stderr)
      expect([code, error?.code]).toEqual(stderr === '' ? [0, undefined] : [8, 'CHECK_FAILED'])
      return { found: JSON.parse(stdout), error: error?.message ?? null, events }
    }
    const support = { name: 'Acme/support', scheme: 'v0', skewSeconds: expect.any(Number), otherIntegration: null }
    const [first, second] = [1, 2].map((number) => ({ number, fingerprint: fingerprints[`support ${number}`] }))
    const own = 'webhook.verify done Acme/support webhook_secret'

    expect(await verify('Acme/support', captured('now', current, event))).toEqual({
      found: {
        ...support,
        id: expect.any(String),
        accepted: true,
        reason: null,
        secret: { ...second, state: 'current', validUntil: null },
        findings: [
          `the request is signed with the current signing secret (number 2, fingerprint ${second?.fingerprint})`,
        ],
      },
      error: null,
      events: [own],
    })
    const previous = await verify('Acme/support', captured('old', old, event))
    const { validUntil } = previous.found.secret
    expect(previous.found).toMatchObject({
      accepted: true,
      secret: { ...first, state: 'previous', validUntil: expect.stringMatching(/Z$/) },
      findings: [
        `the request is signed with a previous signing secret (number 1, fingerprint ${first?.fingerprint}), which is valid until ${validUntil}`,
      ],
    })
    const altered = JSON.stringify(JSON.parse(event), null, 2)
    expect(
      await verify('Acme/support', captured('altered', current, event.replace('/', '\\/'), altered)),
    ).toMatchObject({
      found: {
        accepted: false,
        reason: 'body_altered',
        findings: [
          expect.stringContaining('the request is signed with the current signing secret'),
          'the body was altered: the signature matches the body as JSON serialized without spaces, with \\/ for every slash',
        ],
      },
      error: 'the body of the webhook was changed on its way',
      events: [own],
    })
    const { found: stale } = await verify('Acme/support', captured('stale', current, event, event, seconds() - 3600))
    expect(stale).toMatchObject({ accepted: false, reason: 'stale', secret: { number: 2 } })
    expect(stale.skewSeconds).toBeLessThanOrEqual(-3600)
    expect(stale.findings.slice(1)).toEqual([
      `the timestamp is ${-stale.skewSeconds} seconds old; the tolerance is 300 seconds`,
      'the signature is valid',
    ])
    // A queue, or a log, has the time when it came.
    const then = ['--received-at', new Date((seconds() - 3600) * 1000).toISOString(), '-o', 'json']
    const queued = await run(['webhook', 'verify', 'Acme/support', '--file', join(folder, 'stale'), ...then])
    const { accepted, secret, skewSeconds } = JSON.parse(queued.stdout)
    expect([queued.code, accepted, secret.number, Math.abs(skewSeconds) < 300]).toEqual([0, true, 2, true])
    const [{ id } = {}] = await db.query("SELECT id FROM integrations WHERE name = 'other'")
    expect(await verify('Acme/support', captured('other', others, event))).toMatchObject({
      found: {
        accepted: false,
        reason: 'other_integration',
        secret: null,
        otherIntegration: { id, name: 'Acme/other' },
        findings: ['the request is signed with the signing secret of Acme/other'],
      },
      error: 'the webhook is signed with the secret of another integration',
      events: [own, 'webhook.verify done Acme/support other_integrations 1'],
    })
    expect(await verify('Acme/support', captured('wrong', signingSecret(99), event))).toMatchObject({
      found: {
        accepted: false,
        reason: 'wrong_secret',
        secret: null,
        findings: [
          'no secret of the integration made the signature, with the body as it is or with common alterations undone',
          'no other integration of this platform has the secret (all were tried)',
        ],
      },
      events: [own, 'webhook.verify done Acme/support other_integrations 1'],
    })
  })

  test('verify reads the headers that sign writes, and does not blame a secret for a body that lost letters', async () => {
    const body = '{"text":"Größe"}'
    const signed = await run(['webhook', 'sign', 'Acme/support', '--body-file', file('signed', body)])
    const headers = ['--header', `@${file('signed-headers', signed.stdout)}`]
    const verify = (arrived: string, of = headers) =>
      recorded(
        ['webhook', 'verify', 'Acme/support', ...of, '--body-file', '-', '-o', 'jsonl', '--fields', 'reason,findings'],
        arrived,
      )
    expect(await verify(body)).toMatchObject({ code: 0, stdout: expect.stringMatching(/^{"reason":null,/) })
    expect(await verify('{"text":"Gr??e"}')).toMatchObject({
      code: 8,
      stdout: expect.stringMatching(
        /^{"reason":"body_altered","findings":\[.*"the body was altered: the signature matches the body with letters in place of question marks"]}\n$/,
      ),
    })
    expect(await verify('{"text":"?l in Gr??e ?ber ?ber ?ber"}')).toEqual({
      code: 8,
      stdout: `{"reason":"body_suspect","findings":${JSON.stringify([
        'no secret of the integration made the signature, with the body as it is or with common alterations undone',
        'the body has question marks where letters may have been, which a program lost that read or wrote another character set',
        'no other integration of this platform has the secret (all were tried)',
      ])}}\n`,
      stderr: failed({
        code: 'CHECK_FAILED',
        message: 'the webhook is signed with another secret, or its body was changed on its way, as it seems',
        hint: 'check the signature against the bytes that came, before anything parses them',
        exit: 8,
        retryable: false,
        committed: false,
      }),
      events: [
        'webhook.verify done Acme/support webhook_secret',
        'webhook.verify done Acme/support other_integrations 1',
      ],
    })
    expect(await verify(body, ['--header', '@-'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('standard input can hold one thing only'),
      events: [],
    })
  })

  test('verify tells that a secret was stored with more than the secret, and nothing of it', async () => {
    const quoted = ['add', '--platform', 'pylon', '--workspace', 'Acme', '--name', 'quoted', '--webhook-secret-stdin']
    expect(await run([...quoted, '--force-shape'], {}, `"${pylons}"`)).toMatchObject({ code: 0 })
    const header = `X-Pylon-Signature: ${hmac(pylons, '{}x')}`
    const fields = ['--fields', 'reason,secret,findings', '-o', 'jsonl']
    const verdict = await recorded(
      ['webhook', 'verify', 'Acme/quoted', '--header', header, '--body-file', '-', ...fields],
      '{}x',
    )
    const found = JSON.parse(verdict.stdout)
    expect({ ...verdict, stdout: { ...found, secret: found.secret.number } }).toEqual({
      code: 8,
      stdout: {
        reason: 'secret_altered',
        secret: 1,
        findings: ['the request is signed with the stored secret without its quotes'],
      },
      stderr: failed({
        code: 'CHECK_FAILED',
        message: 'the stored secret is not quite the one that signs the webhook',
        hint: 'set the secret that the platform shows with integrations rotate Acme/quoted --field webhook-secret',
        exit: 8,
        retryable: false,
        committed: false,
      }),
      events: ['webhook.verify done Acme/quoted webhook_secret'],
    })
    expect(await run(['remove', 'Acme/quoted', '--confirm', 'quoted'])).toMatchObject({ code: 0 })
  })

  test('verify takes headers and a body, and tells what is wrong with them', async () => {
    const signed = `X-Pylon-Signature: ${hmac(pylons, '{}')}`
    const verify = (headers: readonly string[], ...more: string[]) =>
      recorded(['webhook', 'verify', 'Acme/desk', ...headers.flatMap((header) => ['--header', header]), ...more], '{}')
    const events = ['webhook.verify done Acme/desk webhook_secret']
    const fields = ['--body-file', '-', '-o', 'jsonl', '--fields', 'reason,findings']
    expect(await verify([signed], ...fields.slice(0, 2), '-o', 'csv', '--fields', 'accepted,secret')).toEqual({
      code: 0,
      stdout: `accepted,secret\ntrue,"{""number"":1,""state"":""current"",""fingerprint"":""${fingerprints['desk 1']}"",""validUntil"":null}"\n`,
      stderr: '',
      events,
    })
    expect(await verify([signed, signed], ...fields)).toMatchObject({
      code: 8,
      stdout: `{"reason":"duplicated_header","findings":["the request has the header x-pylon-signature 2 times"]}\n`,
      events,
    })
    const timed = [
      `Pylon-Webhook-Timestamp: ${seconds()}`,
      `Pylon-Webhook-Signature: hs256=${hmac(pylons, `${seconds()}.{}`)}`,
    ]
    expect(await verify(timed, ...fields)).toMatchObject({
      code: 8,
      stdout: expect.stringMatching(
        /^{"reason":"other_scheme","findings":\["the request is signed with the current webhook secret [^"]*","the request is signed by the scheme timestamped \(pylon-webhook-signature\), but the config of the integration says body \(x-pylon-signature\)"\]}\n$/,
      ),
      stderr: expect.stringContaining('"hint":"integrations config set Acme/desk pylonSignature=timestamped"'),
    })
    expect(await verify([`X-Slack-Signature: v0=${hmac(pylons, '')}`], ...fields)).toMatchObject({
      code: 8,
      stdout: `{"reason":"missing_header","findings":["the request has no header x-pylon-signature","the request has the header x-slack-signature, which Slack uses for its signature"]}\n`,
      events,
    })
    for (const [headers, more, message] of [
      [[], [], 'there is no request to check'],
      [[signed], [], 'there is no request to check'],
      [[pylons], ['--body-file', '-'], 'a header is not of the form Name: value'],
      [[], ['--file', '-'], 'the first line is not an HTTP request line'],
    ] as const)
      expect(await verify(headers, ...more)).toMatchObject({
        code: 2,
        stdout: '',
        stderr: expect.stringMatching(new RegExp(`^error: ${message}\\n`)),
        events: [],
      })
  })

  test('send posts a signed sample, and shows the answer', async () => {
    const host = new URL(endpoint.url).host
    endpoint.answer = { status: 200, headers: { 'content-type': 'text/plain' }, body: 'tha\u001bnks' }
    const sent = await recorded([
      'webhook',
      'send',
      'Acme/support',
      `${endpoint.url}?token=canary`,
      '--sample',
      'message',
    ])
    const [{ id } = {}] = await db.query("SELECT id FROM integrations WHERE name = 'support'")
    expect({ ...sent, stdout: sent.stdout.replace(/milliseconds\t\d+/, 'milliseconds\t<n>') }).toEqual({
      code: 0,
      stdout: `id\t${id}\nname\tAcme/support\nsample\tmessage\nsecret\t{"number":2,"state":"current","fingerprint":"${fingerprints['support 2']}","validUntil":null}\nhost\t${host}\nstatus\t200\nchallengeReturned\t\nmilliseconds\t<n>\nlocation\t\nbody\ttha\\u{1b}nks\ntruncated\tfalse\n`,
      stderr: '',
      events: [
        `webhook.send started Acme/support webhook_secret,host:${host}`,
        `webhook.send done Acme/support webhook_secret,host:${host},status:200`,
      ],
    })
    const [request] = endpoint.requests.splice(0)
    const at = request?.headers['x-slack-request-timestamp']
    expect(request).toMatchObject({
      method: 'POST',
      path: '/hooks?token=canary',
      headers: {
        'content-type': 'application/json',
        'user-agent': 'integrations',
        'x-slack-signature': `v0=${hmac(current, `v0:${at}:${request?.body}`)}`,
      },
    })
    expect(JSON.parse(request?.body ?? '')).toMatchObject({ type: 'event_callback', team_id: 'T012345' })

    endpoint.answer = { status: 401, body: 'x'.repeat(5000) }
    const own = ['--body-file', '-', '--secret', 'previous', '-o', 'json', '--fields', 'sample,status,truncated,body']
    const refused = await recorded(['webhook', 'send', 'Acme/support', endpoint.url, ...own], 'a=1')
    expect({ ...refused, stdout: JSON.parse(refused.stdout), stderr: stable(refused.stderr) }).toEqual({
      code: 8,
      stdout: { sample: null, status: 401, truncated: true, body: 'x'.repeat(1000) },
      stderr: `{"level":"error","error":{"code":"CHECK_FAILED","message":"${host} answered with 401","hint":"check that the endpoint has the secrets of integrations secrets list Acme/support","exit":8,"retryable":false,"committed":false}}\n`,
      events: [
        `webhook.send started Acme/support previous_webhook_secret,host:${host}`,
        `webhook.send failed Acme/support previous_webhook_secret,host:${host},status:401`,
      ],
    })
    const [form] = endpoint.requests.splice(0)
    expect(form).toMatchObject({ headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'a=1' })
    expect(form?.headers['x-slack-signature']).toBe(
      `v0=${hmac(old, `v0:${form?.headers['x-slack-request-timestamp']}:a=1`)}`,
    )
  })

  test.each([200, 401])('send tells an answer of %i also when it cannot be recorded', async (status) => {
    const host = new URL(endpoint.url).host
    let release = async () => {}
    const lock = async () => {
      release = await begin(db, "UPDATE integration_settings SET seq = seq WHERE key = 'head'")
    }
    endpoint.answer = { status, body: 'x', after: lock }
    const fields = ['-o', 'json', '--fields', 'host,status']
    const send = () =>
      recorded(['webhook', 'send', 'Acme/support', endpoint.url, '--sample', 'message', '--wait', '2s', ...fields])
    const sent = await send().finally(() => release())
    endpoint.answer = { status: 200 }
    endpoint.requests.splice(0)
    const [warning = '', ...errors] = stable(sent.stderr).split('\n').filter(Boolean)
    expect({ ...sent, stdout: JSON.parse(sent.stdout), stderr: errors }).toEqual({
      code: status === 200 ? 0 : 8,
      stdout: { host, status },
      stderr: status === 200 ? [] : [expect.stringContaining(`${host} answered with 401`)],
      events: [`webhook.send started Acme/support webhook_secret,host:${host}`],
    })
    expect(JSON.parse(warning)).toEqual({
      level: 'warning',
      message: expect.stringMatching(
        /^the audit log does not record how the endpoint answered: the database was busy until the time was up/,
      ),
    })
  })

  test('sign and send add what the platform sends beside the signature', async () => {
    const body = '{"action":"opened","issue":{"number":1}}'
    const added = await run(
      ['add', '--platform', 'github', '--workspace', 'Acme', '--name', 'code', '--webhook-secret-stdin'],
      {},
      others,
    )
    expect(added).toMatchObject({ code: 0 })
    const headers = {
      'content-type': 'application/json',
      'x-github-event': 'issues',
      'x-github-delivery': expect.stringMatching(/^[0-9a-f-]{36}$/),
      'x-hub-signature-256': `sha256=${hmac(others, body)}`,
    }
    const signed = await run(['webhook', 'sign', 'Acme/code', '--body-file', '-', '-o', 'json'], {}, body)
    expect(JSON.parse(signed.stdout)).toEqual(headers)
    endpoint.answer = { status: 200, body: '' }
    expect(await run(['webhook', 'send', 'Acme/code', endpoint.url, '--body-file', '-'], {}, body)).toMatchObject({
      code: 0,
    })
    expect(endpoint.requests.splice(0)).toMatchObject([{ body, headers }])
    const verify = async (type: string) => {
      const sent = Object.entries({ ...JSON.parse(signed.stdout), 'content-type': type })
      const flags = sent.flatMap(([name, value]) => ['--header', `${name}: ${value}`])
      const args = ['webhook', 'verify', 'Acme/code', ...flags, '--body-file', '-', '-o', 'json']
      const { code, stdout } = await run(args, {}, body)
      return [code, JSON.parse(stdout).reason]
    }
    expect(await verify('application/json')).toEqual([0, null])
    expect(await verify('application/x-www-form-urlencoded')).toEqual([8, 'malformed_body'])
    // What the body does not tell is asked for, before anything is recorded or sent.
    const told = (...args: string[]) => recorded(['webhook', ...args, '--body-file', '-'], '{"action":"created"}')
    for (const command of [['sign', 'Acme/code'] as const, ['send', 'Acme/code', endpoint.url] as const])
      expect(await told(...command)).toEqual({
        code: 2,
        stdout: '',
        stderr:
          'error: the body does not tell which event of GitHub it is\nhint: name the event with --event, as in --event issues\n',
        events: [],
      })
    expect(endpoint.requests).toEqual([])
    const more = ['--header', 'X-GitHub-Hook-Id: 7', '--header', 'Content-Type: text/plain']
    const named = await told('sign', 'Acme/code', '--event', 'novelty', ...more)
    expect(named.stdout).toMatch(
      /^content-type: text\/plain\nx-github-event: novelty\nx-github-delivery: \S{36}\nx-github-hook-id: 7\nx-hub-signature-256: sha256=[0-9a-f]{64}\n$/,
    )
    expect(
      await told(
        'send',
        'Acme/code',
        endpoint.url,
        '--header',
        `@${file('headers', named.stdout.replace(/x-hub.*\n/, ''))}`,
      ),
    ).toMatchObject({ code: 0 })
    expect(endpoint.requests.splice(0)).toMatchObject([
      { headers: { 'content-type': 'text/plain', 'x-github-event': 'novelty', 'x-github-hook-id': '7' } },
    ])
    for (const [args, message] of [
      [['sign', 'Acme/code', '--event', 'issues.opened'], 'write the name of an event, without an action'],
      [['sign', 'Acme/desk', '--event', 'issue_new'], 'Pylon names the event in the body, and not in a header'],
      [
        ['sign', 'Acme/code', '--event', 'issues', '--header', 'X-GitHub-Event: push'],
        'the event is given twice, by --event and by the header x-github-event',
      ],
      [
        ['sign', 'Acme/code', '--header', 'x-hub-signature-256: a'],
        'the header x-hub-signature-256 belongs to the signature',
      ],
      [['sign', 'Acme/code', '--header', 'Content-Length: 1'], 'the header content-length is made for each request'],
      [['sign', 'Acme/code', '--header', 'X-A: \u0001'], 'the header x-a has a character that HTTP does not allow'],
      [['sign', 'Acme/code', '--header', 'X-A: 1', '--header', 'x-a: 2'], 'the header x-a is given twice'],
      [
        ['send', 'Acme/code', endpoint.url, '--header', `@${file('twice', 'X-A: 1\nX-B: 2\nX-A: 1\n')}`],
        'the header x-a is given twice',
      ],
      [['sign', 'Acme/code', '--header', '@-'], 'standard input can hold one thing only'],
      [['send', 'Acme/code', endpoint.url, '--event', 'push', '--sample', 'ping'], 'cannot be used with'],
    ] as const)
      expect(await told(...args)).toMatchObject({ code: 2, stderr: expect.stringContaining(message), events: [] })
    // HTTP joins those whose value is a list.
    const via = ['--header', 'Via: 1.1 a', '--header', 'via: 1.1 b']
    expect((await told('sign', 'Acme/code', '--event', 'push', ...via)).stdout).toContain('\nvia: 1.1 a, 1.1 b\n')
    const alone = await recorded(['webhook', 'send', 'Acme/code', endpoint.url, '--event', 'push'])
    expect(alone).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--event has no effect without --body-file'),
    })
    const empty = await run(['webhook', 'sign', 'Acme/code', '--body-file', '-'], {}, '')
    expect(empty).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('the body is empty') })
  })

  test('send counts a challenge as answered when it came back', async () => {
    const host = new URL(endpoint.url).host
    const send = (body: string, ...more: string[]) => {
      endpoint.answer = { status: 200, body }
      return recorded(
        [
          'webhook',
          'send',
          'Acme/support',
          endpoint.url,
          '-o',
          'json',
          '--fields',
          'status,challengeReturned',
          ...more,
        ],
        '{"type":"url_verification","challenge":"a b+c"}',
      )
    }
    const missing = {
      code: 8,
      stdout: '{\n  "status": 200,\n  "challengeReturned": false\n}\n',
      stderr: failed({
        code: 'CHECK_FAILED',
        message: `${host} answered with 200, but without the challenge of the body`,
        hint: 'answer with the challenge as the whole body',
        exit: 8,
        retryable: false,
        committed: false,
      }),
      events: [
        `webhook.send started Acme/support webhook_secret,host:${host}`,
        `webhook.send failed Acme/support webhook_secret,host:${host},status:200,challenge:missing`,
      ],
    }
    // The sample that is the default has a challenge.
    expect(await send('ok')).toEqual(missing)
    for (const body of ['', 'a b+c and more', '{"challenge":"a"}', '"a b+c"', 'challenge=a+b+c'])
      expect([body, await send(body, '--body-file', '-')]).toEqual([body, missing])
    for (const body of ['a b+c', 'a b+c\n', '{"challenge": "a b+c"}', 'challenge=a+b%2Bc'])
      expect([body, await send(body, '--body-file', '-')]).toMatchObject([
        body,
        { code: 0, stdout: '{\n  "status": 200,\n  "challengeReturned": true\n}\n', stderr: '' },
      ])
    endpoint.requests.splice(0)
  })

  test('send goes where it was told to, and nowhere else', async () => {
    const elsewhere = await startEndpoint()
    endpoint.answer = { status: 302, headers: { location: elsewhere.url } }
    const { port } = new URL(endpoint.url)
    // A name that stands for this machine when it is checked, and for another address when it is connected to.
    const rebinding = file(
      'rebinding.mjs',
      `import children from 'node:child_process'
       import dns from 'node:dns'
       children.execFile = (file, args, options, ended) => ended(null, '127.0.0.1 STREAM ' + args[1] + '\\n')
       dns.lookup = (host, options, found) => found(new Error('looked up again'))`,
    )
    const redirected = await recorded(
      [
        'webhook',
        'send',
        'Acme/desk',
        `http://rebound.test:${port}/`,
        '-o',
        'jsonl',
        '--fields',
        'sample,status,location',
      ],
      '',
      { NODE_OPTIONS: `--import ${rebinding}` },
    )
    expect(redirected).toEqual({
      code: 8,
      stdout: `{"sample":"issue","status":302,"location":"${elsewhere.url}"}\n`,
      stderr: `{"level":"error","error":{"code":"CHECK_FAILED","message":"rebound.test:${port} answered with 302","hint":"platforms do not follow redirects: pass the URL that the endpoint redirects to","exit":8,"retryable":false,"committed":false}}\n`,
      events: [
        `webhook.send started Acme/desk webhook_secret,host:rebound.test:${port}`,
        `webhook.send failed Acme/desk webhook_secret,host:rebound.test:${port},status:302`,
      ],
    })
    expect([endpoint.requests.splice(0).length, elsewhere.requests]).toEqual([1, []])

    // An endpoint without TLS.
    const secure = `https://127.0.0.1:${port}/`
    expect(await recorded(['webhook', 'send', 'Acme/desk', secure])).toEqual({
      code: 7,
      stdout: '',
      stderr: expect.stringMatching(
        /^error: 127\.0\.0\.1:\d+ was not reached: no secure connection \(\w+\)\nhint: check that the endpoint runs, and that this machine can reach it\n$/,
      ),
      events: [
        `webhook.send started Acme/desk webhook_secret,host:127.0.0.1:${port}`,
        `webhook.send failed Acme/desk webhook_secret,host:127.0.0.1:${port}`,
      ],
    })
    for (const [args, message] of [
      [
        ['https://169.254.169.254/', '--allow-private'],
        "169.254.169.254 is the address of a cloud's metadata service, to which no request is sent",
      ],
      [['https://10.0.0.1/'], '10.0.0.1 is an address of a private or reserved network'],
      [
        [endpoint.url, '--sample', 'constructor'],
        'Pylon has no sample "constructor"\nhint: the samples of Pylon are issue',
      ],
    ] as const) {
      const outcome = await recorded(['webhook', 'send', 'Acme/desk', ...args])
      expect(outcome).toMatchObject({ code: 2, stdout: '', events: [] })
      expect(outcome.stderr).toContain(`error: ${message}`)
    }
    expect(endpoint.requests).toEqual([])
  })
})
