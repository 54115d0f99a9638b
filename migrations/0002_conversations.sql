-- What was said, what was done about it, and what waits for a yes.

CREATE TABLE conversations (
    id               text PRIMARY KEY,
    tenant_id        text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    user_id          text NOT NULL,
    door             text NOT NULL,
    title            text NOT NULL DEFAULT '',
    language         text NOT NULL DEFAULT 'pt-BR',
    session          jsonb NOT NULL DEFAULT '{}',  -- short-term memory; Redis holds a copy of this version
    session_version  integer NOT NULL DEFAULT 0,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX conversations_of_user ON conversations (tenant_id, user_id, updated_at DESC);

CREATE TABLE turns (
    id               text PRIMARY KEY,
    tenant_id        text NOT NULL,
    conversation_id  text NOT NULL,
    user_id          text NOT NULL,
    door             text NOT NULL,
    state            text NOT NULL CHECK (state IN ('running', 'done', 'failed', 'interrupted', 'stopped')),
    record           jsonb NOT NULL DEFAULT '{}',
    started_at       timestamptz NOT NULL,
    finished_at      timestamptz,
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX turns_of_conversation ON turns (tenant_id, conversation_id, started_at);
CREATE INDEX turns_running ON turns (tenant_id, started_at) WHERE state = 'running';

CREATE TABLE messages (
    id               text PRIMARY KEY,
    tenant_id        text NOT NULL,
    conversation_id  text NOT NULL,
    turn_id          text,
    role             text NOT NULL CHECK (role IN ('user', 'assistant')),
    text             text NOT NULL,
    extra            jsonb NOT NULL DEFAULT '{}',
    created_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX messages_of_conversation ON messages (tenant_id, conversation_id, created_at, id);

CREATE TABLE feedback (
    id          text PRIMARY KEY,
    tenant_id   text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    message_id  text NOT NULL,
    user_id     text NOT NULL,
    value       smallint NOT NULL CHECK (value IN (-1, 0, 1)),  -- thumbs down, taken back, thumbs up
    comment     text NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, message_id, user_id)
);

-- A change that waits for a person (business/approvals/model.py). Its user and conversation may be deleted; it stays.
CREATE TABLE proposals (
    id               text PRIMARY KEY,
    tenant_id        text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    conversation_id  text,
    turn_id          text,
    tool             text NOT NULL,
    effect           text NOT NULL CHECK (effect IN ('WRITE', 'SEND', 'SPEND')),
    change           jsonb NOT NULL,   -- {"kind", "target", "data"}
    change_hash      text NOT NULL,    -- sha256 of the change's canonical form
    preview          jsonb NOT NULL,
    evidence         jsonb NOT NULL DEFAULT '[]',
    state            text NOT NULL CHECK (state IN
                     ('pending', 'approved', 'executing', 'executed', 'unknown', 'failed', 'rejected', 'expired')),
    door             text NOT NULL,
    proposed_by      text NOT NULL,
    decided_by       text,
    decided_door     text,
    decided_at       timestamptz,
    claimed_at       timestamptz,
    attempts         integer NOT NULL DEFAULT 0,
    finished_at      timestamptz,
    outcome          text NOT NULL DEFAULT '',
    undo_of          text REFERENCES proposals,
    created_at       timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL
);
CREATE INDEX proposals_of_conversation ON proposals (tenant_id, conversation_id, created_at);
CREATE INDEX proposals_open ON proposals (tenant_id, state, expires_at)
    WHERE state IN ('pending', 'approved', 'executing', 'unknown');

-- What was decided is what runs: the change of a proposal can never be rewritten.
CREATE FUNCTION proposal_keeps_its_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.change, NEW.change_hash, NEW.tool, NEW.effect, NEW.tenant_id, NEW.proposed_by, NEW.door)
        IS DISTINCT FROM
       (OLD.change, OLD.change_hash, OLD.tool, OLD.effect, OLD.tenant_id, OLD.proposed_by, OLD.door) THEN
        RAISE EXCEPTION 'the change of proposal % cannot be rewritten', OLD.id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keeps_its_change BEFORE UPDATE ON proposals
    FOR EACH ROW EXECUTE FUNCTION proposal_keeps_its_change();

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['conversations', 'turns', 'messages', 'feedback', 'proposals'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = current_tenant())', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO mutirao_app', t);
    END LOOP;
END $$;
REVOKE DELETE ON proposals FROM mutirao_app;
