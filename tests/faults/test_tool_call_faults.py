"""Tool calls that a model gets wrong, through the whole product: an error to the model, never a guess, and an end.

All questions go to one house whose models are two stand-ins: the analyst's first choice and the next one.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from core.clock import FixedClock
from core.door import Reply
from core.postgres import Postgres
from core.turn import TextChunk, TextWithdrawn
from evals.stand_in import Answer, Seen, StandIn
from tests.conftest import fresh_database
from tests.faults.conftest import Shown, keyed
from tests.journeys.conftest import House, houses

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUESTION = "Como foram minhas campanhas nos últimos 7 dias?"
CALL = ("ads_report", {"period": "últimos 7 dias"})
WORDS = "As duas contas foram bem; o que mais pesou está na tabela."
STEPS, MODEL_CALLS = 12, 8
"""The limits of a turn."""


class Model:
    """A provider whose script is changed from question to question; `seen` are the requests of the last one."""

    def __init__(self, stack: ExitStack) -> None:
        self._answers: Callable[[Seen], Answer] = lambda _: Answer(status=500)
        self._server = stack.enter_context(StandIn(lambda seen: self._answers(seen)))
        self._before = 0
        self.url = self._server.url
        self.openai_url = self._server.openai_url

    def will(self, *answers: Answer) -> None:
        """Give these answers, one per request, and then 400."""
        remaining: Iterator[Answer] = iter(answers)
        self.follow(lambda _: next(remaining, Answer(status=400)))

    def follow(self, script: Callable[[Seen], Answer]) -> None:
        self._answers, self._before = script, len(self._server.seen)

    @property
    def seen(self) -> list[Seen]:
        return self._server.seen[self._before :]


@dataclass
class Stage:
    house: House
    first: Model
    """anthropic, which the analyst asks first."""
    second: Model
    """openai, which is asked when the first fails."""

    async def record(self, reply: Reply) -> dict[str, Any]:
        """What was kept of a turn."""
        async with self.house.services.db.tenant(self.house.tenant_id) as conn:
            row = await (await conn.execute("SELECT record FROM turns WHERE id = %s", [reply.turn_id])).fetchone()
        assert row is not None
        return dict(row["record"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def built(server: Postgres, learnt: Path) -> AsyncIterator[Stage]:
    with fresh_database(server) as dsns, ExitStack() as stack:
        first, second = Model(stack), Model(stack)
        async with houses(dsns, FixedClock()) as open_house:
            chosen = {**keyed("anthropic", first), **keyed("openai", second), "budget_day_usd": None}
            yield Stage(await open_house(**chosen, model_breaker_failures=1_000), first, second)


@pytest.fixture
def stage(built: Stage) -> Stage:
    """The house and its two models, which fail until they are told what to do."""
    built.first.will()
    built.second.will()
    built.house.events.clear()
    return built


def told(seen: Seen) -> list[str]:
    """The results of tools in a request to Anthropic's or OpenAI's wire, in order."""
    if seen.wire == "openai":
        return [message["content"] for message in seen.body["messages"] if message["role"] == "tool"]
    return [block["content"] for block in blocks(seen, "tool_result")]


def blocks(seen: Seen, kind: str) -> list[dict[str, Any]]:
    """The parts of one kind in a request to Anthropic's wire."""
    contents = [message["content"] for message in seen.body["messages"]]
    return [block for content in contents for block in content if block["type"] == kind]


def stands(house: House) -> str:
    """What a reader of the door's stream has before them at the end."""
    shown = Shown()
    for event in house.events:
        if isinstance(event, TextChunk):
            shown(event.text)
        elif isinstance(event, TextWithdrawn):
            shown(None)
    return shown.text


SLIPS: dict[str, tuple[tuple[str, dict[str, Any]], str]] = {
    "a tool that does not exist": (("ads_magic", {"days": 7}), "ads_magic"),
    "words for a number": (("ads_report", {"period": "últimos 7 dias", "limit": "sete"}), "limit"),
    "an argument too many": (("ads_report", {"period": "últimos 7 dias", "colour": "blue"}), "colour"),
    "a value out of its list": (("ads_report", {"level": "universe"}), "level"),
    "a number out of its range": (("ads_report", {"period": "ontem", "limit": 100_000}), "limit"),
    "an object for words": (("ads_report", {"period": {"from": "ontem"}}), "period"),
}


@pytest.mark.parametrize("slip", SLIPS)
async def test_a_slip_in_a_call_is_told_to_the_model_which_mends_it(slip: str, stage: Stage) -> None:
    call, why = SLIPS[slip]
    stage.first.will(Answer(calls=[call]), Answer(calls=[CALL]), Answer(WORDS))
    reply = await stage.house.ask(QUESTION)
    assert (reply.ended, len(stage.first.seen), len(stage.second.seen)) == ("done", 3, 0)
    [error] = told(stage.first.seen[1])
    assert "error" in error.lower()
    assert why in error
    assert [tool["arguments"] for tool in reply.tools if tool["name"] == "ads_report"][-1] == CALL[1]
    assert reply.text.startswith(WORDS)


async def test_calls_of_one_answer_with_the_same_id_each_get_their_own_result(stage: Stage) -> None:
    calls = [("ads_report", {"period": period}) for period in ("ontem", "últimos 7 dias", "últimos 30 dias")]
    stage.first.will(Answer(calls=calls, same_ids=True), Answer(WORDS))
    reply = await stage.house.ask(QUESTION)
    followed = stage.first.seen[1]
    made = [block["id"] for block in blocks(followed, "tool_use")]
    assert len(set(made)) == 3
    assert sorted(made) == sorted(block["tool_use_id"] for block in blocks(followed, "tool_result"))
    assert len(set(told(followed))) == 3, "each call has a result of its own"
    assert reply.text.startswith(WORDS)


async def test_equal_calls_are_done_once_and_answered_each(stage: Stage) -> None:
    stage.first.will(Answer(calls=[CALL] * 5), Answer(WORDS))
    reply = await stage.house.ask(QUESTION)
    assert len(told(stage.first.seen[1])) == 5
    assert len(set(told(stage.first.seen[1]))) == 1
    assert [tool["name"] for tool in reply.tools] == ["ads_report"]


async def test_of_two_hundred_calls_in_one_answer_no_more_run_than_a_turn_may_make(stage: Stage) -> None:
    calls = [("ads_report", {"period": f"últimos {days} dias"}) for days in range(1, 201)]
    stage.first.will(Answer(calls=calls), Answer(WORDS))
    reply = await stage.house.ask(QUESTION)
    assert len(stage.first.seen) <= 2
    assert 1 <= sum(tool["result"] is not None for tool in (await stage.record(reply))["tools"]) <= STEPS
    assert reply.ended == "done"
    assert "Loja Aurora" in reply.text


async def test_a_model_that_calls_for_ever_is_asked_as_often_as_a_turn_may_and_the_user_gets_what_is_there(
    stage: Stage,
) -> None:
    def for_ever(seen: Seen) -> Answer:
        return Answer(calls=[("ads_report", {"period": "ontem", "limit": len(told(seen)) % 25 + 1})])

    stage.first.follow(for_ever)
    reply = await stage.house.ask(QUESTION)
    assert (len(stage.first.seen), len(stage.second.seen)) == (MODEL_CALLS, 0)
    assert "limite" in reply.text
    assert "Loja Aurora" in reply.text


@pytest.mark.parametrize(
    "each",
    [Answer(calls=[CALL], prompt_tokens=31_000), Answer(calls=[CALL], completion_tokens=20_000)],
    ids=["60,000 tokens", "half a dollar"],
)
async def test_a_model_that_calls_for_ever_costs_no_more_than_a_turn_may_but_for_one_call(
    each: Answer, stage: Stage
) -> None:
    stage.first.follow(lambda _: each)
    reply = await stage.house.ask(QUESTION)
    assert (len(stage.first.seen), len(stage.second.seen)) == (2, 0)
    assert "limite" in reply.text
    assert "Loja Aurora" in reply.text


UNSTORABLE: dict[str, tuple[str, dict[str, Any] | str]] = {
    "NUL in the arguments": ("ads_report", '{"period": "ontem\\u0000"}'),
    "arguments without end": ("ads_report", {"period": "ontem " * 100_000}),
    "a number without end": ("ads_report", '{"limit": 1' + "0" * 4_000 + "}"),
}


@pytest.mark.parametrize("what", UNSTORABLE)
async def test_a_call_that_nobody_could_store_is_told_to_the_model_and_recorded(what: str, stage: Stage) -> None:
    stage.first.will(Answer(calls=[UNSTORABLE[what]]), Answer(calls=[CALL]), Answer(WORDS))
    reply = await stage.house.ask(QUESTION)
    assert (reply.ended, len(stage.first.seen)) == ("done", 3)
    assert "error" in told(stage.first.seen[1])[0]
    assert reply.text.startswith(WORDS)
    record = await stage.record(reply)
    assert [len(one["tool_calls"]) for one in record["completions"]] == [1, 1, 0]


@pytest.mark.parametrize("odd", ["\0", "\ud83d", "\x1b", "\x85"], ids=["NUL", "half a pair", "a terminal's", "C1"])
async def test_characters_that_nobody_can_store_or_show_are_left_out_of_what_a_model_says(
    odd: str, stage: Stage
) -> None:
    stage.first.will(Answer(calls=[CALL]), Answer(WORDS.replace("contas", f"contas{odd}")))
    reply = await stage.house.ask(QUESTION)
    assert reply.ended == "done"
    assert odd not in reply.text
    assert odd not in stands(stage.house)
    assert reply.text.startswith("As duas contas")


PAUSE = ("ads_pause", {"target": "120300000000000005"})
CUT: dict[str, Answer] = {
    "cut in the JSON": Answer("Vou pausar.", calls=[PAUSE], cut_at="arge"),
    "cut at our length": Answer(calls=[PAUSE], finish="max_tokens"),
    "half a JSON": Answer(calls=[("ads_pause", '{"target": "120300000000000005"')]),
    "a piece twice": Answer(calls=[PAUSE], twice=2),
    "no end": Answer(calls=[PAUSE], silent_end=True),
    "half a character": Answer(calls=[("ads_pause", '{"target": "\\ud83d"}')]),
    "an impossible name": Answer(calls=[("ads\0pause", {"target": "120300000000000005"})]),
}


@pytest.mark.parametrize("how", CUT)
async def test_a_cut_call_is_never_executed_and_the_next_model_is_asked(how: str, stage: Stage) -> None:
    stage.first.will(CUT[how], CUT[how])
    stage.second.will(Answer(calls=[CALL]), Answer(WORDS))
    reply = await stage.house.ask(QUESTION)
    # The turn's second question passes over a model that broke off, but not one that our own limit cut.
    asked = 2 if how == "cut at our length" else 1
    assert (len(stage.first.seen), len(stage.second.seen)) == (asked, 2)
    assert [tool["name"] for tool in reply.tools] == ["ads_report"]
    assert reply.proposals == []
    assert await stage.house.writes() == []
    assert reply.text.startswith(WORDS)
    assert stands(stage.house) == WORDS


async def test_text_of_a_model_that_breaks_off_is_withdrawn_and_the_next_ones_stands_once(stage: Stage) -> None:
    half = "As duas contas foram mal. Não gostei do que vi nesta semana. Vale olhar as campanhas de perto."
    stage.first.will(Answer(calls=[CALL]), Answer(half, cut_at="campanhas"))
    stage.second.will(Answer(WORDS))
    reply = await stage.house.ask(QUESTION)
    assert (len(stage.first.seen), len(stage.second.seen)) == (2, 1)
    assert any(isinstance(event, TextChunk) and "mal" in event.text for event in stage.house.events), "it was shown"
    assert stands(stage.house) == WORDS
    assert reply.text.count(WORDS) == 1
    assert "Não gostei" not in reply.text
    assert reply.usage.models == ["anthropic/claude-sonnet-4-6", "openai/gpt-5.6-terra"]
