-- CreateTable
CREATE TABLE "integration_keys" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "purpose" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "check_value" TEXT NOT NULL,
    "created_at" DATETIME NOT NULL
);

-- CreateTable
CREATE TABLE "integration_events" (
    "seq" BIGINT NOT NULL PRIMARY KEY,
    "at" DATETIME NOT NULL,
    "request_id" TEXT NOT NULL,
    "action" TEXT NOT NULL,
    "outcome" TEXT NOT NULL,
    "target_type" TEXT NOT NULL,
    "target_id" TEXT,
    "target_name" TEXT,
    "fields" TEXT,
    "fingerprints" TEXT,
    "key_id" TEXT,
    "version_before" INTEGER,
    "version_after" INTEGER,
    "count" INTEGER,
    "ci_identity" TEXT,
    "os_user" TEXT NOT NULL,
    "host" TEXT NOT NULL,
    "pid" INTEGER NOT NULL,
    "database_role" TEXT,
    "declared_as" TEXT,
    "reason" TEXT,
    "program_version" TEXT NOT NULL,
    "previous_hash" TEXT NOT NULL,
    "hash" TEXT NOT NULL
);

-- CreateIndex
CREATE INDEX "integration_events_target_id_idx" ON "integration_events"("target_id");

-- CreateIndex
CREATE INDEX "integration_secrets_field_fingerprint_idx" ON "integration_secrets"("field", "fingerprint");

-- CreateIndex
CREATE INDEX "integration_secrets_key_id_idx" ON "integration_secrets"("key_id");

-- The log takes new rows only.
CREATE TRIGGER "integration_events_no_update" BEFORE UPDATE ON "integration_events"
BEGIN
    SELECT RAISE(ABORT, 'integration_events is append-only');
END;
CREATE TRIGGER "integration_events_no_delete" BEFORE DELETE ON "integration_events"
BEGIN
    SELECT RAISE(ABORT, 'integration_events is append-only');
END;
-- INSERT OR REPLACE would delete the event before without asking the trigger above.
CREATE TRIGGER "integration_events_no_replace" BEFORE INSERT ON "integration_events"
WHEN EXISTS (SELECT 1 FROM "integration_events" WHERE "seq" = NEW."seq")
BEGIN
    SELECT RAISE(ABORT, 'integration_events is append-only');
END;

-- How secrets are stored, which the first change decides: off, migrating or required. And a name for this database that no other has.
INSERT INTO "integration_settings" ("key", "value", "updated_at") VALUES
    ('sealing', '', strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    ('id', lower(hex(randomblob(16))), strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'));
