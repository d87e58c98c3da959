-- CreateTable
CREATE TABLE "integration_keys" (
    "id" TEXT NOT NULL,
    "purpose" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "check_value" TEXT NOT NULL,
    "created_at" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "integration_keys_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "integration_events" (
    "seq" BIGINT NOT NULL,
    "at" TIMESTAMP(3) NOT NULL,
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
    "hash" TEXT NOT NULL,

    CONSTRAINT "integration_events_pkey" PRIMARY KEY ("seq")
);

-- CreateIndex
CREATE INDEX "integration_events_target_id_idx" ON "integration_events"("target_id");

-- CreateIndex
CREATE INDEX "integration_secrets_field_fingerprint_idx" ON "integration_secrets"("field", "fingerprint");

-- CreateIndex
CREATE INDEX "integration_secrets_key_id_idx" ON "integration_secrets"("key_id");

-- The log takes new rows only.
CREATE OR REPLACE FUNCTION "integration_events_append_only"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'integration_events is append-only' USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER "integration_events_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "integration_events"
    FOR EACH STATEMENT EXECUTE FUNCTION "integration_events_append_only"();

-- How secrets are stored, which the first change decides: off, migrating or required. And a name for this database that no other has.
INSERT INTO "integration_settings" ("key", "value", "updated_at") VALUES
    ('sealing', '', CURRENT_TIMESTAMP AT TIME ZONE 'UTC'),
    ('id', gen_random_uuid()::text, CURRENT_TIMESTAMP AT TIME ZONE 'UTC');
