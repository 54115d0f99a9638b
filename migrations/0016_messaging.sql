-- Talking with people outside, on WhatsApp and by other channels: by which numbers, with whom, what was said, what is
-- about to leave, and what forbids it. business/messaging reads and writes these tables.
--
-- From the wire to a conversation: a webhook's items are committed to `inbox` before they are acknowledged; the sorter
-- joins them to `chats`, `chat_messages` and statuses, each once. From a conversation to the wire: every message that
-- shall leave is a row of `outbox` first.

-- By what a tenant is reached, and by what it writes: a WhatsApp number at one of several gateways, an e-mail sender,
-- an SMS number. `number` is what the gateway calls it: phone number id, instance. `secret`: tokens, sealed (core/vault).
CREATE TABLE channels (
    tenant_id    text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id           text NOT NULL,
    provider     text NOT NULL CHECK (provider IN
                 ('whatsapp_cloud', 'evolution', 'uazapi', 'lancepilot', 'email', 'sms')),
    number       text NOT NULL,
    name         text NOT NULL,
    phone        text NOT NULL DEFAULT '',   -- as people see it, digits with country code
    account      text NOT NULL DEFAULT '',   -- WhatsApp business account; "" where there is none
    environment  text NOT NULL CHECK (environment IN ('sandbox', 'live')),
    base_url     text NOT NULL DEFAULT '',   -- "" for the provider's own address
    settings     jsonb NOT NULL DEFAULT '{}',
    key_id       text,
    secret       bytea,
    state        text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused')),
    owner_id     text,                       -- whose new conversations are, until somebody is assigned
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (provider, number),
    CHECK ((secret IS NULL) = (key_id IS NULL)),
    FOREIGN KEY (tenant_id, owner_id) REFERENCES users (tenant_id, id) ON DELETE SET NULL (owner_id)
);

-- Deprecated: where an older installation kept one gateway per tenant. Read last, never written by us.
ALTER TABLE tenants
    ADD COLUMN whatsapp_provider  text,
    ADD COLUMN api_url            text,
    ADD COLUMN token              bytea,   -- sealed
    ADD COLUMN token_key_id       text;

-- Every item of every webhook, once: `number` is "provider:number", `key` the item's own (message id, status …).
-- tenant_id is null for a number that nobody has connected: kept, and seen by nobody but the doctor's count.
CREATE TABLE inbox (
    id           bigint GENERATED ALWAYS AS IDENTITY,
    number       text NOT NULL,
    key          text NOT NULL,
    tenant_id    text REFERENCES tenants ON DELETE CASCADE,
    kind         text NOT NULL,              -- message, echo, status, failure, preference, template, notice, unread
    item         jsonb NOT NULL,             -- as the provider sent it, with what of its envelope is needed to read it
    received_at  timestamptz NOT NULL,
    sorted_at    timestamptz,
    outcome      text,                       -- sorted, ignored, or why it could not be: dead:<reason>
    PRIMARY KEY (number, key)
);
CREATE INDEX inbox_waiting ON inbox (tenant_id, id) WHERE sorted_at IS NULL;
CREATE INDEX inbox_age ON inbox (tenant_id, received_at);

-- A conversation with one person on one channel.
CREATE TABLE chats (
    tenant_id         text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id                text NOT NULL,
    channel_id        text NOT NULL,
    address           text NOT NULL,             -- where we write to: wa_id, user id, e-mail, telephone; never rewritten
    user_id           text,                      -- WhatsApp's business-scoped user id
    name              text NOT NULL DEFAULT '',  -- as the person calls themselves
    contact_id        text,
    company_id        text,
    deal_id           text,
    owner_id          text,                      -- of ours: whose conversation it is
    held              text NOT NULL DEFAULT 'bot' CHECK (held IN ('bot', 'fetching', 'person')),
    held_since        timestamptz,
    held_by           text,
    segment           integer NOT NULL DEFAULT 0,
    language          text NOT NULL DEFAULT 'pt-BR',
    place             text NOT NULL DEFAULT '',  -- state of Brazil, by area code or as told; its clock is the person's
    referral          jsonb,                     -- of the first message: ctwa_clid, source_id …
    entry_at          timestamptz,               -- when it came by an advertisement, by WhatsApp's clock
    entry_answered_at timestamptz,
    last_from_contact timestamptz,               -- of what opens the window, by WhatsApp's clock
    last_received_at  timestamptz,
    last_at           timestamptz NOT NULL,      -- of the newest message of anybody
    messages_in       integer NOT NULL DEFAULT 0,
    answered_in       integer NOT NULL DEFAULT 0,-- how many of them an answer that left has taken into account
    waiting_since     timestamptz,               -- the first message that no answer or person has taken up
    due_at            timestamptz,               -- when the turn for what waits begins
    superseded        integer NOT NULL DEFAULT 0,
    unread            integer NOT NULL DEFAULT 0,
    goodbye_sent      boolean NOT NULL DEFAULT false,
    session           jsonb NOT NULL DEFAULT '{}',
    session_version   integer NOT NULL DEFAULT 0,
    summary           text NOT NULL DEFAULT '',  -- for the person who takes over
    tags              text[] NOT NULL DEFAULT '{}',
    closed_at         timestamptz,
    version           bigint NOT NULL DEFAULT 0, -- grows with every change: who looks on asks for what is newer
    created_at        timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, channel_id, address),
    FOREIGN KEY (tenant_id, channel_id) REFERENCES channels (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, contact_id) REFERENCES crm_contacts (tenant_id, id) ON DELETE SET NULL (contact_id),
    FOREIGN KEY (tenant_id, company_id) REFERENCES crm_companies (tenant_id, id) ON DELETE SET NULL (company_id),
    FOREIGN KEY (tenant_id, deal_id) REFERENCES crm_deals (tenant_id, id) ON DELETE SET NULL (deal_id),
    FOREIGN KEY (tenant_id, owner_id) REFERENCES users (tenant_id, id) ON DELETE SET NULL (owner_id),
    FOREIGN KEY (tenant_id, held_by) REFERENCES users (tenant_id, id) ON DELETE SET NULL (held_by)
);
CREATE INDEX chats_latest ON chats (tenant_id, last_at DESC, id);
CREATE INDEX chats_contact ON chats (tenant_id, contact_id);
CREATE INDEX chats_due ON chats (tenant_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX chats_user ON chats (tenant_id, channel_id, user_id) WHERE user_id IS NOT NULL;

-- What was said, by whom. `seq` is the order in the conversation; notes of ours are never sent.
CREATE TABLE chat_messages (
    tenant_id    text NOT NULL,
    id           text NOT NULL,
    chat_id      text NOT NULL,
    seq          bigint GENERATED ALWAYS AS IDENTITY,
    direction    text NOT NULL CHECK (direction IN ('in', 'out', 'note')),
    author       text NOT NULL CHECK (author IN ('contact', 'bot', 'person', 'system')),
    author_id    text,                       -- a user of ours
    kind         text NOT NULL,              -- WhatsApp's type: text, image, audio, interactive, template, note …
    text         text NOT NULL DEFAULT '',   -- what one reads: body, caption, title of a choice, a template filled
    content      jsonb NOT NULL DEFAULT '{}',
    external_id  text,                       -- the provider's id of it
    reply_to     text,                       -- the provider's id of what it answers
    media_id     text,                       -- chat_media
    at           timestamptz NOT NULL,       -- by WhatsApp's clock for what came in, ours for the rest
    received_at  timestamptz NOT NULL,
    segment      integer NOT NULL DEFAULT 0,
    turn_id      text,
    status       text,                       -- of what goes out: business/messaging/statuses.py Status, or dropped
    status_at    timestamptz,
    error        integer,                    -- the provider's code
    contradicted boolean NOT NULL DEFAULT false,
    edited_at    timestamptz,
    revoked_at   timestamptz,
    reaction     text NOT NULL DEFAULT '',   -- an emoji that the other side put on it
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, chat_id) REFERENCES chats (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX chat_messages_of_chat ON chat_messages (tenant_id, chat_id, seq);
CREATE UNIQUE INDEX chat_messages_external ON chat_messages (tenant_id, chat_id, external_id)
    WHERE external_id IS NOT NULL;
CREATE INDEX chat_messages_by_external ON chat_messages (tenant_id, external_id) WHERE external_id IS NOT NULL;

CREATE TABLE chat_media (
    tenant_id     text NOT NULL,
    id            text NOT NULL,
    chat_id       text NOT NULL,
    provider_id   text NOT NULL,              -- what the provider gives it out for
    kind          text NOT NULL,
    mime          text NOT NULL DEFAULT '',
    name          text NOT NULL DEFAULT '',
    file_id       text,                       -- core/files, once fetched
    size          bigint,
    seconds       numeric(9, 2),              -- of sound or film, when known
    state         text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'kept', 'refused', 'gone')),
    reason        text NOT NULL DEFAULT '',
    words         text NOT NULL DEFAULT '',   -- transcript, description or text of the document
    words_state   text NOT NULL DEFAULT 'none' CHECK (words_state IN ('none', 'waiting', 'done', 'failed')),
    words_by      text NOT NULL DEFAULT '',   -- provider/model, or the reader
    cost_usd      numeric(12, 6),
    created_at    timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, chat_id) REFERENCES chats (tenant_id, id) ON DELETE CASCADE
);

-- What shall leave. One row a message, in the order of `seq` within a chat; `key` makes the same wish one row.
CREATE TABLE outbox (
    tenant_id    text NOT NULL,
    id           text NOT NULL,              -- travels with the message as callback data, and comes back with its statuses
    seq          bigint GENERATED ALWAYS AS IDENTITY,
    chat_id      text NOT NULL,
    message_id   text NOT NULL,
    key          text NOT NULL,
    content      jsonb NOT NULL,             -- integrations/whatsapp_cloud/messages.Content as JSON
    purpose      text NOT NULL,              -- business/messaging/templates.Purpose
    author       text NOT NULL CHECK (author IN ('bot', 'person')),
    once         boolean NOT NULL DEFAULT false,  -- at most one attempt when the outcome is unknown
    facts        jsonb NOT NULL DEFAULT '{}',     -- of policy.Outgoing: answers, segment, superseded, planned_at, values …
    reply_to     text,
    state        text NOT NULL DEFAULT 'waiting' CHECK (state IN
                 ('waiting', 'claimed', 'sent', 'unknown', 'failed', 'dropped', 'ask')),
    attempts     integer NOT NULL DEFAULT 0,
    not_before   timestamptz,
    claim        text,                       -- who sends it now: a fence
    claimed_at   timestamptz,
    decision     jsonb,                      -- the policy's last word
    template     text NOT NULL DEFAULT '',        -- the template as which it left, or shall leave
    marketing    boolean NOT NULL DEFAULT false,  -- it left as advertising: counts for the contact's cap
    outside      boolean NOT NULL DEFAULT false,  -- it left outside the window: its person counts for the portfolio
    external_id  text,
    error        integer,
    reason       text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL,
    finished_at  timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, key),
    FOREIGN KEY (tenant_id, chat_id) REFERENCES chats (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, message_id) REFERENCES chat_messages (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX outbox_open ON outbox (tenant_id, chat_id, seq) WHERE state IN ('waiting', 'claimed', 'unknown', 'ask');
CREATE INDEX outbox_left ON outbox (tenant_id, chat_id, claimed_at) WHERE claimed_at IS NOT NULL;
CREATE INDEX outbox_portfolio ON outbox (tenant_id, claimed_at) WHERE outside;
CREATE INDEX outbox_external ON outbox (tenant_id, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX outbox_message ON outbox (tenant_id, message_id);

-- Statuses of messages that we do not know (yet): joined when our row learns its external id.
CREATE TABLE early_statuses (
    tenant_id    text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    external_id  text NOT NULL,
    status       text NOT NULL,
    at           timestamptz NOT NULL,
    error        integer,
    outbox_id    text,                       -- from the callback data
    received_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, external_id, status)
);
CREATE INDEX early_statuses_age ON early_statuses (tenant_id, received_at);

-- Who may be written to. One ledger for all channels: `subject` is the contact of the CRM where it is known, else the
-- address. Nothing is ever taken out; business/messaging/consent.py reads it.
CREATE TABLE consent_entries (
    tenant_id   text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id          text NOT NULL,
    contact_id  text,
    address     text NOT NULL,
    act         text NOT NULL,
    scope       text NOT NULL,
    how         text NOT NULL,
    detail      text NOT NULL DEFAULT '',
    chat_id     text,
    at          timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX consent_entries_contact ON consent_entries (tenant_id, contact_id);
CREATE INDEX consent_entries_address ON consent_entries (tenant_id, address);

-- What WhatsApp has refused, and what that forbids until when (business/messaging/failures.py Block).
CREATE TABLE message_blocks (
    tenant_id   text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id          text NOT NULL,
    place       text NOT NULL CHECK (place IN ('pair', 'contact', 'number', 'app', 'template')),
    channel_id  text,
    address     text,
    name        text NOT NULL DEFAULT '',    -- of the template
    covers      text NOT NULL,
    code        integer NOT NULL,
    at          timestamptz NOT NULL,
    until       timestamptz,
    lifted_at   timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX message_blocks_holding ON message_blocks (tenant_id, channel_id) WHERE lifted_at IS NULL;

-- Paces as one moment a line: "pair:<chat>", "number:<channel>" (business/messaging/pace.py).
CREATE TABLE message_lines (
    tenant_id  text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    line       text NOT NULL,
    free_at    timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, line)
);

CREATE TABLE message_templates (
    tenant_id    text NOT NULL,
    channel_id   text NOT NULL,
    name         text NOT NULL,
    language     text NOT NULL,
    category     text NOT NULL,
    status       text NOT NULL,
    quality      text NOT NULL DEFAULT 'UNKNOWN',
    body         text NOT NULL,
    components   jsonb NOT NULL DEFAULT '[]',
    purposes     text[] NOT NULL DEFAULT '{}',
    holes        jsonb NOT NULL DEFAULT '{}',  -- what fills each variable: {"1": "first_name", "2": "topic"}
    template_id  text,
    reason       text NOT NULL DEFAULT '',
    synced_at    timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, channel_id, name, language),
    FOREIGN KEY (tenant_id, channel_id) REFERENCES channels (tenant_id, id) ON DELETE CASCADE
);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['channels', 'inbox', 'chats', 'chat_messages', 'chat_media', 'outbox', 'early_statuses',
                             'consent_entries', 'message_blocks', 'message_lines', 'message_templates'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = current_tenant())', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO mutirao_app', t);
    END LOOP;
END $$;
REVOKE DELETE ON consent_entries FROM mutirao_app;

-- The door writes for several tenants at once, and sees none of it: another role, which may insert and nothing else.
GRANT INSERT ON inbox TO mutirao_intake;
CREATE POLICY intake ON inbox FOR INSERT TO mutirao_intake WITH CHECK (true);

-- Across tenants: whose a number is (the door asks before it knows the tenant), and what waits for whom.
GRANT SELECT ON channels, inbox TO mutirao_login;
CREATE POLICY login ON channels FOR SELECT TO mutirao_login USING (true);
CREATE POLICY login ON inbox FOR SELECT TO mutirao_login USING (true);

CREATE FUNCTION list_channels()
    RETURNS TABLE (tenant_id text, channel_id text, provider text, number text, account text, environment text,
                   state text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
    SELECT c.tenant_id, c.id, c.provider, c.number, c.account, c.environment, c.state FROM channels c
$$;

CREATE FUNCTION inbox_waiting_for()
    RETURNS TABLE (tenant_id text, waiting bigint, oldest timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
    SELECT i.tenant_id, count(*), min(i.received_at) FROM inbox i WHERE i.sorted_at IS NULL GROUP BY i.tenant_id
$$;

-- Conversations whose outbox stands still: a process that died while it sent, a job that was lost.
GRANT SELECT (tenant_id, chat_id, state, claimed_at, not_before, created_at, finished_at) ON outbox TO mutirao_login;
CREATE POLICY login ON outbox FOR SELECT TO mutirao_login USING (true);

CREATE FUNCTION outbox_standing_still(claimed_before timestamptz, due_before timestamptz)
    RETURNS TABLE (tenant_id text, chat_id text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
    SELECT DISTINCT o.tenant_id, o.chat_id FROM outbox o
    WHERE (o.state = 'claimed' AND o.claimed_at < claimed_before)
       OR (o.state = 'unknown' AND o.finished_at IS NULL AND o.claimed_at < claimed_before - interval '15 minutes')
       OR (o.state = 'waiting' AND COALESCE(o.not_before, o.created_at) < due_before)
$$;
REVOKE ALL ON FUNCTION outbox_standing_still(timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION outbox_standing_still(timestamptz, timestamptz) TO mutirao_app;

REVOKE ALL ON FUNCTION list_channels(), inbox_waiting_for() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION list_channels(), inbox_waiting_for() TO mutirao_app, mutirao_intake;
GRANT CREATE ON SCHEMA public TO mutirao_login;
ALTER FUNCTION list_channels() OWNER TO mutirao_login;
ALTER FUNCTION inbox_waiting_for() OWNER TO mutirao_login;
ALTER FUNCTION outbox_standing_still(timestamptz, timestamptz) OWNER TO mutirao_login;
REVOKE CREATE ON SCHEMA public FROM mutirao_login;
