-- CreateTable
CREATE TABLE "integration_findings" (
    "id" TEXT NOT NULL,
    "code" TEXT NOT NULL,
    "integration_id" TEXT,
    "workspace" TEXT,
    "name" TEXT,
    "until" TIMESTAMP(3) NOT NULL,
    "reason" TEXT NOT NULL,
    "ignored_at" TIMESTAMP(3) NOT NULL,
    "ignored_by" TEXT,

    CONSTRAINT "integration_findings_pkey" PRIMARY KEY ("id")
);
