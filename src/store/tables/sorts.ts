/** Fields that a list of integrations can be sorted by, the default first. */
export const integrationSorts = [
  'workspace',
  'name',
  'platform',
  'isActive',
  'createdAt',
  'lastUsedAt',
  'tokenExpiresAt',
  'version',
  'id',
] as const

/** Fields that a list of workspaces can be sorted by, the default first. */
export const workspaceSorts = ['name', 'integrations', 'createdAt', 'id'] as const

/** Fields that the audit log can be sorted by. */
export const eventSorts = ['seq'] as const

/** Fields that the history of a config can be sorted by. */
export const revisionSorts = ['version'] as const

/** Fields that a list of users can be sorted by, the default first. */
export const userSorts = ['email', 'name', 'createdAt', 'id'] as const
