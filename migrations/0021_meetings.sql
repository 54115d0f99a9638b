-- What a meeting is besides its time: how one meets, what its host reads of it, and what nobody was told of it yet.
ALTER TABLE appointments
    ADD COLUMN how   text NOT NULL DEFAULT '' CHECK (how IN ('', 'link', 'call', 'visit')),
    ADD COLUMN place text NOT NULL DEFAULT '',       -- the number that is called, the address
    ADD COLUMN about text NOT NULL DEFAULT '',       -- for its host alone: who comes, how they are reached
    ADD COLUMN news  text[] NOT NULL DEFAULT '{}';   -- business/sales/calendar.py, News

CREATE INDEX appointments_untold ON appointments (tenant_id, changed_at) WHERE news <> '{}';

-- A time that is only held was promised like one that is booked: it is reminded of, too.
DROP INDEX appointments_to_remind;
CREATE INDEX appointments_to_remind ON appointments (tenant_id, remind_at)
    WHERE reminded_at IS NULL AND state <> 'cancelled';
