-- Every write takes the row of `generation` before any other. Taken last, it let a change of many rows and one of a single row
-- wait for each other.
DO $$
DECLARE
    place TEXT;
BEGIN
    FOREACH place IN ARRAY ARRAY['setting', 'account', 'models', 'api_key', 'relay', 'relay_models', 'account_tags',
        'account_link', 'proxy', 'egress']
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %I', place || '_generation', place);
        EXECUTE format('CREATE TRIGGER %I BEFORE INSERT OR UPDATE OR DELETE ON %I '
            'FOR EACH STATEMENT EXECUTE FUNCTION polygate_generation()', place || '_generation', place);
    END LOOP;
END
$$;
