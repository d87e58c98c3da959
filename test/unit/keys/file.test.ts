import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { newKey, purposes } from '../../../src/crypto/key-set.ts'
import { keyFile } from '../../../src/keys/file.ts'

const folder = mkdtempSync(join(tmpdir(), 'integrations-keys-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('keys that another process made since the file was found missing serve as well as ours', async () => {
  const path = join(folder, 'keys.json')
  const [ours, theirs] = [keyFile(path, undefined), keyFile(path, undefined)]
  expect([(await ours.load(undefined)).size, (await theirs.load(undefined)).size]).toEqual([0, 0])
  const made = await theirs.add(purposes.map(newKey))
  const text = readFileSync(path, 'utf8')
  expect([...(await ours.add(purposes.map(newKey))).keys()]).toEqual([...made.keys()])
  expect(readFileSync(path, 'utf8')).toBe(text)
  // Whoever adds to a file that was there adds.
  const [another] = [newKey(purposes[0])]
  expect([...(await ours.add([another])).keys()]).toEqual([...made.keys(), another.id])
})
