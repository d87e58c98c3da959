-- AlterTable
ALTER TABLE "integration_secrets" ADD COLUMN "expires_at" TIMESTAMP(3);

-- What each change looks for, with the head row locked: kept values whose time is over. They are few among all versions.
CREATE INDEX "integration_secrets_kept_idx" ON "integration_secrets"("valid_until") WHERE "sealed" IS NOT NULL;
