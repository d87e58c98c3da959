import { onTestFinished } from 'vitest'
import type { SecretField } from '../../src/integration.ts'
import type { JsonObject } from '../../src/json.ts'
import { addIntegration } from '../../src/operations/integrations/add.ts'
import { rotateSecrets } from '../../src/operations/secrets/rotate.ts'
import { createReceiver, type Outcome, type Receiver, type ReceiverOptions } from '../../src/receiver/receiver.ts'
import { Secret } from '../../src/secret.ts'
import { openStore } from '../../src/store/open.ts'
import type { Store } from '../../src/store/store.ts'
import { freshDatabase, type Kind } from './database.ts'
import { storeOptions } from './keyring.ts'

const secret = (value: string) => ({ value: new Secret(value), origin: 'provided' as const })

/** A database, its store, and what receives from it; all are closed after the test. */
export async function start(kind: Kind, remember = 0) {
  const db = await freshDatabase(kind)
  const store = await openStore(storeOptions(db))
  onTestFinished(store.close)
  const errors: unknown[] = []
  const receive = async (more: Partial<ReceiverOptions> = {}): Promise<Receiver> => {
    const receiver = await createReceiver({
      database: db.url,
      keys: { file: process.env.INTEGRATIONS_TEST_KEYS ?? '' },
      remember,
      onError: (error) => errors.push(error),
      ...more,
    })
    onTestFinished(receiver.close)
    return receiver
  }
  return { db, store, errors, receive }
}

/** Adds an integration to the workspace Acme. */
export async function add(
  store: Store,
  name: string,
  value: string,
  more: { platform?: string; team?: string; config?: JsonObject } = {},
): Promise<string> {
  const workspaces = await store.read((db) => db.workspaces.match({ by: 'name', value: 'Acme' }, 1))
  const { platform = 'slack', team = 'T012AB3CD', config = null } = more
  const { integration } = await addIntegration(store, {
    platform,
    workspace:
      workspaces.length > 0 ? ({ kind: 'existing', ref: 'Acme' } as const) : ({ kind: 'new', name: 'Acme' } as const),
    name,
    secrets: { webhookSecret: secret(value) },
    expiry: 'unknown',
    ids: platform === 'slack' ? { slackTeamId: team } : {},
    config,
    setBy: 'test',
    forceShape: true,
    dryRun: false,
  })
  return integration.id
}

/** Replaces a secret of an integration. @param gracePeriod for how long the old one stays valid, in milliseconds */
export const rotate = (
  store: Store,
  id: string,
  value: string,
  gracePeriod: number,
  field: SecretField = 'webhookSecret',
) =>
  rotateSecrets(store, id, {
    typed: id,
    secrets: { [field]: secret(value) },
    expiry: 'unknown',
    setBy: 'test',
    gracePeriod,
    shared: false,
    forceShape: true,
    endPrevious: true,
  })

/** What a test compares of an outcome. */
export function brief(outcome: Outcome): unknown {
  switch (outcome.kind) {
    case 'event': {
      const { integration, event, version, usedPreviousSecret } = outcome
      return [integration.name, event.name, version, usedPreviousSecret ? 'previous' : 'current']
    }
    case 'handled':
      return [outcome.status, outcome.kind, outcome.detail, outcome.body]
    default:
      return [outcome.status, outcome.reason]
  }
}
