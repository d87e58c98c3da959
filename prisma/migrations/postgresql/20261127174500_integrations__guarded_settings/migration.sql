-- How secrets are kept, and whose the tables are, is for those who may change keys; every change writes to this table.
CREATE OR REPLACE FUNCTION "integration_settings_guard"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Whoever writes chooses the search path.
    IF NOT pg_catalog.has_column_privilege(pg_catalog.format('%I.integration_keys', TG_TABLE_SCHEMA), 'state', 'UPDATE') THEN
        RAISE EXCEPTION 'only a role that may change integration_keys may change this row of integration_settings' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER "integration_settings_guard" BEFORE UPDATE ON "integration_settings"
    FOR EACH ROW WHEN (OLD."key" IN ('sealing', 'database') OR NEW."key" IN ('sealing', 'database'))
    EXECUTE FUNCTION "integration_settings_guard"();
