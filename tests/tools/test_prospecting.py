"""The tools of prospecting as a model or an MCP client calls them: who is meant, what is told, what is refused."""

from typing import Any

import pytest

from business.approvals.service import Approvals
from business.prospecting.contact import FirstContactBatch, FirstContactHandler
from business.prospecting.searches import CandidateState, Searches
from business.prospecting.sources import LazySources
from core.tenancy import Role
from core.turn import StepLine
from prompts.texts import Texts
from tests.crews.hunter.conftest import Desk, desk, registry_control, servers, sources
from tests.crews.hunter.test_conversation import Opened
from tests.tools.conftest import MakeTurn
from tools.leads import Leads
from tools.policy import Policies, load_policy
from tools.prospecting import PROSPECTING_TOOLS, Hunting, asks_for_more, number_meant
from tools.runner import ToolOutcome, ToolRunner

__all__ = ["desk", "registry_control", "servers", "sources"]


@pytest.fixture
def runner(desk: Desk) -> ToolRunner:
    desk.without_web()
    handlers = [kind(desk.db, desk.hunts.leads.blocked) for kind in (FirstContactHandler, FirstContactBatch)]
    policies = Policies(desk.db, load_policy())
    approvals = Approvals(
        desk.db, desk.permissions, desk.clock, {one.kind: one for one in handlers}, check=policies.check
    )
    services: dict[type, Any] = {
        Texts: desk.texts,
        Searches: desk.searches,
        Hunting: desk.hunts,
        Leads: desk.hunts.leads,
        LazySources: Opened(desk.sources),
    }
    return ToolRunner(
        permissions=desk.permissions,
        approvals=approvals,
        policies=policies,
        texts=desk.texts,
        tools=PROSPECTING_TOOLS,
        services=services,
    )


async def test_a_client_without_a_conversation_names_companies_by_place_name_or_id_of_the_newest_search(
    runner: ToolRunner, make_turn: MakeTurn, desk: Desk
) -> None:
    turn = make_turn("", role=Role.DIRETOR, door="mcp")

    async def call(tool: str, **arguments: Any) -> ToolOutcome:
        return await runner.call(turn, tool, arguments)

    assert (await call("companies_found")).error_code == "no_search_yet"
    assert (await call("find_companies")).error_code == "find_one_of"
    found = await call("find_companies", request="dentistas em Sorocaba")
    rows = found.data["companies"]
    first, second = rows[:2]
    turn = make_turn("", role=Role.DIRETOR, door="mcp")  # another call knows nothing of the one before
    for named in ("2", "#2", "the second one", second["name"], second["id"]):
        explained = await call("explain_score", company=named)
        assert explained.data["company"]["id"] == second["id"], named
    assert (await call("explain_score", company="99")).error_code == "prospect_company_not_in_list"
    assert (await call("explain_score", company="Padaria do Zé")).error_code == "prospect_company_unknown"
    assert (await call("explain_score", company="cand_nobody")).error_code == "prospect_unknown"
    several = await call("explain_score", company="ODONTO")
    assert several.error_code in ("prospect_company_ambiguous", None)
    assert "reference" not in found.text_for_model and first["name"] in found.text_for_model
    # A correction of the newest search, and steering what is over.
    changed = await call("find_companies", change="só as de pequeno porte")
    assert changed.data["search"]["id"] != found.data["search"]["id"]
    assert (await call("steer_search", action="pause")).data["searches"][0]["state"] == "done"


async def test_a_draft_is_not_done_for_a_companys_own_words_and_a_first_message_needs_a_saved_company(
    runner: ToolRunner, make_turn: MakeTurn, desk: Desk
) -> None:
    lines: list[str] = []
    turn = make_turn(
        "dentistas em Sorocaba, e salva a melhor",
        role=Role.DIRETOR,
        progress=lambda event: lines.append(event.text) if isinstance(event, StepLine) else None,
    )
    found = await runner.call(turn, "find_companies", {"request": "dentistas em Sorocaba"})
    rows = found.data["companies"]
    assert len(lines) > len(rows) and found.data["origin"] == "web"
    waiting = next(row for row in rows if row["verdict"] == "person")
    refused = await runner.call(turn, "draft_first_message", {"company": waiting["id"]})
    assert refused.error_code == "prospect_not_saved"

    other = make_turn("obrigado", role=Role.DIRETOR)
    other.results += turn.results
    for company in (waiting["id"], waiting["name"]):
        named = await runner.call(other, "decide_company", {"company": company, "decision": "reject"})
        assert named.error_code == "not_named_by_user", "the user named none: it stands in what the web told alone"
    pointed = make_turn(f"rejeita a {waiting['n']}", role=Role.DIRETOR)
    pointed.results += turn.results
    done = await runner.call(pointed, "decide_company", {"company": waiting["id"], "decision": "reject"})
    assert done.ok
    assert (await desk.searches.candidate(turn.identity, waiting["id"])).state is CandidateState.REJECTED

    proposed = await runner.call(pointed, "draft_first_message", {"company": rows[0]["id"], "text": "Olá! Tudo bem?"})
    assert proposed.proposal is not None and proposed.proposal.effect == "SEND"
    assert proposed.data["change"]["text"] == "Olá! Tudo bem?" and "keys" not in proposed.data["change"]

    # What a model makes up: a word of the person's, a place in the place of another, a number in a message.
    asking = make_turn("por que a primeira está no topo?", role=Role.DIRETOR)
    asking.results += turn.results
    won = {"company": str(rows[0]["n"]), "decision": "won"}
    assert (await runner.call(asking, "decide_company", won)).error_code == "prospect_not_decided"
    moon = make_turn("padarias na Lua", role=Role.DIRETOR)
    for request in ("padarias em São Paulo", "padarias na Lua, em Campinas/SP"):
        invented = await runner.call(moon, "find_companies", {"request": request})
        assert invented.error_code == "prospect_place_not_said", request
    text = "Olá! Vi as suas 15 avaliações com nota 4,2."
    boast = await runner.call(pointed, "draft_first_message", {"company": rows[0]["id"], "text": text})
    assert (boast.error_code, boast.error and boast.error.params["number"]) == ("prospect_number_unknown", "15")


@pytest.mark.parametrize(
    ("said", "number"),
    [("3", 3), ("#3", 3), ("3ª", 3), ("a terceira", 3), ("the third one", 3), ("la décima", 10), ("Casa 3", None)],
)
def test_a_place_in_a_list_is_told_from_a_name(said: str, number: int | None) -> None:
    assert number_meant(said) == number


@pytest.mark.parametrize(
    ("words", "more"), [("mais 20", True), ("as próximas", True), ("next", True), ("lindas", False)]
)
def test_the_next_ones_are_asked_for_in_few_words(words: str, more: bool) -> None:
    assert asks_for_more(words) is more
