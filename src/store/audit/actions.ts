/** What events record, each as a noun and a verb. */
export const actions = [
  'app.add',
  'app.remove',
  'audit.acknowledge',
  'config.change',
  'config.purge',
  'database.new_id',
  'finding.ignore',
  'finding.unignore',
  'integration.add',
  'integration.disable',
  'integration.enable',
  'integration.fill',
  'integration.remove',
  'integration.sweep',
  'integration.update',
  'keys.activate',
  'keys.add',
  'keys.init',
  'keys.mode',
  'keys.reencrypt',
  'keys.retire',
  'platform.check',
  'policy.add',
  'policy.change',
  'policy.remove',
  'secret.exec',
  'secret.external_change',
  'secret.finish',
  'secret.purge',
  'secret.reveal',
  'secret.revert',
  'secret.revoke',
  'secret.rotate',
  'state.recorded',
  'token.recover',
  'token.refresh',
  'user.add',
  'user.remove',
  'webhook.send',
  'webhook.sign',
  'webhook.verify',
  'workspace.add',
  'workspace.remove',
  'workspace.rename',
] as const

/** The action of an event. */
export type Action = (typeof actions)[number]

/** The actions that change nothing: what was read, sent or asked, and what the log keeps for itself. */
export const actionsWithoutChange: readonly Action[] = [
  'platform.check',
  'secret.exec',
  'secret.reveal',
  'state.recorded',
  'webhook.send',
  'webhook.sign',
  'webhook.verify',
]

/** The names that actions have in older events, by their names of today. */
export const formerActions: { readonly [A in Action]?: string } = { 'secret.external_change': 'secret.notice' }
