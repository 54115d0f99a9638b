"""What a model is told by the ads crew, and what the crew leaves behind for the next turn. No model, no database."""

from datetime import UTC, datetime
from typing import Any

import pytest

from core.tenancy import Identity, Role
from core.turn import ToolRecord, Turn
from crews.ads.crew import _opening, _session
from crews.ads.playbook import AdsPlaybook
from crews.ads.words import Words
from crews.contract import CrewDeps, CrewTask
from prompts.prompt import Prompts
from prompts.texts import Texts

TEXTS = Texts.load()
NOTHING: Any = None
DEPS = CrewDeps(NOTHING, NOTHING, Prompts(), TEXTS)
AURORA = {"id": "act_1", "name": "Loja Aurora", "currency": "BRL", "time_zone": "America/Sao_Paulo", "source": "meta"}
WINDOW = {"since": "2026-11-13", "until": "2026-11-19", "days": 7, "partial": False, "time_zone": "America/Sao_Paulo"}


def turn_of(text: str, language: str = "pt-BR", **session: Any) -> Turn:
    who = Identity("ten_1", "user_1", Role.ADMIN, "Ana", "ana@um.example")
    now = datetime(2026, 11, 20, 15, tzinfo=UTC)
    return Turn("turn_1", who, "conv_1", "chat", text, language, now, session=session)


def told(turn: Turn, *tasks: CrewTask) -> str:
    return str(_opening(turn, list(tasks), DEPS)[-1]["content"])


def row(n: int, level: str = "campaign") -> dict[str, Any]:
    now = {"spend": "10", "results": "1", "result_kind": "purchases"}
    return {"n": n, "id": str(100 + n), "name": f"Campanha {n}", "level": level, "campaign": None, "now": now,
            "before": None, "change": {}, "status": "ACTIVE"}  # fmt: skip


def report(*rows: dict[str, Any]) -> ToolRecord:
    one = {"account": AURORA, "window": WINDOW, "attribution": "", "compare": None, "rows": list(rows)}
    result = {"level": "campaign", "sort_by": "spend", "reports": [one]}
    return ToolRecord("ads_report", {}, "READ", result, "account data")


def diagnosis(*findings: tuple[str, str, str]) -> ToolRecord:
    found = [{"id": i, "name": name, "level": level, "suggestion": "pause"} for i, name, level in findings]
    one = {"account": AURORA, "window": WINDOW, "attribution": "", "findings": found}
    return ToolRecord("ads_diagnose", {}, "READ", {"accounts": [one]}, "account data")


def left_behind(turn: Turn, *records: ToolRecord) -> dict[str, Any]:
    tasks = [CrewTask("ads.overview", turn.text)]
    turn.results += records
    words = Words(TEXTS, "pt-BR")
    return _session(turn, tasks, AdsPlaybook(turn, tasks, words), words)


def test_what_an_analysis_found_can_be_reached_beside_the_rows_of_a_table() -> None:
    """Record dono-com-pressa: an answer named the tired video first, and the next request knew only campaigns."""
    session = left_behind(
        turn_of("me dá a real das camp e se tem grana indo pro ralo"),
        diagnosis(("900", "Vídeo 03 | Provador", "ad"), ("act_1", "Loja Aurora", "account")),
        report(row(1), row(2)),
    )
    assert [(e["n"], e["id"]) for e in session["entities"]] == [(1, "101"), (2, "102")]
    assert [(e["n"], e["id"], e["account"]) for e in session["found"]] == [(1, "900", "act_1")]
    asked = told(turn_of("pausa ela", **session), CrewTask("ads.pause", "pausa ela"))
    assert "1. Campanha 1 [campaign 101]; 2. Campanha 2 [campaign 102]" in asked
    assert "Achados da última análise: 1. Vídeo 03 | Provador [ad 900]" in asked


def test_an_analysis_alone_is_what_the_next_turn_counts_and_a_later_table_ends_it() -> None:
    session = left_behind(turn_of("o que pausar?"), diagnosis(("900", "Vídeo 03", "ad"), ("901", "Vídeo 04", "ad")))
    assert [e["id"] for e in session["entities"]] == ["900", "901"]
    assert session["found"] == []
    later = left_behind(turn_of("e as campanhas?", found=[{"id": "900"}]), report(row(1), row(2)))
    assert later["found"] == []


@pytest.mark.parametrize("language", ["pt-BR", "en", "es"])
def test_the_last_period_is_told_to_what_goes_on_only(language: str) -> None:
    """Record dueno-con-tropiezos: "Último período: ayer" stood above a request with a period of its own."""
    turn = turn_of("x", language, period="PERIOD-SAID")
    assert "PERIOD-SAID" in told(turn, CrewTask("followup", "e a segunda?", "ads.campaign"))
    assert "PERIOD-SAID" in told(turn, CrewTask("ads.overview", "gasto?"), CrewTask("ads.compare", "e antes?"))
    assert "PERIOD-SAID" not in told(turn, CrewTask("ads.diagnose", "o que eu pauso agora?"))


@pytest.mark.parametrize("language", ["pt-BR", "en", "es"])
def test_proposals_and_what_became_of_them_are_told_where_there_are_any(language: str) -> None:
    task = CrewTask("ads.campaign", "?")
    asked = told(turn_of("?", language, proposals=["Pausar A (executada)", "Pausar B (rejeitada)"]), task)
    assert ": Pausar A (executada); Pausar B (rejeitada)\n" in asked
    assert asked.count("\n") == told(turn_of("?", language), task).count("\n") + 1


def test_after_a_broken_answer_of_a_model_its_reports_say_which_accounts_there_are() -> None:
    """Record dueno-con-tropiezos: a 503 after the report made the playbook list the accounts."""
    turn = turn_of("como foi a loja aurora?")
    assert [call.name for call in _next(turn, "ads.overview")] == ["list_accounts"]
    turn.results.append(report(row(1)))
    (call,) = _next(turn, "ads.overview")
    assert (call.name, call.arguments) == ("ads_report", {"account": "act_1"})
    assert [call.name for call in _next(turn, "ads.accounts")] == ["list_accounts"]  # asked for
    turn.results[:] = [ToolRecord("ads_report", {}, "READ", None, "user", "entity_unknown")]
    assert [call.name for call in _next(turn, "ads.overview")] == ["list_accounts"]


def _next(turn: Turn, intent: str) -> list[Any]:
    step = AdsPlaybook(turn, [CrewTask(intent, turn.text)], Words(TEXTS, "pt-BR")).next_step()
    return [] if isinstance(step, str) else step
