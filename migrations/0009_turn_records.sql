-- The record of a turn: everything that happened in it, as JSON that can be read and replayed (agents/record.py).

-- json, not jsonb: it keeps the order of keys, which the words that a model was told depend on, and is written as it is.
ALTER TABLE turns
    ALTER COLUMN record DROP DEFAULT,
    ALTER COLUMN record TYPE json USING record::text::json,
    ALTER COLUMN record SET DEFAULT '{}';

-- Its figures, which a list of turns reads without the record and which stay when the record is cut to them.
ALTER TABLE turns
    ADD COLUMN record_version     smallint NOT NULL DEFAULT 0,  -- 0: none, or from before there were versions
    ADD COLUMN record_cut         boolean NOT NULL DEFAULT false,
    ADD COLUMN ended              text NOT NULL DEFAULT '',  -- done, stopped, limit:…, error:…
    ADD COLUMN by_model           boolean NOT NULL DEFAULT false,  -- a model worded the answer, or a part of it
    ADD COLUMN intents            text[] NOT NULL DEFAULT '{}',
    ADD COLUMN models             text[] NOT NULL DEFAULT '{}',  -- provider/model of those that answered
    ADD COLUMN model_calls        integer NOT NULL DEFAULT 0,
    ADD COLUMN failed_calls       integer NOT NULL DEFAULT 0,
    ADD COLUMN tool_calls         integer NOT NULL DEFAULT 0,
    ADD COLUMN prompt_tokens      integer NOT NULL DEFAULT 0,
    ADD COLUMN cached_tokens      integer NOT NULL DEFAULT 0,
    ADD COLUMN completion_tokens  integer NOT NULL DEFAULT 0,
    ADD COLUMN cost_usd           numeric NOT NULL DEFAULT 0,  -- of the calls whose price is known
    ADD COLUMN unpriced           integer NOT NULL DEFAULT 0,  -- calls whose price is not known
    ADD COLUMN seconds            real NOT NULL DEFAULT 0;
CREATE INDEX turns_by_time ON turns (tenant_id, started_at DESC);
CREATE INDEX turns_not_cut ON turns (tenant_id, started_at) WHERE NOT record_cut;
