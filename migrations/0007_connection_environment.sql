-- A connection belongs to the sandbox or to the live vendor: neither's token is ever sent to the other's address.

ALTER TABLE connections ADD COLUMN environment text NOT NULL DEFAULT 'sandbox'
    CHECK (environment IN ('sandbox', 'live'));
ALTER TABLE connections ALTER COLUMN environment DROP DEFAULT;
ALTER TABLE connections DROP CONSTRAINT connections_tenant_id_vendor_label_key;
ALTER TABLE connections ADD UNIQUE (tenant_id, vendor, environment, label);
