import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { postgresqlDatabase, type TestDatabase } from '../../support/database.ts'
import { runInProcess } from '../../support/in-process.ts'
import { type Server, startPostgresql } from '../../support/postgresql.ts'
import { freshFolder, runProgram } from '../../support/program.ts'

/** Whether these tests cannot run here; in CI they have to. */
const without = Boolean(process.env.TEST_DATABASE_URL) || (spawnSync('openssl').error !== undefined && !process.env.CI)

let folder: string
let server: Server
let db: TestDatabase

const file = (name: string) => join(folder, name)

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' })
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

const makeAuthority = (name: string) =>
  openssl('req', '-x509', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.crt`, '-subj', `/CN=${name}`)

function makeCertificate(name: string, subject: string, { authority = 'ca', days = 2, names = 'DNS:localhost' } = {}) {
  openssl('req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${subject}`)
  writeFileSync(file('extensions'), `subjectAltName=${names}\n`)
  const signed = ['-CA', `${authority}.crt`, '-CAkey', `${authority}.key`, '-CAcreateserial', '-days', String(days)]
  openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.crt`, ...signed, '-extfile', 'extensions')
}

/** Has the server show another certificate, from its next connections on. */
async function show(name: string): Promise<void> {
  await db.query(`ALTER SYSTEM SET ssl_cert_file = '${file(`${name}.crt`)}'`)
  await db.query(`ALTER SYSTEM SET ssl_key_file = '${file(`${name}.key`)}'`)
  await db.query('SELECT pg_reload_conf()')
}

beforeAll(async () => {
  if (without) return
  folder = freshFolder()
  server = await startPostgresql()
  db = postgresqlDatabase(server.url)
  for (const name of ['ca', 'other']) makeAuthority(name)
  makeCertificate('server', 'localhost', { names: 'DNS:localhost,IP:127.0.0.1' })
  makeCertificate('elsewhere', 'db.example.com', { names: 'DNS:db.example.com' })
  makeCertificate('expired', 'localhost', { days: 0 })
  makeCertificate('ana', 'ana')
  makeCertificate('stranger', 'ana', { authority: 'other' })
  writeFileSync(file('text'), 'no certificate')
  chmodSync(folder, 0o755)
  // The server takes no key that others can read, and has a user of its own where the tests run as root.
  if (process.getuid?.() === 0) execFileSync('chown', ['-R', 'postgres', folder])
  await db.query(
    `CREATE ROLE encrypted LOGIN SUPERUSER; CREATE ROLE ana LOGIN SUPERUSER; CREATE ROLE plain LOGIN SUPERUSER`,
  )
  const [hba] = await db.query('SHOW hba_file')
  writeFileSync(
    String(hba?.hba_file),
    `host all postgres all trust
hostssl all encrypted all trust
hostssl all ana all cert
hostnossl all plain all trust
`,
  )
  await db.query(`ALTER SYSTEM SET ssl_ca_file = '${file('ca.crt')}'`)
  await db.query(`ALTER SYSTEM SET ssl = on`)
  await show('server')
  expect(await runInProcess(['init'], { env: { DATABASE_URL: server.url } })).toMatchObject({ code: 0 })
  const encrypted = () => list(`${address('postgres', '127.0.0.1')}?sslmode=no-verify`)
  await vi.waitFor(async () => expect(await encrypted()).toEqual(listed), { timeout: 30_000 })
}, 120_000)

afterAll(() => server?.stop())

const listed = { code: 0, stdout: '', stderr: '' }
const list = (DATABASE_URL: string, env = {}) => runInProcess(['list'], { env: { DATABASE_URL, ...env } })
const address = (user: string, host = 'localhost') =>
  `postgresql://${user}@${host}:${new URL(server.url).port}/postgres`

/** What a connection by a user, with parameters that name files in FOLDER, is answered with. */
const answer = (user: string, parameters: string, host?: string) =>
  list(`${address(user, host)}?${parameters.replaceAll('FOLDER', folder)}`)

const refused = (code: number, message: string, hint: string) => ({
  code,
  stdout: '',
  stderr: `error: ${message}\nhint: ${hint}\n`,
})

const trusted = 'sslmode=verify-full&sslrootcert=FOLDER/ca.crt'
const certificateOf = (name: string) => `sslcert=FOLDER/${name}.crt&sslkey=FOLDER/${name}.key`

describe.skipIf(without)('with a server that speaks TLS', () => {
  test.each([
    ['postgres', 'sslmode=disable'],
    ['postgres', 'ssl=false'],
    ['postgres', 'sslmode=disable&sslcert=/nowhere&ssl_min_protocol_version=TLSv1.3'],
    ['plain', 'ssl=0'],
    ['encrypted', 'sslmode=no-verify'],
    ['encrypted', 'ssl=no-verify'],
    ['encrypted', trusted],
    ['encrypted', trusted.replace('verify-full', 'verify-ca')],
    ['encrypted', trusted.replace('verify-full', 'require')],
    ['encrypted', trusted.replace('sslmode=verify-full', 'ssl=true')],
    ['encrypted', 'sslrootcert=FOLDER/ca.crt'],
    ['encrypted', 'sslmode=require&uselibpqcompat=true'],
    ['encrypted', `${trusted}&sslnegotiation=direct`],
    ['encrypted', `${trusted}&channel_binding=require`],
    ['encrypted', `${trusted}&ssl_min_protocol_version=TLSv1.2&ssl_max_protocol_version=tlsv1.2`],
    ['encrypted', `${trusted}&sslcertmode=disable&sslcert=/nowhere&sslkey=/nowhere`],
    ['ana', `${trusted}&${certificateOf('ana')}&sslcertmode=allow`],
  ])('%s gets in with %s', async (user, parameters) => {
    expect(await answer(user, parameters)).toEqual(listed)
  })

  test('the parameters may be in the environment', async () => {
    expect(await list(address('encrypted'), { PGSSLMODE: 'verify-full', PGSSLROOTCERT: file('ca.crt') })).toEqual(
      listed,
    )
    expect(await list(`${address('plain')}?ssl=off`, { PGSSLMODE: 'verify-full' })).toEqual(listed)
  })

  test('a version of TLS is demanded in the environment, too', async () => {
    const DATABASE_URL = `${address('encrypted')}?sslmode=verify-full`
    const newest = 'ssl_max_protocol_version'
    const refusal = refused(
      6,
      `${DATABASE_URL} speaks no version of TLS that this program may speak`,
      'correct ssl_min_protocol_version and ssl_max_protocol_version in the database URL, or let the server speak another version',
    )
    await db.query(`ALTER SYSTEM SET ${newest} = 'TLSv1.2'`)
    await db.query('SELECT pg_reload_conf()')
    const attempt = () => list(DATABASE_URL, { PGSSLROOTCERT: file('ca.crt'), PGSSLMINPROTOCOLVERSION: 'TLSv1.3' })
    await expect.poll(attempt, { timeout: 30_000 }).toEqual(refusal)
    await db.query(`ALTER SYSTEM RESET ${newest}`)
    await db.query('SELECT pg_reload_conf()')
    await expect.poll(attempt, { timeout: 30_000 }).toEqual(listed)
  })

  const unknownAuthority = [
    'is from an authority that is not trusted',
    'name the authority with sslrootcert=FILE in the database URL',
  ] as const

  test.each([
    ['sslmode=verify-full', ...unknownAuthority],
    ['sslmode=require', ...unknownAuthority],
    ['sslmode=verify-full&sslrootcert=system', ...unknownAuthority],
    ['sslmode=verify-full&sslrootcert=FOLDER/other.crt', ...unknownAuthority],
    ['ssl=true', ...unknownAuthority],
    ['sslaccept=strict', ...unknownAuthority],
  ])('a server that %s does not prove is not trusted', async (parameters, message, hint) => {
    const mode = /sslmode=[a-z-]+/.exec(parameters)
    const shown = `${address('encrypted')}${mode ? `?${mode}` : ''}`
    expect(await answer('encrypted', parameters)).toEqual(refused(6, `the certificate of ${shown} ${message}`, hint))
  })

  test('NODE_TLS_REJECT_UNAUTHORIZED=0 does not have a server trusted', async () => {
    const DATABASE_URL = `${address('encrypted')}?sslmode=verify-full`
    expect(await runProgram(['list'], { env: { DATABASE_URL, NODE_TLS_REJECT_UNAUTHORIZED: '0' } })).toEqual({
      code: 6,
      stdout: '',
      stderr: expect.stringContaining(`error: the certificate of ${DATABASE_URL} ${unknownAuthority[0]}\n`),
    })
  })

  test.each([
    [
      'encrypted',
      'sslmode=disable',
      'does not take this user without encryption (28000: "no pg_hba.conf entry … no encryption")',
      'add sslmode=verify-full to the database URL, or ask for an entry in pg_hba.conf of the server',
    ],
    [
      'plain',
      trusted,
      'does not take this user from this address (28000: "no pg_hba.conf entry")',
      'ask for an entry in pg_hba.conf of the server, or correct the user or the database in DATABASE_URL',
    ],
    [
      'ana',
      trusted,
      'wants a valid client certificate (28000)',
      'name a client certificate with sslcert=FILE and sslkey=FILE in the database URL',
    ],
    [
      'ana',
      `${trusted}&${certificateOf('server')}`,
      'does not take the client certificate for this user (28000)',
      'name the certificate of this user with sslcert=FILE and sslkey=FILE, or correct the user in DATABASE_URL',
    ],
    [
      'ana',
      `${trusted}&${certificateOf('stranger')}`,
      'does not trust the client certificate',
      'name a certificate with sslcert=FILE that an authority has signed which the server trusts',
    ],
  ])('%s is refused with %s', async (user, parameters, message, hint) => {
    const shown = `${address(user)}?${/sslmode=[a-z-]+/.exec(parameters)}`
    expect(await answer(user, parameters)).toEqual(refused(4, `${shown} ${message}`, hint))
  })

  test('a certificate of another host, or of another time, is not taken', async () => {
    const shown = `${address('encrypted')}?sslmode=verify-full`
    const attempt = () => answer('encrypted', trusted)
    await show('elsewhere')
    await expect
      .poll(attempt, { timeout: 30_000 })
      .toEqual(
        refused(
          6,
          `the certificate of ${shown} is for another host`,
          'put a name that the certificate has into the database URL, or have the certificate name this host',
        ),
      )
    await show('expired')
    await expect
      .poll(attempt, { timeout: 30_000 })
      .toEqual(
        refused(
          6,
          `the certificate of ${shown} is not valid at this time`,
          'renew the certificate of the server, or correct the clock of this machine',
        ),
      )
    await show('server')
    await expect.poll(attempt, { timeout: 30_000 }).toEqual(listed)
  })

  const modes = 'give one of disable, allow, prefer, require, verify-ca, verify-full, no-verify'
  const unknownParameter = [
    'the database URL has a TLS parameter that this program does not know',
    'leave it out; sslmode, sslrootcert, sslcert and sslkey are taken',
  ] as const

  test.each([
    ['sslmode=S3CR3T', 'sslmode has a value that is not known', modes],
    ['sslmode=REQUIRE', 'sslmode has a value that is not known', modes],
    ['ssl=S3CR3T', 'ssl has a value that is not known', 'give one of true, false, no-verify'],
    ['sslmod=require', ...unknownParameter],
    ['tlsS3CR3T=1', ...unknownParameter],
    [
      'sslrootcert=/S3CR3T',
      'the file that sslrootcert names cannot be read',
      'correct sslrootcert: give the path from / on',
    ],
    [
      'sslrootcert=FOLDER/text',
      'the file that sslrootcert names has no certificate in PEM format',
      'correct sslrootcert',
    ],
    [
      'sslcert=FOLDER/ana.crt',
      'sslcert and sslkey are the certificate and the key of this client, and need each other',
      'give both; the authority to trust is named with sslrootcert',
    ],
    [
      'sslcert=FOLDER/ana.crt&sslkey=FOLDER/server.key',
      'the certificates and the key that the database URL names cannot be used',
      'check that sslkey is the key of sslcert, and give the password of an encrypted key with sslpassword',
    ],
    [
      'sslnegotiation=direct&sslmode=disable',
      'sslnegotiation=direct is for encrypted connections',
      'add sslmode=verify-full to the database URL',
    ],
    [
      'sslmode=no-verify&channel_binding=require',
      'channel_binding=require is for a server that a certificate proves',
      'add sslmode=verify-full to the database URL, which proves as much',
    ],
    [
      'ssl_min_protocol_version=S3CR3T',
      'ssl_min_protocol_version has a value that is not known',
      'give one of TLSv1, TLSv1.1, TLSv1.2, TLSv1.3',
    ],
    [
      'sslmode=require&ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2',
      'ssl_min_protocol_version is newer than ssl_max_protocol_version',
      'correct ssl_min_protocol_version, or leave it out',
    ],
    [
      'sslcertmode=require',
      'sslcertmode=require is not supported',
      'leave sslcertmode out; sslmode=verify-full proves who the server is',
    ],
    ['sslcertmode=S3CR3T', 'sslcertmode has a value that is not known', 'give one of disable, allow, require'],
    ['requiressl=1', ...unknownParameter],
    [
      'gssencmode=require',
      'gssencmode= is not supported',
      'leave gssencmode out; sslmode=verify-full proves who the server is',
    ],
  ])('%s is refused before a connection', async (parameters, message, hint) => {
    expect(await answer('postgres', parameters)).toEqual(refused(2, message, hint))
  })
})
