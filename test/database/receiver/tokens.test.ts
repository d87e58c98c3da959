import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test, vi } from 'vitest'
import { createReceiver, type Receiver } from '../../../src/receiver/receiver.ts'
import { freshDatabase, kinds } from '../../support/database.ts'
import { freshFolder, runProgram } from '../../support/program.ts'
import { botToken } from '../../support/samples.ts'
import { addSlack } from '../../support/slack-integration.ts'
import { accessToken, app, refreshToken, slackOAuth } from '../../support/slack-oauth.ts'

const left: Receiver[] = []
afterEach(async () => {
  for (const receiver of left.splice(0)) await receiver.close()
})

async function start(kind: (typeof kinds)[number]) {
  const db = await freshDatabase(kind)
  const server = await slackOAuth()
  const spool = join(freshFolder(), 'spool')
  const problems: unknown[] = []
  const receive = async (remember = 0) => {
    const receiver = await createReceiver({
      database: db.url,
      keys: { file: process.env.INTEGRATIONS_TEST_KEYS ?? '' },
      remember,
      spool,
      apiUrls: { slack: server.url.replace('slack=', '') },
      onError: (error) => problems.push((error as { code: string }).code),
    })
    left.push(receiver)
    return receiver
  }
  const env = { DATABASE_URL: db.url }
  const apps = ['apps', 'add', 'bot', '--platform', 'slack', '--client-id', app.id, '--client-secret-stdin']
  expect(await runProgram(apps, { env, input: app.secret })).toMatchObject({ code: 0 })
  return { db, env, server, spool, problems, receive }
}

test.each(kinds)('on %s, a token that is about to end is refreshed once, however many ask for it', async (kind) => {
  const { db, env, server, spool, problems, receive } = await start(kind)
  const chain = server.install(1)
  await addSlack(
    { ...env, ACCESS: accessToken(chain), REFRESH: refreshToken(chain) },
    'support',
    ...['--access-token-env', 'ACCESS', '--refresh-token-env', 'REFRESH', '--expires-in', '1h'],
  )
  const receivers = [await receive(), await receive()]
  const first = accessToken(chain)
  const given = await Promise.all(
    Array.from({ length: 10 }, (_, i) => (receivers[i % 2] as Receiver).token('Acme/support')),
  )
  expect(server.exchanges).toHaveLength(1)
  expect(new Set(given.map(({ token }) => token))).toEqual(new Set([accessToken(chain)]))
  expect(accessToken(chain)).not.toBe(first)
  const hours = (Date.parse(given[0]?.expiresAt ?? '') - Date.now()) / 3_600_000
  expect(hours).toBeGreaterThan(11.9)
  expect(readdirSync(spool)).toEqual([])
  expect(await db.query("SELECT outcome FROM integration_events WHERE action = 'token.refresh' ORDER BY seq")).toEqual([
    { outcome: 'started' },
    { outcome: 'done' },
  ])
  // Nor is one sent where TLS proves nothing.
  await db.query('UPDATE integrations SET token_expires_at = ?', new Date(Date.now() - 1000).toISOString())
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
  await expect(receivers[0]?.token('Acme/support')).rejects.toMatchObject({ code: 'BAD_INPUT' })
  vi.unstubAllEnvs()
  expect(server.exchanges).toHaveLength(1)
  // One that is good for a while is given though it could not be refreshed.
  await db.query('UPDATE integrations SET token_expires_at = ?', new Date(Date.now() + 600_000).toISOString())
  server.mood = 'limited'
  expect((await receivers[0]?.token('Acme/support'))?.token).toBe(accessToken(chain))
  expect(problems).toEqual(['PLATFORM_FAILED'])
  await db.query('UPDATE integrations SET token_expires_at = ?', new Date(Date.now() - 1000).toISOString())
  // The shortest time for which a token is remembered is a millisecond.
  await sleep(5)
  await expect(receivers[0]?.token('Acme/support')).rejects.toMatchObject({ code: 'PLATFORM_FAILED' })
})

test('a token that cannot be refreshed is given until it ends', async () => {
  const { db, env, receive } = await start('sqlite')
  await addSlack({ ...env, ACCESS: botToken() }, 'support', '--access-token-env', 'ACCESS', '--no-expiry')
  await addSlack(env, 'bare')
  const receiver = await receive()
  expect(await receiver.token('support')).toEqual({ token: botToken(), expiresAt: null })
  await expect(receiver.token('bare')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await expect(receiver.token('nobody')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await db.query('UPDATE integrations SET token_expires_at = ?', new Date(Date.now() - 1000).toISOString())
  await expect(receiver.token('support')).rejects.toMatchObject({ code: 'CREDENTIAL_REFUSED' })
  await db.query('UPDATE integrations SET token_expires_at = NULL, is_active = 0')
  await expect(receiver.token('support')).rejects.toMatchObject({ code: 'BAD_INPUT' })
})

test('a token that is remembered is given until it ends, and not longer', async () => {
  const { db, env, receive } = await start('sqlite')
  await addSlack({ ...env, ACCESS: botToken() }, 'support', '--access-token-env', 'ACCESS', '--no-expiry')
  const receiver = await receive(60_000)
  const expiresAt = new Date(Date.now() + 2000).toISOString()
  await db.query('UPDATE integrations SET token_expires_at = ?', expiresAt)
  expect(await receiver.token('support')).toEqual({ token: botToken(), expiresAt })
  const answer = () => receiver.token('support').catch(({ code }) => code)
  await expect.poll(answer, { timeout: 10_000 }).toBe('CREDENTIAL_REFUSED')
})

test('a receiver that is closed while a token is refreshed waits for the platform', async () => {
  const { db, env, server, receive } = await start('sqlite')
  const chain = server.install(1)
  await addSlack(
    { ...env, ACCESS: accessToken(chain), REFRESH: refreshToken(chain) },
    'support',
    ...['--access-token-env', 'ACCESS', '--refresh-token-env', 'REFRESH', '--expires-in', '1h'],
  )
  const receiver = await receive()
  server.delay = 500
  const asked = receiver.token('support')
  await receiver.close()
  expect(await db.query('SELECT state FROM integration_refresh_attempts')).toEqual([{ state: 'applied' }])
  expect((await asked).token).toBe(accessToken(chain))
  await expect(receiver.token('support')).rejects.toMatchObject({ code: 'BAD_INPUT' })
})
