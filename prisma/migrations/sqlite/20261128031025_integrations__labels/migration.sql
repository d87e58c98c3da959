-- CreateTable
CREATE TABLE "integration_labels" (
    "integration_id" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "value" TEXT NOT NULL,

    PRIMARY KEY ("integration_id", "key"),
    CONSTRAINT "integration_labels_integration_id_fkey" FOREIGN KEY ("integration_id") REFERENCES "integrations" ("id") ON DELETE CASCADE ON UPDATE NO ACTION
);
