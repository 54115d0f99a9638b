"""What conversations keep of a person, for the law: all of it in one export (LGPD, art. 18 II and V), and nothing of it
after an erasure (art. 18 VI), wherever it lies: messages, files, records of turns, appointments, webhooks as they came,
what people of the house were told of them.

That somebody does not want to be written to stays, with the words taken out (art. 16 I): else the next list would bring
them back.
"""

from dataclasses import dataclass
from typing import Any

from business.crm.model import Subject
from business.messaging.ledger import same_addresses
from core.audit import audit
from core.db import Connection, Database, fetch_all
from core.tenancy import Identity

_OF = {
    "conversations": "SELECT to_jsonb(r) AS row FROM chats r WHERE id = ANY(%(chats)s) ORDER BY created_at",
    "messages": "SELECT to_jsonb(r) AS row FROM chat_messages r WHERE chat_id = ANY(%(chats)s) ORDER BY seq",
    "message_files": "SELECT to_jsonb(r) AS row FROM chat_media r WHERE chat_id = ANY(%(chats)s) ORDER BY created_at",
    "consents": """SELECT to_jsonb(r) AS row FROM consent_entries r
                   WHERE chat_id = ANY(%(chats)s) OR contact_id = ANY(%(people)s) OR address = ANY(%(addresses)s)
                   ORDER BY at""",
    "appointments": """SELECT to_jsonb(r) AS row FROM appointments r
                       WHERE chat_id = ANY(%(chats)s) OR contact_id = ANY(%(people)s) ORDER BY starts_at""",
}
_TOLD = """SELECT FROM unnest(%(chats)s::text[] || ARRAY(SELECT id FROM appointments WHERE chat_id = ANY(%(chats)s)
                                                         OR contact_id = ANY(%(people)s))
                         || ARRAY(SELECT id FROM outreach_runs WHERE chat_id = ANY(%(chats)s)
                                                         OR contact_id = ANY(%(people)s))) AS about
           WHERE strpos(n.key, about) > 0 OR strpos(n.text, about) > 0"""
"""Whether a notice is of their conversations, meetings or cadences: ids stand in its key or in its link."""
_FORGET = (
    "DELETE FROM files WHERE id IN (SELECT file_id FROM chat_media WHERE chat_id = ANY(%(chats)s))",
    # The keys stay: a webhook that comes again is known, and brings nothing back. Of edits and reactions, which have
    # ids of their own, the address tells whose they are.
    """UPDATE inbox SET item = '{}' WHERE sorted_at IS NOT NULL AND item <> '{}' AND (
           split_part(key, ':', 2) IN
               (SELECT external_id FROM chat_messages WHERE chat_id = ANY(%(chats)s) AND external_id IS NOT NULL)
           OR key IN (SELECT external_id FROM chat_messages WHERE chat_id = ANY(%(chats)s) AND external_id IS NOT NULL)
           OR EXISTS (SELECT FROM unnest(%(addresses)s::text[]) AS one WHERE strpos(item::text, one) > 0))""",
    # A notice's stays, too: the same matter is not told again. Its words stand in the chat of who was told as well.
    f"""DELETE FROM messages m USING notices n WHERE m.extra->>'notice' = md5(n.key) AND EXISTS ({_TOLD})""",
    """DELETE FROM messages m USING unnest(%(chats)s::text[]) AS chat WHERE m.turn_id IS NULL AND m.role = 'assistant'
           AND strpos(m.text, '/' || chat || ')') > 0""",
    f"UPDATE notices n SET text = '', mailed_at = coalesce(mailed_at, at) WHERE text <> '' AND EXISTS ({_TOLD})",
    "UPDATE message_blocks SET address = NULL WHERE address = ANY(%(addresses)s)",
    "DELETE FROM conversations WHERE id = ANY(%(chats)s)",
    """UPDATE appointments SET guest_name = '', guest_email = NULL, title = id, link = '', place = '', about = '',
           reason = ''
       WHERE chat_id = ANY(%(chats)s) OR contact_id = ANY(%(people)s)""",
    """UPDATE consent_entries SET detail = '' WHERE chat_id = ANY(%(chats)s) OR contact_id = ANY(%(people)s)
       OR address = ANY(%(addresses)s)""",
    "DELETE FROM chats WHERE id = ANY(%(chats)s)",
)


@dataclass
class ChatTraces:
    """`who` has been asked for their rights by the CRM, whose records these hang on."""

    db: Database

    async def export(self, who: Identity, contact_id: str) -> dict[str, Any]:
        """Everything that conversations keep of a contact and of those merged into it, as JSON, by what it is."""
        async with self.db.tenant(who.tenant_id) as conn:
            whose = await _whose(conn, Subject.CONTACT, contact_id)
            return {name: [row["row"] for row in await fetch_all(conn, query, whose)] for name, query in _OF.items()}

    async def forget(self, who: Identity, subject: Subject, record_id: str) -> int:
        """Erase it, before the record itself goes. Of a company: conversations that have no person yet. Returns how
        many conversations; done again it is none."""
        async with self.db.tenant(who.tenant_id) as conn:
            whose = await _whose(conn, subject, record_id)
            for statement in _FORGET:
                await conn.execute(statement.encode(), whose)
            if whose["chats"]:
                await audit(conn, who, "chats.erased", record_id, {"chats": len(whose["chats"])})
        return len(whose["chats"])


async def _whose(conn: Connection, subject: Subject, record_id: str) -> dict[str, list[str]]:
    people = [record_id]
    if subject is Subject.CONTACT:
        query = """WITH RECURSIVE m AS (
                       SELECT id FROM crm_contacts WHERE id = %s
                       UNION SELECT r.id FROM crm_contacts r JOIN m ON r.merged_into = m.id)
                   SELECT id FROM m"""
        people = [row["id"] for row in await fetch_all(conn, query, [record_id])]
        where = "contact_id = ANY(%(people)s)"
    else:
        where = "company_id = ANY(%(people)s) AND contact_id IS NULL"
    rows = await fetch_all(conn, f"SELECT id, address, user_id FROM chats WHERE {where}", {"people": people})
    addresses = [form for row in rows for form in same_addresses(row["address"])]
    addresses += [row["user_id"] for row in rows if row["user_id"]]
    persons = people if subject is Subject.CONTACT else []
    return {"chats": [row["id"] for row in rows], "addresses": addresses, "people": persons}
