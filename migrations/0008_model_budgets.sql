-- What the models of a tenant may cost a day, what they have cost, and what is being spent right now.
--
-- A day is one of the tenant's time zone; whoever calls names it. A role is one of the catalog's (llm/catalog.toml).
-- A budget of Infinity is none: every sum is below it, so nothing here asks whether there is one.

-- Where a tenant departs from the settings. The role '' is the tenant's whole day; null is what the settings say.
CREATE TABLE model_budgets (
    tenant_id   text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    role        text NOT NULL,
    day_usd     numeric CHECK (day_usd >= 0 AND day_usd <> 'NaN'),
    day_tokens  numeric CHECK (day_tokens >= 0 AND day_tokens <> 'NaN'),
    PRIMARY KEY (tenant_id, role)
);

-- One row per day and role, kept for good. `usd` is of the requests whose price is known; the others are `unpriced`.
CREATE TABLE model_spending (
    tenant_id          text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    day                date NOT NULL,
    role               text NOT NULL,
    prompt_tokens      bigint NOT NULL DEFAULT 0,  -- cached ones included
    cached_tokens      bigint NOT NULL DEFAULT 0,
    completion_tokens  bigint NOT NULL DEFAULT 0,
    usd                numeric NOT NULL DEFAULT 0,
    requests           bigint NOT NULL DEFAULT 0,
    unpriced           bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, day, role)
);

-- A request that is on its way, with the most it can use. What a killed process leaves counts until `expires_at`.
CREATE TABLE model_reservations (
    tenant_id   text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id          text NOT NULL,
    day         date NOT NULL,
    role        text NOT NULL,
    usd         numeric NOT NULL,
    tokens      bigint NOT NULL,
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

-- That a budget was used up to `percent`: once a day for each budget as it stood.
CREATE TABLE model_budget_alerts (
    tenant_id      text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    day            date NOT NULL,
    role           text NOT NULL,
    percent        integer NOT NULL,
    budget_usd     numeric NOT NULL,
    budget_tokens  numeric NOT NULL,
    spent_usd      numeric NOT NULL,
    spent_tokens   bigint NOT NULL,
    at             timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, day, role, percent, budget_usd, budget_tokens)
);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['model_budgets', 'model_spending', 'model_reservations', 'model_budget_alerts'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = current_tenant())', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO mutirao_app', t);
    END LOOP;
END $$;

-- The part of a budget that is used: 1 is all of it, null is no budget; a budget of 0 is used up from the start.
CREATE FUNCTION budget_share(used numeric, budget numeric) RETURNS double precision
    LANGUAGE sql IMMUTABLE
    RETURN CASE budget WHEN 'Infinity' THEN NULL WHEN 0 THEN 'Infinity' ELSE used / budget END;

-- Everything about one model call in one round trip: ends the requests in `ended`, then asks whether another may begin
-- (unless `wanted` is null) and reserves the most it can use. Called in autocommit: it sets the tenant for its own
-- transaction, which holds the tenant's lock for as long as it runs and for no round trip.
--
-- ended:    [{"id", "day", "role", "prompt", "cached", "completion", "usd", "requests", "unpriced", "reserved"}]. One that
--           was reserved is counted if its reservation is there to be taken away; one that was not leaves a mark
--           (tokens -1) if there is none yet. So what is sent twice, because an answer was lost, is counted once.
-- defaults: the settings' budgets: of a tenant in US dollars and in tokens, of each role in US dollars and in tokens
-- ceiling:  1.5 is 150 % of a budget
-- It returns a row for each day and role it looked at, the wanted one last:
--   granted     whether the request may begin; null for a row of ended ones
--   refused_by  the role whose budget refuses it, '' for the tenant's; `in_flight`: only because of what is reserved
--   near        what is on its way may reach a mark for which there was no alert yet, or is past the last of them
--   share       of the tenant's budgets, the highest (1 is all); role_share: of the role's
--   alerts      marks reached just now: [{"role", "percent", "usd", "tokens", "budget_usd", "budget_tokens"}], null for none
CREATE FUNCTION model_budget_step(
    tenant text, ended jsonb, wanted text, wanted_day date, wanted_role text, wanted_usd numeric, wanted_tokens bigint,
    moment timestamptz, expiry timestamptz, defaults numeric[], ceiling numeric
) RETURNS TABLE (
    day date, role text, granted boolean, refused_by text, in_flight boolean, near boolean,
    share double precision, role_share double precision, alerts jsonb
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    of_day       date;
    of_role      text;
    b            record;  -- budgets
    s            record;  -- spent
    r            record;  -- reserved
    coming       double precision;  -- the share once all that is reserved is spent
    role_coming  double precision;
    marks        CONSTANT integer[] := ARRAY[80, 120];  -- percent of a budget
BEGIN
    -- A server that loses power forgets the last moments of spending; in return no call waits for the disk.
    -- Plain index scans alone mark what was deleted, so that the next ones pass it by: reservations come and go faster
    -- than any vacuum (after 8,000 requests a call took 1.3 ms with bitmap scans, and 0.3 ms still without).
    PERFORM set_config('app.tenant_id', tenant, true), set_config('synchronous_commit', 'off', true),
            set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true);
    PERFORM pg_advisory_xact_lock(hashtextextended('model budget ' || tenant, 0));

    IF ended IS NOT NULL THEN
        WITH calls AS (
            SELECT DISTINCT ON (id) * FROM jsonb_to_recordset(ended) AS c (
                id text, day date, role text, prompt bigint, cached bigint, completion bigint, usd numeric,
                requests integer, unpriced integer, reserved boolean)
        ), taken AS (
            DELETE FROM model_reservations m USING calls c
            WHERE m.tenant_id = tenant AND m.id = c.id AND c.reserved
            RETURNING m.id
        ), marked AS (
            INSERT INTO model_reservations AS m (tenant_id, id, day, role, usd, tokens, expires_at)
            SELECT tenant, c.id, c.day, c.role, 0, -1, moment FROM calls c WHERE NOT c.reserved
            ON CONFLICT (tenant_id, id) DO UPDATE SET usd = 0, tokens = -1, expires_at = moment WHERE m.tokens >= 0
            RETURNING m.id
        )
        INSERT INTO model_spending AS total
               (tenant_id, day, role, prompt_tokens, cached_tokens, completion_tokens, usd, requests, unpriced)
        SELECT tenant, c.day, c.role, sum(c.prompt), sum(c.cached), sum(c.completion), sum(c.usd),
               sum(c.requests), sum(c.unpriced)
        FROM calls c
        WHERE c.requests > 0 AND c.id IN (SELECT taken.id FROM taken UNION ALL SELECT marked.id FROM marked)
        GROUP BY c.day, c.role
        ON CONFLICT (tenant_id, day, role) DO UPDATE SET
            prompt_tokens = total.prompt_tokens + excluded.prompt_tokens,
            cached_tokens = total.cached_tokens + excluded.cached_tokens,
            completion_tokens = total.completion_tokens + excluded.completion_tokens,
            usd = total.usd + excluded.usd,
            requests = total.requests + excluded.requests,
            unpriced = total.unpriced + excluded.unpriced;
    END IF;

    FOR of_day, of_role IN
        SELECT seen.day, seen.role FROM (
            SELECT c.day, c.role, 1 AS place FROM jsonb_to_recordset(ended) AS c (day date, role text)
            UNION SELECT wanted_day, wanted_role, 2 WHERE wanted IS NOT NULL
        ) AS seen GROUP BY seen.day, seen.role ORDER BY max(place)
    LOOP
        SELECT coalesce(max(m.day_usd) FILTER (WHERE m.role = ''), defaults[1]) AS usd,
               coalesce(max(m.day_tokens) FILTER (WHERE m.role = ''), defaults[2]) AS tokens,
               coalesce(max(m.day_usd) FILTER (WHERE m.role = of_role), defaults[3]) AS role_usd,
               coalesce(max(m.day_tokens) FILTER (WHERE m.role = of_role), defaults[4]) AS role_tokens
        INTO b FROM model_budgets m WHERE m.tenant_id = tenant AND m.role IN ('', of_role);
        SELECT coalesce(sum(m.usd), 0) AS usd,
               coalesce(sum(m.prompt_tokens + m.completion_tokens), 0) AS tokens,
               coalesce(sum(m.usd) FILTER (WHERE m.role = of_role), 0) AS role_usd,
               coalesce(sum(m.prompt_tokens + m.completion_tokens) FILTER (WHERE m.role = of_role), 0) AS role_tokens
        INTO s FROM model_spending m WHERE m.tenant_id = tenant AND m.day = of_day;
        SELECT coalesce(sum(m.usd), 0) AS usd,
               coalesce(sum(m.tokens), 0) AS tokens,
               coalesce(sum(m.usd) FILTER (WHERE m.role = of_role), 0) AS role_usd,
               coalesce(sum(m.tokens) FILTER (WHERE m.role = of_role), 0) AS role_tokens
        INTO r FROM model_reservations m WHERE m.tenant_id = tenant AND m.day = of_day AND m.expires_at > moment;

        day := of_day;
        role := of_role;
        share := greatest(budget_share(s.usd, b.usd), budget_share(s.tokens, b.tokens));
        role_share := greatest(budget_share(s.role_usd, b.role_usd), budget_share(s.role_tokens, b.role_tokens));
        granted := NULL;
        refused_by := NULL;
        in_flight := false;
        alerts := NULL;
        near := false;

        IF wanted IS NOT NULL AND (of_day, of_role) = (wanted_day, wanted_role) THEN
            refused_by := CASE
                WHEN s.usd + r.usd >= b.usd * ceiling OR s.tokens + r.tokens >= b.tokens * ceiling THEN ''
                WHEN s.role_usd + r.role_usd >= b.role_usd * ceiling
                  OR s.role_tokens + r.role_tokens >= b.role_tokens * ceiling THEN of_role
            END;
            granted := refused_by IS NULL;
            IF granted THEN
                INSERT INTO model_reservations (tenant_id, id, day, role, usd, tokens, expires_at)
                VALUES (tenant, wanted, of_day, of_role, wanted_usd, wanted_tokens, expiry)
                ON CONFLICT DO NOTHING;  -- asked again because the first answer was lost
                r.usd := r.usd + wanted_usd;
                r.tokens := r.tokens + wanted_tokens;
                r.role_usd := r.role_usd + wanted_usd;
                r.role_tokens := r.role_tokens + wanted_tokens;
            ELSE
                in_flight := s.usd < b.usd * ceiling AND s.tokens < b.tokens * ceiling
                    AND s.role_usd < b.role_usd * ceiling AND s.role_tokens < b.role_tokens * ceiling;
            END IF;
        END IF;

        coming := greatest(budget_share(s.usd + r.usd, b.usd), budget_share(s.tokens + r.tokens, b.tokens));
        role_coming := greatest(
            budget_share(s.role_usd + r.role_usd, b.role_usd), budget_share(s.role_tokens + r.role_tokens, b.role_tokens));
        IF greatest(coming, role_coming) * 100 >= marks[1] THEN
            WITH reached AS (
                INSERT INTO model_budget_alerts AS a
                       (tenant_id, day, role, percent, budget_usd, budget_tokens, spent_usd, spent_tokens, at)
                SELECT tenant, of_day, x.role, mark, x.usd, x.tokens, x.spent_usd, x.spent_tokens, moment
                FROM (VALUES ('', share, b.usd, b.tokens, s.usd, s.tokens),
                             (of_role, role_share, b.role_usd, b.role_tokens, s.role_usd, s.role_tokens)
                     ) AS x (role, share, usd, tokens, spent_usd, spent_tokens) CROSS JOIN unnest(marks) AS mark
                WHERE x.share * 100 >= mark AND x.share < 'Infinity'
                ON CONFLICT DO NOTHING
                RETURNING a.role, a.percent, a.budget_usd, a.budget_tokens, a.spent_usd, a.spent_tokens
            )
            SELECT jsonb_agg(jsonb_build_object(
                'role', m.role, 'percent', m.percent, 'usd', m.spent_usd::text, 'tokens', m.spent_tokens,
                'budget_usd', m.budget_usd::text, 'budget_tokens', m.budget_tokens::text) ORDER BY m.role, m.percent)
            INTO alerts FROM reached m;
            near := greatest(coming, role_coming) * 100 >= marks[2] OR EXISTS (
                SELECT 1 FROM (VALUES ('', coming, b.usd, b.tokens), (of_role, role_coming, b.role_usd, b.role_tokens)
                              ) AS x (role, coming, usd, tokens)
                WHERE x.coming * 100 >= marks[1] AND NOT EXISTS (
                    SELECT 1 FROM model_budget_alerts a
                    WHERE a.tenant_id = tenant AND a.day = of_day AND a.role = x.role AND a.percent = marks[1]
                      AND a.budget_usd = x.usd AND a.budget_tokens = x.tokens));
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;
