"""Recorded turns run again: the same, or where they first differ."""

import asyncio
import copy
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from business.conversations.records import decode, encode, replayable
from core.door import Attachment, Difference, Reply
from core.errors import MutiraoError
from core.tenancy import Role
from evals.stand_in import Answer, Seen, StandIn
from tests.journeys.conftest import House, OpenHouse

COMPARE = "Como foram minhas campanhas nos últimos 7 dias comparado com os 7 anteriores?"
CALL = ("ads_report", {"period": "últimos 7 dias", "compare_with": "7 anteriores"})
WORDS = "As duas contas foram bem; o que mais pesou está na tabela."


OCTOBER = """Nome da campanha;Início dos relatórios;Término dos relatórios;Valor usado (BRL);Impressões
Dia das Crianças;01/10/2026;01/10/2026;1.234,50;10.000
Dia das Crianças;02/10/2026;02/10/2026;980,44;9.000
"""
MENTIONED_TOKEN = "EAAB" + "x1" * 20


async def record_of(house: House, reply: Reply) -> dict[str, Any]:
    """The whole record of the turn, as it was stored."""
    return replayable(await house.services.turns.find(house.tenant_id, reply.turn_id))


async def replayed(house: House, reply: Reply) -> Difference | None:
    return await house.services.replay(await record_of(house, reply))


def model_of(server: StandIn) -> dict[str, Any]:
    return {"openai_api_key": "a-key", "openai_base_url": server.openai_url}


def by_question(answers: dict[str, list[Answer]]) -> Callable[[Seen], Answer]:
    """A model that answers by a word of the person's message and by how many rounds of tools have been."""

    def answer(seen: Seen) -> Answer:
        asked = next(m["content"] for m in reversed(seen.body["messages"]) if m["role"] == "user")
        rounds = sum(bool(m.get("tool_calls")) for m in seen.body["messages"])
        script = next((script for word, script in answers.items() if word in asked), [Answer(status=500)])
        return script[min(rounds, len(script) - 1)]

    return answer


# --- ten kinds of turns, each the same again ------------------------------------------------------------


async def test_turns_of_the_playbook_are_the_same_again(house: House) -> None:
    first = await house.ask("Como foram minhas campanhas na semana passada?", "conv_a")
    follows = await house.ask("E ontem?", "conv_a")
    ranking = await house.ask("Qual anúncio teve o menor custo por resultado este mês?", "conv_b")
    second = await house.ask("E o segundo?", "conv_b")
    both = await house.ask("Quanto gastei ontem? E o que devo pausar?")
    talk = await house.ask("oi, bom dia!")
    english = await house.ask("How did last week go?", role=Role.CLIENTE)
    for reply in (first, follows, ranking, second, both, talk, english):
        assert reply.ended == "done"
        assert await replayed(house, reply) is None
    assert len((await record_of(house, both))["route"]) == 2
    assert second.text != ranking.text


async def test_turns_with_a_model_are_the_same_again_and_nobody_is_asked(open_house: OpenHouse) -> None:
    side_by_side = [CALL, ("ads_diagnose", {"period": "ontem"}), ("list_accounts", {})]
    wrong = [("ads_report", {"level": "planet"}), ("ads_trend", {"period": "1999-01-01..1999-01-02"})]
    script = by_question(
        {
            "7 anteriores": [Answer("Vou ver.", calls=[CALL]), Answer(WORDS)],
            "tudo": [Answer(calls=side_by_side), Answer(calls=[CALL]), Answer(WORDS)],
            "planeta": [Answer(calls=wrong), Answer("Não consegui ver isso.")],
            "semana passada": [Answer(calls=[CALL]), Answer("Você vendeu 1.234.567 reais e o ROAS foi 98,76.")],
            "mês passado": [Answer(calls=[CALL]), Answer(f"{WORDS} O ROAS foi 98,76.")],
            "negócio da verba": [Answer('{"parts": [{"intent": "ads.budget", "text": "o negócio da verba"}]}')],
            "quebrou": [Answer(status=500)],
        }
    )
    with StandIn(script) as server:
        house = await open_house(**model_of(server))
        two_rounds = await house.ask(COMPARE, "conv_m")
        follows = await house.ask("E tudo isso ontem, por campanha?", "conv_m")
        errors = await house.ask("Como foi ontem no planeta?")
        invented = await house.ask("Como foi a semana passada?")
        half = await house.ask("Como foi o mês passado?")
        routed = await house.ask("e aí, o negócio da verba tá rolando legal ou nem?")
        all_down = await house.ask("Quanto gastei ontem? Algo quebrou.")
        asked = len(server.seen)
        for reply in (two_rounds, follows, errors, invented, half, routed, all_down):
            assert await replayed(house, reply) is None, reply.text
        assert len(server.seen) == asked

    assert two_rounds.text.startswith(WORDS)
    assert [tool["name"] for tool in follows.tools].count("ads_report") >= 1 and len(follows.tools) >= 3
    assert [tool["error"] for tool in (await record_of(house, errors))["tools"]] != [None, None]
    held = (await record_of(house, invented))["held_back"]
    assert held[0]["reworded"] and "1.234.567" in held[0]["text"] and "1.234.567" not in invented.text
    assert not (await record_of(house, half))["held_back"][0]["reworded"] and half.text.startswith(WORDS)
    assert (await record_of(house, routed))["completions"][0]["role"] == "router"
    down = await record_of(house, all_down)
    assert {call["provider"] for call in down["model_calls"]} == {"openai", "offline"}
    assert "Nenhum modelo de IA respondeu" in all_down.text


async def test_a_fallback_a_limit_and_a_spent_budget_are_the_same_again(open_house: OpenHouse) -> None:
    def for_ever(seen: Seen) -> Answer:
        return Answer(calls=[("ads_report", {"period": "ontem", "limit": len(str(seen.body)) % 20 + 1})])

    many = [("ads_report", {"period": "ontem", "limit": number}) for number in range(1, 9)]
    answers = by_question(
        {"7 anteriores": [Answer(calls=[CALL]), Answer(WORDS)], "contas": [Answer(calls=many), Answer(WORDS)]}
    )

    def script(seen: Seen) -> Answer:
        asked = str(seen.body)
        return answers(seen) if "7 anteriores" in asked or "contas" in asked else for_ever(seen)

    with StandIn(lambda _: Answer(status=500)) as broken, StandIn(script) as whole:
        keys = {"anthropic_api_key": "a-key", "anthropic_base_url": broken.url}
        house = await open_house(**model_of(whole), **keys, turn_max_model_calls=3, turn_max_steps=3)
        fallback = await house.ask(COMPARE)
        limited = await house.ask("Como foi ontem?")
        too_many = await house.ask("Como foram as duas contas ontem?")
        assert await replayed(house, fallback) is None
        assert await replayed(house, limited) is None
        assert await replayed(house, too_many) is None
        assert [t["error"] for t in (await record_of(house, too_many))["tools"]].count("turn_limit") == 5

        poor = await open_house(**model_of(whole), budget_day_usd=0)
        spent = await poor.ask("Como foi ontem?")
        assert await replayed(poor, spent) is None
        assert (await record_of(poor, spent))["notices"][0][0] == "budget.spent"
    assert fallback.text.startswith(WORDS)
    assert "limite" in limited.text


async def test_proposals_and_what_is_said_of_them_are_the_same_again(house: House) -> None:
    pause = await house.ask("Pausa a campanha Remarketing | Carrinho", "conv_p")
    listed = await house.ask("Quais propostas estão pendentes?", "conv_p")
    yes = await house.ask("sim, pode fazer", "conv_p")
    no = await house.ask("não, rejeita", "conv_p")
    undo = await house.ask("desfaz isso", "conv_p")
    assert pause.proposals and listed.proposals and not undo.proposals
    waiting = len(await house.services.approvals.list(await house.person()))
    for reply in (pause, listed, yes, no, undo):
        assert await replayed(house, reply) is None, reply.text
    assert len(await house.services.approvals.list(await house.person())) == waiting  # nothing proposed again
    (tool,) = [tool for tool in (await record_of(house, pause))["tools"] if tool["proposal_id"]]
    assert (await record_of(house, pause))["proposals"] == [tool["proposal_id"]]


async def test_an_attached_file_is_the_same_again_after_it_is_gone(house: House, owner_dsn: str) -> None:
    person = await house.person()
    stored = await house.services.files.store(person, OCTOBER.encode(), name="outubro.csv", mime="text/csv")
    attached = [Attachment(stored.id, stored.name, stored.mime, stored.size)]
    reply = await house.ask("como foi esse período?", "conv_f", attachments=attached)
    alone = await house.ask("", "conv_g", attachments=attached)
    follows = await house.ask("e por campanha?", "conv_f")
    assert "outubro.csv" in reply.text
    with psycopg.connect(owner_dsn) as conn:
        conn.execute("delete from ad_import_rows")
        conn.execute("delete from ad_imports")
    for one in (reply, alone, follows):
        assert await replayed(house, one) is None, one.text


async def test_a_stop_and_the_time_limit_are_the_same_again(open_house: OpenHouse) -> None:
    with StandIn(by_question({"ontem": [Answer(calls=[CALL]), Answer(hangs=True)]})) as server:
        house = await open_house(**model_of(server))
        turn = asyncio.ensure_future(house.ask("Como foi ontem?"))
        await asyncio.to_thread(server.wait_until, lambda seen: len(seen.seen) == 2)
        turn.cancel()
        stopped = await turn
        assert stopped.ended == "stopped"
        assert await replayed(house, stopped) is None

        hurried = await open_house(**model_of(server), turn_max_seconds=1)
        late = await hurried.ask("Como foi ontem?")
        await hurried.fault({"kind": "slow", "seconds": 3.0, "times": 20})
        slow = await hurried.ask("Quanto gastei ontem?")
        assert slow.ended == "limit:seconds" or "limite" in slow.text
        for reply in (late, slow):  # the first may have had time for the playbook, when models had used up theirs
            assert await replayed(hurried, reply) is None


# --- and where it is not the same, the first difference -------------------------------------------------


async def test_what_the_rules_do_otherwise_is_told(house: House) -> None:
    reply = await house.ask("Como foi a semana passada?", "conv_d")
    pending = await house.ask("Quais propostas estão pendentes?", "conv_d")
    kept = await record_of(house, reply)

    async def differs(change: Callable[[dict[str, Any]], object], of: dict[str, Any] = kept) -> Difference:
        record = copy.deepcopy(of)
        change(record)
        found = await house.services.replay(record)
        assert found is not None
        return found

    found = await differs(lambda r: r["reply"].update(text=r["reply"]["text"].replace("gastou", "investiu")))
    assert (found.what, found.params) == ("reply", {})
    assert "investiu" in found.was and "gastou" in found.now

    tool = kept["tools"][-1]
    found = await differs(lambda r: r["tools"][-1]["arguments"].update(period="ontem"))
    assert (found.what, found.params) == ("tool_arguments", {"name": tool["name"]})
    assert '"ontem"' in found.was and tool["arguments"]["period"] in found.now

    found = await differs(lambda r: r["tools"].clear())
    assert (found.what, found.was) == ("tool_new", "") and found.now.startswith(kept["tools"][0]["name"])
    found = await differs(lambda r: r["tools"].append({**tool, "arguments": {"period": "hoje"}}))
    assert (found.what, found.now) == ("tool_missing", "")

    found = await differs(lambda r: r["route"][0].update(intent="ads.ranking"))
    assert found.what == "route" and "ads.ranking" in found.was and "ads.overview" in found.now
    found = await differs(lambda r: r.update(ended="error:busy"))
    assert (found.what, found.was, found.now) == ("ended", "error:busy", "done")
    found = await differs(lambda r: r["completions"].pop())
    assert (found.what, found.params) == ("question_new", {"role": "ads_analyst"})

    def time_was_over(record: dict[str, Any]) -> None:
        record["tools"][-1].update(error="turn_limit", error_params={"limit": "seconds"}, result=None)
        record["completions"][-1].update(provider="", text="")

    found = await differs(time_was_over)
    assert found.what == "reply" and "Parei porque esta pergunta chegou ao limite" in found.now

    listed = await record_of(house, pending)
    assert (await differs(lambda r: r["lookups"].clear(), listed)).what == "lookup_new"
    found = await differs(lambda r: r["lookups"][0]["found"]["said"][1].update(count=7), listed)
    assert found.what == "reply"


async def test_what_a_model_is_asked_otherwise_is_told(open_house: OpenHouse) -> None:
    with StandIn(by_question({"7 anteriores": [Answer(calls=[CALL]), Answer(WORDS)]})) as server:
        house = await open_house(**model_of(server))
        kept = await record_of(house, await house.ask(COMPARE))

    async def differs(number: int, change: Callable[[dict[str, Any]], object], **hashes: str) -> Difference:
        record = copy.deepcopy(kept)
        record["completions"][number].update(prompt_hash="000000000000", **hashes)
        change(record)
        found = await house.services.replay(record)
        assert found is not None
        return found

    def another_prompt(record: dict[str, Any]) -> None:
        record["prompts"] = dict.fromkeys(record["prompts"], "111111111111")

    found = await differs(0, another_prompt, system_hash="222222222222")
    assert (found.what, found.was) == ("prompt", "111111111111")
    assert found.params == {"role": "ads_analyst", "number": 1, "prompt": "ads_analyst.pt-BR"}

    def another_question(record: dict[str, Any]) -> None:
        asked = record["completions"][0]["messages"][-1]
        asked["content"] = asked["content"].replace("7 anteriores", "9 anteriores")

    found = await differs(0, another_question)
    assert found.what == "request" and found.params["who"] == "user"
    assert "9 anteriores" in found.was and "7 anteriores" in found.now

    found = await differs(1, lambda r: r["tools"][0].update(told='{"level":"planet"}'))
    assert found.what == "request_form"  # what a tool told then is what it tells again
    found = await differs(1, lambda r: r["completions"][1]["tools"].pop())
    assert found.what == "tools_offered" and len(found.was) < len(found.now)

    def other_words(record: dict[str, Any]) -> None:
        record["completions"][1]["text"] = "Foi ótimo."

    found = await differs(1, other_words)
    assert found.what == "request_form"
    record = copy.deepcopy(kept)
    other_words(record)
    told = await house.services.replay(record)
    assert told is not None and told.what == "reply" and told.now.startswith("Foi ótimo.")


async def test_a_secret_is_not_recorded_and_its_turn_replays_but_one_that_never_began_does_not(house: House) -> None:
    reply = await house.ask(f"meu token é {MENTIONED_TOKEN}, como foi ontem?")
    record = await record_of(house, reply)
    assert MENTIONED_TOKEN not in encode(record)
    assert record["masked"] is True
    assert await house.services.replay(record) is None
    assert decode(encode(record)) == record
    with pytest.raises(MutiraoError) as refused:
        await house.services.replay({**record, "before": None})
    assert refused.value.code == "turn_not_begun"
