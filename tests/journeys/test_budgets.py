"""A company whose models may cost only so much a day: warned twice, stopped in the middle of a turn, and answered all
the same."""

from decimal import Decimal

from evals.stand_in import Answer, Seen, StandIn
from tests.journeys.conftest import OpenHouse
from tests.journeys.test_models import CALL, QUESTION, WORDS, settings_for


def tool_then_words(seen: Seen) -> Answer:
    """A model that asks for the report until it has it."""
    has_report = any(message.get("role") == "tool" for message in seen.body["messages"])
    return Answer(WORDS) if has_report else Answer(calls=[CALL])


async def test_a_company_is_warned_at_80_and_120_percent_and_at_its_ceiling_the_playbook_takes_over(
    open_house: OpenHouse,
) -> None:
    with StandIn(tool_then_words) as server:
        house = await open_house(budget_day_usd=None, **settings_for("openai", server))
        first = await house.ask(QUESTION)
        assert first.usage.cost_usd
        turn_usd: Decimal = first.usage.cost_usd
        await house.services.budgets.set(await house.person(), day_usd=turn_usd * 2 / Decimal("0.9"))

        second, third, fourth = [await house.ask(QUESTION) for _ in range(3)]
        assert [reply.text.startswith(WORDS) for reply in (second, third)] == [True, True]
        assert "chegaram a 80% do orçamento do dia" in second.text  # 90 % are used
        assert "chegaram a 120% do orçamento do dia" in third.text  # 135 %
        assert "80%" not in third.text
        # The fourth's first request ends above 150 %: its second is not made, and the playbook finishes the turn.
        asked = len(server.seen)
        assert asked == 7
        assert fourth.usage.model_calls == 1

        fifth = await house.ask(QUESTION)
        assert len(server.seen) == asked, "no provider is asked any more"
    for reply in (fourth, fifth):
        assert not reply.text.startswith(WORDS)
        assert "Loja Aurora" in reply.text
        assert "R$" in reply.text
        assert "acabou: respondo pelas regras do Mutirão" in reply.text
        assert "21/11/2026, à meia-noite (America/Sao_Paulo)" in reply.text
    assert fifth.usage.model_calls == 0
    assert [alert.percent for alert in await house.services.budgets.alerts(house.tenant_id)] == [120, 80]
