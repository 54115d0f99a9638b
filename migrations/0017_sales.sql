-- What conversations with leads come to: their stage, what they let know with the words for it, their score; and the
-- documents that answers may be taken from. business/sales reads and writes these tables.

CREATE TABLE sales_leads (
    tenant_id     text NOT NULL,
    chat_id       text NOT NULL,
    stage         text NOT NULL CHECK (stage IN ('introduction', 'discovery', 'qualification', 'presentation',
                  'objection', 'scheduling', 'close', 'nurture', 'lost')),
    stage_at      timestamptz NOT NULL,
    score         integer NOT NULL DEFAULT 0 CHECK (score BETWEEN 0 AND 100),
    verdict       text NOT NULL DEFAULT 'cold' CHECK (verdict IN ('hot', 'warm', 'cold')),
    rules         text NOT NULL DEFAULT '',     -- version of the rules that the score was made by
    told_score    integer,                      -- what the CRM was told last
    told_verdict  text,
    told_stage    text,
    hot_told_at   timestamptz,                  -- when the owner was told that it is hot
    updated_at    timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, chat_id),
    FOREIGN KEY (tenant_id, chat_id) REFERENCES chats (tenant_id, id) ON DELETE CASCADE
);

-- Budget, authority, need and timeline, each with the contact's own words. Nothing is overwritten: the newest holds.
CREATE TABLE sales_evidence (
    tenant_id   text NOT NULL,
    id          text NOT NULL,
    seq         bigint GENERATED ALWAYS AS IDENTITY,
    chat_id     text NOT NULL,
    slot        text NOT NULL CHECK (slot IN ('need', 'timeline', 'authority', 'budget')),
    reading     text NOT NULL,
    quote       text NOT NULL,
    value       text NOT NULL DEFAULT '',
    amount      numeric(18, 2),
    currency    text,
    message_id  text,                           -- chat_messages; null when it is known by the turn alone
    turn_id     text NOT NULL,
    at          timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, chat_id) REFERENCES chats (tenant_id, id) ON DELETE CASCADE,
    CHECK ((amount IS NULL) = (currency IS NULL))
);
CREATE INDEX sales_evidence_of_chat ON sales_evidence (tenant_id, chat_id, seq);

CREATE TABLE sales_steps (
    tenant_id  text NOT NULL,
    chat_id    text NOT NULL,
    seq        bigint GENERATED ALWAYS AS IDENTITY,
    before     text,
    after      text NOT NULL,
    why        text NOT NULL DEFAULT '',
    turn_id    text,
    at         timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, chat_id, seq),
    FOREIGN KEY (tenant_id, chat_id) REFERENCES chats (tenant_id, id) ON DELETE CASCADE
);

-- Files that answers may be taken from. Their passages are items of the long-term memory, collection "documents".
CREATE TABLE sales_documents (
    tenant_id  text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    name       text NOT NULL,                   -- path inside the documents folder, or as it was added
    title      text NOT NULL,
    sha256     text NOT NULL,
    size       bigint NOT NULL,
    passages   text[] NOT NULL,                 -- ids of the memory's items
    from_folder boolean NOT NULL,               -- goes when its file goes
    added_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, name)
);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['sales_leads', 'sales_evidence', 'sales_steps', 'sales_documents'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = current_tenant())', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO mutirao_app', t);
    END LOOP;
END $$;
