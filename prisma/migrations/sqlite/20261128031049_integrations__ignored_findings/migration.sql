-- CreateTable
CREATE TABLE "integration_findings" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "code" TEXT NOT NULL,
    "integration_id" TEXT,
    "workspace" TEXT,
    "name" TEXT,
    "until" DATETIME NOT NULL,
    "reason" TEXT NOT NULL,
    "ignored_at" DATETIME NOT NULL,
    "ignored_by" TEXT
);
