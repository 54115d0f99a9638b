"""What stands in the record of a turn, and what is counted of it."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from agents.record import Before, turn_figures, turn_record
from agents.routing import RoutePart, RoutePlan, Why
from agents.state import Answer, HeldBack, TurnState
from business.conversations.records import VERSION, decode, encode
from core.tenancy import Identity, Role
from core.turn import Completion, Lookup, ModelCall, ToolRecord, Turn

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
CALL = ModelCall("openai", "some", "ads_analyst", 100, 20, 64, Decimal("0.00012"), 1.23456, first_seconds=0.4)
TIMING = {"total": 2.5, "tools": 0.1, "model": 1.2}
TOLD = '{"spend":12.34}'


def new_turn(**changes: Any) -> Turn:
    accounts = frozenset({"act_2", "act_1"})
    who = Identity("tenant_1", "user_1", Role.CLIENTE, "Ana", "ana@example.com", accounts=accounts)
    turn = Turn("turn_1", who, "conv_1", "chat", "Como foi ontem?", "pt-BR", NOW)
    failure = {"failure": "timeout: anthropic/x", "cost_usd": None, "prompt_tokens": 0, "cached_tokens": 0}
    turn.model_calls += [
        replace(CALL, provider="anthropic", **failure),  # type: ignore[arg-type]
        CALL,
        ModelCall("offline", "playbook", "ads_analyst", 0, 0, 0, Decimal(0), 0.001, completion=1),
    ]
    result = {"spend": "12.34"}
    turn.results.append(ToolRecord("ads_report", {"period": "ontem"}, "READ", result, "account data", told=TOLD))
    asked = [{"role": "user", "content": "Como foi ontem?"}]
    told = {"role": "tool", "tool_call_id": "call_1", "content": TOLD}
    turn.completions += [
        Completion("ads_analyst", "a" * 12, "b" * 12, asked, provider="openai"),
        Completion("ads_analyst", "c" * 12, "b" * 12, [told, {**told, "content": "else"}], 2, provider="offline"),
    ]
    turn.lookups.append(Lookup("files", {"said": "Importei."}))
    turn.notices.append(("budget.spent", {"usd": Decimal("1.50")}))
    for name, value in changes.items():
        setattr(turn, name, value)
    return turn


def state_of(turn: Turn, answer: Answer | None = None) -> TurnState:
    part = RoutePart("Como foi ontem?", "ads.overview", "ads", 0.98765, Why("route.why.ads.overview", {}))
    answers = {"ads": answer or Answer("Foi bem.", "de ontem", by_model=True)}
    return {"turn": turn, "plan": RoutePlan([part], True, ("e o resto",)), "answers": answers, "ended": "done"}


def recorded(turn: Turn, state: TurnState, before: Before | None) -> dict[str, Any]:
    why = ["porque sim"] if state.get("plan") else []
    prompts = {"ads_analyst.pt-BR": "d"}
    record = turn_record(turn, state, before, text="Foi bem.", why=why, timing=TIMING, prompts=prompts)
    return decode(encode(record))


def test_a_record_tells_the_whole_turn_and_survives_its_storage() -> None:
    turn = new_turn()
    file = {"file_id": "file_1", "name": "outubro.csv", "mime": "text/csv", "size": 12}
    before = Before("en", {"focus": {"id": "1"}}, [("user", "oi"), ("assistant", "olá")], [file])
    record = recorded(turn, state_of(turn), before)

    assert record["version"] == VERSION
    assert record["code"]["version"]
    assert record["now"] == "2026-11-20T15:00:00+00:00"
    assert record["who"]["role"] == "Cliente" and record["who"]["accounts"] == ["act_1", "act_2"]
    assert "ana@example.com" not in str(record)  # nobody needs it for a replay
    assert record["message"] == {"text": "Como foi ontem?", "attachments": [file]}
    history = [["user", "oi"], ["assistant", "olá"]]
    assert record["before"] == {"language": "en", "session": {"focus": {"id": "1"}}, "history": history}
    (part,) = record["route"]
    assert (part["to"], part["intent"], part["confidence"], part["why"]) == ("ads", "ads.overview", 0.988, "porque sim")
    assert record["left_out"] == ["e o resto"]
    assert record["prompts"] == {"ads_analyst.pt-BR": "d"}
    failed, answered, rules = record["model_calls"]
    assert (failed["failure"], failed["cost_usd"]) == ("timeout: anthropic/x", None)
    assert (answered["cost_usd"], answered["seconds"], answered["first_seconds"]) == ("0.00012", 1.2346, 0.4)
    assert (rules["provider"], rules["completion"]) == ("offline", 1)
    assert record["tools"][0]["result"] == {"spend": "12.34"}
    assert record["lookups"] == [{"what": "files", "found": {"said": "Importei."}, "error": None}]
    assert record["notices"] == [["budget.spent", {"usd": Decimal("1.50")}]]
    assert record["answers"]["ads"] == {"by_model": True, "footer": "de ontem", "text": "Foi bem."}
    assert (record["reply"]["text"], record["ended"], record["timing"]) == ("Foi bem.", "done", TIMING)


def test_what_a_tool_told_a_model_stands_in_the_record_once() -> None:
    turn = new_turn()
    messages = recorded(turn, state_of(turn), None)["completions"][1]["messages"]
    assert [message["content"] for message in messages] == [{"told_by_tool": 0}, "else"]
    assert turn.completions[1].messages[0]["content"] == '{"spend":12.34}'  # the turn itself is left as it was


def test_a_turn_that_never_began_has_a_record_too() -> None:
    turn = new_turn(results=[], model_calls=[], completions=[])
    record = recorded(turn, {"turn": turn, "answers": {}, "session": {}, "ended": "error:busy"}, None)
    assert (record["before"], record["route"], record["ended"]) == (None, [], "error:busy")


def test_figures_count_requests_and_leave_the_playbook_out() -> None:
    turn = new_turn()
    figures = turn_figures(turn, state_of(turn), TIMING)
    assert (figures.ended, figures.intents, figures.models) == ("done", ["ads.overview"], ["openai/some"])
    assert (figures.model_calls, figures.failed_calls, figures.tool_calls) == (2, 1, 1)
    assert (figures.prompt_tokens, figures.completion_tokens, figures.cached_tokens) == (100, 40, 64)
    assert (figures.cost_usd, figures.unpriced, figures.seconds) == (Decimal("0.00012"), 0, 2.5)
    turn.model_calls.append(replace(CALL, cost_usd=None))
    assert turn_figures(turn, state_of(turn), TIMING).unpriced == 1


def test_a_reply_is_by_a_model_only_when_its_words_left() -> None:
    turn = new_turn()
    for held_back, by_model in (
        (None, True),
        (HeldBack("Foi 99.", ["99"], reworded=False), True),
        (HeldBack("Foi 99.", ["99"], reworded=True), False),
    ):
        state = state_of(turn, Answer("Foi bem.", by_model=True, held_back=held_back))
        assert turn_figures(turn, state, TIMING).by_model is by_model
        held = [{"text": "Foi 99.", "numbers": ["99"], "reworded": held_back.reworded}] if held_back else []
        assert recorded(turn, state, None)["held_back"] == held
