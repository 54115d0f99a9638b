-- What is asked of a conversation's messages in every turn (what was said last, how much within the hour) and of a
-- company's conversations for every run of a cadence, each minute; and what goes with either when it is deleted. The
-- indexes of 0016 by conversation know only what is open or was claimed, which these questions do not say.
CREATE INDEX outbox_of_chat ON outbox (tenant_id, chat_id, created_at);
CREATE INDEX chats_company ON chats (tenant_id, company_id) WHERE company_id IS NOT NULL;
