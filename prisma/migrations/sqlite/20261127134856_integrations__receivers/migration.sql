-- CreateTable
CREATE TABLE "integration_receivers" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "report" TEXT NOT NULL,
    "mac" TEXT NOT NULL,
    "updated_at" DATETIME NOT NULL
);
