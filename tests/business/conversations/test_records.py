"""How the records of turns are stored, listed, cut and erased."""

import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from business.conversations.records import (
    VERSION,
    Figures,
    TurnRecords,
    cut_to_figures,
    decode,
    encode,
    replayable,
)
from business.conversations.service import Conversations
from core.clock import FixedClock
from core.db import Database
from core.errors import MutiraoError
from core.ids import new_id
from core.money import Money
from core.tenancy import Role
from tests.conftest import Tenants, World
from tests.core.typed_secrets import TYPED, seen_of

FIGURES = Figures(
    ended="done",
    by_model=True,
    intents=["ads.overview"],
    models=["openai/some"],
    model_calls=3,
    failed_calls=1,
    tool_calls=1,
    prompt_tokens=1_200,
    cached_tokens=1_000,
    completion_tokens=34,
    cost_usd=Decimal("0.0012"),
    unpriced=1,
    seconds=1.5,
)
RECORD: dict[str, Any] = {
    "version": VERSION,
    "turn": "turn_1",
    "now": "2026-11-20T15:00:00+00:00",
    "message": {"text": "liga pro 11 98765-4321", "attachments": []},
    "before": {"language": None, "session": {"zeta": 1, "alpha": 2}, "history": [["user", "antes disso"]]},
    "route": [{"to": "ads", "intent": "ads.overview", "confidence": 0.9, "why": "porque", "text": "liga pro"}],
    "completions": [{"role": "ads_analyst", "messages": [{"role": "user", "content": "liga pro"}], "text": "ligado"}],
    "model_calls": [{"provider": "openai", "model": "some", "prompt_tokens": 7, "failure": "timeout: o telefone"}],
    "tools": [{"name": "ads_report", "arguments": {"period": "x"}, "effect": "READ", "result": {"a": 1}, "error": None,
               "seconds": 0.1, "told": "{}"}],
    "reply": {"text": "ligado", "language": "pt-BR"},
    "ended": "done",
}  # fmt: skip


@pytest.fixture
def turns(database: Database, clock: FixedClock) -> TurnRecords:
    return TurnRecords(database, clock)


@pytest.fixture
def conversations(database: Database, clock: FixedClock) -> Conversations:
    return Conversations(database, clock)


async def one_turn(
    conversations: Conversations,
    database: Database,
    world: World,
    conversation: str = "conv_1",
    state: str = "done",
    figures: Figures = FIGURES,
    **changes: Any,
) -> str:
    """A turn of the tenant's Admin that is over; its id."""
    who, turn_id = world[Role.ADMIN], new_id("turn")
    await conversations.accept(who, conversation, "chat", "Como foi ontem?", turn_id, [])
    async with database.tenant(who.tenant_id) as conn:
        await conversations.finish(
            who,
            conversation,
            turn_id,
            text="Foi bem.",
            language="pt-BR",
            extra={},
            record={**RECORD, **changes},
            figures=figures,
            state=state,
            conn=conn,
        )
    return turn_id


async def test_a_list_shows_figures_newest_first_and_only_those_asked_for(
    turns: TurnRecords, conversations: Conversations, database: Database, clock: FixedClock, tenants: Tenants
) -> None:
    first = await one_turn(conversations, database, tenants.one)
    clock.advance(timedelta(hours=2))
    failed = Figures(ended="error:bug")
    second = await one_turn(conversations, database, tenants.one, "conv_2", "failed", failed)
    clock.advance(timedelta(hours=2))
    third = await one_turn(conversations, database, tenants.one, "conv_2", figures=Figures(ended="done"))

    async def listed(**asked: Any) -> list[str]:
        return [line.id for line in await turns.list(tenants.one.id, **asked)]

    assert await listed() == [third, second, first]
    assert await listed(limit=1) == [third]
    assert await listed(conversation_id="conv_2") == [third, second]
    assert await listed(since=clock.now() - timedelta(hours=3)) == [third, second]
    assert await listed(failed=True) == [second, first]  # in the first a request to a model failed
    assert await turns.list(tenants.other.id) == []
    line = (await turns.list(tenants.one.id))[-1]
    assert line.figures == FIGURES
    assert (line.said, line.state, line.door) == ("Como foi ontem?", "done", "chat")


async def test_a_turn_is_found_by_the_end_of_its_id_by_its_own_tenant_only(
    turns: TurnRecords, conversations: Conversations, database: Database, tenants: Tenants
) -> None:
    turn_id = await one_turn(conversations, database, tenants.one)
    for name in (turn_id, turn_id[-8:], turn_id[-8:].upper()):
        found = await turns.find(tenants.one.id, name)
        assert (found.line.id, found.record) == (turn_id, RECORD)
        assert list(found.record["before"]["session"]) == ["zeta", "alpha"]  # in the order in which it was written
    for tenant, name in ((tenants.other.id, turn_id), (tenants.one.id, turn_id[-5:]), (tenants.one.id, "%" * 8)):
        with pytest.raises(MutiraoError) as refused:
            await turns.find(tenant, name)
        assert refused.value.code == "turn_unknown"


async def test_two_turns_with_one_ending_are_told_apart_by_more_of_the_id(
    turns: TurnRecords, conversations: Conversations, database: Database, tenants: Tenants
) -> None:
    who = tenants.one[Role.ADMIN]
    for turn_id in ("turn_1aaaaaaaa", "turn_2aaaaaaaa"):
        await conversations.accept(who, "conv_1", "chat", "oi", turn_id, [])
    with pytest.raises(MutiraoError) as refused:
        await turns.find(tenants.one.id, "aaaaaaaa")
    assert refused.value.code == "turn_ambiguous"
    assert (await turns.find(tenants.one.id, "2aaaaaaaa")).line.id == "turn_2aaaaaaaa"


async def test_what_cannot_be_replayed_says_why(
    turns: TurnRecords, conversations: Conversations, database: Database, clock: FixedClock, tenants: Tenants
) -> None:
    async def why(turn_id: str) -> str:
        with pytest.raises(MutiraoError) as refused:
            replayable(await turns.find(tenants.one.id, turn_id))
        return refused.value.code

    assert replayable(await turns.find(tenants.one.id, await one_turn(conversations, database, tenants.one))) == RECORD
    old = await one_turn(conversations, database, tenants.one, version=VERSION + 1)
    assert await why(old) == "turn_record_version"
    running = new_id("turn")
    await conversations.accept(tenants.one[Role.ADMIN], "conv_1", "chat", "oi", running, [])
    assert await why(running) == "turn_running"
    clock.advance(timedelta(hours=1))
    await conversations.close_interrupted(tenants.one.id, timedelta(minutes=15), "interrupted")
    assert await why(running) == "turn_no_record"
    await turns.cut(tenants.one.id, timedelta(0))
    assert await why(old) == "turn_record_cut"


async def test_old_records_are_cut_to_their_figures_a_batch_at_a_time(
    turns: TurnRecords, conversations: Conversations, database: Database, clock: FixedClock, tenants: Tenants
) -> None:
    old = [await one_turn(conversations, database, tenants.one) for _ in range(3)]
    foreign = await one_turn(conversations, database, tenants.other, "conv_other")
    clock.advance(timedelta(days=90, hours=1))
    fresh = await one_turn(conversations, database, tenants.one)

    assert [await turns.cut(tenants.one.id, timedelta(days=90), most=2) for _ in range(3)] == [2, 1, 0]
    for turn_id in old:
        found = await turns.find(tenants.one.id, turn_id)
        assert found.cut and found.line.figures == FIGURES
        text = json.dumps(found.record)
        for written in ("liga", "98765", "antes disso", "porque", "period", "telefone", "told"):
            assert written not in text
        assert found.record["model_calls"] == [{**RECORD["model_calls"][0], "failure": "timeout"}]
        assert found.record["tools"] == [{"name": "ads_report", "effect": "READ", "error": None, "seconds": 0.1}]
    assert (await turns.find(tenants.one.id, fresh)).record == RECORD
    assert not (await turns.find(tenants.other.id, foreign)).cut


async def test_an_erased_conversation_takes_its_turns_with_it(
    turns: TurnRecords, conversations: Conversations, database: Database, tenants: Tenants
) -> None:
    await one_turn(conversations, database, tenants.one, "conv_gone")
    kept = await one_turn(conversations, database, tenants.one, "conv_kept")
    async with database.tenant(tenants.one.id) as conn:
        await conn.execute("delete from conversations where id = 'conv_gone'")
    assert [line.id for line in await turns.list(tenants.one.id)] == [kept]


# --- as JSON --------------------------------------------------------------------------------------


def test_money_decimals_dates_and_moments_come_back_as_what_they_were() -> None:
    at = datetime.fromisoformat("2026-11-20T12:00:00-03:00")
    told = {"cap": Money(Decimal("12.30"), "BRL"), "share": Decimal("0.10"), "day": date(2026, 11, 20), "at": at}
    record = {"tools": [{"error_params": told}], "plain": {"amount": "12", "currency": "BRL"}, "one": {"$odd": 1}}
    assert decode(encode(record)) == record


async def test_half_a_character_and_a_nul_of_a_model_can_be_kept(
    turns: TurnRecords, conversations: Conversations, database: Database, tenants: Tenants
) -> None:
    turn_id = await one_turn(conversations, database, tenants.one, completions=[{"text": "fim \ud83d", "zero": "a\0b"}])
    assert (await turns.find(tenants.one.id, turn_id)).record["completions"] == [{"text": "fim \ud83d", "zero": "a\0b"}]


@pytest.mark.parametrize(
    "secret",
    [
        "Bearer " + "abcdef123456",
        "senha: " + "ipê-roxo-2026",
        "postgresql://ana:" + "s3gredo@db.example/x",
        *TYPED.values(),
    ],
)
def test_a_secret_is_masked_wherever_it_stands(secret: str) -> None:
    record = {
        "message": {"text": f"usa isto: {secret} por favor"},
        "completions": [{"messages": [{"role": "user", "content": json.dumps({"said": secret})}]}],
        "tools": [{"arguments": {"name": secret}, "result": {"id": "120100000000000001"}}],
    }
    kept = encode(record)
    assert secret not in decode(kept)["message"]["text"]
    assert [part for part in seen_of(secret.split(" ")[-1]) if part in kept] == []
    assert kept.count("[secret]") == 3
    assert decode(kept)["masked"] is True
    assert decode(kept)["tools"][0]["result"] == {"id": "120100000000000001"}


def test_a_record_without_secrets_is_kept_to_the_letter() -> None:
    record = {
        "message": {"text": "Fale com ana@ipe.example ou (11) 98765-4321, CPF 529.982.247-25; o token da sorte"},
        "tools": [{"arguments": {"keyword": "key: 1"}, "told": '{"tokens":12,"key":[1,2]}'}],
    }
    assert decode(encode(record)) == record


def test_cutting_a_record_twice_or_one_of_before_changes_nothing_more() -> None:
    once = cut_to_figures(RECORD)
    assert cut_to_figures(once) == once
    assert cut_to_figures({})["cut"] is True
