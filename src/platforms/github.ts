import { jsonOf, objectOf } from '../json.ts'
import type { Secret } from '../secret.ts'
import { deliveryHeaders, eventOf, readWebhook, samples } from './github-webhooks.ts'
import { retryAfter, secondsUntil } from './http.ts'
import { definePlatform, type Finding, noToken, type Revocation } from './platform.ts'

const docs = 'https://docs.github.com/en'

/** GitHub: webhooks of repositories and organizations, and personal or OAuth tokens. */
export const github = definePlatform({
  id: 'github',
  title: 'GitHub',
  secrets: {
    webhookSecret: {
      label: 'webhook secret',
      variable: 'WEBHOOK_SECRET',
      required: true,
      // The person who sets up a webhook chooses its secret.
      issuer: 'either',
      page: `${docs}/webhooks/using-webhooks/validating-webhook-deliveries`,
      shapes: [noToken],
    },
    accessToken: {
      label: 'token',
      variable: 'TOKEN',
      required: false,
      issuer: 'platform',
      page: 'https://github.com/settings/tokens',
      // https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github
      shapes: [
        { pattern: /^(?!ghr_)/, should: 'not be a refresh token (ghr_…)' },
        {
          pattern: /^(gh[oprsu]_|github_pat_)/,
          should: 'start with ghp_, gho_, ghu_, ghs_ or github_pat_',
        },
      ],
    },
  },
  // None of the columns is GitHub's: the address that a webhook is sent to names the integration.
  ids: {},
  config: {
    type: 'object',
    properties: {
      githubEvents: {
        description: 'The events to handle, with or without an action, as in issues or issues.opened; all when absent.',
        type: 'array',
        uniqueItems: true,
        items: {
          type: 'string',
          pattern: '^[a-z_]+(\\.[a-z_]+)?$',
          examples: ['issue_comment', 'issues', 'issues.opened', 'pull_request', 'push', 'release', 'workflow_run'],
        },
      },
    },
  },
  api: {
    url: () => 'https://api.github.com/',

    // https://docs.github.com/en/rest/users/users#get-the-authenticated-user
    async check(ask, token): Promise<Finding> {
      const answer = await ask('user', { method: 'GET', headers: { ...version, ...bearer(token) } })
      if (!answer.answered) return { verdict: 'unreachable', code: answer.why }
      const { status } = answer
      const code = `http_${status}`
      if (isLimited(answer)) return { verdict: 'unreachable', code: 'ratelimited', ...untilAllowed(answer.headers) }
      if (status >= 500) return { verdict: 'unreachable', code }
      if (status === 401) return { verdict: 'refused', code }
      if (status === 403) return { verdict: 'limited', code }
      const login = objectOf(jsonOf(answer.text))?.login
      if (status !== 200 || typeof login !== 'string') return { verdict: 'unknown', code }
      // Only classic tokens have scopes.
      const scopes = answer.headers.get('x-oauth-scopes')
      return {
        verdict: 'ok',
        code: null,
        ...(scopes === null ? {} : { scopes: scopes.split(/[\s,]+/).filter(Boolean) }),
        ...expiryOf(answer.headers),
      }
    },

    revoker: {
      pattern: /^(gh[opsu]_|github_pat_)/,
      destroys: 'GitHub notifies the owner of the token, and cannot restore it',
      async revoke(ask, token): Promise<Revocation> {
        const value = token.reveal()
        const asksItself = value.startsWith('ghs_')
        // https://docs.github.com/en/rest/apps/installations#revoke-an-installation-access-token revokes the token that asks;
        // https://docs.github.com/en/rest/credentials/revoke any other, and answers nobody who has signed in.
        const answer = asksItself
          ? await ask('installation/token', { method: 'DELETE', headers: { ...version, ...bearer(token) }, once: true })
          : await ask('credentials/revoke', {
              method: 'POST',
              headers: { ...version, 'content-type': 'application/json' },
              body: JSON.stringify({ credentials: [value] }),
              once: true,
            })
        if (!answer.answered) return { outcome: answer.sent ? 'unknown' : 'failed', code: answer.why }
        const { status } = answer
        if (status === 204) return { outcome: 'revoked', code: null }
        if (status === 202) return { outcome: 'accepted', code: null }
        if (isLimited(answer)) return { outcome: 'failed', code: 'ratelimited', ...untilAllowed(answer.headers) }
        const code = `http_${status}`
        if (status === 401 && asksItself) return { outcome: 'invalid', code }
        return { outcome: [401, 403, 404, 422].includes(status) ? 'refused' : 'unknown', code }
      },
    },
  },
  webhooks: {
    // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    schemes: [{ id: 'sha256', header: 'x-hub-signature-256', prefix: 'sha256=' }],
    // https://docs.github.com/en/webhooks/webhook-events-and-payloads: payloads are capped at 25 MB.
    maxBodyBytes: 26_214_400,
    read: readWebhook,
    // https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers
    event: { header: 'x-github-event', of: eventOf, example: 'issues' },
    deliveryHeaders,
    samples,
  },
})

const version = { accept: 'application/vnd.github+json', 'x-github-api-version': '2022-11-28' }

const bearer = (token: Secret) => ({ authorization: `Bearer ${token.reveal()}` })

/** A rate limit can be a 403 too: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api */
const isLimited = ({ status, headers }: { readonly status: number; readonly headers: Headers }) =>
  status === 429 || (status === 403 && (headers.get('x-ratelimit-remaining') === '0' || headers.has('retry-after')))

/** When a token expires: GitHub says it in answers to personal access tokens that do, as in `2027-01-31 12:00:00 UTC` or with `-0800`. */
function expiryOf(headers: Headers): { expiresAt?: Date } {
  const text = headers.get('github-authentication-token-expiration') ?? ''
  const [, day, time, zone] = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) (UTC|[+-]\d{4})$/.exec(text) ?? []
  if (day === undefined || zone === undefined) return {}
  const expiresAt = new Date(`${day}T${time}${zone === 'UTC' ? 'Z' : zone.replace(/\d\d$/, ':$&')}`)
  return Number.isNaN(expiresAt.getTime()) ? {} : { expiresAt }
}

/** The time until GitHub accepts requests again: what it says, or until a used-up rate limit is reset. */
function untilAllowed(headers: Headers): { retryAfterSeconds?: number } {
  const reset = headers.get('x-ratelimit-reset') ?? ''
  const exhausted = headers.get('x-ratelimit-remaining') === '0' && /^\d{1,12}$/.test(reset)
  return { ...(exhausted ? secondsUntil(Number(reset) * 1000, headers) : {}), ...retryAfter(headers) }
}
