-- CreateTable
CREATE TABLE "integration_receivers" (
    "id" TEXT NOT NULL,
    "report" TEXT NOT NULL,
    "mac" TEXT NOT NULL,
    "updated_at" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "integration_receivers_pkey" PRIMARY KEY ("id")
);
