-- CreateTable
CREATE TABLE "integration_versions" (
    "integration_id" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "updated_at" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "integration_versions_pkey" PRIMARY KEY ("integration_id")
);

-- CreateTable
CREATE TABLE "integration_secrets" (
    "integration_id" TEXT NOT NULL,
    "field" TEXT NOT NULL,
    "number" INTEGER NOT NULL,
    "fingerprint" TEXT,
    "key_id" TEXT,
    "sealed" TEXT,
    "origin" TEXT NOT NULL,
    "set_at" TIMESTAMP(3) NOT NULL,
    "set_by" TEXT,
    "valid_until" TIMESTAMP(3),
    "never_expires" BOOLEAN NOT NULL DEFAULT false,
    "last_matched_at" TIMESTAMP(3),
    "match_count" INTEGER NOT NULL DEFAULT 0,

    CONSTRAINT "integration_secrets_pkey" PRIMARY KEY ("integration_id","field","number")
);

-- CreateTable
CREATE TABLE "integration_settings" (
    "key" TEXT NOT NULL,
    "value" TEXT NOT NULL,
    "seq" BIGINT NOT NULL DEFAULT 0,
    "updated_at" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "integration_settings_pkey" PRIMARY KEY ("key")
);

-- AddForeignKey
ALTER TABLE "integration_versions" ADD CONSTRAINT "integration_versions_integration_id_fkey" FOREIGN KEY ("integration_id") REFERENCES "integrations"("id") ON DELETE CASCADE ON UPDATE NO ACTION;

-- AddForeignKey
ALTER TABLE "integration_secrets" ADD CONSTRAINT "integration_secrets_integration_id_fkey" FOREIGN KEY ("integration_id") REFERENCES "integrations"("id") ON DELETE CASCADE ON UPDATE NO ACTION;

-- The head row, which every mutation updates first, and whose tables these are: "own" until adopted.
INSERT INTO "integration_settings" ("key", "value", "updated_at") VALUES
    ('head', '', CURRENT_TIMESTAMP AT TIME ZONE 'UTC'),
    ('database', 'own', CURRENT_TIMESTAMP AT TIME ZONE 'UTC');
