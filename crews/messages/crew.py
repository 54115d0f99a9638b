"""The house's own side of its conversations: who wrote, what was said, numbers and templates; with a model or on its
playbook. Answering contacts is the SDR's (crews/sdr)."""

from typing import Any

from core.turn import ToolRecord, Turn
from crews.contract import CrewDeps, CrewResult, CrewTask
from crews.kickoff import answer_of
from crews.messages.playbook import MessagesPlaybook, question_of
from crews.messages.words import Words
from crews.opening import moment, opened
from llm.messages import OnText
from tools.contact_message import MESSAGING_TOOLS
from tools.messages import KIND, listed

ROLE = "crm"  # the same trade for a model: short questions about records, answered from tools


async def run(turn: Turn, tasks: list[CrewTask], deps: CrewDeps, on_text: OnText | None) -> CrewResult:
    """Serve all tasks in one kickoff. A limit of the turn ends it with what is there, said in the text."""
    words = Words(deps.texts, turn.language)
    playbook = MessagesPlaybook(turn, tasks, words)
    text, by_model = await answer_of(
        turn,
        deps,
        ROLE,
        opening=_opening(turn, tasks, deps),
        tools=MESSAGING_TOOLS,
        playbook=playbook,
        on_text=on_text,
        so_far=lambda: playbook.text() if turn.results else "",
    )
    turn.results[:] = turn.in_order()
    return CrewResult(
        text=text,
        by_model=by_model,
        reworded=playbook.results_in_words,
        tables=[table for record in turn.results for table in words.tables(record)],
        session=session_of(turn),
    )


def _opening(turn: Turn, tasks: list[CrewTask], deps: CrewDeps) -> list[dict[str, Any]]:
    request = deps.prompts.fill(
        "messages_request",
        turn.language,
        now=moment(turn),
        conversations=listed(turn.session)[:10],
        spoken_of=focus["name"] if (focus := turn.session.get("focus") or {}).get("kind") == KIND else "",
        proposals=turn.session.get("proposals", []),
        tasks=[task.text for task in tasks] or [turn.text],
    )
    return opened(turn, deps.texts, deps.prompts.fill("messages", turn.language).text, request.text)


def session_of(turn: Turn) -> dict[str, Any]:
    """What the next turn needs: the conversations that were listed, the one spoken of, what was asked back. Who was
    spoken of before a list is so no more, unless they stand in it."""
    session: dict[str, Any] = {"last_crew": "messages", "last_intent": "messages.whatsapp", "open": None}
    for record in turn.results:
        session["open"] = question_of(record) or session["open"]
        if found := _entities(record):
            session["entities"] = found
            focus = session.get("focus") or turn.session.get("focus")
            session["focus"] = focus if focus and focus["id"] in {one["id"] for one in found} else None
        if record.result is not None:
            session["last_tool"] = record.name
            if record.name == "show_conversation":
                one = record.result["conversation"]
                session["focus"] = {"id": one["id"], "name": one["name"], "kind": KIND}
    return session


def _entities(record: ToolRecord) -> list[dict[str, Any]]:
    if record.name != "list_conversations" or record.result is None:
        return []
    return [
        {"n": one["n"], "id": one["id"], "name": one["name"], "kind": KIND} for one in record.result["conversations"]
    ]
