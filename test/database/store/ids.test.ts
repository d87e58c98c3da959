import { expect, test } from 'vitest'
import { findApp, removeApp } from '../../../src/operations/directory/apps.ts'
import { removeUser } from '../../../src/operations/directory/users.ts'
import { removeWorkspace } from '../../../src/operations/directory/workspaces.ts'
import { findIntegration, findUser, findWorkspace, type Ref } from '../../../src/operations/find.ts'
import { addIntegration } from '../../../src/operations/integrations/add.ts'
import { removeIntegration } from '../../../src/operations/integrations/remove.ts'
import { setActive } from '../../../src/operations/integrations/set-active.ts'
import { finishSecret } from '../../../src/operations/secrets/finish.ts'
import { revokeCurrent } from '../../../src/operations/secrets/revoke.ts'
import { rotateSecrets } from '../../../src/operations/secrets/rotate.ts'
import { Secret } from '../../../src/secret.ts'
import { openStore } from '../../../src/store/open.ts'
import type { Store } from '../../../src/store/store.ts'
import { contents, kinds } from '../../support/database.ts'
import { succeeding } from '../../support/in-process.ts'
import { storeOptions } from '../../support/keyring.ts'
import { filledDatabase } from '../../support/sample-commands.ts'
import { botToken, signingSecret } from '../../support/samples.ts'

/** What was just removed; its id is what others are called by now. */
const gone = '0c9a4d3e-5b6f-4a7d-8e1f-2a3b4c5d6e7f'
const email = `${gone}@example.com`

test.each(kinds)('on %s, an id is not taken for the name of another, whatever was removed meanwhile', async (kind) => {
  const db = await filledDatabase(kind)
  const run = succeeding({ DATABASE_URL: db.url, TOKEN: botToken(7) })
  const add = ['add', '--platform', 'slack', '--new-workspace', gone, '--name', gone, '--access-token-env', 'TOKEN']
  await run([...add, '--no-expiry'])
  await run(
    ['apps', 'add', gone, '--platform', 'slack', '--client-id', '3.4', '--client-secret-stdin'],
    signingSecret(9),
  )
  await run(['users', 'add', email])
  const store = await openStore(storeOptions(db))
  const rotation = {
    typed: gone,
    secrets: { accessToken: { value: new Secret(botToken(8)), origin: 'provided' as const } },
    expiry: 'never' as const,
    gracePeriod: 0,
    shared: false,
    forceShape: false,
    endPrevious: false,
    setBy: 'test',
  }
  const revocation = { field: 'accessToken', asking: { urls: new Map(), wait: 0 }, dryRun: true } as const
  const addition = {
    ...rotation,
    platform: 'slack',
    name: 'new',
    workspace: { kind: 'new', name: 'New' },
    ids: {},
    config: null,
    dryRun: false,
  } as const
  const changes: { readonly [name: string]: (store: Store, ref: Ref) => Promise<unknown> } = {
    removeIntegration: (store, ref) => removeIntegration(store, ref, {}),
    setActive: (store, ref) => setActive(store, ref, { to: 'toggle' }),
    rotateSecrets: (store, ref) => rotateSecrets(store, ref, rotation),
    finishSecret: (store, ref) => finishSecret(store, ref, { field: 'accessToken', whenUnused: 0, force: true }),
    revokeCurrent: (store, ref) => revokeCurrent(store, ref, { ...revocation, uninterrupted: (work) => work() }),
    removeApp: (store, ref) => removeApp(store, ref, { dryRun: false }),
    removeWorkspace: (store, ref) =>
      removeWorkspace(store, ref, { dryRun: false, progress: () => {}, stops: () => false }),
    removeUser: (store, ref) => removeUser(store, typeof ref === 'string' ? email : { id: email }, { dryRun: false }),
    addIntegration: (store, ref) =>
      addIntegration(store, { ...addition, createdBy: typeof ref === 'string' ? email : { id: email } }),
  }
  try {
    // By names, each is there.
    const found = await store.read(async (read) => [
      (await findIntegration(read, gone)).name,
      (await findWorkspace(read, gone)).name,
      (await findApp(read, gone)).name,
      (await findUser(read, email)).email,
    ])
    expect(found).toEqual([gone, gone, gone, email])
    const before = await contents(db)
    for (const [name, change] of Object.entries(changes))
      await expect(change(store, { id: gone }), name).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await contents(db)).toEqual(before)
  } finally {
    await store.close()
  }
})
