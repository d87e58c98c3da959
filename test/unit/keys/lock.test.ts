import { lutimesSync, mkdirSync, mkdtempSync, readlinkSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { locked } from '../../../src/keys/lock.ts'
import type { Processes } from '../../../src/processes.ts'

const folder = mkdtempSync(join(tmpdir(), 'integrations-lock-'))
const lock = join(folder, 'lock')
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Everything runs but a process that was killed. */
const processes: Processes = { own: process.pid, runs: (pid) => pid !== 4_194_304 }
const attempt = () => locked({ lock, waitMs: 0, processes }, () => 'done')

/** Leaves the lock of another process, as `locked` makes it. */
async function leave(change: (words: string[]) => string[]): Promise<string> {
  mkdirSync(folder, { recursive: true })
  let text = ''
  await locked({ lock, waitMs: 0, processes }, () => {
    text = change(readlinkSync(lock).split(' ')).join(' ')
  })
  symlinkSync(text, lock)
  return text
}
const killed = ([, start = '', where = '']: string[]) => ['4194304', start, where]
const elsewhere = ([pid = '', start = '']: string[]) => [pid, start, 'another-container/boot/pid:[1]']

test('a lock whose process has ended is taken over', async () => {
  await leave(killed)
  expect(await attempt()).toEqual({ result: 'done' })
})

test('a lock that cannot be taken over is waited for, and no longer than that', async () => {
  const text = await leave(killed)
  // In the way of what takes it over, as a folder is that may not be written.
  mkdirSync(join(folder, 'lock.old'))
  expect([await attempt(), readlinkSync(lock)]).toEqual([undefined, text])
})

test('a lock of a process that runs is left, also where its start is not told', async () => {
  const text = await leave(([pid = '', , where = '']) => [pid, '', where])
  expect([await attempt(), readlinkSync(lock)]).toEqual([undefined, text])
})

test('a lock from another container counts as left after ten minutes', async () => {
  const text = await leave(elsewhere)
  expect([await attempt(), readlinkSync(lock)]).toEqual([undefined, text])
  const before = Date.now() / 1000 - 601
  lutimesSync(lock, before, before)
  expect(await attempt()).toEqual({ result: 'done' })
})
