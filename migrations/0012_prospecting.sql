-- Prospecting: searches for companies, what they found, what was said of it (business/prospecting).
--
-- A company is a candidate of a tenant once, whatever search found it: so the same sentence said again goes on with the
-- next ones. It is recognised by `company_key`, a hash of tenant and CNPJ, which stays when the rest is erased.

CREATE TABLE prospect_searches (
    tenant_id      text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id             text NOT NULL,
    wish           text NOT NULL,  -- what is looked for, without how many: searches of one wish share their cursors
    sentence       text NOT NULL,
    language       text NOT NULL,
    profile        jsonb NOT NULL,
    plan           jsonb NOT NULL,
    rules_version  text NOT NULL,
    state          text NOT NULL CHECK (state IN ('running', 'paused', 'done', 'failed')),
    ended          text,           -- why it is done or failed: enough, enough_to_look_at, plan_end, or an error's code
    progress       jsonb NOT NULL DEFAULT '{}',
    cost           jsonb NOT NULL DEFAULT '{}',
    lease_by       text,           -- the process that works on it, until lease_until
    lease_until    timestamptz,
    owner_id       text,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, owner_id) REFERENCES users (tenant_id, id) ON DELETE SET NULL (owner_id)
);
CREATE INDEX prospect_searches_wish ON prospect_searches (tenant_id, wish, created_at DESC);
CREATE INDEX prospect_searches_owner ON prospect_searches (tenant_id, owner_id);

-- How far each query of the registry has been walked. `cursor` is what the page in hand was asked with (null: the
-- first), `item` how many of its companies are done; a search of the same wish begins where the last one stopped.
CREATE TABLE prospect_cursors (
    tenant_id   text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    search_id   text NOT NULL,
    step        text NOT NULL,
    cursor      text,
    item        integer NOT NULL DEFAULT 0,
    pages       integer NOT NULL DEFAULT 0,  -- read to their end by this search
    ended_at    timestamptz,                 -- when the registry had no further page
    PRIMARY KEY (tenant_id, search_id, step),
    FOREIGN KEY (tenant_id, search_id) REFERENCES prospect_searches (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE prospect_candidates (
    tenant_id      text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id             text NOT NULL,
    seq            bigint GENERATED ALWAYS AS IDENTITY,
    search_id      text NOT NULL,
    company_key    text NOT NULL,
    group_key      text NOT NULL,  -- the same of the CNPJ's root: a company and its branches
    cnpj           text,           -- null when erased, as name, bronze and evidence are
    name           text,
    bronze         jsonb,          -- the registry's answer as it was read
    evidence       jsonb NOT NULL DEFAULT '[]',
    score          integer NOT NULL CHECK (score BETWEEN 0 AND 100),
    verdict        text NOT NULL CHECK (verdict IN ('qualified', 'person', 'below')),
    scored         jsonb NOT NULL, -- the reasons, and every line of the score
    rules_version  text NOT NULL,
    state          text NOT NULL CHECK (state IN ('new', 'saved', 'duplicate', 'rejected')),
    duplicate_of   text,
    step           text NOT NULL,
    found_at       timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, company_key),
    FOREIGN KEY (tenant_id, search_id) REFERENCES prospect_searches (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, duplicate_of) REFERENCES prospect_candidates (tenant_id, id)
        ON DELETE SET NULL (duplicate_of)
);
CREATE INDEX prospect_candidates_search ON prospect_candidates (tenant_id, search_id, score DESC, seq);
CREATE INDEX prospect_candidates_group ON prospect_candidates (tenant_id, group_key);

-- What became of a candidate or was said of it, with its traits as they were: the last word counts.
CREATE TABLE prospect_feedback (
    tenant_id     text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    candidate_id  text NOT NULL,
    said          text NOT NULL CHECK (said IN ('won', 'lost', 'not_this_kind')),
    traits        jsonb NOT NULL,
    by_user       text NOT NULL,
    at            timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, candidate_id),
    FOREIGN KEY (tenant_id, candidate_id) REFERENCES prospect_candidates (tenant_id, id) ON DELETE CASCADE
);

-- The rule file of a tenant that has its own.
CREATE TABLE prospect_rules (
    tenant_id  text PRIMARY KEY REFERENCES tenants ON DELETE CASCADE,
    text       text NOT NULL,
    by_user    text NOT NULL,
    at         timestamptz NOT NULL
);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['prospect_searches', 'prospect_cursors', 'prospect_candidates', 'prospect_feedback',
        'prospect_rules'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = current_tenant())', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO mutirao_app', t);
    END LOOP;
END $$;
