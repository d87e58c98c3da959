import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { keyCommand, keyFile } from '../../src/operations/key-source.ts'
import { readSecret } from '../../src/operations/secret-values.ts'
import { Secret } from '../../src/secret.ts'
import { keyFor, keySetText, newKey } from '../../src/vault/key-set.ts'
import { seal } from '../../src/vault/sealing.ts'

const folder = () => mkdtempSync(join(process.env.INTEGRATIONS_TEST_FOLDER ?? tmpdir(), 'keys-'))
const me = process.getuid?.()

test('a command that prints nothing is not waited for, nor what it has started', async () => {
  const started = performance.now()
  await expect(keyCommand('sleep 20; echo', 300).load()).rejects.toMatchObject({
    code: 'KEYS_MISSING',
    message: 'INTEGRATIONS_KEYS_COMMAND has printed no key set within 0.3 s',
  })
  expect(performance.now() - started).toBeLessThan(5_000)
})

test('a key file of somebody else is refused', async () => {
  const path = join(folder(), 'keys.json')
  writeFileSync(path, keySetText([newKey('seal')]), { mode: 0o600 })
  const owner = me === 0 ? keyFile(path, 1234) : keyFile('/proc/1/environ', me)
  // Root's files are trusted, whoever may read them.
  if (me === 0) await expect(owner.load()).resolves.toHaveProperty('size', 1)
  else await expect(owner.load()).rejects.toMatchObject({ code: 'KEYS_INVALID' })
})

test('an empty set in a file takes keys', async () => {
  const path = join(folder(), 'keys.json')
  writeFileSync(path, '{"keys":[]}', { mode: 0o600 })
  const key = newKey('seal')
  expect([...(await keyFile(path, me).add([key])).keys()]).toEqual([key.id])
  expect(JSON.parse(readFileSync(path, 'utf8')).keys).toHaveLength(1)
})

test('a link to a key file stays one, and a lock that was left behind is named', async () => {
  const at = folder()
  mkdirSync(join(at, 'real'))
  writeFileSync(join(at, 'real', 'keys.json'), keySetText([newKey('seal')]), { mode: 0o600 })
  symlinkSync(join(at, 'real', 'keys.json'), join(at, 'keys.json'))
  await keyFile(join(at, 'keys.json'), me).add([newKey('seal')])
  expect(JSON.parse(readFileSync(join(at, 'real', 'keys.json'), 'utf8')).keys).toHaveLength(2)
  expect(readdirSync(at)).toEqual(['keys.json', 'real'])

  // Whoever comes by another name waits for the same.
  const lock = join(at, 'real', 'keys.json.lock')
  writeFileSync(lock, '')
  chmodSync(lock, 0o600)
  await expect(keyFile(join(at, 'keys.json'), me).add([newKey('seal')])).rejects.toMatchObject({
    code: 'KEYS_INVALID',
    hint: `when no other one runs: rm ${lock}`,
  })
  expect(JSON.parse(readFileSync(join(at, 'keys.json'), 'utf8')).keys).toHaveLength(2)
})

test('what a key file holds for others stays, and a new database seals with the last key', async () => {
  const file = join(folder(), 'keys.json')
  const other = { kty: 'EC', kid: 'of-others', crv: 'P-256' }
  const [first, second] = [newKey('seal'), newKey('seal')]
  writeFileSync(file, JSON.stringify({ note: 'kept', keys: [other] }), { mode: 0o600 })
  await keyFile(file, me).add([first])
  const set = await keyFile(file, me).add([second])
  const { note, keys } = JSON.parse(readFileSync(file, 'utf8'))
  expect([note, keys[0], keys.length]).toEqual(['kept', other, 3])
  expect(keyFor(set, 'seal')?.id).toBe(second.id)
})

test('a value in the form that secrets are stored in is no secret', async () => {
  const text = await seal(newKey('seal'), { id: 'a', field: 'webhook_secret' }, new Secret('value'))
  expect(() => readSecret(text, 'standard input')).toThrow('standard input is sealed already')
})
