-- CreateTable
CREATE TABLE "integration_health" (
    "integration_id" TEXT NOT NULL PRIMARY KEY,
    "check_verdict" TEXT,
    "check_code" TEXT,
    "check_fingerprint" TEXT,
    "checked_at" DATETIME,
    "refused_count" INTEGER,
    "refused_since" DATETIME,
    "refused_at" DATETIME,
    "refused_reason" TEXT,
    CONSTRAINT "integration_health_integration_id_fkey" FOREIGN KEY ("integration_id") REFERENCES "integrations" ("id") ON DELETE CASCADE ON UPDATE NO ACTION
);
