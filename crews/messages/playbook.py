"""What the messages' crew does without a model: the same tools, chosen by rules, and their results in sentences."""

from dataclasses import dataclass
from typing import Any

from core.turn import ToolRecord, Turn
from core.words import folded
from crews.contract import CrewTask
from crews.messages.request import LIST, SHOW, WRITE, Asked, understand
from crews.messages.words import Words
from llm.messages import ToolCall
from tools.crm_targets import place_named
from tools.messages import PRONOUN, listed

_MOST_WORDS = 6  # of an answer to "which of these?"
_SMALL = frozenset("a o as os da do de la el una uma um com con with em en na no the to pra para".split())


@dataclass(frozen=True)
class _Part:
    task: CrewTask
    asked: Asked


class MessagesPlaybook:
    """One turn's questions about conversations. `words` writes in the turn's language."""

    def __init__(self, turn: Turn, tasks: list[CrewTask], words: Words) -> None:
        self._turn = turn
        self._words = words
        self._parts = [_Part(task, self._asked(task)) for task in tasks]

    def next_step(self) -> list[ToolCall] | str:
        calls = [
            ToolCall("", part.asked.tool, part.asked.arguments)
            for part in self._parts
            if part.asked.tool and self._record(part) is None
        ]
        return calls or self.text()

    def text(self) -> str:
        """Everything asked, answered from the results that are there."""
        said: list[str] = []
        for part in self._parts:
            record = self._record(part)
            if record is not None:
                said.append(self._words.result(record))
            if part.asked.topic:
                said.append(self._words.about(part.asked.topic, self._environment()))
        return "\n\n".join(dict.fromkeys(one for one in said if one))

    def results_in_words(self) -> str:
        """Every result of the turn in sentences, whoever asked for it: for when a model's own words cannot be used."""
        said = [self._words.result(record) for record in self._turn.results]
        return "\n\n".join(dict.fromkeys(one for one in said if one))

    def _asked(self, task: CrewTask) -> Asked:
        """A short message that answers "which of these?" completes what waited for it."""
        waiting = self._turn.session.get("open") or {}
        text = task.text.strip(" .!?")
        if "slot" in waiting and len(text.split()) <= _MOST_WORDS:
            place, wanted = place_named(text), set(folded(text).split()) - _SMALL
            for one in waiting["candidates"]:
                words = set(folded(f"{one['name']} {one.get('detail') or ''}").split())
                if one.get("n") == place or (place is None and wanted and wanted <= words):
                    return Asked(waiting["call"], {**waiting["arguments"], waiting["slot"]: one["id"]})
        asked = understand(task.text)
        session = self._turn.session
        spoken_of = session.get("focus") or listed(session)
        if asked.tool == SHOW and not spoken_of and PRONOUN.fullmatch(folded(asked.arguments["conversation"])):
            asked = Asked(LIST)  # "dela", and nobody was spoken of: the newest, to choose from
        # What is dictated may have sentences of its own: it is taken from the message as it was written.
        whole = understand(self._turn.text) if asked.tool == WRITE else asked
        return whole if whole.tool == WRITE else asked

    def _record(self, part: _Part) -> ToolRecord | None:
        made = (r for r in self._turn.results if r.name == part.asked.tool)
        return next((r for r in made if _same(r.arguments, part.asked.arguments)), None)

    def _environment(self) -> str:
        """In which world the numbers are, where a result told."""
        found = (r.result["environment"] for r in self._turn.results if r.result and "environment" in r.result)
        return next(found, "")


def question_of(record: ToolRecord) -> dict[str, Any] | None:
    """What a call that met several conversations or contacts asks back."""
    slot = {"chat_which": "conversation", "chat_whose": "conversation", "crm_ambiguous": "contact"}.get(
        record.error or ""
    )
    if slot is None:
        return None
    return {
        "intent": "messages.whatsapp",
        "call": record.name,
        "arguments": record.arguments,
        "slot": slot,
        "candidates": record.error_params["candidates"],
    }


def _same(made: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return {k: str(v) for k, v in made.items() if v is not None} == {k: str(v) for k, v in wanted.items()}
