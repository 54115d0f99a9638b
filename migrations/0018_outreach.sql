-- Writing to people of one's own accord, and meeting them: meetings of the house (business/sales), outside calendars
-- that stand behind them, cadences and their runs (business/outreach), and what people of the house were told of.

-- A meeting. `key` makes the same wish one row; `held`: the time is taken while an outside calendar is asked.
CREATE TABLE appointments (
    tenant_id    text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id           text NOT NULL,
    key          text NOT NULL,
    host_id      text,                        -- of ours; null: the house's common line
    title        text NOT NULL,
    starts_at    timestamptz NOT NULL,
    ends_at      timestamptz NOT NULL CHECK (ends_at > starts_at),
    guest_name   text NOT NULL DEFAULT '',
    guest_email  text,
    zone         text NOT NULL,               -- whose clock the guest goes by
    contact_id   text,
    company_id   text,
    deal_id      text,
    chat_id      text,
    state        text NOT NULL CHECK (state IN ('held', 'booked', 'cancelled')),
    link         text NOT NULL DEFAULT '',
    external_id  text,
    reason       text NOT NULL DEFAULT '',
    remind_at    timestamptz,
    reminded_at  timestamptz,
    created_at   timestamptz NOT NULL,
    changed_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, key),
    FOREIGN KEY (tenant_id, host_id) REFERENCES users (tenant_id, id) ON DELETE SET NULL (host_id),
    FOREIGN KEY (tenant_id, contact_id) REFERENCES crm_contacts (tenant_id, id) ON DELETE SET NULL (contact_id),
    FOREIGN KEY (tenant_id, company_id) REFERENCES crm_companies (tenant_id, id) ON DELETE SET NULL (company_id),
    FOREIGN KEY (tenant_id, deal_id) REFERENCES crm_deals (tenant_id, id) ON DELETE SET NULL (deal_id),
    FOREIGN KEY (tenant_id, chat_id) REFERENCES chats (tenant_id, id) ON DELETE SET NULL (chat_id)
);
CREATE INDEX appointments_coming ON appointments (tenant_id, starts_at) WHERE state <> 'cancelled';
CREATE INDEX appointments_chat ON appointments (tenant_id, chat_id);
CREATE INDEX appointments_contact ON appointments (tenant_id, contact_id);
CREATE INDEX appointments_to_remind ON appointments (tenant_id, remind_at)
    WHERE reminded_at IS NULL AND state = 'booked';

-- Five minutes of one host's time: each exists once, so that nobody is in two meetings.
CREATE TABLE appointment_steps (
    tenant_id       text NOT NULL,
    host            text NOT NULL,            -- users.id, or "" for the house's common line
    at              timestamptz NOT NULL,
    appointment_id  text NOT NULL,
    PRIMARY KEY (tenant_id, host, at),
    FOREIGN KEY (tenant_id, appointment_id) REFERENCES appointments (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX appointment_steps_of ON appointment_steps (tenant_id, appointment_id);

-- A calendar outside, of one host or ("") of the house. `secret`: its credentials, sealed (core/vault).
CREATE TABLE calendar_links (
    tenant_id    text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    host         text NOT NULL,
    provider     text NOT NULL CHECK (provider IN ('google')),
    calendar     text NOT NULL,               -- its id: "primary", an e-mail address
    key_id       text NOT NULL,
    secret       bytea NOT NULL,
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, host)
);

-- The cadence files of an account that has its own.
CREATE TABLE cadences (
    tenant_id  text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    name       text NOT NULL,
    text       text NOT NULL,
    by_user    text NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, name)
);

-- One lead that goes through a cadence. `plan` is the cadence as it was approved: a file that changes later changes no
-- run. `step` is the next one, due at `next_at`.
CREATE TABLE outreach_runs (
    tenant_id     text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id            text NOT NULL,
    cadence       text NOT NULL,
    plan          jsonb NOT NULL,
    name          text NOT NULL,              -- of whom it is about, to tell people
    company_id    text,
    contact_id    text,
    deal_id       text,
    chat_id       text,                       -- where it began; of a follow-up: the conversation that went quiet
    owner_id      text,
    started_by    text NOT NULL,
    words         jsonb NOT NULL DEFAULT '{}',-- what fills the texts
    state         text NOT NULL CHECK (state IN ('running', 'waiting', 'stopped', 'done')),
    reason        text NOT NULL DEFAULT '',
    step          integer NOT NULL DEFAULT 0,
    touches       integer NOT NULL DEFAULT 0, -- messages, without tasks of people
    last_touch_at timestamptz,
    next_at       timestamptz,
    started_at    timestamptz NOT NULL,
    ended_at      timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, company_id) REFERENCES crm_companies (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, contact_id) REFERENCES crm_contacts (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, deal_id) REFERENCES crm_deals (tenant_id, id) ON DELETE SET NULL (deal_id),
    FOREIGN KEY (tenant_id, chat_id) REFERENCES chats (tenant_id, id) ON DELETE CASCADE,
    CHECK (company_id IS NOT NULL OR contact_id IS NOT NULL OR chat_id IS NOT NULL)
);
CREATE INDEX outreach_runs_due ON outreach_runs (tenant_id, next_at) WHERE state = 'running';
-- A lead goes through one cadence at a time, a conversation through one follow-up.
CREATE UNIQUE INDEX outreach_runs_company ON outreach_runs (tenant_id, company_id)
    WHERE state IN ('running', 'waiting') AND company_id IS NOT NULL;
CREATE UNIQUE INDEX outreach_runs_chat ON outreach_runs (tenant_id, chat_id)
    WHERE state IN ('running', 'waiting') AND chat_id IS NOT NULL;

-- What a run has done: a message (`outbox_id`), a task of a person (`task_id`), or why nothing was done.
CREATE TABLE outreach_touches (
    tenant_id   text NOT NULL,
    run_id      text NOT NULL,
    step        integer NOT NULL,
    channel     text NOT NULL,
    what        text NOT NULL CHECK (what IN ('message', 'task', 'proposal', 'skipped')),
    ref         text,                         -- outbox.id, crm_tasks.id, proposals.id
    reason      text NOT NULL DEFAULT '',
    at          timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, run_id, step),
    FOREIGN KEY (tenant_id, run_id) REFERENCES outreach_runs (tenant_id, id) ON DELETE CASCADE
);

-- What people of the house were told, each once.
CREATE TABLE notices (
    tenant_id   text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    key         text NOT NULL,
    kind        text NOT NULL,
    user_id     text NOT NULL,
    text        text NOT NULL,
    at          timestamptz NOT NULL,
    told_at     timestamptz,                  -- in the chat
    mailed_at   timestamptz,                  -- by e-mail, where that is wished
    PRIMARY KEY (tenant_id, user_id, key),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['appointments', 'appointment_steps', 'calendar_links', 'cadences', 'outreach_runs',
                             'outreach_touches', 'notices'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = current_tenant())', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO mutirao_app', t);
    END LOOP;
END $$;
