"""The ads analyst: a CrewAI crew of one agent with the ads tools, with a model or on its playbook."""

from typing import Any

from core.turn import ToolRecord, Turn
from crews.ads.playbook import AdsPlaybook, shown_objects
from crews.ads.words import Words, of_kind
from crews.contract import CrewDeps, CrewResult, CrewTask
from crews.kickoff import answer_of
from crews.opening import moment, opened
from llm.messages import OnText
from tools.ads import ADS_TOOLS

ROLE = "ads_analyst"
_ENTITIES_KEPT = 25  # of the last answer, for "the second"
_RANKED_BY = ("level", "sort_by", "order", "limit")
_CONTINUES = ("followup", "ads.compare")  # requests that may leave out the period of the last answer


async def run(turn: Turn, tasks: list[CrewTask], deps: CrewDeps, on_text: OnText | None) -> CrewResult:
    """Serve all tasks in one kickoff. A limit of the turn ends it with what is there, said in the text."""
    words = Words(deps.texts, turn.language)
    playbook = AdsPlaybook(turn, tasks, words)
    text, by_model = await answer_of(
        turn,
        deps,
        ROLE,
        opening=_opening(turn, tasks, deps),
        tools=ADS_TOOLS,
        playbook=playbook,
        on_text=on_text,
        so_far=lambda: playbook.text() if turn.results else "",
    )
    turn.results[:] = turn.in_order()
    reports, shown = _reports(turn.results), _last(turn.results, "ads_report")
    asked = playbook.last_request()
    tables, charts = [], []
    for report in reports:
        if report is shown or len(reports) < 3:
            kept = of_kind(report, asked.kind if asked.intent == "ranking" else None)
            tables += words.tables(kept)
            charts += words.report_charts(kept)
    for trend in _results(turn.results, "ads_trend"):
        charts += words.trend_charts(trend)
    return CrewResult(
        text=text,
        by_model=by_model,
        reworded=playbook.results_in_words,
        footer=words.footer(_sources(turn.results)),
        tables=tables,
        charts=charts,
        session=_session(turn, tasks, playbook, words),
    )


def _opening(turn: Turn, tasks: list[CrewTask], deps: CrewDeps) -> list[dict[str, Any]]:
    """What a model is told; with the request what "it" and "the second" refer to."""
    session = turn.session
    goes_on = any(task.intent in _CONTINUES for task in tasks)
    request = deps.prompts.fill(
        "ads_request",
        turn.language,
        now=moment(turn),
        entities=shown_objects(session)[:10],
        found=session.get("found", [])[:10],
        proposals=session.get("proposals", []),
        last_period=session.get("period") if goes_on else None,
        tasks=[task.text for task in tasks] or [turn.text],
    )
    return opened(turn, deps.texts, deps.prompts.fill("ads_analyst", turn.language).text, request.text)


# --- what the turn leaves behind ------------------------------------------------------------------


def _session(turn: Turn, tasks: list[CrewTask], playbook: AdsPlaybook, words: Words) -> dict[str, Any]:
    """What the next turn needs: the results in the order shown, the object spoken of, account, period, intent."""
    session: dict[str, Any] = {"last_crew": "ads"}
    session["last_intent"] = f"ads.{playbook.last_request().intent}"  # a follow-up as what it turned out to ask
    if listed := _last(turn.results, "list_accounts"):
        session["accounts"] = [{"id": a["id"], "name": a["name"]} for a in listed["accounts"]]
    entities: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    if diagnosis := _last(turn.results, "ads_diagnose"):
        for one in diagnosis["accounts"]:
            for finding in one["findings"]:
                if finding["level"] != "account":
                    found.append(_entity(len(found) + 1, finding, one["account"]["id"]))
    if report := _last(turn.results, "ads_report"):
        for one in report["reports"]:
            for row in one["rows"] if words.has_table(one, report["sort_by"]) else []:
                entities.append(_entity(len(entities) + 1, row, one["account"]["id"]))
    if not entities:
        entities, found = found, []
    if diagnosis or len(entities) > 1:
        session["found"] = found[:_ENTITIES_KEPT]  # beside the rows of a table, whose numbers are the table's
    if entities:
        session["focus"] = entities[0] if len(entities) == 1 else None
        shown = turn.session.get("entities", [])
        if not any(one["id"] == entities[0]["id"] for one in shown) or len(entities) > 1:
            session["entities"] = entities[:_ENTITIES_KEPT]  # else "e a terceira?" may still follow "e a segunda?"
    for record in turn.results:
        if record.result is None:
            continue
        for key in ("period", "metric"):
            if record.arguments.get(key):
                session[key] = record.arguments[key]
        if record.name == "ads_report" and record.arguments.get("sort_by"):
            session["ranking"] = {k: record.arguments[k] for k in _RANKED_BY if k in record.arguments}
        if sources := _sources([record]):
            session["window"] = {end: str(sources[-1]["window"][end]) for end in ("since", "until")}
        if record.name in ("ads_report", "ads_trend", "ads_diagnose"):
            session["last_account"] = record.arguments.get("account")
    session["open"] = playbook.open_question()
    if turn.session.get("account") and session.get("last_account") not in (None, turn.session["account"]):
        session["account"] = ""  # another account was named: the attached file is no longer what is spoken of
    proposing = _proposing(turn.results)
    if len(turn.proposals) == 1 and proposing is not None and proposing.result is not None:
        target, change = proposing.result["target"], proposing.result["change"]
        known = [*entities, *found, *turn.session.get("entities", [])]
        named = {"id": target, **{key: change.get(key) for key in ("name", "level", "account")}}
        session["focus"] = next((e for e in known if e["id"] == target), named)
    return session


def _entity(n: int, row: dict[str, Any], account_id: str) -> dict[str, Any]:
    known = {"n": n, "id": row["id"], "name": row["name"], "level": row["level"], "account": account_id}
    return {**known, "campaign": row["campaign"]} if row.get("campaign") else known


def _results(records: list[ToolRecord], name: str) -> list[dict[str, Any]]:
    return [record.result for record in records if record.name == name and record.result is not None]


def _last(records: list[ToolRecord], name: str) -> dict[str, Any] | None:
    found = _results(records, name)
    return found[-1] if found else None


def _reports(records: list[ToolRecord]) -> list[dict[str, Any]]:
    return _results(records, "ads_report")


def _proposing(records: list[ToolRecord]) -> ToolRecord | None:
    return next((record for record in records if record.proposal_id), None)


def _sources(records: list[ToolRecord]) -> list[dict[str, Any]]:
    """Every account report, trend and diagnosis of the turn, for the line that says what the numbers are of."""
    found: list[dict[str, Any]] = []
    for record in records:
        for key in ("reports", "series", "accounts"):
            members = (record.result or {}).get(key, [])
            found += [member for member in members if "window" in member]
    return found
