-- Accounts at vendors (their secrets sealed by core/vault.py), and files in pieces of 1 MB.

CREATE TABLE connections (
    id          text PRIMARY KEY,
    tenant_id   text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    vendor      text NOT NULL,
    label       text NOT NULL,
    secret      bytea NOT NULL,                -- AES-GCM, never the secret itself
    key_id      text NOT NULL,
    accounts    jsonb NOT NULL DEFAULT '[]',   -- what the user chose to connect
    status      text NOT NULL DEFAULT 'ok',
    checked_at  timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, vendor, label)
);

CREATE TABLE files (
    id          text PRIMARY KEY,
    tenant_id   text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    name        text NOT NULL,
    mime        text NOT NULL,
    size        bigint NOT NULL CHECK (size >= 0),
    sha256      text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    created_by  text NOT NULL,
    UNIQUE (tenant_id, id)
);

CREATE TABLE file_chunks (
    tenant_id  text NOT NULL,
    file_id    text NOT NULL,
    n          integer NOT NULL CHECK (n >= 0),
    data       bytea NOT NULL,
    PRIMARY KEY (file_id, n),
    FOREIGN KEY (tenant_id, file_id) REFERENCES files (tenant_id, id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
);
ALTER TABLE file_chunks ALTER COLUMN data SET STORAGE EXTERNAL;  -- exports are often packed already

-- What a message showed besides its text.
CREATE TABLE chat_elements (
    id               text PRIMARY KEY,
    tenant_id        text NOT NULL,
    conversation_id  text NOT NULL,
    message_id       text,
    kind             text NOT NULL,
    name             text NOT NULL DEFAULT '',
    mime             text NOT NULL DEFAULT '',
    props            jsonb NOT NULL DEFAULT '{}',
    file_id          text,
    created_at       timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX chat_elements_of_conversation ON chat_elements (tenant_id, conversation_id);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['connections', 'files', 'file_chunks', 'chat_elements'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = current_tenant())', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO mutirao_app', t);
    END LOOP;
END $$;
