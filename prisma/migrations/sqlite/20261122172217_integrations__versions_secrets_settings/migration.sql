-- CreateTable
CREATE TABLE "integration_versions" (
    "integration_id" TEXT NOT NULL PRIMARY KEY,
    "version" INTEGER NOT NULL,
    "updated_at" DATETIME NOT NULL,
    CONSTRAINT "integration_versions_integration_id_fkey" FOREIGN KEY ("integration_id") REFERENCES "integrations" ("id") ON DELETE CASCADE ON UPDATE NO ACTION
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
    "set_at" DATETIME NOT NULL,
    "set_by" TEXT,
    "valid_until" DATETIME,
    "never_expires" BOOLEAN NOT NULL DEFAULT false,
    "last_matched_at" DATETIME,
    "match_count" INTEGER NOT NULL DEFAULT 0,

    PRIMARY KEY ("integration_id", "field", "number"),
    CONSTRAINT "integration_secrets_integration_id_fkey" FOREIGN KEY ("integration_id") REFERENCES "integrations" ("id") ON DELETE CASCADE ON UPDATE NO ACTION
);

-- CreateTable
CREATE TABLE "integration_settings" (
    "key" TEXT NOT NULL PRIMARY KEY,
    "value" TEXT NOT NULL,
    "seq" BIGINT NOT NULL DEFAULT 0,
    "updated_at" DATETIME NOT NULL
);

-- The head row, which every mutation updates first, and whose tables these are: "own" until adopted.
INSERT INTO "integration_settings" ("key", "value", "updated_at") VALUES
    ('head', '', strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    ('database', 'own', strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'));
