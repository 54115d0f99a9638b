-- The audit: rows are only ever added, and each carries the hash of the one before it in its tenant.

CREATE TABLE audit_log (
    id         bigint PRIMARY KEY,  -- drawn by the trigger, under the tenant's lock: ids follow the chain
    tenant_id  text NOT NULL REFERENCES tenants,
    at         timestamptz NOT NULL,
    actor      text NOT NULL,
    action     text NOT NULL,
    subject    text NOT NULL,
    detail     jsonb NOT NULL DEFAULT '{}',
    prev_hash  text NOT NULL,
    hash       text NOT NULL
);
CREATE SEQUENCE audit_log_id OWNED BY audit_log.id;
CREATE INDEX audit_log_chain ON audit_log (tenant_id, id);

CREATE FUNCTION audit_hash(r audit_log) RETURNS text
    LANGUAGE sql STABLE
AS $$
    -- jsonb as text is canonical within PostgreSQL: keys sorted by length and bytes, one form of spacing.
    SELECT encode(sha256(convert_to(jsonb_build_array(
        r.prev_hash, r.id, r.tenant_id, extract(epoch FROM r.at), r.actor, r.action, r.subject, r.detail
    )::text, 'UTF8')), 'hex')
$$;

CREATE FUNCTION audit_append() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Held to the end of the transaction: the next link waits until this one is there or gone.
    PERFORM pg_advisory_xact_lock(hashtextextended('audit ' || NEW.tenant_id, 0));
    NEW.id := nextval('audit_log_id');
    NEW.at := clock_timestamp();
    NEW.prev_hash := coalesce(
        (SELECT hash FROM audit_log WHERE tenant_id = NEW.tenant_id ORDER BY id DESC LIMIT 1), '');
    NEW.hash := audit_hash(NEW);
    RETURN NEW;
END $$;
CREATE TRIGGER append BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_append();

CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

-- The first row of the current tenant that does not fit its hash or its predecessor; null when all fit.
CREATE FUNCTION audit_first_broken() RETURNS bigint
    LANGUAGE sql STABLE
AS $$
    SELECT min(id) FROM (
        SELECT a.id,
               a.prev_hash = lag(a.hash, 1, '') OVER (PARTITION BY a.tenant_id ORDER BY a.id)
                   AND a.hash = audit_hash(a) AS fits
        FROM audit_log a
        WHERE a.tenant_id = current_tenant()
    ) links WHERE NOT fits
$$;

ALTER TABLE audit_log ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_log FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_log USING (tenant_id = current_tenant());
GRANT SELECT, INSERT ON audit_log TO mutirao_app;
GRANT USAGE ON SEQUENCE audit_log_id TO mutirao_app;
