-- Edits, revocations and reactions that came before the message they are of wait for it by its id: "early:<id>".
CREATE INDEX inbox_early ON inbox (tenant_id, outcome) WHERE outcome LIKE 'early:%';
