"""The SDR's crew: answers a lead or customer, with a model or on its playbook, and lets nothing out that is not so.

The first call is the brief: who we are, what we sell, what is known of the contact. It stands in the turn's record like
every other, so that a replay knows it, and numbers in the reply trace to it.
"""

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from business.messaging.clocks import UNCLEAR, place_said
from business.sales.files import SalesFile
from core.door import View
from core.errors import MutiraoError
from core.turn import HandOver, Turn
from core.words import folded, plain
from crews.contract import CrewDeps, CrewResult, CrewTask
from crews.kickoff import answer_of
from crews.opening import moment, opened
from crews.sdr.guard import check, grounds, hours_at, sentences, times_in, without_promises, worked_out
from crews.sdr.playbook import ASKED_MOST, Said, SdrPlaybook, introduced
from crews.sdr.words import Words
from llm.messages import OnText
from tools.sdr import MODEL_TOOLS, SESSION, day_words, offer_of, offered_to

log = structlog.get_logger(__name__)

ROLE = "sdr_whatsapp"
_MOST_PROMPT_ITEMS = 15
_COMFORTABLE = 500  # letters of a reply
_MOST_SENTENCES = 6
_KEPT_SENTENCES = 4
_POINT = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")


async def run(turn: Turn, tasks: list[CrewTask], deps: CrewDeps, on_text: OnText | None) -> CrewResult:
    """Answer the burst. Nothing is streamed: a reply leaves whole, after it was checked."""
    words = Words(deps.texts, turn.language)
    outcome = await deps.runner.call(turn, "sdr_brief", {})
    if outcome.error is not None:
        return _cannot(turn, words, outcome.error)
    brief = outcome.data
    playbook = SdrPlaybook(turn, brief, words)
    text, by_model = await answer_of(
        turn,
        deps,
        ROLE,
        opening=_opening(turn, deps, brief, playbook),
        tools=MODEL_TOOLS,
        playbook=playbook,
        on_text=None,
        so_far=playbook.text,
    )
    sums: list[Decimal] = []
    fetched = False
    if by_model and turn.hand_over is None and (due := playbook.person_due()):
        # Whoever asks for a person, or is angry, gets one, whatever a model makes of it; and is told so by the house's
        # own sentence, for nobody of ours would hear the answer to a question of the model's.
        for call in due:
            await deps.runner.call(turn, *call)
        fetched = turn.hand_over is not None
    if by_model and (quote := playbook.heard.opt_out):
        await deps.runner.call(turn, "opt_out", {"quote": quote[:300]})
    turn.results[:] = turn.in_order()
    said = playbook.said()
    if fetched or playbook.opted_out or playbook.asks_clock:
        # A word of goodbye or of who comes, and no question; or the one whose answer can be read.
        text, by_model = playbook.text(), False
    if by_model:
        text = tidy(text)
        on = grounds_of(turn, brief, playbook)
        if findings := check(text, on):
            log.warning("reply_held_back", turn=turn.id, kinds=sorted({one.kind for one in findings}))
            turn.held_back += len(findings)
            kept = without_promises(text, on)
            if (booked := _booked(turn)) and booked["starts"][11:16] not in times_in(kept):
                kept = ""  # what was booked is told, whatever else is left
            playbook.answer_instead({one.kind for one in findings})
            said = said if kept else playbook.said()
            text, by_model = (kept, True) if kept else (playbook.text(), False)
        if by_model:
            sums = worked_out(text, on)
            said = _kept_by_model(turn, brief, said, text, words)
    views = []
    if said.choices:  # the last part of the text is what the buttons stand under
        views.append(View("choices", "", data={"label": words.say("sdr.times"), "choices": said.choices}))
    elif link := _link_of(turn, brief, text):
        views.append(View("link", "", data={"label": words.say("sdr.enter"), "url": link}))
    return CrewResult(
        text=text,
        by_model=by_model,
        reworded=playbook.text,
        views=views,
        session={SESSION: said.keep},
        worked_out=sums,
    )


def grounds_of(turn: Turn, brief: dict[str, Any], playbook: SdrPlaybook) -> Any:
    """What the reply may lean on (guard.py)."""
    said = "\n".join([*(text for role, text in turn.session.get("history", []) if role == "user"), turn.text])
    heard = playbook.heard
    alone = heard.off_topic and not (heard.asks and not heard.question) and not heard.meeting and not heard.person
    before = "\n".join(text for role, text in turn.session.get("history", []) if role == "assistant")
    sales: SalesFile | None = turn.kept.get(SalesFile)
    return grounds(
        brief, [(r.name, r.result) for r in turn.results], said, off_topic=alone, before=before,
        zone=turn.identity.time_zone, called={item.name: item.words for item in sales.catalogue.items} if sales else {},
    )  # fmt: skip


def _opening(turn: Turn, deps: CrewDeps, brief: dict[str, Any], playbook: SdrPlaybook) -> list[dict[str, Any]]:
    chat = turn.session.get("chat") or {}
    counts = (turn.session.get(SESSION) or {}).get("counts") or {}
    request = deps.prompts.fill(
        "sdr_request",
        turn.language,
        now=moment(turn),
        brief={**brief, "catalogue": brief["catalogue"][:_MOST_PROMPT_ITEMS]},
        greeted=introduced(turn),
        offered=offered_to(turn),
        just_asked=playbook.not_answered,
        asked_enough=[slot for slot, times in counts.items() if times >= ASKED_MOST],  # nobody is pressed
        done=chat.get("done") or [],
        late=bool(chat.get("late")),
        fetching=chat.get("held") == "fetching",
        open_now=bool(chat.get("open", True)),
        unheard=playbook.heard.unheard,
        message=turn.text,
    )
    return opened(turn, deps.texts, deps.prompts.fill("sdr", turn.language).text, request.text)


_COUNTED = (
    "counts", "insults", "refused", "told_meeting", "proposed", "off_topic", "discounts", "handed",
)  # fmt: skip
"""Of what the playbook keeps: what holds whoever words the reply."""


def _kept_by_model(turn: Turn, brief: dict[str, Any], said: Said, text: str, words: Words) -> Said:
    """What the conversation keeps when a model worded it: the times it named, which are to be chosen from as when the
    playbook names them, and what its question was about."""
    before = dict(turn.session.get(SESSION) or {})
    kept = {name: before[name] for name in _COUNTED if name in before}
    keep: dict[str, Any] = {**kept, "greeted": True}
    slots = [slot for r in turn.results if r.name == "free_slots" and r.result for slot in r.result["slots"]]
    zone = turn.identity.time_zone
    named = named_slots(slots, text, turn.now.astimezone(ZoneInfo(zone)).date(), zone)
    offered = list({slot["starts"]: slot for slot in named}.values())
    choices: list[dict[str, str]] = []
    if booked := _booked(turn):
        keep["told_meeting"] = booked["id"]
    elif offered or before.get("offered"):
        keep["offered"] = [offer_of(slot["starts"], turn) for slot in offered] or before["offered"]
        keep["proposed"] = True
        choices = words.choices(offered, turn, clock=two_clocks(text, zone))
    if brief["meeting"]:
        keep["told_meeting"] = brief["meeting"]["id"]
    if text.rstrip().endswith("?") and "asked" in said.keep:
        keep["asked"] = said.keep["asked"]
    if slot := _asks_about(text, brief):
        counts = dict(keep.get("counts") or {})
        keep |= {"just_asked": slot, "counts": {**counts, slot: counts.get(slot, 0) + 1}}
    return Said([text], keep, choices)


def _asks_about(text: str, brief: dict[str, Any]) -> str:
    """Which of the questions that are still open a reply asks, in its own words; empty for none."""
    asked = {word for one in sentences(text) if one.endswith("?") for word in _telling(one)}
    for one in brief["to_ask"]:
        shared, words = asked & _telling(one["question"]), _telling(one["question"])
        if len(shared) > 1 or (shared and len(shared) * 2 >= len(words)):
            return str(one["slot"])
    return ""


def _telling(question: str) -> set[str]:
    return {word[:5] for word in folded(question).split() if len(word) > 3} - _IN_ANY_QUESTION


_IN_ANY_QUESTION = frozenset(
    "para voce quer isso mais hoje qual what your have with that want quier usted algo".split()
)


def _link_of(turn: Turn, brief: dict[str, Any], text: str) -> str:
    """The meeting's link, where this reply tells it."""
    link = str((_booked(turn) or brief["meeting"] or {}).get("link") or "")
    return link if link and link in text else ""


def _booked(turn: Turn) -> dict[str, Any] | None:
    """The meeting that was booked or moved in this turn."""
    return next((r.result for r in reversed(turn.results) if r.name == "book_meeting" and r.result), None)


def named_slots(slots: list[dict[str, Any]], text: str, today: date, zone: str) -> list[dict[str, Any]]:
    """The free times that the text names, by the clock of `zone`, the contact's. An hour belongs to the day that it is
    said to be on ("às 15h na quinta"), else to the day before it, or to the next one where none is before. One that is
    said by another clock is that hour of the contact's; of a place abroad it is none."""
    said = plain(text)
    days = {slot["starts"][:10] for slot in slots} | {(today + timedelta(days=n)).isoformat() for n in range(8)}
    marks = sorted((at, day) for day in days for at in _places(day, said, today))
    found = set()
    for at, end, hour, clock in _clocked(said):
        before = [place for place, _ in marks if place <= at]
        behind = [place for place, _ in marks if place > at]
        on_it = [place for place in behind[:1] if _ON.fullmatch(said, end, place)]
        if clock != UNCLEAR and (place := (on_it or before[-1:] or behind[:1])):
            found |= {_moved(f"{day}T{hour}", clock, zone) for where, day in marks if where == place[0]}
    return [slot for slot in slots if slot["starts"][:16] in found]


def two_clocks(text: str, zone: str) -> bool:
    """Whether hours are said by another clock than that of `zone`, too."""
    noon = "2026-01-01T12:00"
    return any(clock == UNCLEAR or _moved(noon, clock, zone) != noon for *_, clock in _clocked(plain(text)))


def _clocked(said: str) -> Iterator[tuple[int, int, str, str]]:
    """The hours that a text names: (start, end, HH:MM, by which clock: a zone, UNCLEAR, "" for none). Hours that are
    listed together have the clock that is said behind them, or before them: "8h, 9h e 10h em Nova York"."""
    lists: list[list[tuple[int, int, str]]] = []
    for one in hours_at(said):
        if lists and _LISTED.fullmatch(said, lists[-1][-1][1], one[0]):
            lists[-1].append(one)
        else:
            lists.append([one])
    front, last = _END.split(said[: lists[0][0][0]])[-1] if lists else "", ""
    for place, hours in enumerate(lists):
        until = lists[place + 1][0][0] if place + 1 < len(lists) else len(said)
        tail = _SENTENCE.split(said[hours[-1][1] : until])
        *own, next_front = _END.split(tail[0]) if len(tail) == 1 and until < len(said) else [*_END.split(tail[0]), ""]
        if not own and not _FRONT.match(next_front):  # nothing parts it from the next hours: it is said of these
            own, next_front = [next_front], next_front if _CONVERTS.search(next_front) else ""
        behind = next(filter(None, map(place_said, own)), "")
        converted = UNCLEAR if last and _CONVERTS.search(front) else ""
        clock = behind or place_said(front) or converted
        yield from ((*one, clock) for one in hours)
        front, last = (next_front if len(tail) == 1 else _END.split(tail[-1])[-1]), clock


def _moved(local: str, clock: str, zone: str) -> str:
    """A local time by the clock of `zone`, where it is by another that is known."""
    if clock in ("", zone):
        return local
    at = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(clock))
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%dT%H:%M}"


_LISTED = re.compile(r"(?:[\s,/]|\b(?:e|y|and|ou|or|o|u|as|a las|at)\b)*")
_SENTENCE = re.compile(r"[.!?;\n]+(?=\s|$)")
_END = re.compile(r"(?<=\w)[,(:–—-]+\s*|(?<=\))[,:]*\s*|(?<=\s)[(–—-]\s*")
_FRONT = re.compile(r",(?!.*\b(?:ou|or|e|y|and|o|u|as|que|which)\s*(?:(?:sao|is|as|at)\s*)?$)")
"""What stands before hours and is said of them, though nothing parts it from them: "…, in Manaus 9 am"."""
_CONVERTS = re.compile(
    r"\b(?:que (?:e|sao|da|dao|seriam?|es|son|serian?)|which (?:is|are)|that is|that'?s|ou seja|o sea)\b|="
)
"""What says an hour again by another clock, whether that is named or not."""
_ON = re.compile(r"\s*(?:d[ae] (?:manha|tarde|noite) )?(?:n[ao]|d[aeo]|on|el|del|this) (?:dia )?")
"""What stands between an hour and the day that it is said to be on."""


def _places(day: str, said: str, today: date) -> Iterator[int]:
    """Where the day is named: by its weekday, its date, or as today or tomorrow."""
    on = date.fromisoformat(day)
    words = [*day_words(on, today), f"{on.day:02d}/{on.month:02d}"]
    for found in re.finditer(rf"(?<![\w/])(?:{'|'.join(words)})(?![\w/])", said):
        yield found.start()


def tidy(text: str) -> str:
    """A model's text as one writes on a telephone: no tables, headings, bold marks of Markdown or signature lines."""
    lines = [line for line in text.strip().split("\n") if not re.fullmatch(r"\s*\|?[\s:|-]{3,}\|?\s*", line)]
    kept = [re.sub(r"^\s*(?:#{1,6}\s+|>\s+)", "", line) for line in lines]
    told = "\n".join(re.sub(r"\s*\|\s*", " ", line).strip() if line.strip().startswith("|") else line for line in kept)
    told = re.sub(r"\*\*(.+?)\*\*", r"*\1*", told)
    told = re.sub(r"\n{3,}", "\n\n", told).strip()
    return told if len(told) <= _COMFORTABLE and len(sentences(told)) <= _MOST_SENTENCES else _shortened(told)


def _shortened(text: str) -> str:
    """The first sentences of a lecture, its points as one sentence, and its first question."""
    plain: list[str] = []
    points: list[str] = []
    for one in sentences(text):
        bare = _POINT.sub("", one).replace("*", "")
        if _POINT.match(one):
            points.append(bare.rstrip(" .;,"))
            continue
        if points:
            plain.append(_joined(plain, points))
            points = []
        plain.append(bare)
    if points:
        plain.append(_joined(plain, points))
    asked = next((one for one in plain if one.endswith("?")), "")
    kept = [one for one in plain if not one.endswith("?")][:_KEPT_SENTENCES]
    return " ".join(filter(None, [*kept, asked]))


def _joined(before: list[str], points: list[str]) -> str:
    """The points behind the line that announces them."""
    intro = f"{before.pop()} " if before and before[-1].endswith(":") else ""
    return f"{intro}{', '.join(points)}."


def _cannot(turn: Turn, words: Words, error: MutiraoError) -> CrewResult:
    """The company's files are broken, or the database is away: a person is fetched, and the contact told so."""
    log.warning("sdr_without_brief", turn=turn.id, code=error.code)
    if error.code in ("turn_stopped", "turn_limit"):
        raise error
    turn.hand_over = HandOver("cannot_help", words.texts.error(turn.identity.language, error))
    text = words.say("sdr.hand.open", hours="")
    return CrewResult(text=text, by_model=False, reworded=lambda: text, session={})
