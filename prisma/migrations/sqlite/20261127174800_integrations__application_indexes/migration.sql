-- A database that is no longer adopted may have kept them.
-- CreateIndex
CREATE INDEX IF NOT EXISTS "integration_workspace_name_idx" ON "workspaces"("name", "id");

-- CreateIndex
CREATE INDEX IF NOT EXISTS "integration_workspace_idx" ON "integrations"("workspace_id", "name", "id");

-- CreateIndex
CREATE INDEX IF NOT EXISTS "integration_name_idx" ON "integrations"("name", "id");

-- CreateIndex
CREATE INDEX IF NOT EXISTS "integration_team_idx" ON "integrations"("slack_team_id", "platform", "id");

-- CreateIndex
CREATE INDEX IF NOT EXISTS "integration_creator_idx" ON "integrations"("created_by");
