"""The CRM's crew: a CrewAI crew of one agent with the CRM's tools, with a model or on its playbook."""

from typing import Any

from core.turn import ToolRecord, Turn
from crews.contract import CrewDeps, CrewResult, CrewTask
from crews.crm.playbook import CrmPlaybook, focus_of, question_of
from crews.crm.words import Words
from crews.kickoff import answer_of
from crews.opening import moment, opened
from llm.messages import OnText
from tools.crm import CRM_TOOLS, PENDING_IMPORT

ROLE = "crm"
_ENTITIES_KEPT = 25  # of the last answer, for "the second"
_KINDS = frozenset({"contact", "company", "deal", "task"})


async def run(turn: Turn, tasks: list[CrewTask], deps: CrewDeps, on_text: OnText | None) -> CrewResult:
    """Serve all tasks in one kickoff. A limit of the turn ends it with what is there, said in the text."""
    words = Words(deps.texts, turn.language)
    playbook = CrmPlaybook(turn, tasks, words)
    text, by_model = await answer_of(
        turn,
        deps,
        ROLE,
        opening=_opening(turn, tasks, deps),
        tools=CRM_TOOLS,
        playbook=playbook,
        on_text=on_text,
        so_far=lambda: playbook.text() if turn.results else "",
    )
    turn.results[:] = turn.in_order()
    shown = _last_of_each(turn.results)
    return CrewResult(
        text=text,
        by_model=by_model,
        reworded=playbook.results_in_words,
        tables=[table for record in shown for table in words.tables(record)],
        views=[view for record in shown for view in words.views(record)],
        session=_session(turn, tasks, playbook, by_model),
    )


def _opening(turn: Turn, tasks: list[CrewTask], deps: CrewDeps) -> list[dict[str, Any]]:
    """What a model is told; with the request what "it" and "the second" refer to."""
    session = turn.session
    shown = [one for one in session.get("entities", []) if one.get("kind") in _KINDS]
    asked = [one for one in (session.get("open") or {}).get("candidates", []) if one.get("kind") in _KINDS]
    request = deps.prompts.fill(
        "crm_request",
        turn.language,
        now=moment(turn),
        entities=(asked or shown)[:10],
        proposals=session.get("proposals", []),
        pending_list=(session.get(PENDING_IMPORT) or {}).get("name"),
        tasks=[task.text for task in tasks] or [turn.text],
    )
    return opened(turn, deps.texts, deps.prompts.fill("crm_agent", turn.language).text, request.text)


def _last_of_each(records: list[ToolRecord]) -> list[ToolRecord]:
    """The results that are worth a table: not a search that a record was opened from, nor the same record twice."""
    opened = [record for record in records if record.name == "crm_record" and record.result]
    shown: dict[str, ToolRecord] = {}
    for record in records:
        if record.result is None or (record.name == "crm_search" and opened):
            continue
        shown[f"{record.name} {record.result.get('id', '')}"] = record
    return list(shown.values())


# --- what the turn leaves behind ------------------------------------------------------------------


def _session(turn: Turn, tasks: list[CrewTask], playbook: CrmPlaybook, by_model: bool) -> dict[str, Any]:
    """What the next turn needs: what was shown, in order; the record spoken of; what was asked back."""
    last = tasks[-1] if tasks else None
    intent = (last.base if last and last.intent == "followup" else last.intent if last else None) or "crm.record"
    session: dict[str, Any] = {"last_crew": "crm", "last_intent": intent}
    entities: list[dict[str, Any]] = []
    for record in turn.results:
        if record.result is None:
            continue
        entities = _entities(record) or entities
        if focus := focus_of(record):
            session["focus"] = focus
        session["last_tool"] = record.name
        if record.name == "crm_import" and record.result["state"] != "preview":
            session[PENDING_IMPORT] = None
        if record.name == "crm_import" and record.result["state"] == "preview":
            columns = dict(part.split("=", 1) for part in record.arguments.get("columns", []))
            pending = turn.session.get(PENDING_IMPORT) or {}
            session[PENDING_IMPORT] = {**pending, "columns": {**pending.get("columns", {}), **columns}}
    if entities:
        session["entities"] = entities[:_ENTITIES_KEPT]
    session["open"] = _asked_by_model(turn, intent) if by_model else playbook.open_question()
    return session


def _asked_by_model(turn: Turn, intent: str) -> dict[str, Any] | None:
    """A model that met several candidates asks which: the answer is understood without it, too."""
    last = max((record.round for record in turn.results), default=0)
    questions = (question_of(record, "record", intent) for record in turn.results if record.round == last)
    return next((one for one in questions if one), None)


def _entities(record: ToolRecord) -> list[dict[str, Any]]:
    """The numbered rows that a result shows."""
    result = record.result or {}
    rows: list[dict[str, Any]] = []
    match record.name:
        case "crm_search" if len(result["records"]) > 1:
            rows = result["records"]
        case "crm_board":
            rows = [deal for column in result["columns"] for deal in column["deals"]]
        case "crm_tasks":
            rows = result["tasks"]
        case _:
            return []
    return [{"n": row["n"], "id": row["id"], "name": row["name"], "kind": row["kind"]} for row in rows]
