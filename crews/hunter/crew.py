"""The hunter: a CrewAI crew of one agent, the qualifier, with the tools of prospecting; on a model or its playbook.

The three other agents of the hunt (LinkedIn, Google, social networks) work inside the search, in the background
(scouts.py).
"""

from typing import Any

from core.turn import ToolRecord, Turn
from crews.claims import claims_of_sending, without
from crews.contract import CrewDeps, CrewResult, CrewTask
from crews.hunter.playbook import HunterPlaybook, entity
from crews.hunter.words import HunterWords
from crews.kickoff import answer_of
from crews.opening import moment, opened
from llm.messages import OnText
from tools.outreach import OUTREACH_TOOLS
from tools.prospecting import PROSPECTING_TOOLS
from tools.prospecting_results import MOST_ROWS

ROLE = "lead_qualifier"
_LISTS = ("find_companies", "companies_found")


async def run(turn: Turn, tasks: list[CrewTask], deps: CrewDeps, on_text: OnText | None) -> CrewResult:
    """Serve all tasks in one kickoff. A limit of the turn ends it with what is there, said in the text."""
    words = HunterWords(deps.texts, turn.language)
    playbook = HunterPlaybook(turn, tasks, words)
    text, by_model = await answer_of(
        turn,
        deps,
        ROLE,
        opening=_opening(turn, tasks, deps),
        tools=[*PROSPECTING_TOOLS, *OUTREACH_TOOLS],
        playbook=playbook,
        on_text=on_text,
        so_far=lambda: playbook.text() if turn.results else "",
    )
    if by_model and (untrue := claims_of_sending(text)):
        text = f"{without(text, untrue)}\n\n{words.say('hunter.not_sent')}".strip()
    lists = [record.result for record in turn.results if record.name in _LISTS and record.result is not None]
    listed = by_model or playbook.shows_companies()
    tables = words.company_table(lists[-1]) if lists and listed else []
    for record in turn.results:
        if record.result is None:
            continue
        if record.name == "explain_score":
            tables += words.score_table(record.result)
        elif record.name == "search_status":
            tables += words.status_table(record.result)
    return CrewResult(
        text=text,
        by_model=by_model,
        reworded=playbook.results_in_words,
        footer=words.footer(lists),
        tables=tables,
        session=_session(turn, playbook, listed),
    )


def _opening(turn: Turn, tasks: list[CrewTask], deps: CrewDeps) -> list[dict[str, Any]]:
    """What a model is told; with the request what "the third" and "that one" refer to."""
    session = turn.session
    hunt = session.get("hunt") or {}
    request = deps.prompts.fill(
        "hunter_request",
        turn.language,
        now=moment(turn),
        companies=[one for one in session.get("entities", []) if one.get("kind") == "candidate"],
        last_wish=hunt.get("sentence"),
        last_state=hunt.get("state"),
        asked=(session.get("open") or {}).get("text") if hunt.get("state") == "asking" else None,
        proposals=session.get("proposals", []),
        tasks=[task.text for task in tasks] or [turn.text],
    )
    return opened(turn, deps.texts, deps.prompts.fill("hunter", turn.language).text, request.text)


# --- what the turn leaves behind ------------------------------------------------------------------


def _session(turn: Turn, playbook: HunterPlaybook, listed: bool) -> dict[str, Any]:
    """What the next turn needs: the last list in the order shown, the company spoken of, the last wish, what was asked
    back, and what a follow-up follows. What was only looked up (not `listed`) is no list that a number could mean."""
    session: dict[str, Any] = {"last_crew": "hunter", "last_intent": playbook.last_intent()}
    session["open"] = playbook.open_question()
    for record in turn.results:
        if record.result is None:
            continue
        if record.name == "find_companies":
            session["hunt"] = _hunt(record.result)
        if listed and record.name in _LISTS and record.result["companies"]:
            session["entities"] = [entity(row) for row in record.result["companies"]][:MOST_ROWS]
            session["focus"], session["spoken_of"] = None, []
        company = record.result.get("company") if record.name in ("explain_score", "decide_company") else None
        if company:
            session["focus"] = {key: company[key] for key in ("id", "name")} | {"kind": "candidate"}
    decided = [r.result["company"]["id"] for r in turn.results if r.name == "decide_company" and r.result]
    if decided:
        session["spoken_of"] = decided
    drafted = [record for record in turn.results if record.name == "draft_first_message" and record.result]
    if len(drafted) == 1:
        session["focus"] = _drafted_for(drafted[0])
    return session


def _hunt(found: dict[str, Any]) -> dict[str, Any]:
    search = found["search"]
    return {
        "search": search["id"] if search else None,
        "sentence": found["sentence"],
        "state": found["state"],
        "wish": found["wish"],
    }


def _drafted_for(record: ToolRecord) -> dict[str, Any] | None:
    told = (record.result or {}).get("change") or {}
    return {"id": told["candidate"], "name": told["name"], "kind": "candidate"} if told else None
