-- CreateIndex
-- A report reads which tokens platforms were asked to revoke: few events of many.
CREATE INDEX "integration_events_revocations_idx" ON "integration_events"("seq") WHERE "action" = 'secret.revoke';
