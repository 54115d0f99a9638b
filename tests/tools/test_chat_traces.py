"""What conversations keep of a person: all of it in their export, and nothing of it after they were erased."""

from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from business.conversations.service import Conversations
from business.crm.changes import CrmErasure, plan_erase
from business.crm.model import Subject
from business.crm.service import Crm
from business.messaging.inbox import Received
from business.people.service import People
from core.clock import FixedClock
from core.db import Database
from core.files import Files
from core.permissions import Permissions
from core.tenancy import Role
from integrations.evolution.webhooks import items
from tests.business.messaging.chat_house import ChatHouse, chat_house, webhook, wrote
from tests.conftest import Dsns, Tenants
from tools.acquaint import Acquaintance
from tools.chat_traces import ChatTraces
from tools.notify import Notify

CANARY, ADDRESS = "canario", "5519998127344"


async def test_an_erased_person_is_in_no_table_any_more_and_stays_opted_out(
    database: Database, clock: FixedClock, permissions: Permissions, tenants: Tenants, people: People, dsns: Dsns,
    tmp_path: Path,
) -> None:  # fmt: skip
    async with chat_house(database, clock, permissions, tenants, tmp_path) as house:
        crm, traces, who = Crm(database, clock, permissions), ChatTraces(database), house.who(Role.ADMIN)
        voice: dict[str, Any] = {"type": "audio", "audio": {"id": "m1", "mime_type": "audio/ogg", "voice": True}}
        value = wrote("1", f"sou o {CANARY}", who=ADDRESS)
        value["contacts"][0]["profile"]["name"] = f"{CANARY} Pereira"
        await house.sort(webhook(value), webhook(wrote("2", who=ADDRESS, **voice)))
        await house.sort(webhook(wrote("3", f"não me mande mais mensagens, {CANARY}", who=ADDRESS)))
        await house.sort(webhook(wrote("9", "outra pessoa", who="5511988887777")))
        chat = await house.chat(ADDRESS)
        await by_a_gateway(house, f"e por aqui também, {CANARY}")
        for one in await house.rows("SELECT id FROM chats WHERE address = %s", ADDRESS):
            await Acquaintance(database, crm, people, house.channels, house.texts)(house.id, one["id"])
        edit = {"original_message_id": "wamid.1", "message": {"type": "text", "text": {"body": CANARY}}}
        await house.sort(webhook(wrote("4", who=ADDRESS, type="edit", edit=edit)))
        contact_id = chat["contact_id"] or (await house.rows("SELECT contact_id FROM chats"))[0]["contact_id"]
        file = await Files(database).store(who, CANARY.encode(), name=f"{CANARY}.ogg", mime="audio/ogg")
        agent = await people.agent(house.id)
        await Conversations(database, clock).begin_for_contact(agent, chat["id"], "whatsapp", "turn_1")
        async with database.tenant(house.id) as conn:
            await conn.execute("UPDATE chat_media SET file_id = %s, words = %s", [file.id, CANARY])
            await conn.execute("UPDATE turns SET record = %s", [Jsonb({"said": CANARY})])
            await conn.execute(
                """INSERT INTO appointments (tenant_id, id, key, title, starts_at, ends_at, guest_name, zone,
                       contact_id, chat_id, about, place, state, created_at, changed_at)
                   VALUES (%s, 'app_1', 'k', %s, now(), now() + interval '1 hour', %s, 'UTC', %s, %s, %s, %s, 'booked',
                       now(), now())""",
                [house.id, f"Reunião com {CANARY}", CANARY, contact_id, chat["id"], CANARY, CANARY],
            )
            await conn.execute(
                """INSERT INTO message_blocks (tenant_id, id, place, channel_id, address, covers, code, at)
                   VALUES (%s, 'block_1', 'contact', %s, %s, 'all', 131026, now())""",
                [house.id, house.channel.id, ADDRESS],
            )
        notify = Notify(database, clock, people, Conversations(database, clock), house.texts, house.jobs)
        about = {"name": f"{CANARY} Pereira", "detail": f"quer {CANARY}", "when": clock.now()}
        for key, link in (("hot:1", chat["id"]), ("meeting_booked:app_1:1", "")):
            await notify.tell(house.id, who.user_id, "meeting_booked", about | {"chat": link}, key=key)
        other = await house.chat("5511988887777")
        await notify.tell(house.id, who.user_id, "hot_lead", {"name": "Rui", "chat": other["id"]}, key="hot:2")
        export = await traces.export(who, contact_id)
        assert {name: len(rows) for name, rows in export.items()} == {
            "conversations": 2, "messages": 5, "message_files": 1, "consents": 1, "appointments": 1,
        }  # fmt: skip

        change = await plan_erase(crm, who, Subject.CONTACT, contact_id, keep_out=True)
        erasure = CrmErasure(crm, people.identity, None, traces.forget)
        await erasure.apply(house.id, change)
        assert await traces.forget(who, Subject.CONTACT, contact_id) == 0

        with psycopg.connect(dsns.owner) as conn:
            tables = conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            left = {}
            for (table,) in tables:
                row = conn.execute(
                    f"SELECT count(*) FROM {table} t WHERE t::text ILIKE ANY(%s)".encode(),
                    [[f"%{CANARY}%", f"%{CANARY.encode().hex()}%", f"%{ADDRESS}%"]],
                ).fetchone()
                assert row is not None
                if row[0]:
                    left[table] = row[0]
        assert left == {"consent_entries": 1}, "the address alone, that they are not written to"
        told = await house.rows("SELECT key, text <> '' AS whole FROM notices ORDER BY key")
        assert [(row["key"], row["whole"]) for row in told] == [
            ("hot:1", False), ("hot:2", True), ("meeting_booked:app_1:1", False)
        ]  # fmt: skip
        said = await house.rows("SELECT text FROM messages WHERE turn_id IS NULL")
        assert len(said) == 1 and other["id"] in said[0]["text"]
        (entry,) = await house.rows("SELECT act, address FROM consent_entries")
        assert entry == {"act": "stopped", "address": ADDRESS}
        # The same webhook again brings nothing back.
        await house.sort(webhook(value))
        assert [row["address"] for row in await house.rows("SELECT address FROM chats")] == ["5511988887777"]


async def by_a_gateway(house: ChatHouse, text: str) -> None:
    """They write to the company's other number, which an Evolution serves."""
    await house.channels.save(
        house.who(Role.ADMIN), "evolution", "loja", name="Loja", base_url="http://127.0.0.1:9", secrets={"api_key": "k"}
    )
    key = {"remoteJid": f"{ADDRESS}@s.whatsapp.net", "fromMe": False, "id": "3EB0AAAA"}
    data = {"key": key, "pushName": CANARY, "message": {"conversation": text}, "messageTimestamp": 1_763_650_800}
    changed = {"key": key, "type": 14, "editedMessage": {"conversation": text + "!"}, "timestampMs": 1_763_650_900_000}
    for event, told in (("messages.upsert", data), ("messages.edited", changed)):
        for item in items({"event": event, "instance": "loja", "data": told}, house.clock.now()):
            await house.inbox.keep([Received("evolution:loja", item.key, house.id, item.kind, item.item)])
    await house.sort()
