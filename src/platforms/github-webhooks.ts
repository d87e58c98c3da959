import { type JsonObject, jsonOf, objectOf } from '../json.ts'
import { isForm, listOf, type ParsedWebhook, type Recipient, textOf, type WebhookRequest } from './platform.ts'

/** The payload is the body, or the one field of a form: the webhook's settings choose. */
const payloadIn = (text: string, form: boolean): JsonObject | undefined =>
  objectOf(jsonOf(form ? (new URLSearchParams(text).get('payload') ?? '') : text))

/** Reads a request of GitHub with a valid signature. */
export function readWebhook(request: WebhookRequest, { config }: Pick<Recipient, 'config'>): ParsedWebhook {
  const payload = payloadIn(textOf(request), isForm(request))
  // The headers are not signed, so they give the event its name and nothing else.
  const name = request.headers.get('x-github-event')
  if (!payload || name === null) return { kind: 'malformed' }
  if (name === 'ping') return { kind: 'answer', reason: 'ping', body: '' }
  const action = typeof payload.action === 'string' ? `${name}.${payload.action}` : name
  const wanted = listOf(config, 'githubEvents')
  return {
    kind: 'event',
    // A delivery that a person sends again keeps its id; GitHub does not retry.
    event: { name, id: request.headers.get('x-github-delivery'), retry: null, payload },
    unwanted: wanted && !wanted.includes(name) && !wanted.includes(action) ? 'event' : null,
    // Revocations concern apps, and none of these columns names an installation.
    revoked: null,
  }
}

// A payload does not name its event. The first event of which a payload has all fields is taken: some payloads contain
// the fields of later ones, too. https://docs.github.com/en/webhooks/webhook-events-and-payloads
const fieldsOfEvents: readonly (readonly [event: string, ...fields: readonly string[]])[] = [
  ['ping', 'zen'],
  ['push', 'pusher'],
  ['create', 'ref_type', 'master_branch'],
  ['delete', 'ref_type'],
  ['fork', 'forkee'],
  ['gollum', 'pages'],
  ['meta', 'hook'],
  ['page_build', 'build'],
  ['repository_dispatch', 'client_payload'],
  ['star', 'starred_at'],
  ['status', 'sha', 'state'],
  ['workflow_dispatch', 'workflow', 'inputs'],
  ['cache_sync', 'cache_location'],
  ['content_reference', 'content_reference'],
  ['sub_issues', 'parent_issue'],
  ['issue_dependencies', 'blocked_issue'],
  ['issue_comment', 'issue', 'comment'],
  ['issues', 'issue'],
  ['pull_request_review_comment', 'pull_request', 'comment'],
  ['pull_request_review_thread', 'pull_request', 'thread'],
  ['pull_request_review', 'pull_request', 'review'],
  ['pull_request', 'pull_request'],
  ['discussion_comment', 'discussion', 'comment'],
  ['discussion', 'discussion'],
  ['deployment_review', 'workflow_run', 'since'],
  ['commit_comment', 'comment'],
  ['deployment_protection_rule', 'deployment_callback_url'],
  ['secret_scanning_alert_location', 'alert', 'location'],
  ['code_scanning_alert', 'alert', 'commit_oid'],
  ['secret_scanning_alert', 'alert.secret_type'],
  ['dependabot_alert', 'alert.security_vulnerability'],
  ['repository_vulnerability_alert', 'alert.affected_range'],
  ['secret_scanning_scan', 'source', 'started_at'],
  ['membership', 'member', 'scope'],
  ['member', 'member'],
  ['organization', 'membership'],
  ['organization', 'invitation'],
  ['team', 'team', 'action'],
  ['team_add', 'team'],
  ['user', 'user', 'action'],
  ['org_block', 'blocked_user'],
  ['deploy_key', 'key'],
  ['branch_protection_rule', 'rule'],
  ['custom_property', 'definition'],
  ['custom_property_values', 'new_property_values'],
  ['installation_repositories', 'repositories_added'],
  ['installation_target', 'target_type'],
  ...[
    ...['deployment_status', 'workflow_job', 'deployment', 'workflow_run', 'check_run', 'check_suite', 'label'],
    ...['marketplace_purchase', 'merge_group', 'milestone', 'package', 'personal_access_token_request', 'project'],
    ...['project_card', 'project_column', 'projects_v2', 'projects_v2_item', 'projects_v2_status_update', 'release'],
    ...['registry_package', 'repository_advisory', 'repository_ruleset', 'security_advisory', 'sponsorship'],
  ].map((event) => [event, event] as const),
]

const has = (payload: JsonObject, path: string): boolean => {
  const [field = '', inner] = path.split('.')
  if (!Object.hasOwn(payload, field)) return false
  return inner === undefined || Object.hasOwn(objectOf(payload[field]) ?? {}, inner)
}

/** The event of a payload, by what it holds; undefined where that is not certain. */
export function eventOf(body: Uint8Array): string | undefined {
  const text = Buffer.from(body).toString()
  const payload = payloadIn(text, false) ?? payloadIn(text, true)
  if (!payload) return undefined
  const [event] = fieldsOfEvents.find(([, ...fields]) => fields.every((field) => has(payload, field))) ?? []
  return event ?? eventWithoutFields(payload)
}

const everywhere = new Set(['action', 'changes', 'sender', 'repository', 'organization', 'installation', 'enterprise'])
const ofInstallations = new Set(['repositories', 'requester'])
const actionsOfInstallations = ['created', 'deleted', 'suspend', 'unsuspend', 'new_permissions_accepted']

/** The event of a payload that has, beside an action, no more than any event may have. */
function eventWithoutFields(payload: JsonObject): string | undefined {
  const { action, repository, organization, installation } = payload
  const more = Object.keys(payload).filter((field) => !everywhere.has(field))
  if (repository !== undefined) {
    if (action === undefined && more.join() === 'status') return 'repository_import'
    if (more.length > 0) return undefined
    if (action === undefined) return payload.changes === undefined ? 'public' : 'security_and_analysis'
    if (action === 'started') return 'watch'
    return action === 'enabled' || action === 'disabled' ? 'branch_protection_configuration' : 'repository'
  }
  const isOfInstallation = installation !== undefined && actionsOfInstallations.some((one) => one === action)
  if (isOfInstallation && more.every((field) => ofInstallations.has(field))) return 'installation'
  if (more.length > 0 || action === undefined) return undefined
  if (organization !== undefined) return 'organization'
  if (action === 'revoked') return 'github_app_authorization'
  return action === 'anonymous_access_enabled' || action === 'anonymous_access_disabled' ? 'enterprise' : undefined
}

/** An id of its own for each delivery. */
export const deliveryHeaders = (): { readonly [header: string]: string } => ({
  'x-github-delivery': crypto.randomUUID(),
})

const people = 'https://github.com/octocat'
const sender = { login: 'octocat', id: 1, type: 'User', html_url: people, site_admin: false }
const repository = {
  id: 1,
  name: 'sample',
  full_name: 'octocat/sample',
  private: false,
  owner: sender,
  html_url: `${people}/sample`,
  url: 'https://api.github.com/repos/octocat/sample',
  default_branch: 'main',
  fork: false,
}

/** Payloads with the fields that handlers usually read. */
export const samples = {
  ping: () =>
    JSON.stringify({
      zen: 'A sample, sent to try this endpoint.',
      hook_id: 1,
      hook: { type: 'Repository', id: 1, name: 'web', active: true, events: ['push'], config: {} },
      repository,
      sender,
    }),
  issues: (_: unknown, now: Date) =>
    JSON.stringify({
      action: 'opened',
      issue: {
        id: 1,
        number: 1,
        title: 'A sample',
        body: 'Sent to try this endpoint.',
        state: 'open',
        user: sender,
        labels: [],
        assignees: [],
        comments: 0,
        html_url: `${repository.html_url}/issues/1`,
        url: `${repository.url}/issues/1`,
        created_at: now.toISOString(),
        updated_at: now.toISOString(),
        closed_at: null,
      },
      repository,
      sender,
    }),
}
