-- CreateTable
CREATE TABLE "integration_health" (
    "integration_id" TEXT NOT NULL,
    "check_verdict" TEXT,
    "check_code" TEXT,
    "check_fingerprint" TEXT,
    "checked_at" TIMESTAMP(3),
    "refused_count" INTEGER,
    "refused_since" TIMESTAMP(3),
    "refused_at" TIMESTAMP(3),
    "refused_reason" TEXT,

    CONSTRAINT "integration_health_pkey" PRIMARY KEY ("integration_id")
);

-- AddForeignKey
ALTER TABLE "integration_health" ADD CONSTRAINT "integration_health_integration_id_fkey" FOREIGN KEY ("integration_id") REFERENCES "integrations"("id") ON DELETE CASCADE ON UPDATE NO ACTION;
