"""A gateway that takes requests and answers none keeps only its own conversations waiting."""

import asyncio
from datetime import timedelta

from business.messaging.claiming import Claiming
from business.messaging.conversation import open_chat
from business.messaging.lanes import FEW, MOST, Lanes
from business.messaging.ledger import Ledger
from business.messaging.outbox import SEND_CHAT, Draft, Outbox
from business.messaging.outcomes import Outcomes
from business.messaging.sending import Sending
from business.messaging.settling import Settling
from business.messaging.templates import Purpose
from core.jobs import QUEUES, Jobs
from core.permissions import Permissions
from core.tenancy import Role
from integrations.whatsapp_cloud import messages
from integrations.whatsapp_cloud.simulator.state import ACCOUNTS
from tests.business.messaging.outbox_house import House
from tests.conftest import until

OTHERS = "551988880001"


async def test_a_gateway_that_hangs_takes_no_place_from_another_company_and_is_tried_by_few_until_it_answers(
    house: House, permissions: Permissions
) -> None:
    jobs = Jobs(house.db.app_dsn)
    outbox = Outbox(house.db, house.clock, jobs, permissions)
    outcomes = Outcomes(outbox, house.clock, Ledger(house.jobs))
    claiming = Claiming(house.clock, house.channels, house.senders, house.rules.of, outbox, outcomes)
    sending = Sending(
        house.db, house.clock, house.senders, claiming, outbox, outcomes, Settling(outbox, outcomes, house.clock),
        lanes=Lanes(slow=0.5),
    )  # fmt: skip
    jobs.task(SEND_CHAT, sending.run, queue="send")
    await jobs.open()
    hang(house, seconds=4)
    chats = [await house.chat() for _ in range(QUEUES["send"] + 5)]
    async with house.db.tenant(house.tenant_id) as conn:
        for chat in chats:
            await outbox.put(conn, house.tenant_id, chat, said(chat))
    other = await put_elsewhere(house, outbox)
    stop = asyncio.Event()
    worker = asyncio.create_task(jobs.run_worker(stop))
    try:
        await until(lambda: OTHERS in [one["to"] for one in house.sent])
        states = await count(house)
        assert states == {"claimed": MOST, "waiting": len(chats) - MOST}, "it left while the first ones hung"
    finally:
        stop.set()
        await asyncio.wait_for(worker, 15)
    assert await count(house) == {"unknown": MOST, "waiting": len(chats) - MOST}
    hang(house, seconds=0.8)
    left = [row["chat_id"] for row in await house.rows("SELECT chat_id FROM outbox WHERE state = 'waiting'")]

    async def look() -> dict[str, int]:
        house.clock.advance(timedelta(seconds=3))
        await asyncio.gather(*(sending.run(house.tenant_id, chat) for chat in left))
        return await count(house)

    assert await look() == {"unknown": MOST + FEW, "waiting": len(left) - FEW}
    house.wire.reset()
    await look()
    await look()
    assert await count(house) == {"unknown": MOST + FEW, "sent": len(left) - FEW}
    async with house.db.tenant(house.tenants.other.id) as conn:
        row = await (await conn.execute("SELECT state, attempts FROM outbox WHERE id = %s", [other])).fetchone()
    assert row == {"state": "sent", "attempts": 1}
    await jobs.close()


def hang(house: House, *, seconds: float) -> None:
    house.wire.reset()
    house.wire.fail("hang", path=f"{ACCOUNTS[0].number_id}/messages$", times=1_000, seconds=seconds)


def said(chat: str) -> Draft:
    return Draft(Purpose.ANSWER, chat, messages.text("Bom dia!"), answers=1)


async def put_elsewhere(house: House, outbox: Outbox) -> str:
    """Another company's answer, the last in the queue."""
    world = house.tenants.other
    channel = await house.channels.save(
        world[Role.ADMIN], "whatsapp_cloud", ACCOUNTS[1].number_id, account=ACCOUNTS[1].waba_id,
        base_url=house.wire.url, secrets={"token": house.wire.secrets.token},
    )  # fmt: skip
    now = house.clock.now()
    async with house.db.tenant(world.id) as conn:
        chat = await open_chat(conn, world.id, channel, OTHERS, name="Rui", at=now)
        query = "UPDATE chats SET last_from_contact = %s, last_received_at = %s, messages_in = 1 WHERE id = %s"
        await conn.execute(query, [now, now, chat.id])
        return await outbox.put(conn, world.id, chat.id, said(chat.id))


async def count(house: House) -> dict[str, int]:
    rows = await house.rows("SELECT state, count(*) AS n FROM outbox GROUP BY state")
    return {row["state"]: row["n"] for row in rows}
