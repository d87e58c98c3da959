import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createFile } from '../../../src/store/database/sqlite/file.ts'
import { freshFolder } from '../../support/program.ts'

test('a file that exists keeps its mode and its content', () => {
  const file = join(freshFolder(), 'shared.db')
  writeFileSync(file, 'kept')
  chmodSync(file, 0o660)
  createFile(file)
  expect([statSync(file).mode & 0o777, readFileSync(file, 'utf8')]).toEqual([0o660, 'kept'])
})
