/** The data model, as applications share it. @module */
import type { Json } from '../json.ts'
import type { IntegrationPlatform } from '../platforms/platforms.ts'

/** A row of the application's `integrations` table, as every column comes from the database. */
export interface Integration {
  id: string
  workspaceId: string
  platform: IntegrationPlatform
  name: string
  /** The three secrets as they are stored: plain text, or a JWE where this tool has encrypted them. */
  webhookSecret: string | null
  accessToken: string | null
  refreshToken: string | null
  tokenExpiresAt: Date | null
  slackTeamId: string | null
  slackTeamName: string | null
  slackBotUserId: string | null
  pylonAccountId: string | null
  /** An integration is active unless this is false. */
  isActive: boolean | null
  config: IntegrationConfig | null
  lastUsedAt: Date | null
  createdAt: Date
  /** The id of a user. */
  createdBy: string | null
}

/** A row to insert: columns that may be null, or that the database fills in, can be left out. */
export type NewIntegration = Partial<Integration> & Pick<Integration, 'id' | 'workspaceId' | 'platform' | 'name'>

/** Channel and event filters. The keys of a platform begin with its name; other keys are the application's own. */
export interface IntegrationConfig {
  /** The channels to listen to; all of them when absent. */
  slackChannels?: { id: string; name: string }[]
  /** The event types to handle, as Slack names them; all of them when absent. */
  slackEvents?: string[]
  /** Whether to handle the messages of other bots, too; those of the own bot are never handled. */
  slackOtherBots?: boolean
  /** The event names to handle, as the webhook template sends them; all of them when absent. */
  pylonEvents?: string[]
  /** JSON pointer (RFC 6901) to the event name in the body, as in `/event_type`. */
  pylonEventPath?: string
  /** The region of the organization; `us` when absent. */
  pylonRegion?: 'us' | 'eu'
  /** What the signature covers: the body, or a timestamp, a dot and the body; `body` when absent. */
  pylonSignature?: 'body' | 'timestamped'
  /** The events to handle, with or without an action, as in `issues` or `issues.opened`; all of them when absent. */
  githubEvents?: string[]
  [key: string]: Json | undefined
}
