import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { encrypt } from '../../../src/crypto/jwe.ts'
import { keyFor, keySetText, newKey } from '../../../src/crypto/key-set.ts'
import { keyCommand } from '../../../src/keys/command.ts'
import { keyFile } from '../../../src/keys/file.ts'
import { readSecret } from '../../../src/operations/secrets/values.ts'
import { Secret } from '../../../src/secret.ts'

const folder = () => mkdtempSync(join(process.env.INTEGRATIONS_TEST_FOLDER ?? tmpdir(), 'keys-'))
const me = process.getuid?.()

const { env } = process
const endGroup = (leader: number) => void process.kill(-leader, 'SIGKILL')

/** Whether a process runs still. */
function runs(pid: number): boolean {
  try {
    // One that ended and was not waited for yet does not.
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

test('a command that prints nothing is not waited for, nor what it has started', async () => {
  const started = performance.now()
  const file = join(folder(), 'pid')
  const pid = () => Number(readFileSync(file, 'utf8'))
  const command = `sleep 20 & echo $! > ${file}; wait`
  const late = { code: 'KEYS_MISSING', message: 'INTEGRATIONS_KEYS_COMMAND has printed no key set within 0.3 s' }
  await expect(keyCommand(command, { env, timeoutMs: 300 }).load(undefined)).rejects.toMatchObject(late)
  process.kill(pid())
  // With a group of its own, nothing of it is left.
  await expect(keyCommand(command, { env, timeoutMs: 300, endGroup }).load(undefined)).rejects.toMatchObject(late)
  await expect.poll(() => runs(pid())).toBe(false)
  expect(performance.now() - started).toBeLessThan(5_000)
})

test('a command that ended has printed its key set, though something it left behind holds the output open', async () => {
  const at = folder()
  const key = newKey('encryption')
  // Larger than what a pipe holds, so that it is read while the command runs too.
  writeFileSync(join(at, 'keys.json'), `${keySetText([key])}${' '.repeat(200_000)}`)
  const started = performance.now()
  const command = `cd ${at}; sleep 20 & echo $! > pid; cat keys.json`
  const set = await keyCommand(command, { env, endGroup }).load(undefined)
  expect([...set.keys()]).toEqual([key.id])
  expect(performance.now() - started).toBeLessThan(5_000)
  const left = Number(readFileSync(join(at, 'pid'), 'utf8'))
  // It may be an agent that the next command asks.
  expect(runs(left)).toBe(true)
  process.kill(left)
})

test('a command has our environment without what leads into the database', async () => {
  const seen = join(folder(), 'env')
  const leading = {
    PGPASSFILE: '/p',
    PGPASSWORD: 'a',
    PGSERVICE: 's',
    DATABASE_URL: 'b',
    INTEGRATIONS_KEYS: 'c',
  }
  const given = { PATH: env.PATH, VAULT_ADDR: 'https://keyring', ...leading }
  await expect(keyCommand(`env > ${seen}; echo '{"keys":[]}'`, { env: given }).load(undefined)).resolves.toEqual(
    new Map(),
  )
  const names = readFileSync(seen, 'utf8')
    .split('\n')
    .map((line) => line.split('=')[0])
  expect(names.filter((name) => name && name in given).sort()).toEqual(['INTEGRATIONS_KEYS', 'PATH', 'VAULT_ADDR'])
})

test.each([
  ['a pipe', 'is not a regular file', (path: string) => execFileSync('mkfifo', ['-m', '600', path])],
  ['a device', 'is not a regular file', (path: string) => symlinkSync('/dev/null', path)],
  ['a folder', 'is a folder', (path: string) => mkdirSync(path, { mode: 0o700 })],
])('%s is no key file, and is not waited for', async (_, why, make) => {
  const path = join(folder(), 'keys.json')
  make(path)
  const refusal = {
    code: 'KEYS_INVALID',
    message: `the key file ${path} ${why}`,
    hint: 'name a file with INTEGRATIONS_KEYS_FILE, or with INTEGRATIONS_KEYS_COMMAND what prints the key set',
  }
  await expect(keyFile(path, me).load(undefined)).rejects.toMatchObject(refusal)
  await expect(keyFile(path, me).add([newKey('encryption')])).rejects.toMatchObject(refusal)
})

test.each([
  ['no file', undefined, 'does not exist'],
  ['an empty set', '{"keys":[]}', 'holds no keys'],
])('where keys are needed, it is said that there is %s', async (_, text, why) => {
  const path = join(folder(), 'keys.json')
  if (text) writeFileSync(path, text, { mode: 0o600 })
  expect(await keyFile(path, me).empty()).toMatchObject({
    code: 'KEYS_MISSING',
    message: `the key file ${path} ${why}`,
    hint: 'ask whoever has the keys of this database for the key set, and name its file with INTEGRATIONS_KEYS_FILE; show, list, secrets list, config get and audit list need no keys',
  })
})

test('a key file of somebody else is refused', async () => {
  const path = join(folder(), 'keys.json')
  writeFileSync(path, keySetText([newKey('encryption')]), { mode: 0o600 })
  const owner = me === 0 ? keyFile(path, 1234) : keyFile('/proc/1/environ', me)
  // Root's files are trusted, whoever may read them.
  if (me === 0) await expect(owner.load(undefined)).resolves.toHaveProperty('size', 1)
  else await expect(owner.load(undefined)).rejects.toMatchObject({ code: 'KEYS_INVALID' })
})

test('keys that cannot be written down are told of, and where', async () => {
  // The name of its lock is longer than a name may be.
  const path = join(folder(), 'k'.repeat(252))
  await expect(keyFile(path, me).add([newKey('encryption')])).rejects.toMatchObject({
    code: 'KEYS_INVALID',
    message: `the key file ${path} cannot be written (ENAMETOOLONG)`,
    hint: 'name a place that can be written with INTEGRATIONS_KEYS_FILE',
  })
  await expect(keyCommand('echo \'{"keys":[]}\'', { env }).add([newKey('encryption')])).rejects.toMatchObject({
    code: 'KEYS_MISSING',
    message: 'INTEGRATIONS_KEYS_COMMAND prints no keys that this database can use, and they cannot be added from here',
    hint: 'integrations keys init --print prints a key set to store there',
  })
})

test('an empty set in a file takes keys', async () => {
  const path = join(folder(), 'keys.json')
  writeFileSync(path, '{"keys":[]}', { mode: 0o600 })
  const key = newKey('encryption')
  expect([...(await keyFile(path, me).add([key])).keys()]).toEqual([key.id])
  expect(JSON.parse(readFileSync(path, 'utf8')).keys).toHaveLength(1)
})

test('a link to a key file stays one, and a lock that was left behind is named', async () => {
  const at = folder()
  mkdirSync(join(at, 'real'))
  writeFileSync(join(at, 'real', 'keys.json'), keySetText([newKey('encryption')]), { mode: 0o600 })
  symlinkSync(join(at, 'real', 'keys.json'), join(at, 'keys.json'))
  await keyFile(join(at, 'keys.json'), me).add([newKey('encryption')])
  expect(JSON.parse(readFileSync(join(at, 'real', 'keys.json'), 'utf8')).keys).toHaveLength(2)
  expect(readdirSync(at)).toEqual(['keys.json', 'real'])

  // Whoever comes by another name waits for the same.
  const lock = join(at, 'real', 'keys.json.lock')
  writeFileSync(lock, '')
  chmodSync(lock, 0o600)
  await expect(keyFile(join(at, 'keys.json'), me).add([newKey('encryption')])).rejects.toMatchObject({
    code: 'KEYS_INVALID',
    hint: `when no other one runs: rm ${lock}`,
  })
  expect(JSON.parse(readFileSync(join(at, 'keys.json'), 'utf8')).keys).toHaveLength(2)
})

test('what a key file holds for others stays, and a new database seals with the last key', async () => {
  const file = join(folder(), 'keys.json')
  const other = { kty: 'EC', kid: 'of-others', crv: 'P-256' }
  const [first, second] = [newKey('encryption'), newKey('encryption')]
  writeFileSync(file, JSON.stringify({ note: 'kept', keys: [other] }), { mode: 0o600 })
  await keyFile(file, me).add([first])
  const set = await keyFile(file, me).add([second])
  const { note, keys } = JSON.parse(readFileSync(file, 'utf8'))
  expect([note, keys[0], keys.length]).toEqual(['kept', other, 3])
  expect(keyFor(set, 'encryption')?.id).toBe(second.id)
})

test('a value in the form that secrets are stored in is no secret', async () => {
  const text = encrypt(newKey('encryption'), { id: 'a', field: 'webhook_secret' }, new Secret('value'))
  expect(() => readSecret(text, 'standard input')).toThrow('standard input is already encrypted')
})
