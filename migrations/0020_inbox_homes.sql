-- What came for a number before anybody had connected it finds its home, and what webhooks brought is not kept for ever.
--
-- Rows without a tenant are seen by nobody, so a function takes them: mutirao_login may change four columns of such rows,
-- of no other tenant's, and give them to nobody but the tenant whose transaction it is.

GRANT UPDATE (tenant_id, item, sorted_at, outcome) ON inbox TO mutirao_login;
CREATE POLICY homes ON inbox FOR UPDATE TO mutirao_login
    USING (tenant_id IS NULL) WITH CHECK (tenant_id IS NULL OR tenant_id = current_tenant());

-- How many waiting items of numbers that this tenant has connected (or of an account that is this tenant's alone) became
-- its own.
CREATE FUNCTION bring_inbox_home() RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
    WITH mine AS (
        SELECT c.provider || ':' || c.number AS number FROM channels c WHERE c.tenant_id = current_tenant()
        UNION
        SELECT c.provider || ':account:' || c.account FROM channels c
        WHERE c.tenant_id = current_tenant() AND c.account <> '' AND NOT EXISTS (
            SELECT FROM channels o
            WHERE o.provider = c.provider AND o.account = c.account AND o.tenant_id <> c.tenant_id)
    ), brought AS (
        UPDATE inbox i SET tenant_id = current_tenant() FROM mine
        WHERE i.tenant_id IS NULL AND i.sorted_at IS NULL AND i.number = mine.number
        RETURNING 1
    ), told AS (
        SELECT pg_notify('inbox', '') FROM brought LIMIT 1
    )
    SELECT (SELECT count(*) FROM brought) + 0 * (SELECT count(*) FROM told)
$$;

-- Items of numbers that nobody has connected, received before then: only their keys stay. How many.
CREATE FUNCTION cut_homeless_inbox(before timestamptz) RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
    WITH cut AS (
        UPDATE inbox SET item = '{}', sorted_at = now(), outcome = 'ignored'
        WHERE tenant_id IS NULL AND sorted_at IS NULL AND received_at < before
        RETURNING 1
    )
    SELECT count(*) FROM cut
$$;

REVOKE ALL ON FUNCTION bring_inbox_home(), cut_homeless_inbox(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bring_inbox_home(), cut_homeless_inbox(timestamptz) TO mutirao_app;
GRANT CREATE ON SCHEMA public TO mutirao_login;
ALTER FUNCTION bring_inbox_home() OWNER TO mutirao_login;
ALTER FUNCTION cut_homeless_inbox(timestamptz) OWNER TO mutirao_login;
REVOKE CREATE ON SCHEMA public FROM mutirao_login;

-- What is sorted and still whole, for the clock that cuts it; the index by age alone was read by nobody.
DROP INDEX inbox_age;
CREATE INDEX inbox_whole ON inbox (tenant_id, received_at) WHERE sorted_at IS NOT NULL AND item <> '{}';
