"""What became of a message: statuses in every order, answers that were lost, processes that died, two at once."""

import asyncio
import itertools
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from business.messaging.arrivals import Echoed, Seen, Who
from business.messaging.channels import Channels
from business.messaging.claiming import Claiming
from business.messaging.sender_cloud import CloudClients, CloudSender
from business.messaging.sending import Sending
from business.messaging.templates import Purpose
from core.db import Database
from core.permissions import Permissions
from core.tenancy import Role
from core.vault import Vault
from tests.business.messaging.outbox_house import KINDS, House
from tests.conftest import until

ORDERS = tuple(itertools.permutations(("sent", "delivered", "read", "failed")))
ROOT = Path(__file__).parents[3]


async def test_statuses_in_each_of_their_24_orders_come_to_the_same_and_nothing_is_sent_again(house: House) -> None:
    rows = []
    for n in range(len(ORDERS)):
        house.clock.advance(timedelta(seconds=1))  # the number's own pace
        rows.append(await house.say(await house.chat(), f"ordem {n}"))
    for row, order in zip(rows, ORDERS, strict=True):
        ranks = []
        for status in order:
            assert await house.told(row, status, code=131000 if status == "failed" else None) == row["chat_id"]
            assert await house.told(row, status, code=131000 if status == "failed" else None) == row["chat_id"]
            ranks.append((await house.row(row["id"]))["status"])
        found = await house.row(row["id"])
        assert (order, found["status"], found["contradicted"], found["state"]) == (order, "read", True, "sent")
        best = ["queued", "accepted", "sent", "failed", "delivered", "read"]
        assert [best.index(one) for one in ranks] == sorted(best.index(one) for one in ranks)
    house.clock.advance(timedelta(minutes=10))
    for row in rows:
        await house.run(row["chat_id"])
    assert len(house.sent) == len(ORDERS)


async def test_a_message_that_failed_afterwards_goes_again_as_the_table_says_and_stays_failed_where_it_was(
    house: House,
) -> None:
    await house.templates.sync(house.tenant_id)
    closed = await house.say(await house.chat(), "cedo demais", values={"topic": "as mesas"})
    await house.told(closed, "failed", code=131047)
    await house.told(closed, "failed", code=131047)
    house.clock.advance(timedelta(seconds=7))
    await house.run(closed["chat_id"])
    rows = await house.rows(
        "SELECT o.state, o.template, m.status FROM outbox o JOIN chat_messages m ON m.id = o.message_id"
        " WHERE o.chat_id = %s ORDER BY o.seq", closed["chat_id"],
    )  # fmt: skip
    assert [(row["state"], row["template"], row["status"]) for row in rows] == [
        ("failed", "", "failed"), ("sent", "retomar_conversa", "accepted"),
    ]  # fmt: skip

    # The contact stopped advertising inside WhatsApp: it is written into the ledger, and no other channel is asked.
    promo = await house.say(
        await house.chat(wrote=timedelta(days=3)), "e aí?", purpose=Purpose.FOLLOW_UP, values={"topic": "as mesas"}
    )
    await house.told(promo, "failed", code=131050)
    entries = await house.rows("SELECT act, scope, how, detail FROM consent_entries")
    assert entries == [{"act": "stopped", "scope": "marketing", "how": "whatsapp", "detail": "131050"}]

    # Not on WhatsApp: nothing more goes there, until the person writes.
    gone = await house.say(await house.chat(), "chegou?")
    await house.told(gone, "failed", code=131026)
    assert (await house.row(gone["id"]))["state"] == "failed"
    house.clock.advance(timedelta(seconds=7))
    assert (await house.say(gone["chat_id"], "e agora?"))["reason"] == "unreachable"
    await house.change(gone["chat_id"], last_received_at=house.clock.now() + timedelta(seconds=1))
    assert (await house.say(gone["chat_id"], "que bom"))["state"] == "sent"


async def test_a_message_whose_answer_was_lost_is_never_sent_again_and_a_status_or_an_echo_tells(house: House) -> None:
    rows = []
    for kind, more in (("lost", {}), ("cut", {}), ("html", {"status": 502}), ("drop", {})):
        house.wire.fail(kind, **more)
        row = await house.say(await house.chat(), f"sem resposta: {kind}")
        assert (kind, row["state"], row["status"], row["attempts"]) == (kind, "unknown", "queued", 1)
        rows.append(row)
    behind = await house.put(rows[0]["chat_id"], "a segunda parte", key="part 2")
    for _ in range(3):
        for row in rows:
            await house.run(row["chat_id"])
    assert len(house.sent) == 4  # nor does the second part overtake it

    # The first is told of by its callback, the second by an echo with its words, the others by nobody.
    assert await house.told(rows[0], "delivered", id="wamid.first=") == rows[0]["chat_id"]
    echo = Echoed("wamid.second=", Who(), house.clock.now(), "text", "sem  resposta: cut\n")
    other = Echoed("wamid.third=", Who(), house.clock.now(), "text", "sou eu, do celular")
    async with house.db.tenant(house.tenant_id) as conn:
        assert not await house.settling.adopt(conn, house.tenant_id, rows[1]["chat_id"], other)
        assert await house.settling.adopt(conn, house.tenant_id, rows[1]["chat_id"], echo)
        assert await house.settling.adopt(conn, house.tenant_id, rows[1]["chat_id"], echo)
    first, second = await house.row(rows[0]["id"]), await house.row(rows[1]["id"])
    assert (first["state"], first["status"], first["external_id"]) == ("sent", "delivered", "wamid.first=")
    assert (second["state"], second["status"], second["external_id"]) == ("sent", "sent", "wamid.second=")

    house.clock.advance(timedelta(seconds=21))
    await house.run(rows[0]["chat_id"])
    assert (await house.row(behind))["state"] == "sent"
    house.clock.advance(timedelta(minutes=10))
    for row in rows:
        await house.run(row["chat_id"])
    assert [alert.kind for alert in house.alerts] == ["unknown", "unknown"]
    # A person may decide to send it all the same: that is a new attempt of theirs.
    await house.outbox.resolve(house.tenants.one[Role.ADMIN], rows[3]["id"], "send")
    await house.run(rows[3]["chat_id"])
    assert (await house.row(rows[3]["id"]))["attempts"] == 2
    await house.told(await house.row(rows[2]["id"]), "read", id="wamid.late=")
    assert (await house.row(rows[2]["id"]))["status"] == "read"
    assert len(house.sent) == 6


async def test_a_connection_that_never_came_about_is_tried_again_because_nothing_left(house: House) -> None:
    await house.rows("UPDATE channels SET base_url = 'http://127.0.0.1:9' RETURNING id")
    row = await house.say(await house.chat(), "sem rede")
    assert (row["state"], row["attempts"]) == ("waiting", 1)
    await house.rows("UPDATE channels SET base_url = %s RETURNING id", house.wire.url)
    house.clock.advance(timedelta(seconds=7))
    await house.run(row["chat_id"])
    assert (await house.row(row["id"]))["state"] == "sent" and len(house.sent) == 1


async def test_a_database_that_is_away_between_claim_and_request_is_waited_for_because_nothing_left(
    house: House, permissions: Permissions, tmp_path: Path
) -> None:
    away = Database(house.db.app_dsn)  # never opened: what asks it is told that it cannot be reached
    channels = Channels(away, Vault.load(tmp_path), house.clock, "sandbox", permissions)
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        sender = CloudSender(CloudClients(channels, http))
        senders = {"whatsapp_cloud": sender}
        claiming = Claiming(house.clock, house.channels, senders, house.rules.of, house.outbox, house.outcomes)
        sending = Sending(
            house.db, house.clock, senders, claiming, house.outbox, house.outcomes, house.settling
        )  # fmt: skip
        chat = await house.chat()
        row = await house.put(chat, "espera")
        await sending.run(house.tenant_id, chat)
    found = await house.row(row)
    assert (found["state"], found["attempts"], house.sent) == ("waiting", 1, [])
    house.clock.advance(timedelta(seconds=7))
    await house.run(chat)
    assert (await house.row(row))["state"] == "sent" and house.texts == ["espera"]


async def test_a_status_that_is_faster_than_the_answer_is_kept_and_joined(house: House) -> None:
    chat = await house.chat()
    house.wire.fail("slow", seconds=0.5)
    early = await house.put(chat, "devagar")
    running = asyncio.create_task(house.run(chat))
    told = await house.rows("SELECT address FROM chats WHERE id = %s", chat)

    def thread() -> list[dict[str, Any]]:
        return list(house.wire.thread(told[0]["address"]))

    await until(lambda: bool(thread()))
    seen = Seen(thread()[0]["id"], "delivered", house.clock.now())
    async with house.db.tenant(house.tenant_id) as conn:  # without our callback data: nobody knows it yet
        assert await house.settling.settle(conn, house.tenant_id, house.channel.id, seen) is None
    await running
    row = await house.row(early)
    assert (row["state"], row["status"], row["external_id"]) == ("sent", "delivered", seen.id)
    assert await house.rows("SELECT 1 FROM early_statuses") == []


async def test_processes_that_die_at_any_point_send_nothing_twice_and_what_nobody_knows_is_told(
    house: House, tmp_path: Path
) -> None:
    points = ("send.before_request", "send.after_request", "send.after_commit")
    chats = {point: await house.chat() for point in points}
    rows = {point: await house.put(chat, point) for point, chat in chats.items()}
    behind = {point: await house.put(chat, f"depois de {point}", key=f"2 {point}") for point, chat in chats.items()}
    killed = [_worker(house, tmp_path, chats[point], point) for point in points]
    both = await house.chat()
    pair = await house.put(both, "dois ao mesmo tempo")
    racing = _worker(house, tmp_path, both)
    await asyncio.gather(_ended(racing), *(house.run(both) for _ in range(3)))
    assert [await _ended(one) for one in killed] == [-9] * 3 and racing.returncode == 0
    states = {point: (await house.row(row))["state"] for point, row in rows.items()}
    assert states == dict.fromkeys(points[:2], "claimed") | {points[2]: "sent"}
    assert (await house.row(pair))["state"] == "sent"

    house.clock.advance(timedelta(seconds=8))
    assert await house.sending.revive() == 2
    for _ in range(2):
        for chat in chats.values():
            await house.run(chat)
    states = {point: (await house.row(row))["state"] for point, row in rows.items()}
    assert states == dict.fromkeys(points[:2], "unknown") | {points[2]: "sent"}
    left = house.texts
    assert [left.count(text) for text in (*points, "dois ao mesmo tempo")] == [0, 1, 1, 1]

    await house.told(await house.row(rows["send.after_request"]), "delivered", id="wamid.arrived=")
    house.clock.advance(timedelta(minutes=11))
    for _ in range(2):
        for chat in chats.values():
            await house.run(chat)
        house.clock.advance(timedelta(seconds=7))
    assert (await house.row(rows["send.after_request"]))["status"] == "delivered"
    assert {(await house.row(row))["state"] for row in behind.values()} == {"sent"}
    assert [alert.outbox_id for alert in house.alerts] == [rows["send.before_request"]]
    assert all(house.texts.count(text) <= 1 for text in house.texts)


def _worker(house: House, folder: Path, chat: str, point: str = "") -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "tests.business.messaging.outbox_process"]
    return subprocess.Popen(
        [*command, house.db.app_dsn, str(folder), house.tenant_id, chat],
        env=os.environ | {"MUTIRAO_FAILPOINT": point},
        cwd=ROOT,
    )


async def _ended(process: "subprocess.Popen[bytes]") -> int:
    return await asyncio.to_thread(process.wait, 30)


async def test_what_whatsapp_cannot_deliver_is_said_by_another_channel_or_a_person_is_told(house: House) -> None:
    for other_way in ("", "out_of_the_email"):
        house.other_way[:] = [other_way] if other_way else []
        house.undelivered.clear()
        chat = await house.chat()
        house.wire.fail("error", code=131026)
        row = await house.say(chat, "oi")
        assert [(one.text, one.code, one.outbox_id) for one in house.undelivered] == [("oi", 131026, row["id"])]
        assert row["state"] == "failed"
        assert (row["reason"] == "fallback:out_of_the_email") is bool(other_way)
        house.clock.advance(timedelta(seconds=7))
        assert (await house.say(chat, "de novo"))["state"] == "dropped"
        assert [one.text for one in house.undelivered] == ["oi", "de novo"]
    assert [alert.kind for alert in house.alerts] == ["refused"]


async def test_every_failure_that_a_status_tells_of_is_followed_by_what_the_table_says(house: House) -> None:
    await house.templates.sync(house.tenant_id)
    query = "SELECT state, not_before, template, reason FROM outbox WHERE chat_id = %s AND id <> %s"
    for code, rule in KINDS.items():
        house.clock.advance(timedelta(minutes=1))
        now, topic = house.clock.now(), {"topic": "as mesas"}
        row = await house.say(await house.chat(), f"erro {code}", values=topic)
        assert row["state"] == "sent", code
        for _ in range(2):
            await house.told(row, "failed", code=code)
        failed = await house.row(row["id"])
        assert (code, failed["state"], failed["status"], failed["said"]) == (code, "failed", "failed", code)
        house.clock.advance(timedelta(seconds=7))
        await house.run(row["chat_id"])
        again = await house.rows(query, row["chat_id"], row["id"])
        match str(rule.action):
            case "retry":
                assert [(one["state"], one["template"]) for one in again] in ([("sent", "")], [("waiting", "")]), code
            case "wait":
                assert [one["state"] for one in again] in (["waiting"], ["sent"]), code
                assert again[0]["not_before"] is None or again[0]["not_before"] >= now
            case "template":
                assert [(one["state"], one["template"]) for one in again] == [("sent", "retomar_conversa")]
            case "stop_number":
                assert [(one["state"], one["reason"]) for one in again] == [("ask", "number")], code
            case _:
                assert again == [], code
        async with house.db.tenant(house.tenant_id) as conn:
            await conn.execute("UPDATE message_blocks SET lifted_at = now()")

    # A template that Meta paused: nothing else of this purpose is left, so a person is asked; another takes its place.
    house.clock.advance(timedelta(minutes=5))
    await house.templates.use(house.tenants.one[Role.ADMIN], "confirmar_reuniao", "pt_BR", [Purpose.ANSWER])
    late = await house.say(await house.chat(wrote=timedelta(days=2)), "tarde", values={"topic": "x", "when": "já"})
    assert late["template"] == "confirmar_reuniao"
    await house.told(late, "failed", code=132015)
    await house.run(late["chat_id"])
    house.clock.advance(timedelta(seconds=7))
    await house.run(late["chat_id"])
    found = await house.rows(query, late["chat_id"], late["id"])
    assert [(one["state"], one["template"]) for one in found] == [("sent", "retomar_conversa")]
