-- Searches as work in the background (crews/hunter/job.py), what became of their finds in the CRM, and the month's
-- count of searches of the web with the answers that are still good (business/prospecting/quota.py).

ALTER TABLE prospect_searches
    ADD COLUMN conversation_id  text,         -- where its end is told
    ADD COLUMN queued_at        timestamptz,  -- when a job was last put in the queue for it
    ADD COLUMN followed_until   timestamptz,  -- a turn shows it until then, and tells its end itself
    ADD COLUMN announced_at     timestamptz;  -- its end has been told: once

ALTER TABLE prospect_candidates
    ADD COLUMN company_id  text,   -- the company of the CRM that it became
    ADD COLUMN outcome     text CHECK (outcome IN ('created', 'updated', 'unchanged')),
    ADD COLUMN note        jsonb;  -- a sentence: why it waits for a person, or was rejected
CREATE INDEX prospect_candidates_company ON prospect_candidates (tenant_id, company_id) WHERE company_id IS NOT NULL;
CREATE INDEX prospect_candidates_found ON prospect_candidates (tenant_id, search_id, seq);

CREATE TABLE web_search_use (
    tenant_id  text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    vendor     text NOT NULL,
    month      date NOT NULL CHECK (extract(day FROM month) = 1),  -- its first day, UTC
    used       integer NOT NULL CHECK (used >= 0),                 -- in the vendor's units
    PRIMARY KEY (tenant_id, vendor, month)
);

CREATE TABLE web_search_answers (
    tenant_id  text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    question   text NOT NULL,  -- a hash of everything that was asked
    kind       text NOT NULL CHECK (kind IN ('pages', 'places', 'news', 'linkedin')),
    answer     jsonb NOT NULL,
    asked_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, question)
);
CREATE INDEX web_search_answers_age ON web_search_answers (tenant_id, asked_at);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['web_search_use', 'web_search_answers'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = current_tenant())', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO mutirao_app', t);
    END LOOP;
END $$;
