-- AlterTable
ALTER TABLE "integration_settings" ADD COLUMN     "mac" TEXT;

-- AlterTable
ALTER TABLE "integration_events" ADD COLUMN     "state" TEXT,
ADD COLUMN     "format" INTEGER;

-- CreateIndex
CREATE INDEX "integration_events_target_id_seq_idx" ON "integration_events"("target_id", "seq");

-- DropIndex
DROP INDEX "integration_events_target_id_idx";

-- A program of before would leave a head that nothing vouches for. Events of before stay as they are.
ALTER TABLE "integration_events" ADD CONSTRAINT "integration_events_format" CHECK ("format" IS NOT NULL) NOT VALID;
