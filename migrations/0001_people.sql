-- Tenants, their people, and who may do what.
--
-- Every migration runs as mutirao_owner, which owns the tables and is bound by the same policies (FORCE): a later
-- migration that must rewrite tenant rows lifts FORCE for its own transaction and puts it back.
-- The application logs in as something else and works as mutirao_app. mutirao_login owns the few functions that
-- must look across tenants; nobody logs in as it.

CREATE FUNCTION current_tenant() RETURNS text
    LANGUAGE sql STABLE
    RETURN nullif(current_setting('app.tenant_id', true), '');

CREATE TABLE tenants (
    id          text PRIMARY KEY,
    name        text NOT NULL CHECK (name <> ''),
    slug        text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    language    text NOT NULL DEFAULT 'pt-BR',
    time_zone   text NOT NULL DEFAULT 'America/Sao_Paulo',
    settings    jsonb NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE users (
    id             text PRIMARY KEY,
    tenant_id      text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    email          text NOT NULL CHECK (email = lower(email)),
    name           text NOT NULL,
    role           text NOT NULL CHECK (role IN ('Admin', 'Diretor', 'Comercial', 'Agente_IA', 'Cliente')),
    password_hash  text,                            -- argon2id; null cannot log in
    language       text,                            -- null: the tenant's
    active         boolean NOT NULL DEFAULT true,
    demo           boolean NOT NULL DEFAULT false,  -- made for the sandbox; can never log in outside it
    created_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id)
);
CREATE UNIQUE INDEX users_email ON users (email);
CREATE INDEX users_tenant ON users (tenant_id);

-- The ad accounts that a user of a partial role (Cliente) may see.
CREATE TABLE user_accounts (
    tenant_id   text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    user_id     text NOT NULL,
    account_id  text NOT NULL,
    PRIMARY KEY (tenant_id, user_id, account_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);

-- Attempts to log in, to slow down guessing. No tenant: an unknown address has none. Addresses of mail are hashed.
CREATE TABLE login_attempts (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email_hash  text NOT NULL,
    address     text NOT NULL,
    at          timestamptz NOT NULL,
    ok          boolean NOT NULL
);
CREATE INDEX login_attempts_email ON login_attempts (email_hash, at);
CREATE INDEX login_attempts_address ON login_attempts (address, at);

-- Who may do what: R read, RW read and write, * only what is one's own, - nothing. The same for every tenant.
CREATE TABLE role_permissions (
    role    text NOT NULL CHECK (role IN ('Admin', 'Diretor', 'Comercial', 'Agente_IA', 'Cliente')),
    area    text NOT NULL,
    access  text NOT NULL CHECK (access IN ('RW', 'R', 'RW*', 'R*', '-')),
    PRIMARY KEY (role, area)
);

INSERT INTO role_permissions (area, role, access)
SELECT area, role, access
FROM (VALUES
    --                 Admin  Diretor  Comercial  Agente_IA  Cliente
    -- the fifteen modules of the Somos Produtora document, section 2.1
    ('hunter',         'RW',  'RW',    'R',       'RW',      '-'),
    ('sdr',            'RW',  'RW',    'R',       'RW',      '-'),
    ('crm',            'RW',  'RW',    'RW*',     'R',       '-'),
    ('contracts',      'RW',  'RW',    'R',       '-',       'R'),
    ('projects',       'RW',  'RW',    'R',       '-',       'R'),
    ('finance',        'RW',  'R',     '-',       '-',       'R*'),
    ('inventory',      'RW',  'RW',    'R',       '-',       '-'),
    ('suppliers',      'RW',  'RW',    'R',       '-',       '-'),
    ('quotes',         'RW',  'RW',    'RW',      'RW',      'R'),
    ('content',        'RW',  'RW',    'R',       'RW',      'R*'),
    ('social',         'RW',  'RW',    'R',       'RW',      '-'),
    ('hr',             'RW',  'R',     '-',       '-',       '-'),
    ('intelligence',   'RW',  'RW',    'R',       'RW',      '-'),
    ('analytics',      'RW',  'RW',    'R',       'R',       'R*'),
    ('mobile',         'RW',  'RW',    'RW',      '-',       'RW'),
    -- ours; an agent reads ads and proposes, it never changes them: a change runs with its approver's rights
    ('ads',            'RW',  'RW',    'R',       'R',       'R*'),
    ('messaging',      'RW',  'RW',    'RW*',     'R',       '-'),
    ('approvals',      'RW',  'RW',    'R*',      '-',       'R*'),
    ('users',          'RW',  'R',     '-',       '-',       '-'),
    ('settings',       'RW',  'R',     '-',       '-',       '-')
) AS matrix (area, a, d, c, i, k)
CROSS JOIN LATERAL (VALUES
    ('Admin', a), ('Diretor', d), ('Comercial', c), ('Agente_IA', i), ('Cliente', k)
) AS cells (role, access);

ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenants USING (id = current_tenant());
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON users USING (tenant_id = current_tenant());
ALTER TABLE user_accounts ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_accounts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON user_accounts USING (tenant_id = current_tenant());

GRANT SELECT, INSERT, UPDATE, DELETE ON tenants, users, user_accounts TO mutirao_app;
GRANT SELECT, INSERT, DELETE ON login_attempts TO mutirao_app;
GRANT SELECT ON role_permissions TO mutirao_app;

-- Across tenants: the door of the house, and the list of houses for jobs that serve them all.
GRANT SELECT ON tenants, users TO mutirao_login;
CREATE POLICY login ON tenants FOR SELECT TO mutirao_login USING (true);
CREATE POLICY login ON users FOR SELECT TO mutirao_login USING (true);

CREATE FUNCTION find_login(wanted_email text)
    RETURNS TABLE (user_id text, tenant_id text, role text, password_hash text, active boolean, demo boolean)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
    SELECT u.id, u.tenant_id, u.role, u.password_hash, u.active, u.demo FROM users u WHERE u.email = lower(wanted_email)
$$;

CREATE FUNCTION list_tenants()
    RETURNS TABLE (id text, slug text, name text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
    SELECT t.id, t.slug, t.name FROM tenants t ORDER BY t.created_at, t.id
$$;

REVOKE ALL ON FUNCTION find_login(text), list_tenants() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_login(text), list_tenants() TO mutirao_app;
-- mutirao_login may create only for the moment in which it becomes the owner.
GRANT CREATE ON SCHEMA public TO mutirao_login;
ALTER FUNCTION find_login(text) OWNER TO mutirao_login;
ALTER FUNCTION list_tenants() OWNER TO mutirao_login;
REVOKE CREATE ON SCHEMA public FROM mutirao_login;
