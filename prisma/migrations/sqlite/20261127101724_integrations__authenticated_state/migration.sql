-- AlterTable
ALTER TABLE "integration_settings" ADD COLUMN "mac" TEXT;

-- AlterTable
ALTER TABLE "integration_events" ADD COLUMN "format" INTEGER;
ALTER TABLE "integration_events" ADD COLUMN "state" TEXT;

-- CreateIndex
CREATE INDEX "integration_events_target_id_seq_idx" ON "integration_events"("target_id", "seq");

-- DropIndex
DROP INDEX "integration_events_target_id_idx";

-- A program of before would leave a head that nothing vouches for.
CREATE TRIGGER "integration_events_format" BEFORE INSERT ON "integration_events"
WHEN NEW."format" IS NULL
BEGIN
    SELECT RAISE(ABORT, 'integration_events needs a newer version of integrations');
END;
