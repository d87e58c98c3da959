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
