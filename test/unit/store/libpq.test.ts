import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { passwordFrom } from '../../../src/store/database/postgresql/libpq-files.ts'
import { parsePostgresqlUrl } from '../../../src/store/database/postgresql/url.ts'

function passwordFile(text: string) {
  const folder = mkdtempSync(join(tmpdir(), 'integrations-pgpass-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'pgpass')
  writeFileSync(path, text, { mode: 0o600 })
  return { path, shown: true }
}

test('a line for localhost counts for the usual sockets, and for no other folder', () => {
  const file = passwordFile('localhost:5432:app:ana:p1\n/srv/pg:*:*:*:p2\n')
  const login = { port: 5432, database: 'app', user: 'ana' }
  const password = (host: string) => passwordFrom(file, { ...login, host }, 'the database')
  expect(['localhost', '/var/run/postgresql', '/tmp', '/srv/pg'].map(password)).toEqual(['p1', 'p1', 'p1', 'p2'])
  expect(() => password('/srv/other')).toThrow('no password for the database, which asks for one')
})

test('a password file that is not a regular file is as if there were none', () => {
  const login = { host: 'h', port: 5432, database: 'app', user: 'ana' }
  for (const path of ['/dev/null', tmpdir()])
    expect(() => passwordFrom({ path, shown: true }, login, 'the database')).toThrow(
      'no password for the database, which asks for one',
    )
})

test('hostaddr, which would name another server, is refused wherever it stands', () => {
  const services = passwordFile('[app]\nhostaddr=203.0.113.1\n').path
  for (const [url, env] of [
    ['postgresql:///app?hostaddr=203.0.113.1', {}],
    ['postgresql://h/app', { PGHOSTADDR: '203.0.113.1' }],
    ['postgresql:///app?service=app', { PGSERVICEFILE: services }],
  ] as const)
    expect(() => parsePostgresqlUrl(url, env)).toThrow('hostaddr= and PGHOSTADDR are not supported')
})

test('variables that demand more than the driver does are read as their parameters', () => {
  const env = {
    PGREQUIREAUTH: 'scram-sha-256',
    PGREQUIREPEER: 'postgres',
    PGREQUIRESSL: '1',
    PGSSLCRL: '/crl.pem',
    PGSSLCRLDIR: '/crl',
    PGSSLCERTMODE: 'require',
    PGSSLMINPROTOCOLVERSION: 'TLSv1.3',
    PGSSLMAXPROTOCOLVERSION: 'TLSv1.3',
  }
  const { parameters } = parsePostgresqlUrl('postgresql://h/app', env)
  expect(Object.fromEntries(parameters)).toEqual({
    require_auth: 'scram-sha-256',
    requirepeer: 'postgres',
    requiressl: '1',
    sslcertmode: 'require',
    ssl_min_protocol_version: 'TLSv1.3',
    ssl_max_protocol_version: 'TLSv1.3',
    sslcrl: '/crl.pem',
    sslcrldir: '/crl',
  })
})

test('comments and lines without a password are passed over, and a backslash keeps what follows it', () => {
  const file = passwordFile(
    [
      '#*:*:*:*:commented',
      'h:1:app:ana:',
      'h:2:app:ana:other',
      'h:1:a\\:pp:an\\\\a:p\\:w',
      'h:1:app:ana:right',
      'h:1:app:ana:late',
    ].join('\n'),
  )
  const password = (database: string, user: string) =>
    passwordFrom(file, { host: 'h', port: 1, database, user }, 'the database')
  expect(password('app', 'ana')).toBe('right')
  expect(password('a:pp', 'an\\a')).toBe('p:w')
  expect(() => passwordFrom(file, { host: '#*', port: 1, database: 'app', user: 'ana' }, 'the database')).toThrow(
    'no password for the database',
  )
})

test('PGTARGETSESSIONATTRS stands for what the URL leaves out', () => {
  const env = { PGTARGETSESSIONATTRS: 'read-write' }
  const attributes = (url: string) => parsePostgresqlUrl(url, env).attributes
  expect(attributes('postgresql://ana@a,b/app')).toBe('read-write')
  expect(attributes('postgresql://ana@a,b/app?target_session_attrs=standby')).toBe('standby')
  expect(() => parsePostgresqlUrl('postgresql://ana@a/app', { PGTARGETSESSIONATTRS: 'secret' })).toThrow(
    'target_session_attrs has a value that is not known',
  )
})
