-- The CRM: companies and contacts with what identifies them, deals, the timeline, and what must never be forgotten.
--
-- A merged record stays in its table with `merged_into` set: it is hidden, and comes back when the merge is undone.
-- `facts` says for every field where its value is from: {"name": {"source", "reference", "by_person", "at"}}.
-- Everything here is compared by operators that are leakproof (= < >= of text), so that its indexes serve under
-- row-level security; LIKE, @@ and the operators of arrays are not.

CREATE TABLE crm_companies (
    tenant_id        text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id               text NOT NULL,
    legal_name       text,
    trade_name       text,
    main_cnae        text,     -- 7 digits
    further_cnaes    text[],
    size             text,     -- as the source says: ME, EPP, DEMAIS
    opened_on        date,
    registry_status  text,     -- as the source says: ATIVA, BAIXADA
    city             text,
    city_code        text,     -- IBGE, 7 digits
    uf               text,
    address          text,
    cep              text,     -- 8 digits
    website          text,
    custom           jsonb NOT NULL DEFAULT '{}',
    tags             text[] NOT NULL DEFAULT '{}',
    owner_id         text,
    purpose          text,     -- what the data may be used for, in the words of whoever brought it
    facts            jsonb NOT NULL DEFAULT '{}',
    merged_into      text,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, owner_id) REFERENCES users (tenant_id, id) ON DELETE SET NULL (owner_id),
    FOREIGN KEY (tenant_id, merged_into) REFERENCES crm_companies (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX crm_companies_owner ON crm_companies (tenant_id, owner_id);
CREATE INDEX crm_companies_latest ON crm_companies (tenant_id, updated_at DESC, id);
CREATE INDEX crm_companies_merged ON crm_companies (tenant_id, merged_into) WHERE merged_into IS NOT NULL;

CREATE TABLE crm_contacts (
    tenant_id     text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id            text NOT NULL,
    name          text,
    title         text,
    company_name  text,        -- as given; company_id when the company is known here
    company_id    text,
    city          text,
    address       text,
    custom        jsonb NOT NULL DEFAULT '{}',
    tags          text[] NOT NULL DEFAULT '{}',
    owner_id      text,
    purpose       text,
    facts         jsonb NOT NULL DEFAULT '{}',
    merged_into   text,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, company_id) REFERENCES crm_companies (tenant_id, id) ON DELETE SET NULL (company_id),
    FOREIGN KEY (tenant_id, owner_id) REFERENCES users (tenant_id, id) ON DELETE SET NULL (owner_id),
    FOREIGN KEY (tenant_id, merged_into) REFERENCES crm_contacts (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX crm_contacts_owner ON crm_contacts (tenant_id, owner_id);
CREATE INDEX crm_contacts_company ON crm_contacts (tenant_id, company_id);
CREATE INDEX crm_contacts_latest ON crm_contacts (tenant_id, updated_at DESC, id);
CREATE INDEX crm_contacts_merged ON crm_contacts (tenant_id, merged_into) WHERE merged_into IS NOT NULL;

-- Telephones, e-mails, documents and handles, of contacts and companies. `value` is the form that is compared
-- (business/crm/identity.py), `given` what was written. Two people may share a telephone; a document is one's own.
CREATE TABLE crm_keys (
    tenant_id   text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    subject     text NOT NULL CHECK (subject IN ('contact', 'company')),
    subject_id  text NOT NULL,
    kind        text NOT NULL CHECK (kind IN
                ('phone', 'email', 'wa_id', 'bsuid', 'lid', 'cpf', 'cnpj', 'instagram', 'linkedin')),
    value       text NOT NULL,
    given       text NOT NULL,
    source      text NOT NULL,
    reference   text NOT NULL DEFAULT '',
    at          timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, subject_id, kind, value)
);
CREATE INDEX crm_keys_value ON crm_keys (tenant_id, value);
CREATE UNIQUE INDEX crm_keys_one_contact ON crm_keys (tenant_id, kind, value)
    WHERE subject = 'contact' AND kind IN ('cpf', 'bsuid', 'lid');
CREATE UNIQUE INDEX crm_keys_one_company ON crm_keys (tenant_id, value) WHERE subject = 'company' AND kind = 'cnpj';

-- What a search looks through: folded words, and the pieces of telephones that people type (business/crm/search.py).
CREATE TABLE crm_words (
    tenant_id   text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    word        text COLLATE "C" NOT NULL,
    subject     text NOT NULL,
    subject_id  text NOT NULL,
    owner_id    text,  -- the record's, so that a search of one's own looks at nobody else's
    PRIMARY KEY (tenant_id, subject, word, subject_id) INCLUDE (owner_id)
);
CREATE INDEX crm_words_subject ON crm_words (tenant_id, subject_id);

-- Fields that a tenant adds. `choices` are those of the type choice.
CREATE TABLE crm_fields (
    tenant_id   text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    subject     text NOT NULL CHECK (subject IN ('contact', 'company', 'deal')),
    name        text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]{0,39}$'),
    label       text NOT NULL,
    type        text NOT NULL CHECK (type IN ('text', 'number', 'date', 'yes_no', 'choice')),
    choices     text[] NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, subject, name)
);

CREATE TABLE crm_stages (
    tenant_id  text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id         text NOT NULL,
    name       text NOT NULL CHECK (name <> ''),
    kind       text NOT NULL CHECK (kind IN ('open', 'won', 'lost')),
    position   integer NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX crm_stages_name ON crm_stages (tenant_id, lower(name));

CREATE TABLE crm_deals (
    tenant_id    text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id           text NOT NULL,
    title        text NOT NULL,
    contact_id   text,
    company_id   text,
    stage_id     text NOT NULL,
    amount       numeric(18, 4),  -- in the main unit of the currency; null is unknown, which is not 0
    currency     text,
    expected_on  date,
    lost_reason  text,
    custom       jsonb NOT NULL DEFAULT '{}',
    tags         text[] NOT NULL DEFAULT '{}',
    owner_id     text,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    stage_at     timestamptz NOT NULL,  -- when it came to its stage
    closed_at    timestamptz,
    PRIMARY KEY (tenant_id, id),
    CHECK ((amount IS NULL) = (currency IS NULL)),
    FOREIGN KEY (tenant_id, stage_id) REFERENCES crm_stages (tenant_id, id),
    FOREIGN KEY (tenant_id, contact_id) REFERENCES crm_contacts (tenant_id, id) ON DELETE SET NULL (contact_id),
    FOREIGN KEY (tenant_id, company_id) REFERENCES crm_companies (tenant_id, id) ON DELETE SET NULL (company_id),
    FOREIGN KEY (tenant_id, owner_id) REFERENCES users (tenant_id, id) ON DELETE SET NULL (owner_id)
);
CREATE INDEX crm_deals_stage ON crm_deals (tenant_id, stage_id, updated_at DESC);
CREATE INDEX crm_deals_owner ON crm_deals (tenant_id, owner_id);
CREATE INDEX crm_deals_contact ON crm_deals (tenant_id, contact_id);
CREATE INDEX crm_deals_company ON crm_deals (tenant_id, company_id);

-- The timeline: what people wrote (note, call, meeting, message, email) and what happened (stage, merged, opted_out …).
CREATE TABLE crm_activities (
    tenant_id   text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id          text NOT NULL,
    contact_id  text,
    company_id  text,
    deal_id     text,
    kind        text NOT NULL,
    text        text NOT NULL DEFAULT '',
    data        jsonb NOT NULL DEFAULT '{}',
    actor       text NOT NULL,  -- a user id, or a word for what acts by itself
    at          timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CHECK (num_nonnulls(contact_id, company_id, deal_id) > 0),
    FOREIGN KEY (tenant_id, contact_id) REFERENCES crm_contacts (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, company_id) REFERENCES crm_companies (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, deal_id) REFERENCES crm_deals (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX crm_activities_contact ON crm_activities (tenant_id, contact_id, at);
CREATE INDEX crm_activities_company ON crm_activities (tenant_id, company_id, at);
CREATE INDEX crm_activities_deal ON crm_activities (tenant_id, deal_id, at);

CREATE TABLE crm_tasks (
    tenant_id   text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id          text NOT NULL,
    contact_id  text,
    company_id  text,
    deal_id     text,
    title       text NOT NULL,
    due_at      timestamptz,
    done_at     timestamptz,
    owner_id    text,
    created_by  text NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, contact_id) REFERENCES crm_contacts (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, company_id) REFERENCES crm_companies (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, deal_id) REFERENCES crm_deals (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, owner_id) REFERENCES users (tenant_id, id) ON DELETE SET NULL (owner_id)
);
CREATE INDEX crm_tasks_open ON crm_tasks (tenant_id, owner_id, due_at) WHERE done_at IS NULL;
CREATE INDEX crm_tasks_contact ON crm_tasks (tenant_id, contact_id);
CREATE INDEX crm_tasks_company ON crm_tasks (tenant_id, company_id);
CREATE INDEX crm_tasks_deal ON crm_tasks (tenant_id, deal_id);

-- Two records that became one: the kept one as it was and became, and which rows followed, so that it can be undone.
CREATE TABLE crm_merges (
    tenant_id    text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id           text NOT NULL,
    seq          bigint GENERATED ALWAYS AS IDENTITY,
    subject      text NOT NULL CHECK (subject IN ('contact', 'company')),
    kept_id      text NOT NULL,
    other_id     text NOT NULL,
    kept_before  jsonb NOT NULL,
    kept_after   jsonb NOT NULL,
    moved        jsonb NOT NULL,
    by_user      text NOT NULL,
    at           timestamptz NOT NULL,
    undone_by    text,
    undone_at    timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX crm_merges_kept ON crm_merges (tenant_id, kept_id);
CREATE INDEX crm_merges_other ON crm_merges (tenant_id, other_id);

-- Facts for other modules, written with what they tell of. Ids and figures only: nothing of a person.
-- `xid` lets a reader pass by what may still be followed by an older transaction (business/crm/events.py).
CREATE TABLE crm_events (
    tenant_id   text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    seq         bigint GENERATED ALWAYS AS IDENTITY,
    xid         xid8 NOT NULL DEFAULT pg_current_xact_id(),
    kind        text NOT NULL,
    subject_id  text NOT NULL,
    data        jsonb NOT NULL DEFAULT '{}',
    at          timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, xid, seq)
);
CREATE INDEX crm_events_subject ON crm_events (tenant_id, subject_id);
CREATE TABLE crm_event_readers (
    tenant_id  text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    reader     text NOT NULL,
    xid        xid8 NOT NULL DEFAULT '0',
    seq        bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, reader)
);

-- Who must not be written to or called, by a hash of the key, so that it outlives the erasure of the person.
CREATE TABLE crm_do_not_contact (
    tenant_id  text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    hash       text NOT NULL,
    kind       text NOT NULL,
    reason     text NOT NULL,
    since      timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, hash)
);

-- Files of contacts or companies that were brought. The file itself is deleted when it was read to its end.
CREATE TABLE crm_imports (
    tenant_id   text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id          text NOT NULL,
    file_id     text NOT NULL,
    name        text NOT NULL,
    subject     text NOT NULL CHECK (subject IN ('contact', 'company')),
    state       text NOT NULL CHECK (state IN ('waiting', 'reading', 'done', 'failed')),
    columns     jsonb NOT NULL DEFAULT '{}',
    purpose     text,
    rows_done   integer NOT NULL DEFAULT 0,
    outcomes    jsonb NOT NULL DEFAULT '{}',  -- outcome → rows
    report      jsonb NOT NULL DEFAULT '{}',
    created_by  text NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['crm_companies', 'crm_contacts', 'crm_keys', 'crm_words', 'crm_fields', 'crm_stages',
        'crm_deals', 'crm_activities', 'crm_tasks', 'crm_merges', 'crm_events', 'crm_event_readers',
        'crm_do_not_contact', 'crm_imports'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = current_tenant())', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO mutirao_app', t);
    END LOOP;
END $$;
