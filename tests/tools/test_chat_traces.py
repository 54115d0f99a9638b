"""What conversations keep of a person: all of it in their export, and nothing of it after they were erased."""

from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from business.conversations.service import Conversations
from business.crm.changes import CrmErasure, plan_erase
from business.crm.model import Subject
from business.crm.service import Crm
from business.people.service import People
from core.clock import FixedClock
from core.db import Database
from core.files import Files
from core.permissions import Permissions
from core.tenancy import Role
from tests.business.messaging.chat_house import chat_house, webhook, wrote
from tests.conftest import Dsns, Tenants
from tools.acquaint import Acquaintance
from tools.chat_traces import ChatTraces

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
        await Acquaintance(database, crm, people, house.channels, house.texts)(house.id, chat["id"])
        contact_id = (await house.chat(ADDRESS))["contact_id"]
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
        export = await traces.export(who, contact_id)
        assert {name: len(rows) for name, rows in export.items()} == {
            "conversations": 1, "messages": 4, "message_files": 1, "consents": 1, "appointments": 1,
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
                    f"SELECT count(*) FROM {table} t WHERE t::text ILIKE %s OR t::text LIKE %s".encode(),
                    [f"%{CANARY}%", f"%{CANARY.encode().hex()}%"],
                ).fetchone()
                assert row is not None
                if row[0]:
                    left[table] = row[0]
        assert left == {}
        (entry,) = await house.rows("SELECT act, address FROM consent_entries")
        assert entry == {"act": "stopped", "address": ADDRESS}
        # The same webhook again brings nothing back.
        await house.sort(webhook(value))
        assert [row["address"] for row in await house.rows("SELECT address FROM chats")] == ["5511988887777"]
