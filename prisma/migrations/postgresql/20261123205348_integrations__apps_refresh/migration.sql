-- AlterTable
ALTER TABLE "integration_versions" ADD COLUMN     "app_id" TEXT;

-- CreateTable
CREATE TABLE "integration_apps" (
    "id" TEXT NOT NULL,
    "platform" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "client_id" TEXT NOT NULL,
    "client_secret" TEXT NOT NULL,
    "key_id" TEXT NOT NULL,
    "created_at" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "integration_apps_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "integration_refresh_attempts" (
    "integration_id" TEXT NOT NULL,
    "id" TEXT NOT NULL,
    "fence" INTEGER NOT NULL,
    "state" TEXT NOT NULL,
    "owner" TEXT NOT NULL,
    "old_fingerprint" TEXT NOT NULL,
    "started_at" TIMESTAMP(3) NOT NULL,
    "lease_until" TIMESTAMP(3) NOT NULL,
    "finished_at" TIMESTAMP(3),
    "code" TEXT,

    CONSTRAINT "integration_refresh_attempts_pkey" PRIMARY KEY ("integration_id")
);

-- CreateIndex
CREATE UNIQUE INDEX "integration_apps_name_key" ON "integration_apps"("name");

-- AddForeignKey
ALTER TABLE "integration_refresh_attempts" ADD CONSTRAINT "integration_refresh_attempts_integration_id_fkey" FOREIGN KEY ("integration_id") REFERENCES "integrations"("id") ON DELETE CASCADE ON UPDATE NO ACTION;
