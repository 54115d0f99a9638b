"""The record of a turn: everything that happened in it, as plain data that can be read and replayed.

    mutirao turns show ID       for people
    mutirao turns replay ID     the same turn again, on the recorded answers (agents/replay.py)

It is built when the turn is over and stored with the reply (business/conversations/records.py), whose `VERSION` says
how it is laid out. What may stand in it and for how long: docs/decisions/0012.
"""

import functools
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from agents.routing import RoutePart
from agents.state import Answer, TurnState
from business.conversations.records import VERSION, Figures
from core.turn import Completion, ModelCall, Turn

_PLAYBOOK = "offline"  # llm.offline.PROVIDER


@dataclass(frozen=True)
class Before:
    """The conversation as the turn found it."""

    language: str | None
    """Spoken in it so far."""
    session: dict[str, Any]
    history: list[tuple[str, str]]
    """(role, text) of the last messages, oldest first."""
    attachments: list[dict[str, Any]] = field(default_factory=list)
    """Files that came with this message, as core.door.Attachment."""


def turn_record(
    turn: Turn,
    state: TurnState,
    before: Before | None,
    *,
    text: str,
    why: list[str],
    timing: dict[str, float],
    prompts: dict[str, str],
) -> dict[str, Any]:
    """The record, in the order in which a turn goes. Takes 0.2 ms for a usual turn; shares what it can with the turn.

    `before` is None for a turn that never got its conversation's lock. `text` is the reply, `why` the reason of every
    part of the route in words, `prompts` the hashes of the prompts that were used, by file.
    """
    identity, plan, answers = turn.identity, state.get("plan"), state.get("answers", {})
    told = {record.told: place for place, record in enumerate(turn.results) if record.told}
    return {
        "version": VERSION,
        "code": code_version(),
        "turn": turn.id,
        "conversation": turn.conversation_id,
        "door": turn.door,
        "who": {
            "tenant": identity.tenant_id,
            "user": identity.user_id,
            "name": identity.name,
            "role": identity.role.value,
            "language": identity.language,
            "time_zone": identity.time_zone,
            "accounts": None if identity.accounts is None else sorted(identity.accounts),
        },
        "now": turn.now.isoformat(),
        "contact": asdict(turn.contact) if turn.contact else None,
        "message": {"text": turn.text, "attachments": before.attachments if before else []},
        "before": before
        and {"language": before.language, "session": before.session, "history": [list(h) for h in before.history]},
        "limits": {**vars(turn.limits), "cost_usd": str(turn.limits.cost_usd)},
        "route": [_part(part, reason) for part, reason in zip(plan.parts if plan else [], why, strict=True)],
        "left_out": list(plan.left_out) if plan else [],
        "prompts": prompts,
        "completions": [_completion(one, told) for one in turn.completions],
        "model_calls": [_model_call(call) for call in turn.model_calls],
        "tools": [dict(vars(record)) for record in turn.results],  # asdict would copy every result deeply: 5 ms
        "lookups": [dict(vars(lookup)) for lookup in turn.lookups],
        "proposals": turn.proposals,
        "answers": {
            name: {"by_model": answer.by_model, "footer": answer.footer, "text": answer.text}
            for name, answer in answers.items()
        },
        "held_back": [asdict(held) for answer in answers.values() if (held := answer.held_back)],
        "notices": [[key, params] for key, params in turn.notices],
        "reply": {"text": text, "language": turn.language},
        "ended": state["ended"],
        "timing": timing,
    }


def turn_figures(turn: Turn, state: TurnState, timing: dict[str, float]) -> Figures:
    """What is listed of the turn, and kept when its record is cut."""
    asked = [call for call in turn.model_calls if call.provider != _PLAYBOOK]
    answered = [call for call in asked if call.failure is None]
    plan = state.get("plan")
    return Figures(
        ended=state["ended"],
        by_model=any(_worded_by_model(answer) for answer in state.get("answers", {}).values()),
        intents=[part.intent for part in plan.parts] if plan else [],
        models=list(dict.fromkeys(f"{call.provider}/{call.model}" for call in answered)),
        model_calls=len(asked),
        failed_calls=sum(call.failure is not None for call in asked),
        tool_calls=len(turn.results),
        prompt_tokens=sum(call.prompt_tokens for call in asked),
        cached_tokens=sum(call.cached_tokens for call in asked),
        completion_tokens=sum(call.completion_tokens for call in asked),
        cost_usd=turn.cost_usd,
        unpriced=sum(call.cost_usd is None for call in answered),
        seconds=timing["total"],
    )


def _worded_by_model(answer: Answer) -> bool:
    return answer.by_model and not (answer.held_back and answer.held_back.reworded)


def _part(part: RoutePart, why: str) -> dict[str, Any]:
    return {
        "to": part.crew or "talk",
        "intent": part.intent,
        "confidence": round(part.confidence, 3),
        "why": why,
        "how": part.how,
        "text": part.text,
        "base": part.base,
    }


def _completion(asked: Completion, told: dict[str, int]) -> dict[str, Any]:
    """What a tool told the model stands with the tool's call: here only which call it was."""
    messages = [
        {**message, "content": {"told_by_tool": told[message["content"]]}}
        if message.get("role") == "tool" and message.get("content") in told
        else message
        for message in asked.messages
    ]
    return {**vars(asked), "messages": messages}


def _model_call(call: ModelCall) -> dict[str, Any]:
    first = None if call.first_seconds is None else round(call.first_seconds, 4)
    cost = None if call.cost_usd is None else str(call.cost_usd)
    return {**vars(call), "cost_usd": cost, "seconds": round(call.seconds, 4), "first_seconds": first}


@functools.cache
def code_version() -> dict[str, str]:
    """{"version": of the package, "commit": of the checkout it runs from, "" without one}."""
    try:
        installed = version("mutirao")
    except PackageNotFoundError:
        installed = ""
    return {"version": installed, "commit": _commit(Path(__file__).resolve().parent.parent / ".git")}


def _commit(git: Path) -> str:
    try:
        head = (git / "HEAD").read_text(encoding="ascii").strip()
        name = head.removeprefix("ref: ")
        if name == head or not (git / name).exists():
            packed = (git / "packed-refs").read_text(encoding="ascii").splitlines() if name != head else []
            found = [line.split(" ")[0] for line in packed if line.endswith(f" {name}")]
            return (found[0] if found else "" if name != head else head)[:12]
        return (git / name).read_text(encoding="ascii").strip()[:12]
    except (OSError, UnicodeDecodeError):
        return ""  # installed without its checkout, as in a container
