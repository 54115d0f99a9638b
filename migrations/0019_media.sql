-- Files are looked for by their age: what is to be tried again, and what a tenant has had put into words today.
CREATE INDEX chat_media_age ON chat_media (tenant_id, created_at);
