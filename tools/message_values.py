"""What is known of a conversation that may fill a template: the CRM's names and ours, by templates_store.VALUES."""

from collections.abc import Mapping
from typing import Any

from core.db import Connection, fetch_one
from prompts.texts import Texts


class MessageValues:
    """For sending.Sending."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    async def __call__(self, conn: Connection, chat: Mapping[str, Any]) -> dict[str, str]:
        """The person's first name, who writes for us, our company, and words for what the conversation is about where
        nobody says them. What is not known is missing. `chat`: its row."""
        found = await known_values(conn, chat)
        if not chat["messages_in"]:  # "what you asked for": nobody did
            return found
        return {"topic": self._texts.say(chat["language"], "outbox.topic")} | found


async def known_values(conn: Connection, chat: Mapping[str, Any]) -> dict[str, str]:
    """What the tables know: name, sender, house."""
    row = await fetch_one(
        conn,
        """SELECT t.name AS house, u.name AS owner, k.name AS contact,
                  coalesce(m.trade_name, m.legal_name, k.company_name) AS company
           FROM tenants t
           LEFT JOIN users u ON u.id = %(owner)s
           LEFT JOIN crm_contacts k ON k.tenant_id = t.id AND k.id = %(contact)s
           LEFT JOIN crm_companies m ON m.tenant_id = t.id AND m.id = coalesce(k.company_id, %(company)s)
           WHERE t.id = %(tenant)s""",
        {
            "tenant": chat["tenant_id"],
            "owner": chat["owner_id"],
            "contact": chat["contact_id"],
            "company": chat.get("company_id"),
        },
    )
    if row is None:
        return {}
    name = first_name(chat["name"]) or first_name(row["contact"] or "") or (row["company"] or "")
    found = {"name": name, "sender": first_name(row["owner"] or "") or row["house"], "house": row["house"]}
    return {key: value for key, value in found.items() if value.strip()}


def first_name(name: str) -> str:
    """As one calls somebody: the first word, when it is one; a telephone or an emoji is none."""
    word = name.strip().split(" ")[0].strip(".,;:!~*_ ")
    return word if any(sign.isalpha() for sign in word) and not any(sign.isdigit() for sign in word) else ""
