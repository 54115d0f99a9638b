-- tools/contact_notes.py asks every minute for the first messages that came to their end lately.
CREATE INDEX outbox_first ON outbox (tenant_id, finished_at) WHERE purpose = 'first_contact';
