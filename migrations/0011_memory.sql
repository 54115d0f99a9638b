-- The long-term memory: texts that can be found again by their words and by their meaning (memory/long_term.py).
--
-- These tables are the truth. The index (Qdrant, embedded or a server) holds vectors and what filters need, follows
-- what is written here, and can be thrown away at any time.

CREATE TABLE memory_items (
    tenant_id        text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    collection       text NOT NULL,
    id               text NOT NULL,
    point            uuid NOT NULL,  -- its id in the index, made of tenant, collection and id
    text             text NOT NULL CHECK (text <> ''),
    payload          jsonb NOT NULL DEFAULT '{}',
    subject_kind     text,           -- what it is about: a company, a contact, …
    subject_id       text,
    tags             text[] NOT NULL DEFAULT '{}',
    origin           text NOT NULL CHECK (origin IN ('user', 'account data', 'file', 'web', 'contact')),
    reference        text NOT NULL DEFAULT '',  -- where exactly it is from: an address, a file, a message
    version          bigint NOT NULL DEFAULT 1, -- grows when something changes that the index holds
    words_version    bigint NOT NULL DEFAULT 0, -- which version each of the two indexes holds; 0 none
    meaning_version  bigint NOT NULL DEFAULT 0,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, collection, id),
    UNIQUE (tenant_id, point),
    CHECK ((subject_kind IS NULL) = (subject_id IS NULL))
);
CREATE INDEX memory_items_subject ON memory_items (tenant_id, subject_kind, subject_id);
-- The queue of the index. Where nothing waits they are empty.
CREATE INDEX memory_items_words_wait ON memory_items (tenant_id, collection, id) WHERE words_version < version;
CREATE INDEX memory_items_meaning_wait ON memory_items (tenant_id, collection, id)
    WHERE meaning_version < version;

-- What was deleted and is still in the index.
CREATE TABLE memory_removals (
    tenant_id   text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    collection  text NOT NULL,
    point       uuid NOT NULL,
    PRIMARY KEY (tenant_id, collection, point)
);

-- For each collection of a tenant, the shelf (by its birth) that the versions above speak of, and whether everything
-- has been in it once. A shelf that was made anew is filled from the start.
CREATE TABLE memory_collections (
    tenant_id      text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    collection     text NOT NULL,
    words_in       text,
    words_whole    boolean NOT NULL DEFAULT false,
    meaning_in     text,
    meaning_whole  boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, collection)
);

-- The shelves of the index: one for the words of a collection, one for its meanings by each model. All tenants share
-- them, so this table belongs to the house.
CREATE TABLE memory_shelves (
    name        text PRIMARY KEY,
    collection  text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('words', 'meaning')),
    place       text NOT NULL,   -- embedded, or which server
    born        text NOT NULL,   -- new each time it is made anew, empty
    used_at     timestamptz NOT NULL
);
CREATE INDEX memory_shelves_collection ON memory_shelves (collection, kind);
GRANT SELECT, INSERT, UPDATE, DELETE ON memory_shelves TO mutirao_app;

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['memory_items', 'memory_removals', 'memory_collections'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = current_tenant())', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO mutirao_app', t);
    END LOOP;
END $$;
