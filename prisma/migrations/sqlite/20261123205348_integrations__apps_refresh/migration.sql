-- AlterTable
ALTER TABLE "integration_versions" ADD COLUMN "app_id" TEXT;

-- CreateTable
CREATE TABLE "integration_apps" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "platform" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "client_id" TEXT NOT NULL,
    "client_secret" TEXT NOT NULL,
    "key_id" TEXT NOT NULL,
    "created_at" DATETIME NOT NULL
);

-- CreateTable
CREATE TABLE "integration_refresh_attempts" (
    "integration_id" TEXT NOT NULL PRIMARY KEY,
    "id" TEXT NOT NULL,
    "fence" INTEGER NOT NULL,
    "state" TEXT NOT NULL,
    "owner" TEXT NOT NULL,
    "old_fingerprint" TEXT NOT NULL,
    "started_at" DATETIME NOT NULL,
    "lease_until" DATETIME NOT NULL,
    "finished_at" DATETIME,
    "code" TEXT,
    CONSTRAINT "integration_refresh_attempts_integration_id_fkey" FOREIGN KEY ("integration_id") REFERENCES "integrations" ("id") ON DELETE CASCADE ON UPDATE NO ACTION
);

-- CreateIndex
CREATE UNIQUE INDEX "integration_apps_name_key" ON "integration_apps"("name");
