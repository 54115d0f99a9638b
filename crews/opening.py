"""What every crew tells a model before the request: when it is, and what was said in the conversation so far."""

import re
from typing import Any
from zoneinfo import ZoneInfo

from core import formats
from core.turn import Turn
from prompts.texts import Texts

MOST = 600  # characters of each earlier message; results are referred to, not repeated

_OURS = re.compile(r"_[^_\n](?:.*[^_\n])?_")
"""A paragraph that was put under an answer: what its numbers are of, that no model answered, what was left out."""
_SENTENCE_END = re.compile(r"(?<!\n\d)(?<!\n\d\d)[.!?…][\"”»)*]*(?=\s)|\n")


def moment(turn: Turn) -> str:
    """Weekday, date, time and zone of the user: `sexta-feira, 20/11/2026 12:00 (America/Sao_Paulo)`."""
    local = turn.now.astimezone(ZoneInfo(turn.identity.time_zone))
    day = f"{formats.weekday(local.date(), turn.language)}, {formats.day(local.date(), turn.language)}"
    return f"{day} {local:%H:%M} ({local.tzinfo})"


def opened(turn: Turn, texts: Texts, part: str, request: str) -> list[dict[str, Any]]:
    """The messages that open a kickoff: the agent's part (the same in every turn, so that providers can cache it), the
    conversation so far, and the request."""
    return [
        {"role": "system", "content": part},
        *said_before(turn, texts),
        {"role": "user", "content": request},
    ]


def said_before(turn: Turn, texts: Texts) -> list[dict[str, Any]]:
    """The conversation's messages as a model is shown them, oldest first: answers without the lines that we put around
    them, and long ones cut at the end of a sentence, with a sign that they go on."""
    reworded = {texts.say(language, "guard.reworded") for language in texts.sources}
    return [
        {"role": role, "content": shortened(answer_in(text, reworded) if role == "assistant" else text)}
        for role, text in turn.session.get("history", [])
    ]


def answer_in(text: str, notes: set[str]) -> str:
    """An assistant's message without footers and `notes`; whole where nothing else is in it."""
    paragraphs = [one for one in text.split("\n\n") if not _OURS.fullmatch(one.strip()) and one.strip() not in notes]
    return "\n\n".join(paragraphs) or text


def shortened(text: str, most: int = MOST) -> str:
    """At most `most` characters and the sign `…`, cut after a sentence, else after a word."""
    if len(text) <= most:
        return text
    ends = [match.end() for match in _SENTENCE_END.finditer(text[: most + 1]) if match.end() <= most]
    word = text.rfind(" ", 0, most + 1)
    end = ends[-1] if ends and ends[-1] >= most // 2 else word if word > 0 else most
    return f"{text[:end].rstrip()} …"
