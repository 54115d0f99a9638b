-- Exports of Ads Manager that a user brought, and their rows, typed. The raw file is in files.

CREATE TABLE ad_imports (
    id            text PRIMARY KEY,
    tenant_id     text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    file_id       text,
    name          text NOT NULL,
    currency      text NOT NULL DEFAULT '',
    time_zone     text NOT NULL DEFAULT '',
    account_name  text NOT NULL DEFAULT '',
    state         text NOT NULL,
    columns       jsonb NOT NULL DEFAULT '{}',
    rows_ok       integer NOT NULL DEFAULT 0,
    rows_bad      integer NOT NULL DEFAULT 0,
    report        jsonb NOT NULL DEFAULT '{}',
    data_from     date,
    data_until    date,
    created_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id)
);
CREATE INDEX ad_imports_tenant ON ad_imports (tenant_id, created_at DESC);

-- One line of the file. A figure that the file does not have is null, which is not 0. Money in the main unit.
CREATE TABLE ad_import_rows (
    tenant_id       text NOT NULL,
    import_id       text NOT NULL,
    row_no          integer NOT NULL,  -- line in the file, the header being 1
    since           date NOT NULL,
    until           date NOT NULL,
    campaign        text NOT NULL DEFAULT '',
    adset           text NOT NULL DEFAULT '',
    ad              text NOT NULL DEFAULT '',
    status          text NOT NULL DEFAULT '',
    objective       text NOT NULL DEFAULT '',
    impressions     bigint,
    clicks          bigint,
    link_clicks     bigint,
    reach           bigint,
    spend           numeric(18, 4),
    results         numeric(18, 4),
    result_type     text NOT NULL DEFAULT '',
    purchases       numeric(18, 4),
    purchase_value  numeric(18, 4),
    leads           numeric(18, 4),
    conversations   numeric(18, 4),
    extra           jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, import_id, row_no),
    FOREIGN KEY (tenant_id, import_id) REFERENCES ad_imports (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX ad_import_rows_days ON ad_import_rows (tenant_id, import_id, since);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['ad_imports', 'ad_import_rows'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = current_tenant())', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO mutirao_app', t);
    END LOOP;
END $$;
