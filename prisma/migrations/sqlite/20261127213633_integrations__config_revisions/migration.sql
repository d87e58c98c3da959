-- CreateTable
CREATE TABLE "integration_config_revisions" (
    "integration_id" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "before" TEXT,
    "after" TEXT,
    "changed_at" DATETIME NOT NULL,

    PRIMARY KEY ("integration_id", "version"),
    CONSTRAINT "integration_config_revisions_integration_id_fkey" FOREIGN KEY ("integration_id") REFERENCES "integrations" ("id") ON DELETE CASCADE ON UPDATE NO ACTION
);
