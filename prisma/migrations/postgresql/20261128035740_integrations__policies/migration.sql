-- CreateTable
CREATE TABLE "integration_policies" (
    "name" TEXT NOT NULL,
    "platform" TEXT,
    "workspace_id" TEXT,
    "tag_key" TEXT,
    "tag_value" TEXT,
    "max_secret_age" INTEGER,
    "max_token_age" INTEGER,
    "expires_within" INTEGER,
    "unused_after" INTEGER,
    "expiry_required" BOOLEAN NOT NULL,
    "owner_required" BOOLEAN NOT NULL,
    "updated_at" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "integration_policies_pkey" PRIMARY KEY ("name")
);
