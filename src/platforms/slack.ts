import { definePlatform } from './platform.ts'
import { apps, slackApi } from './slack-api.ts'
import { claims, isTlsCheck, readWebhook, samples } from './slack-webhooks.ts'

// Names of the Events API (@slack/types and the published event schemas). New names appear, so these are suggestions.
const events =
  `agent_session_stopped agent_session_title_changed app_context_changed app_deleted app_home_opened app_installed app_mention app_rate_limited app_requested
  app_uninstalled app_uninstalled_team assistant_thread_context_changed assistant_thread_started call_rejected
  channel_archive channel_created channel_deleted channel_history_changed channel_id_changed channel_left channel_rename
  channel_shared channel_unarchive channel_unshared dnd_updated dnd_updated_user email_domain_changed emoji_changed
  entity_details_requested file_change file_comment_added file_comment_deleted file_comment_edited file_created
  file_deleted file_public file_shared file_unshared function_executed grid_migration_finished grid_migration_started
  group_archive group_close group_deleted group_history_changed group_left group_open group_rename group_unarchive
  im_close im_created im_history_changed im_open invite_requested link_shared member_joined_channel member_left_channel
  message message.app_home message.channels message.groups message.im message.mpim message_metadata_deleted
  message_metadata_posted message_metadata_updated pin_added pin_removed reaction_added reaction_removed
  shared_channel_invite_accepted shared_channel_invite_approved shared_channel_invite_declined
  shared_channel_invite_received shared_channel_invite_requested star_added star_removed subteam_created
  subteam_members_changed subteam_self_added subteam_self_removed subteam_updated team_access_granted
  team_access_revoked team_domain_change team_join team_rename tokens_revoked url_verification user_change
  user_huddle_changed user_profile_changed user_status_changed workflow_deleted workflow_published
  workflow_step_deleted workflow_step_execute workflow_unpublished`.split(/\s+/)

/** Slack. A signing secret belongs to the app; only the app's page, and no API method, can issue a new signing secret. */
export const slack = definePlatform({
  id: 'slack',
  title: 'Slack',
  secrets: {
    webhookSecret: {
      label: 'signing secret',
      variable: 'SIGNING_SECRET',
      required: true,
      issuer: 'platform',
      ofApp: true,
      page: apps,
      // Observed, not documented: https://docs.slack.dev/authentication/verifying-requests-from-slack
      shapes: [{ pattern: /^[0-9a-f]{32}$/, should: 'be 32 lower-case hex digits' }],
    },
    accessToken: {
      label: 'bot or user token',
      variable: 'BOT_TOKEN',
      required: true,
      issuer: 'platform',
      page: apps,
      // https://docs.slack.dev/authentication/tokens
      shapes: [
        { pattern: /^(?!xox[cd]-)/, should: 'not be a browser session token (xoxc-, xoxd-)' },
        { pattern: /^(?!xoxe-)/, should: 'not be a refresh token (xoxe-1-…)' },
        { pattern: /^(?!xapp-)/, should: 'not be an app-level token (xapp-…)' },
        {
          pattern: /^(?:xoxe\.)?xox[bp]-|^xox[cd]-|^xoxe-|^xapp-|^xwfp-/,
          should: 'start with xoxb-, xoxp-, xoxe.xoxb- or xoxe.xoxp-',
        },
      ],
    },
    refreshToken: {
      label: 'refresh token',
      variable: 'REFRESH_TOKEN',
      required: false,
      issuer: 'platform',
      page: 'https://docs.slack.dev/authentication/using-token-rotation',
      shapes: [{ pattern: /^xoxe-/, should: 'start with xoxe-1-' }],
    },
  },
  ids: {
    // The patterns are those of Slack's own OpenAPI description; an org install puts the enterprise id here.
    slackTeamId: {
      label: 'team or enterprise id',
      shape: { pattern: /^[TE][A-Z0-9]{2,}$/, should: 'start with T or E, as in T012AB3CD' },
    },
    slackTeamName: { label: 'team name', renamed: true },
    slackBotUserId: {
      label: 'bot user id',
      shape: { pattern: /^[UW][A-Z0-9]{2,}$/, should: 'start with U or W, as in U012AB3CD' },
    },
  },
  config: {
    type: 'object',
    properties: {
      slackChannels: {
        description: 'The channels to listen to; all of them when absent.',
        type: 'array',
        items: {
          type: 'object',
          required: ['id', 'name'],
          properties: {
            id: { type: 'string', pattern: '^[CGD][A-Z0-9]{2,}$', description: 'Conversation id, as in C024BE91L.' },
            name: { type: 'string', minLength: 1, description: 'Channel name, without #.' },
          },
        },
      },
      slackEvents: {
        description: 'The event types to handle; all of them when absent.',
        type: 'array',
        uniqueItems: true,
        items: { type: 'string', minLength: 1, maxLength: 50, examples: events },
      },
      slackOtherBots: {
        description: 'Whether to handle the messages of other bots, too; those of the own bot are never handled.',
        type: 'boolean',
      },
    },
  },
  api: slackApi,
  webhooks: {
    // https://docs.slack.dev/authentication/verifying-requests-from-slack. Slack's own library accepts any time in the future.
    schemes: [
      {
        id: 'v0',
        header: 'x-slack-signature',
        prefix: 'v0=',
        timestamp: { header: 'x-slack-request-timestamp', toleranceSeconds: 300, before: (at) => `v0:${at}:` },
      },
    ],
    // Slack sends a few kilobytes.
    maxBodyBytes: 1_048_576,
    // An app that is installed in a whole organization has the enterprise's id in place of a team's.
    tenant: { column: 'slackTeamId', claims },
    unsigned: (request) => (isTlsCheck(request) ? 'ssl_check' : undefined),
    read: readWebhook,
    samples,
  },
})
