import { type Json, type JsonObject, jsonOf, objectOf } from '../json.ts'
import { Secret } from '../secret.ts'
import { type Answer, codeOf, retryAfter } from './http.ts'
import type { Finding, PlatformApi, Renewal, Revocation, Verdict } from './platform.ts'
import { mistakeIn } from './secret-mistakes.ts'

/** The page of a person's Slack apps. */
export const apps = 'https://api.slack.com/apps'

/** The part of Slack's Web API that concerns credentials. */
export const slackApi = {
  url: () => 'https://slack.com/api/',
  reauthorize: apps,

  // https://docs.slack.dev/reference/methods/auth.test
  async check(ask, token) {
    const answer = await ask('auth.test', { method: 'POST', headers: { authorization: `Bearer ${token.reveal()}` } })
    const body = bodyOf(answer)
    if (body?.ok !== true || !answer.answered) return refusal(answer, body)
    const { team, team_id, user_id, bot_id, enterprise_id, is_enterprise_install, expires_in } = body
    const tenant = is_enterprise_install === true ? enterprise_id : team_id
    const scopes = answer.headers.get('x-oauth-scopes')
    const expiresIn = lifetime(expires_in)
    return {
      verdict: 'ok',
      code: null,
      ids: {
        ...(typeof tenant === 'string' ? { slackTeamId: tenant } : {}),
        ...(typeof team === 'string' ? { slackTeamName: team } : {}),
        // For a user token, the user is a person.
        ...(typeof user_id === 'string' && typeof bot_id === 'string' ? { slackBotUserId: user_id } : {}),
      },
      ...(scopes === null ? {} : { scopes: scopes.split(/[\s,]+/).filter(Boolean) }),
      ...(expiresIn === null ? {} : { expiresIn }),
    }
  },

  // https://docs.slack.dev/authentication/using-token-rotation: using a refresh token revokes it.
  async refresh(ask, { id, secret }, refreshToken): Promise<Renewal> {
    const answer = await ask('oauth.v2.access', {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`${id}:${secret.reveal()}`).toString('base64')}` },
      body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken.reveal() }),
      // A refresh token can be sent only once.
      once: true,
    })
    if (!answer.answered) return { outcome: answer.sent ? 'unknown' : 'failed', code: answer.why }
    if (answer.status === 429) return { outcome: 'failed', code: 'ratelimited' }
    const body = bodyOf(answer)
    const code = codeOf(body?.error)
    if (body?.ok === true) {
      const { access_token, refresh_token, expires_in } = body
      if (typeof access_token !== 'string' || access_token === '') return { outcome: 'unknown', code: 'no_token' }
      // Nothing else can be a token: it goes into a header, and onto a terminal.
      if ([access_token, refresh_token].some((token) => typeof token === 'string' && token !== '' && mistakeIn(token)))
        return { outcome: 'unknown', code: 'malformed_token' }
      return {
        outcome: 'renewed',
        accessToken: new Secret(access_token),
        refreshToken: typeof refresh_token === 'string' && refresh_token !== '' ? new Secret(refresh_token) : null,
        expiresIn: lifetime(expires_in),
      }
    }
    if (code !== null && deadRefreshTokens.has(code)) return { outcome: 'refused', code, reauthorize: true }
    if (code !== null && badClients.has(code)) return { outcome: 'refused', code, reauthorize: false }
    if (code === 'ratelimited') return { outcome: 'failed', code }
    return { outcome: 'unknown', code: code ?? `http_${answer.status}` }
  },

  // https://docs.slack.dev/reference/methods/auth.revoke
  revoker: {
    pattern: /^(?:xoxe\.)?xox[bp]-/,
    destroys: 'Slack deactivates the bot user of a revoked bot token, and removes it from its channels',
    async revoke(ask, token): Promise<Revocation> {
      const headers = { authorization: `Bearer ${token.reveal()}` }
      const answer = await ask('auth.revoke', { method: 'POST', headers, once: true })
      if (!answer.answered) return { outcome: answer.sent ? 'unknown' : 'failed', code: answer.why }
      if (answer.status === 429) return { outcome: 'failed', code: 'ratelimited', ...retryAfter(answer.headers) }
      const body = bodyOf(answer)
      if (answer.status >= 500 || body === undefined) return { outcome: 'unknown', code: `http_${answer.status}` }
      if (body.ok === true && body.revoked === true) return { outcome: 'revoked', code: null }
      if (body.ok === true && body.revoked === false) return { outcome: 'refused', code: 'not_revoked' }
      const code = codeOf(body.error) ?? `http_${answer.status}`
      const outcome = revocations.get(code) ?? 'unknown'
      const reason = 'Slack also answers so when the app does not allow the address of this machine'
      return { outcome, code, ...(code === 'invalid_auth' ? { reason } : {}) }
    },
  },
} satisfies PlatformApi

/** The lifetime of a token in seconds; null for an implausible value. */
const lifetime = (seconds: Json | undefined): number | null =>
  typeof seconds === 'number' && seconds > 0 && seconds < 1e9 ? seconds : null

const bodyOf = (answer: Answer) => (answer.answered ? objectOf(jsonOf(answer.text)) : undefined)

const codes = <Meaning extends string>(meaning: Meaning, list: string) =>
  list.split(' ').map((code): [string, Meaning] => [code, meaning])

/** What Slack's refusals mean for a token. https://docs.slack.dev/reference/methods/auth.test#errors */
const verdicts = new Map<string, Verdict>([
  // invalid_auth also stands for an address that is not on the app's list.
  ...codes('refused', 'invalid_auth token_revoked account_inactive not_authed not_allowed_token_type'),
  ...codes('expired', 'token_expired'),
  ...codes('limited', 'missing_scope no_permission team_access_not_granted access_denied two_factor_setup_required'),
  ...codes('limited', 'ekm_access_denied'),
  ...codes('unreachable', 'ratelimited internal_error fatal_error service_unavailable request_timeout'),
  ...codes('unreachable', 'team_added_to_org org_login_required'),
])

// Third parties have seen invalid_grant with status 400.
const deadRefreshTokens = new Set(['invalid_refresh_token', 'invalid_grant', 'token_revoked', 'token_expired'])
const badClients = new Set(['bad_client_secret', 'invalid_client_id', 'invalid_client', 'invalid_grant_type'])

/** What Slack's refusals to revoke a token mean; after any other, it may be revoked. https://docs.slack.dev/reference/methods/auth.revoke#errors */
const revocations = new Map<string, Revocation['outcome']>([
  ...codes('invalid', 'invalid_auth token_revoked token_expired account_inactive'),
  ...codes('refused', 'not_bearer_token not_allowed_token_type not_authed missing_scope no_permission access_denied'),
  ...codes('refused', 'team_access_not_granted two_factor_setup_required ekm_access_denied'),
  ...codes('failed', 'ratelimited team_added_to_org org_login_required'),
])

function refusal(answer: Answer, body: JsonObject | undefined): Finding {
  if (!answer.answered) return { verdict: 'unreachable', code: answer.why }
  // Slack answers every other refusal with 200.
  if (answer.status === 429) return { verdict: 'unreachable', code: 'ratelimited', ...retryAfter(answer.headers) }
  const code = codeOf(body?.error)
  if (answer.status >= 500 || code === null)
    return { verdict: answer.status === 200 ? 'unknown' : 'unreachable', code: code ?? `http_${answer.status}` }
  return { verdict: verdicts.get(code) ?? 'unknown', code }
}
