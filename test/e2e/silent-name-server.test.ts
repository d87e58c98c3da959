import { spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { bin, freshFolder, quote, runCommand } from '../support/program.ts'

/** Whether a process can have a name server of its own. */
const namespaces = process.getuid?.() === 0 && spawnSync('unshare', ['-m', 'true']).status === 0

/** Runs the program where no name server answers. */
async function runWithoutNames(args: readonly string[], env: Record<string, string>) {
  const address = '127.77.53.53'
  const silent = createSocket('udp4').bind(53, address)
  onTestFinished(() => void silent.close())
  await once(silent, 'listening')
  const file = join(freshFolder(), 'resolv.conf')
  writeFileSync(file, `nameserver ${address}\noptions timeout:30 attempts:5\n`)
  const command = [process.execPath, bin, ...args].map(quote).join(' ')
  const script = `mount --bind ${quote(file)} /etc/resolv.conf && exec ${command}`
  const since = performance.now()
  const outcome = await runCommand('unshare', ['-m', 'sh', '-c', script], { env })
  return { ...outcome, seconds: (performance.now() - since) / 1000 }
}

test.skipIf(!namespaces)('with a name server that is silent, a command ends when its time is up', async () => {
  const { seconds, ...outcome } = await runWithoutNames(['list', '--wait', '2s'], {
    DATABASE_URL: 'postgresql://ana:hunter2@db.example.com,db2.example.com/app',
  })
  expect(outcome).toEqual({
    code: 6,
    stdout: '',
    stderr: `error: postgresql://ana@db.example.com,db2.example.com/app did not answer in time
hint: check the server and the network, or wait longer with --wait 2m
`,
  })
  // The resolver would wait for minutes.
  expect(seconds).toBeLessThan(20)
})
