"""An account's templates and rules: brought, told what they are for, handed in, changed by webhooks and by people."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from business.messaging.arrivals import TemplateTold
from business.messaging.known import per_second, portfolio_limit
from business.messaging.outbox_check import OutboxCheck
from business.messaging.settings import default_settings, default_text
from business.messaging.templates import Purpose
from core.errors import ArgumentsWrong, Refused
from core.tenancy import Role
from integrations.whatsapp_cloud.templates import Definition
from prompts.texts import Texts
from tests.business.messaging.outbox_house import House


async def test_templates_are_brought_used_handed_in_and_follow_what_whatsapp_decides(house: House) -> None:
    admin, seller = house.tenants.one[Role.ADMIN], house.tenants.one[Role.COMERCIAL]
    store, name = house.templates, f"novidades_{house.mark}"
    first = await store.sync(house.tenant_id)
    assert first.total >= 5 and "primeiro_contato" in first.added
    assert (await store.sync(house.tenant_id)).added == ()
    told = await house.channels.get(house.tenant_id, house.channel.id)
    assert (portfolio_limit(house.channel), portfolio_limit(told), per_second(told)) == (250, 2_000, 80)
    kept = {one.name: one for one in await store.list(admin)}
    assert kept["confirmar_reuniao"].purposes == (Purpose.NOTICE,)
    assert kept["confirmar_reuniao"].holes == {"1": "name", "2": "when", "3": "house"}

    house.wire.ask("/__config", approve=False)
    definition = Definition(name, "pt_BR", "MARKETING", "Oi, {{1}}! Temos {{2}} para mostrar.", examples={
        "1": "Ana", "2": "mesas novas"})  # fmt: skip
    with pytest.raises(Refused):
        await store.create(seller, definition)
    made = await store.create(admin, definition)
    assert (made.status, made.purposes) == ("PENDING", ())
    with pytest.raises(ArgumentsWrong, match="missing") as holes:
        await store.use(admin, name, "pt_BR", [Purpose.FOLLOW_UP], {"1": "name"})
    assert holes.value.params["missing"] == "2"
    used = await store.use(admin, name, "pt_BR", [Purpose.FOLLOW_UP], {"1": "name", "2": "topic"})
    assert used.purposes == (Purpose.FOLLOW_UP,)

    async with house.db.tenant(house.tenant_id) as conn:
        refused = TemplateTold(name, "pt_BR", "status", "REJECTED", "PROMOTIONAL")
        assert await store.told(conn, house.tenant_id, house.channel.id, refused)
        worse = TemplateTold(name, "pt_BR", "quality", "RED")
        assert not await store.told(conn, house.tenant_id, house.channel.id, worse)
        # One that we have never seen is looked up by a job.
        assert not await store.told(
            conn, house.tenant_id, house.channel.id, TemplateTold("x", None, "status", "APPROVED")
        )
    now = next(one for one in await store.list(admin) if one.name == name)
    assert (now.status, now.reason, now.quality, now.purposes) == (
        "REJECTED",
        "PROMOTIONAL",
        "RED",
        (Purpose.FOLLOW_UP,),
    )
    jobs = await house.rows("SELECT task_name FROM procrastinate_jobs WHERE task_name = 'sync_templates'")
    assert len(jobs) == 1

    house.wire.ask("/__template", waba_id=house.channel.account, name=name, language="pt_BR", event="APPROVED")
    assert (await store.sync(house.tenant_id)).changed == (name,)
    now = next(one for one in await store.list(admin) if one.name == name)
    assert (now.status, now.purposes, dict(now.holes)) == (
        "APPROVED",
        (Purpose.FOLLOW_UP,),
        {"1": "name", "2": "topic"},
    )
    # Another company sees none of it.
    with pytest.raises(ArgumentsWrong):
        await store.list(house.tenants.other[Role.ADMIN])


async def test_an_account_has_rules_of_its_own_from_the_next_message_on(house: House) -> None:
    admin = house.tenants.one[Role.ADMIN]
    assert await house.rules.text(house.tenant_id) == (default_text(), False)
    with pytest.raises(ArgumentsWrong) as wrong:
        await house.rules.save(admin, 'contact_hours: {mon: ["18:00", "09:00"]}')
    assert wrong.value.code == "messaging_rules_field"
    with pytest.raises(Refused):
        await house.rules.save(house.tenants.one[Role.COMERCIAL], "most_touches: 1")
    await house.rules.save(admin, "most_touches: 1")
    async with house.db.tenant(house.tenant_id) as conn:
        assert (await house.rules.of(conn, house.tenant_id)).most_touches == 1
    async with house.db.tenant(house.tenants.other.id) as conn:
        assert await house.rules.of(conn, house.tenants.other.id) == default_settings()
    assert (await house.rules.text(house.tenant_id))[1]
    assert not await house.rules.give_demo(house.tenant_id)
    await house.rules.save(admin, None)
    assert not (await house.rules.text(house.tenant_id))[1]
    assert not await house.rules.give_demo(house.tenant_id)  # ours, by choice


async def test_the_sample_company_may_write_on_a_holiday_at_night_and_says_so(house: House) -> None:
    house.clock.at = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)  # eleven in the evening of Consciência Negra
    await house.templates.sync(house.tenant_id)
    told: dict[str, Any] = {"purpose": Purpose.FOLLOW_UP, "values": {"topic": "as mesas"}}
    waits = await house.say(await house.chat(wrote=timedelta(days=3)), "e aí?", **told)
    assert (waits["state"], waits["decision"]["rule"]) == ("waiting", "quiet_hours")
    assert await house.rules.give_demo(house.tenant_id)
    assert not await house.rules.give_demo(house.tenant_id)
    row = await house.say(await house.chat(wrote=timedelta(days=3)), "e aí?", **told)
    assert row["state"] == "sent"
    assert [one["key"] for one in row["decision"]["cautions"]] == ["messaging.caution.no_quiet_hours"]


async def test_the_doctor_says_what_does_not_leave_and_why(house: House) -> None:
    texts = Texts.load()

    async def tenants() -> list[tuple[str, str]]:
        return [(house.tenant_id, "Aurora")]

    async def said() -> dict[str, str]:
        check = OutboxCheck(house.db, house.channels, tenants, house.clock, partial(texts.say, "pt-BR"))
        return {one.text: one.state for one in await check.run(False)}

    assert [(state, "retomada" in text) for text, state in (await said()).items()] == [("missing", True)]
    await house.templates.sync(house.tenant_id)
    assert await said() == {}
    house.wire.fail("lost")
    await house.say(await house.chat(), "chegou?")
    house.wire.fail("error", code=190)
    await house.say(await house.chat(), "parado")
    await house.put(await house.chat(), "ninguém trabalha")
    house.clock.advance(timedelta(minutes=30))
    found = await said()
    assert sorted(found.values()) == ["broken", "broken", "note", "note"]
    assert any("erro 190" in text for text in found) and any("trabalhador" in text for text in found)
