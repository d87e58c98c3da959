-- Names and ids in byte order, as lists have them. An index is left out where a text in the table is too long for one:
-- everything works without.
DO $$
DECLARE
    statement TEXT;
BEGIN
    FOREACH statement IN ARRAY ARRAY[
        'CREATE INDEX IF NOT EXISTS "integration_workspace_name_idx" ON "workspaces"("name" COLLATE "C", "id" COLLATE "C")',
        'CREATE INDEX IF NOT EXISTS "integration_workspace_idx" ON "integrations"("workspace_id", "name" COLLATE "C", "id" COLLATE "C")',
        'CREATE INDEX IF NOT EXISTS "integration_name_idx" ON "integrations"("name" COLLATE "C", "id" COLLATE "C")',
        'CREATE INDEX IF NOT EXISTS "integration_id_idx" ON "integrations"("id" COLLATE "C")',
        'CREATE INDEX IF NOT EXISTS "integration_team_idx" ON "integrations"("slack_team_id", "platform", "id")',
        'CREATE INDEX IF NOT EXISTS "integration_creator_idx" ON "integrations"("created_by")'
    ] LOOP
        BEGIN
            EXECUTE statement;
        EXCEPTION WHEN program_limit_exceeded THEN
            NULL;
        END;
    END LOOP;
END;
$$;
