"""The ads tools over the sandbox of Meta's Graph API: what they tell, what they propose, what becomes of it."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents.approvals import proposal_card
from business.ads.changes import AdsChangeHandler
from business.ads.graph_source import GraphSource
from business.ads.model import AdsSource
from business.ads.service import AdsService
from business.approvals.model import ProposalState
from business.approvals.service import Approvals
from core.clock import FixedClock
from core.db import Database
from core.errors import Refused
from core.permissions import Permissions
from core.tenancy import Role
from integrations.meta_ads.client import MetaAdsClient
from integrations.meta_ads.simulator import launch
from integrations.meta_ads.simulator.launch import Launched
from prompts.texts import Texts
from tests.conftest import Tenants
from tests.integrations.meta_ads.conftest import AURORA, NOW, TODAY, VITORIA, Control, reading_graph  # noqa: F401
from tests.tools.conftest import MakeTurn
from tools.ads import ADS_TOOLS
from tools.policy import Policies
from tools.runner import ToolOutcome, ToolRunner

WINNER, PROSPECTING, BROKEN = "120100000000000001", "120100000000000002", "120100000000000003"
TIRED_AD = "120300000000000005"
LAST_7 = (TODAY - timedelta(days=7), TODAY - timedelta(days=1))

Call = Callable[..., Any]


class Desk:
    """The runner over one simulator, and the approvals beside it."""

    def __init__(self, runner: ToolRunner, approvals: Approvals, make_turn: MakeTurn, graph: Control) -> None:
        self.runner = runner
        self.approvals = approvals
        self.make_turn = make_turn
        self.graph = graph

    async def call(
        self, name: str, text: str = "", *, role: Role = Role.ADMIN, session: Any = None, **arguments: Any
    ) -> ToolOutcome:
        turn = self.make_turn(text, role=role, session=session or {})
        return await self.runner.call(turn, name, arguments)

    async def told(self, name: str, text: str = "", **arguments: Any) -> dict[str, Any]:
        outcome = await self.call(name, text, **arguments)
        assert outcome.ok, outcome.text_for_model
        return outcome.data


MakeDesk = Callable[[Launched], Desk]


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW.astimezone(UTC))


@pytest.fixture
async def make_desk(
    database: Database,
    permissions: Permissions,
    policies: Policies,
    texts: Texts,
    clock: FixedClock,
    make_turn: MakeTurn,
) -> AsyncIterator[MakeDesk]:
    controls: list[Control] = []
    async with httpx.AsyncClient() as http:

        def make(launched: Launched) -> Desk:
            client = MetaAdsClient(http, launched.token, base_url=launched.base_url, pause=0.01)

            async def sources_of(tenant_id: str) -> list[AdsSource]:
                return [GraphSource(client)]

            async def client_for(tenant_id: str, account_id: str) -> MetaAdsClient:
                return client

            handler = AdsChangeHandler(client_for)
            approvals = Approvals(database, permissions, clock, {handler.kind: handler}, check=policies.check)
            runner = ToolRunner(
                permissions=permissions,
                approvals=approvals,
                policies=policies,
                texts=texts,
                tools=ADS_TOOLS,
                services={AdsService: AdsService(sources_of, clock)},
            )
            controls.append(Control(launched))
            return Desk(runner, approvals, make_turn, controls[-1])

        yield make
    for control in controls:
        control.close()


@pytest.fixture
def desk(make_desk: MakeDesk, reading_graph: Launched) -> Desk:  # noqa: F811
    """Over a shared world: nothing may be approved here."""
    return make_desk(reading_graph)


@pytest.fixture
async def own_desk(make_desk: MakeDesk, tmp_path: Path) -> AsyncIterator[Desk]:
    """Over a world of its own, which the test may change."""
    launched = launch.start(tmp_path / "graph", NOW)
    yield make_desk(launched)
    launched.stop()


def summed(desk: Desk, account: str, since: date, until: date, figure: str, **only: str) -> Decimal:
    rows = desk.graph.ledger(account, since, until)
    return sum((Decimal(row[figure]) for row in rows if all(row[k] == v for k, v in only.items())), Decimal(0)) / 100


# --- looking --------------------------------------------------------------------------------------


async def test_an_overview_equals_the_sum_of_the_ledger_and_names_what_it_is_of(desk: Desk) -> None:
    result = await desk.told("ads_report", period="últimos 7 dias", compare_with="previous")

    assert {report["account"]["id"] for report in result["reports"]} == {AURORA, VITORIA}
    for report in result["reports"]:
        spent = summed(desk, report["account"]["id"], *LAST_7, "spend")
        assert Decimal(report["total"]["spend"]) == spent
        assert sum(Decimal(row["now"]["spend"]) for row in report["rows"]) == spent
        before = (LAST_7[0] - timedelta(days=7), LAST_7[1] - timedelta(days=7))
        assert Decimal(report["before"]["spend"]) == summed(desk, report["account"]["id"], *before, "spend")
        assert report["window"] == {
            "since": "2026-11-13",
            "until": "2026-11-19",
            "days": 7,
            "partial": False,
            "time_zone": "America/Sao_Paulo",
        }
        assert report["compare"]["since"] == "2026-11-06" and report["compare"]["until"] == "2026-11-12"
        assert report["attribution"] and report["account"]["currency"] == "BRL"
        assert [row["n"] for row in report["rows"]] == list(range(1, len(report["rows"]) + 1))
    (total,) = result["totals"]
    assert (total["currency"], total["accounts"]) == ("BRL", 2)
    assert Decimal(total["now"]["spend"]) == sum(Decimal(report["total"]["spend"]) for report in result["reports"])
    assert total["now"]["reach"] is None and total["now"]["results"] is None


async def test_a_campaign_is_found_by_part_of_its_name_whatever_its_account(desk: Desk) -> None:
    result = await desk.told("ads_report", target="remarketing", period="2026-11-13..2026-11-19")

    (report,) = result["reports"]
    (row,) = report["rows"]
    assert (row["id"], row["level"], report["account"]["id"]) == (WINNER, "campaign", AURORA)
    assert report["total_of"] == row["name"]
    assert Decimal(row["now"]["spend"]) == summed(desk, AURORA, *LAST_7, "spend", campaign_id=WINNER)


async def test_the_ads_of_a_campaign_are_its_own_only(desk: Desk) -> None:
    result = await desk.told("ads_report", target=PROSPECTING, level="ad", limit=25)
    rows = result["reports"][0]["rows"]
    assert result["level"] == "ad" and TIRED_AD in {row["id"] for row in rows}
    assert {row["campaign"] for row in rows} == {"[VENDAS] Prospecção | Coleção Primavera"}


async def test_a_ranking_is_sorted_limited_and_keeps_kinds_of_result_apart(desk: Desk) -> None:
    result = await desk.told(
        "ads_report", account="Aurora", level="ad", sort_by="cost_per_result", order="asc", limit=5
    )
    (report,) = result["reports"]
    costs = [Decimal(row["now"]["cost_per_result"]) for row in report["rows"]]
    assert len(costs) == 5 < report["rows_in_all"]
    assert costs == sorted(costs)
    assert {row["now"]["result_kind"] for row in report["rows"]} == {"purchase"}
    assert any("kind" in note for note in report["notes"])


async def test_no_data_is_told_as_no_data(desk: Desk) -> None:
    silent = await desk.told("ads_report", account=VITORIA, period="2026-11-07..2026-11-08")
    trend = await desk.told("ads_trend", account=VITORIA, metric="spend", period="2026-11-06..2026-11-09")

    (report,) = silent["reports"]
    assert report["total"] is None
    assert report["days_without_data"] == ["2026-11-07", "2026-11-08"]
    (series,) = trend["series"]
    assert [point[1] is None for point in series["points"]] == [False, True, True, False]
    assert series["lowest"][1] != "0"


async def test_today_is_marked_as_not_over(desk: Desk) -> None:
    result = await desk.call("ads_report", account="Aurora", period="hoje")
    assert result.data["reports"][0]["window"]["partial"] is True
    assert "not over" in result.text_for_model


async def test_the_diagnosis_finds_the_planted_truths(desk: Desk) -> None:
    result = await desk.told("ads_diagnose", account="Aurora")
    found = {finding["id"]: finding for finding in result["accounts"][0]["findings"]}
    assert found[TIRED_AD]["suggestion"] == "pause" and found[TIRED_AD]["evidence"]
    assert found[BROKEN]["suggestion"] == "check_tracking"
    assert found[WINNER]["suggestion"] == "raise_budget"


async def test_a_client_sees_only_the_accounts_that_are_theirs(desk: Desk) -> None:
    listed = await desk.call("list_accounts", role=Role.CLIENTE)
    other = await desk.call("ads_report", role=Role.CLIENTE, account="Clínica Vitória")
    by_id = await desk.call("ads_report", role=Role.CLIENTE, account=VITORIA)
    overview = await desk.call("ads_report", role=Role.CLIENTE)

    assert [account["id"] for account in listed.data["accounts"]] == [AURORA]
    assert other.error_code == by_id.error_code == "account_unknown"
    assert "Vitória" not in overview.text_for_model and "Vitória" not in listed.text_for_model
    assert [report["account"]["id"] for report in overview.data["reports"]] == [AURORA]


async def test_what_cannot_be_answered_says_what_to_do(desk: Desk, texts: Texts) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"target": "campanha que não existe xyz"}, "entity_unknown"),
        ({"target": "Reels"}, "entity_ambiguous"),
        ({"account": "Padaria"}, "account_unknown"),
        ({"period": "2026-12-01..2026-12-05"}, "period_future"),
        ({"period": "qualquer coisa"}, "period_unclear"),
        ({"sort_by": "happiness"}, "arguments_wrong"),
        ({"limit": 26}, "arguments_wrong"),
    ]
    for arguments, code in wrong:
        outcome = await desk.call("ads_report", **arguments)
        assert outcome.error_code == code, arguments
        assert outcome.error is not None
        for language in ("pt-BR", "en", "es"):
            said = texts.error(language, outcome.error)
            assert code not in said and "Input" not in said  # pydantic's words are for the model


async def test_what_a_validation_finds_is_told_to_the_model_in_detail(desk: Desk) -> None:
    outcome = await desk.call("set_ads_budget", "tira 150%", target="Remarketing", change_percent=-150)
    assert outcome.error_code == "arguments_wrong"
    assert "change_percent: Input should be greater than -100" in outcome.text_for_model


async def test_what_a_model_reads_is_short(desk: Desk) -> None:
    outcome = await desk.call("ads_report", period="últimos 7 dias", compare_with="previous")
    rows = sum(len(report["rows"]) for report in outcome.data["reports"])
    assert len(outcome.text_for_model) < 600 * rows


# --- proposing --------------------------------------------------------------------------------------


async def test_a_pause_is_proposed_with_evidence_approved_done_read_back_and_undone(
    own_desk: Desk, tenants: Tenants, texts: Texts
) -> None:
    turn = own_desk.make_turn("o que devo pausar?")
    await own_desk.runner.call(turn, "ads_diagnose", {})
    outcome = await own_desk.runner.call(turn, "pause_ad_object", {"target": TIRED_AD})
    assert outcome.proposal is not None, outcome.text_for_model
    card = proposal_card(outcome.proposal, texts, "pt-BR", "America/Sao_Paulo")
    assert "Vídeo 03 | Provador" in card.title
    assert any("frequência" in line for line in card.evidence)
    assert any("veio da análise" in warning for warning in card.warnings)
    assert own_desk.graph.writes() == []

    admin = tenants.one[Role.ADMIN]
    done = await own_desk.approvals.approve(admin, outcome.proposal.id, "chat")
    assert done.state is ProposalState.EXECUTED
    undo = await own_desk.approvals.undo(admin, done.id, "chat")
    assert undo.effect == "SPEND"  # it would let it spend again
    assert (await own_desk.approvals.approve(admin, undo.id, "chat")).state is ProposalState.EXECUTED

    assert [(write["object_id"], write["changed"]) for write in own_desk.graph.writes()] == [
        (TIRED_AD, {"status": "PAUSED"}),
        (TIRED_AD, {"status": "ACTIVE"}),
    ]


async def test_a_budget_change_shows_money_raw_amount_and_percent_and_writes_exactly_that(
    own_desk: Desk, tenants: Tenants, texts: Texts
) -> None:
    outcome = await own_desk.call(
        "set_ads_budget", "aumenta o orçamento do Remarketing em 20%", target="Remarketing", change_percent=20
    )
    assert outcome.proposal is not None, outcome.text_for_model
    card = proposal_card(outcome.proposal, texts, "pt-BR", "America/Sao_Paulo")
    shown = " ".join(value for _, value in card.lines)
    assert "R$ 120,00" in shown and "R$ 144,00" in shown and "14400" in shown and "+20,0%" in shown
    assert card.warnings == [] and card.effect == "SPEND"

    told = outcome.data["change"]
    assert (told["change_percent"], told["difference"]) == ("20", {"amount": "24.00", "currency": "BRL"})
    assert told["after"]["amount"] == "144.00" and "14400" not in outcome.text_for_model

    await own_desk.approvals.approve(tenants.one[Role.DIRETOR], outcome.proposal.id, "chat")
    (write,) = own_desk.graph.writes()
    assert write["object_id"] == WINNER and int(write["changed"]["daily_budget"]) == 14400


async def test_resuming_below_a_paused_parent_says_so(own_desk: Desk, tenants: Tenants, texts: Texts) -> None:
    admin = tenants.one[Role.ADMIN]
    for target in (TIRED_AD, PROSPECTING):
        paused = await own_desk.call("pause_ad_object", "pausa", target=target)
        assert paused.proposal is not None, paused.text_for_model
        await own_desk.approvals.approve(admin, paused.proposal.id, "chat")
    outcome = await own_desk.call("resume_ad_object", "reativa o Vídeo 03", target=TIRED_AD)
    assert outcome.proposal is not None, outcome.text_for_model
    assert outcome.data["change"]["paused_above"] == ["[VENDAS] Prospecção | Coleção Primavera"]
    card = proposal_card(outcome.proposal, texts, "pt-BR", "America/Sao_Paulo")
    assert any("Prospecção" in warning for warning in card.warnings)


async def test_a_compared_period_with_days_without_data_says_so_where_the_changes_are(desk: Desk) -> None:
    outcome = await desk.call(
        "ads_report", period="2026-11-13..2026-11-19", compare_with="2026-11-06..2026-11-12", account=VITORIA
    )
    assert outcome.data["reports"][0]["compare_days_without_data"] == ["2026-11-07", "2026-11-08"]
    figures = json.loads(outcome.text_for_model)["reports"][0]["figures"]
    assert figures == "[now, before, change in %]; before lacks 2 of 7 days, so the change is not like for like"


async def test_a_week_that_is_not_over_and_windows_that_overlap_are_said_where_the_changes_are(desk: Desk) -> None:
    """Record dueno-con-tropiezos: "¿cómo va contra la semana pasada?"."""
    lines = {}
    for period, other in [(None, "la semana pasada"), ("últimos 7 dias", "semana passada"), ("ontem", "anteontem")]:
        outcome = await desk.call("ads_report", period=period, compare_with=other, account=AURORA)
        (report,) = json.loads(outcome.text_for_model)["reports"]
        lines[other] = (report["window"][:22], report["compare"], report["figures"], report.get("notes", []))
    changes, overlap = "[now, before, change in %]", "the two windows overlap: days of both are counted twice"
    assert lines == {
        "la semana pasada": (
            "2026-11-16..2026-11-20",
            "2026-11-09..2026-11-15",
            f"{changes}; now ends today, which is not over, so the change is not like for like",
            ["the two windows differ in length"],
        ),
        "semana passada": ("2026-11-13..2026-11-19", "2026-11-09..2026-11-15", f"{changes}; {overlap}", []),
        "anteontem": ("2026-11-19..2026-11-19", "2026-11-18..2026-11-18", changes, []),
    }


async def test_a_model_is_told_no_figure_twice_and_what_kind_of_result_is_counted(desk: Desk) -> None:
    """Record dueno-con-tropiezos: a target's row repeated all of its total, and did not say what its results were."""
    one = await desk.call("ads_report", target=WINNER, period="ontem")
    (told,) = json.loads(one.text_for_model)["reports"]
    assert told["kind"] == "purchase" and told["total"]["results"] > 0
    (row,) = told["rows"]
    assert row == {"n": 1, "id": WINNER, "name": row["name"], "daily_budget": 120, "figures": "those of total"}
    whole = await desk.call("ads_report", level="account", account=AURORA, period="ontem")
    (told,) = json.loads(whole.text_for_model)["reports"]
    assert "rows" not in told and told["total"]["spend"] > 0
    assert len(whole.data["reports"][0]["rows"]) == 1  # for tables it is there
    several = await desk.call("ads_report", account=AURORA, period="ontem")
    (told,) = json.loads(several.text_for_model)["reports"]
    assert "kind" not in told and all("spend" in row for row in told["rows"])


async def test_what_a_finding_spent_is_told_with_its_own_days(desk: Desk) -> None:
    """Record dono-com-pressa: R$ 1.474,05 since 12/11 stood under a header of the last 7 days."""
    told = {}
    for period in (None, "ontem"):
        outcome = await desk.call("ads_diagnose", account=AURORA, period=period)
        (account,) = json.loads(outcome.text_for_model)["accounts"]
        told[account["window"]] = {one["id"]: one for one in account["findings"]}
    week, yesterday = told["2026-11-13..2026-11-19"], told["2026-11-19..2026-11-19"]
    for broken in (week[BROKEN], yesterday[BROKEN]):
        assert "spend" not in broken
        (once,) = [fact for fact in broken["evidence"] if fact.startswith("spend ")]
        assert once.endswith("BRL (2026-11-12..2026-11-19)")
    spent = week[WINNER]["spend"]
    assert isinstance(spent, float)  # of the days in the header
    assert yesterday[WINNER]["spend"] == f"{spent} (2026-11-13..2026-11-19)"


async def test_a_budget_that_nobody_named_or_that_may_not_be_is_not_even_proposed(desk: Desk, tenants: Tenants) -> None:
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("aumenta o orçamento do Remarketing", {"change_percent": 20}, "amount_not_named"),
        ("aumenta o Remarketing para R$ 150", {"amount": 1500}, "amount_not_named"),
        ("põe R$ 150,05 no Remarketing", {"amount": "150.005"}, "amount_not_named"),
        ("põe US$ 150 no Remarketing", {"amount": 150}, "amount_other_currency"),
        ("aumenta o Remarketing para R$ 5.001", {"amount": 5001}, "cap_budget"),
        ("triplica o orçamento do Remarketing", {"change_percent": 200}, "cap_raise"),
        ("põe R$ 150 ou 20% no Remarketing", {"amount": 150, "change_percent": 20}, "amount_needed"),
        ("muda o Remarketing", {}, "amount_needed"),
        ("põe R$ 120 no Remarketing", {"amount": 120}, "budget_already"),
        ("aumenta o Remarketing para R$ 100", {"amount": 100}, "amount_direction"),
        ("baixa o Remarketing para R$ 130", {"amount": 130}, "amount_direction"),
    ]
    for text, arguments, code in wrong:
        outcome = await desk.call("set_ads_budget", text, target="Remarketing", **arguments)
        assert outcome.error_code == code, text
    assert await desk.approvals.list(tenants.one[Role.ADMIN]) == []


async def test_an_edited_amount_goes_through_the_same_caps(desk: Desk, tenants: Tenants) -> None:
    outcome = await desk.call("set_ads_budget", "põe R$ 150 no Remarketing", target="Remarketing", amount=150)
    assert outcome.proposal is not None
    admin = tenants.one[Role.ADMIN]
    with pytest.raises(Refused) as caught:
        await desk.approvals.edit(admin, outcome.proposal.id, {"amount": "R$ 9.000,00"}, "chat")
    assert caught.value.code == "cap_budget"
    edited = await desk.approvals.edit(admin, outcome.proposal.id, {"amount": "R$ 160,00"}, "chat")
    assert edited.change.data["after_raw"] == 16000


async def test_a_pause_and_a_budget_of_one_campaign_wait_side_by_side(desk: Desk, tenants: Tenants) -> None:
    await desk.call("set_ads_budget", "põe R$ 150 no Remarketing", target="Remarketing", amount=150)
    await desk.call("pause_ad_object", "pausa o Remarketing", target="Remarketing")
    pending = await desk.approvals.list(tenants.one[Role.ADMIN], state=ProposalState.PENDING)
    assert sorted(one.change.data["action"] for one in pending) == ["budget", "status"]


async def test_what_was_shown_before_is_found_by_its_id_without_asking_other_accounts(desk: Desk) -> None:
    session = {"entities": [{"id": TIRED_AD, "name": "Vídeo 03 | Provador", "level": "ad", "account": AURORA}]}
    outcome = await desk.call("pause_ad_object", "pausa ela", session=session, target=TIRED_AD)
    assert outcome.proposal is not None
    assert outcome.proposal.preview.warnings == []  # the user pointed at it


async def test_a_client_may_ask_and_never_approve(desk: Desk, tenants: Tenants) -> None:
    outcome = await desk.call("pause_ad_object", "pausa o Remarketing", role=Role.CLIENTE, target="Remarketing")
    assert outcome.proposal is not None
    with pytest.raises(Refused) as caught:
        await desk.approvals.approve(tenants.one[Role.CLIENTE], outcome.proposal.id, "chat")
    assert caught.value.code == "approval_not_allowed"
    foreign = await desk.call("pause_ad_object", "pausa", role=Role.CLIENTE, target="[LEADS] Formulário")
    assert foreign.error_code == "entity_unknown"


async def test_a_write_whose_answer_is_lost_is_told_as_unknown_or_found_done_and_never_sent_twice(
    own_desk: Desk, tenants: Tenants, clock: FixedClock
) -> None:
    outcome = await own_desk.call("pause_ad_object", "pausa o Remarketing", target="Remarketing")
    assert outcome.proposal is not None
    own_desk.graph.fail({"kind": "lost", "method": "POST", "times": 1})

    done = await own_desk.approvals.approve(tenants.one[Role.ADMIN], outcome.proposal.id, "chat")
    assert done.state in (ProposalState.EXECUTED, ProposalState.UNKNOWN)
    clock.advance(timedelta(minutes=2))
    await own_desk.approvals.reconcile(tenants.one.id)

    settled = await own_desk.approvals.get(tenants.one[Role.ADMIN], outcome.proposal.id)
    assert settled.state is ProposalState.EXECUTED
    assert len(own_desk.graph.writes()) == 1
