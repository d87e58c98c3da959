import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { createClient } from '@libsql/client/sqlite3'
import { emptyPostgresql, type Kind, sqliteDatabase, type TestDatabase } from './database.ts'
import { freshFolder } from './program.ts'

/** An application's tables, as its own tool may have written them. */
export const application: Record<Kind, string> = {
  postgresql: `
    CREATE TABLE "workspaces" ("id" text PRIMARY KEY NOT NULL, "name" text NOT NULL, "plan" varchar(20) NOT NULL, "created_at" timestamp DEFAULT now() NOT NULL, "updated_at" timestamp(6) NOT NULL);
    CREATE TABLE "users" ("id" text PRIMARY KEY NOT NULL, "email" text NOT NULL, "name" text, "image" text, "created_at" timestamp DEFAULT now() NOT NULL, "updated_at" timestamp NOT NULL,
      CONSTRAINT "users_email_unique" UNIQUE("email"));
    CREATE TABLE "integrations" ("id" text PRIMARY KEY NOT NULL, "workspace_id" text NOT NULL, "platform" text NOT NULL, "name" text NOT NULL, "notes" text,
      "webhook_secret" text, "access_token" text, "refresh_token" text, "token_expires_at" timestamp, "slack_team_id" text, "slack_team_name" text, "slack_bot_user_id" text,
      "pylon_account_id" text, "is_active" boolean DEFAULT true, "config" jsonb, "last_used_at" timestamp, "created_at" timestamp DEFAULT now() NOT NULL, "created_by" text,
      "retries" integer DEFAULT 0 NOT NULL, "seq" bigint GENERATED ALWAYS AS IDENTITY);
    CREATE TABLE "agents" ("id" text PRIMARY KEY NOT NULL, "workspace_id" text NOT NULL REFERENCES "workspaces"("id") ON DELETE restrict, "integration_id" text REFERENCES "integrations"("id"));
    ALTER TABLE "integrations" ADD CONSTRAINT "a_fk" FOREIGN KEY ("workspace_id") REFERENCES "public"."workspaces"("id") ON DELETE cascade ON UPDATE no action;
    ALTER TABLE "integrations" ADD CONSTRAINT "b_fk" FOREIGN KEY ("created_by") REFERENCES "public"."users"("id") ON DELETE set null ON UPDATE no action;`,
  sqlite: `
    CREATE TABLE workspaces (id text PRIMARY KEY NOT NULL, name text NOT NULL, plan varchar(20) NOT NULL, created_at datetime DEFAULT current_timestamp NOT NULL, updated_at datetime NOT NULL);
    CREATE TABLE users (id text PRIMARY KEY NOT NULL, email text NOT NULL UNIQUE, name text, image text, created_at datetime DEFAULT current_timestamp NOT NULL, updated_at datetime NOT NULL);
    CREATE TABLE integrations (id text PRIMARY KEY NOT NULL, workspace_id text NOT NULL REFERENCES workspaces ON DELETE CASCADE, platform text NOT NULL, name text NOT NULL, notes text,
      webhook_secret text, access_token text, refresh_token text, token_expires_at datetime, slack_team_id text, slack_team_name text, slack_bot_user_id text,
      pylon_account_id text, is_active boolean DEFAULT 1, config jsonb, last_used_at datetime, created_at datetime DEFAULT current_timestamp NOT NULL,
      created_by text REFERENCES users (id) ON DELETE SET NULL, retries integer DEFAULT 0 NOT NULL, shout text GENERATED ALWAYS AS (upper(name)));
    CREATE TABLE agents (id text PRIMARY KEY NOT NULL, workspace_id text NOT NULL REFERENCES workspaces (id) ON DELETE RESTRICT, integration_id text REFERENCES integrations (id));`,
}

/** What the application has in them. */
export const rows = `
  INSERT INTO workspaces (id, name, plan, created_at, updated_at) VALUES ('V1StGXR8_Z5jdHi6B-myT', 'Acme', 'pro', '2026-01-02 03:04:05', '2026-01-02 03:04:05');
  INSERT INTO users (id, email, created_at, updated_at) VALUES ('cjld2cjxh0000qzrmn831i7rn', 'ana@example.com', '2026-01-02 03:04:05', '2026-01-02 03:04:05');
  INSERT INTO integrations (id, workspace_id, platform, name, webhook_secret, access_token, is_active, notes, created_by, created_at)
    VALUES ('IRFa-VaY2b_6KKrd', 'V1StGXR8_Z5jdHi6B-myT', 'pylon', 'support', 'old-webhook-secret', 'old-access-token', NULL, 'keep me', 'cjld2cjxh0000qzrmn831i7rn', '2026-01-02 03:04:05');
  INSERT INTO agents VALUES ('a1', 'V1StGXR8_Z5jdHi6B-myT', 'IRFa-VaY2b_6KKrd');`

/** A database on which some scripts were run. */
export async function database(kind: Kind, ...scripts: string[]): Promise<TestDatabase> {
  if (kind === 'postgresql') {
    const db = await emptyPostgresql()
    await db.query(scripts.join('\n'))
    return db
  }
  const file = join(freshFolder(), 'app.db')
  const client = createClient({ url: `file:${file}` })
  await client.executeMultiple(scripts.join('\n'))
  client.close()
  chmodSync(file, 0o600)
  return sqliteDatabase(file)
}
