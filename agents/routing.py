"""Message → parts, each with the crew that serves it, a confidence and a reason that can be shown.

The local classifier decides; only when it is unsure does the supervisor ask a model, with `router_messages`, and
read its answer with `parse_route_answer`.

Read from the session (plain data, all optional): `last_intent` and `last_crew` of the last answered part, `open` where
the last answer asked something back.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from agents.intents import (
    FOLLOWUP,
    SMALLTALK,
    UNCLEAR,
    Classifier,
    Intent,
    Lexicon,
    load_intents,
    shipped_intents,
    warm,
)
from core.turn import Turn
from core.words import plain
from prompts.prompt import Prompts
from tools.crm_targets import place_named

__all__ = [
    "MAX_PARTS",
    "SURE",
    "Classifier",
    "Intent",
    "RoutePart",
    "RoutePlan",
    "Why",
    "load_intents",
    "parse_route_answer",
    "route",
    "router_messages",
    "warm",
]

SURE = 0.60
"""From this probability on the classifier's word is taken without asking a model. Chosen by cross-validation on the
examples (0.94 right among the 0.87 that reach it); measured on held-out messages: 0.93 right, 0.84 reach it."""

CREW_SURE = 0.85
"""As sure as needed of the crew when the intent is not clear: the crew reads the request itself. With both, 0.86 of
held-out messages need no model, and 0.955 of those go to the right crew or to the right answer of the supervisor."""

MAX_PARTS = 4
"""Requests served of one message; the others are named in `left_out`, so that the reply can say so."""

_PREPARED = "message_contact"
_CHANGES = re.compile(
    r"(?:(?:nao|no|not|e|mas|but|pero|please|por favor)\W+)?"
    r"(?:mud[ae]\w*|troc[ae]\w*|troqu\w+|deix[ae]\w* (?:mais|menos)|corrig\w+|encurt\w+|acrescent\w+"
    r"|change|make it|shorten|replace|cambi[ae]\w*|acort[ae]|agreg[ae])\b"
)
"""Of a message that was prepared just now and waits for a yes."""
_PLACE = 3  # words of an answer that names a place
_SHORT = 8  # words of an answer to what we asked
_CUT = 0.45  # each side of a conjunction must be this clear a request before a sentence is cut there
_LONG = 1_200  # characters; above it only clear requests at the edges count: the rest is likely pasted text
_LAST = 160  # of the message before, which a model is shown: what "and the second?" follows
_HEAD, _TAIL = 1_500, 500  # what is looked at of a long message

_ANSWER = "approvals.answer"
_LIST_WAITS = "crm_import"  # in what was asked back: a list that may be brought into the CRM
_ACTIONS = frozenset({"ads.pause", "ads.resume", "ads.budget"})
_SENTENCE_END = re.compile(r"(?<=[?!;…])\s*|(?<=\.)\s+|\s*\n+\s*")
_ABBREVIATION = re.compile(r"(?:^|\s)(?:dra?|sra?|srta|ex|vs|st|ltda|inc|n|no|aprox|approx|p)\.$", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:[-*•–]|\d{1,2}[.)])\s+")
_QUOTED = re.compile(r'["“«][^"”»\n]{1,80}["”»]')
_DICTATED = re.compile(
    r"\b(?:mand|envi|escrev|escrib|send|writ)\w*\b[^.!?\n:]{0,60}\b(?:mensage[mn]|msg|mensaje|message|zap|whats\w*|wpp)\b"
    r"[^.!?\n:]{0,60}:\s",
    re.I,
)
"""What somebody shall read follows: "manda uma mensagem pra Ana: …"."""

How = Literal["classifier", "model", "rule", "session"]


class Why(NamedTuple):
    """A reason for people: `key` and `params` for Texts.say (prompts/texts/<language>/routing.yaml)."""

    key: str
    params: dict[str, Any]


@dataclass(frozen=True)
class RoutePart:
    """One request of a message, in the person's own words.

    For `followup`, `base` is the intent that it continues ("e ontem?" after an overview: ads.overview).
    `follows` tells that it points back at the last results ("pausa ela").
    """

    text: str
    intent: str
    crew: str | None
    confidence: float
    why: Why
    how: How = "classifier"
    base: str | None = None
    follows: bool = False


@dataclass(frozen=True)
class RoutePlan:
    """The parts in the order they were asked. `sure`: no model needs to be asked."""

    parts: list[RoutePart]
    sure: bool
    left_out: tuple[str, ...] = ()
    """Requests beyond MAX_PARTS, in the person's words."""
    message: str = ""
    """What was routed, bounded in length."""
    continues: tuple[str, str] | None = None
    """(intent, crew) of the last answered part of the conversation, when there is one."""

    def crews(self) -> dict[str, list[RoutePart]]:
        """Crew → its parts: each crew runs at most once per turn."""
        by_crew: dict[str, list[RoutePart]] = {}
        for part in self.parts:
            if part.crew is not None:
                by_crew.setdefault(part.crew, []).append(part)
        return by_crew


def route(text: str, session: Mapping[str, Any], classifier: Classifier) -> RoutePlan:
    """Decide what a message wants. Never raises; what has no words is `unclear`."""
    message = text if len(text) <= _HEAD + _TAIL else f"{text[:_HEAD]}\n{text[-_TAIL:]}"
    continues = _continues(session)
    pieces = _pieces(message, classifier)
    if not pieces:
        part = RoutePart(message.strip()[:200], UNCLEAR, None, 1.0, Why("route.why.no_words", {}), "rule")
        return RoutePlan([part], True, message=message, continues=continues)
    if len(text) > _LONG:
        edges = [*pieces[:2], *pieces[2:][-2:]]  # a request stands before or after what is pasted
        pieces = [p for p in edges if p.probability >= SURE and not p.chatter] or pieces[:1]
    pieces = _merged(pieces, classifier.lexicon)
    parts: list[RoutePart] = []
    for piece in pieces:
        parts.append(_part(piece, parts[-1] if parts else None, continues, classifier))
    if session.get("attachments") and not any(part.crew for part in parts):
        # "Dá uma olhada", with a file: it is the file that is meant.
        about = RoutePart(message, "ads.import", "ads", 1.0, Why("route.why.ads.import", {}), "rule")
        return RoutePlan([about], True, message=message, continues=continues)
    if _LIST_WAITS in (session.get("open") or {}).values() and _about_the_list(parts, message):
        part = RoutePart(message, "crm.import", "crm", 1.0, Why("route.why.crm.import", {}), "session", follows=True)
        return RoutePlan([part], True, message=message, continues=continues)
    if continues and _is_a_place(message) and (session.get("open") or {}).get("candidates"):
        part = _followup(message, SURE, "session", None, continues)
        return RoutePlan([part], True, message=message, continues=continues)
    parts = [_of_what_was_shown(part, session, classifier) for part in parts]
    unsure = len(parts) == 1 and (parts[0].crew in (None, "hunter") or parts[0].confidence < SURE)
    if unsure and session.get("last_tool") == _PREPARED and _of_messages(session) and _CHANGES.match(plain(message)):
        # "Muda o final pra …": the message that waits for a yes is prepared anew.
        part = _followup(message, SURE, "session", None, continues)
        return RoutePlan([part], True, message=message, continues=continues)
    if session.get("open") and continues and _may_answer(parts, message, continues[1]):
        part = _followup(message, SURE, "session", None, continues)
        return RoutePlan([part], True, message=message, continues=continues)
    sure = all(p.probability >= SURE or p.crew_probability >= CREW_SURE for p in pieces[:MAX_PARTS])
    return _plan(parts, sure, message, continues)


def _is_a_place(message: str) -> bool:
    """ "a 2", "a segunda": which of those that we asked about."""
    return len(message.split()) <= _PLACE and place_named(message.strip(" .!")) is not None


def _of_what_was_shown(part: RoutePart, session: Mapping[str, Any], classifier: Classifier) -> RoutePart:
    """ "Marca a primeira como feita", after a list of the CRM: it is no company of a search that is pointed at."""
    shown = {one.get("kind") for one in session.get("entities") or []}
    points = part.follows or _is_a_place(part.text)
    asks = part.crew == "hunter" or part.intent == "ads.diagnose"  # a pause is of an advertisement still
    if points and asks and _of_messages(session):
        return _followup(part.text, SURE, "session", None, _continues(session))
    others = part.crew == "hunter" or (part.crew == "ads" and session.get("last_crew") == "crm")
    if not (points and others and shown) or not shown <= {"contact", "company", "deal", "task"}:
        return part
    name, _ = next(one for one in classifier.classify(part.text) if one[0].startswith("crm."))
    crew = classifier.intents[name].crew
    return (
        part if crew is None else replace(part, intent=name, crew=crew, why=Why(f"route.why.{name}", {}), how="session")
    )


def _of_messages(session: Mapping[str, Any]) -> bool:
    """Whether a conversation with somebody outside was listed or shown last."""
    last = [*(session.get("entities") or []), session.get("focus") or {}]
    return session.get("last_crew") == "messages" and any(one.get("kind") == "conversation" for one in last)


def _about_the_list(parts: list[RoutePart], message: str) -> bool:
    """Whether a message answers a list that was shown: "importa", "sim", "Fone = phone"."""
    intents = {part.intent for part in parts}
    says_so = intents <= {_ANSWER, FOLLOWUP, UNCLEAR, SMALLTALK, "ads.import", "crm.import"}
    return "=" in message or (says_so and len(message.split()) <= _SHORT and "?" not in message)


def _may_answer(parts: list[RoutePart], message: str, asking: str) -> bool:
    """Whether a message may be the answer to what the crew `asking` asked back: short, and no other is sure to be meant
    by it."""
    short = len(parts) == 1 and len(message.split()) <= _SHORT and "?" not in message
    unsure = parts[0].crew != asking and parts[0].confidence < SURE
    return short and parts[0].intent != _ANSWER and unsure


def _plan(parts: list[RoutePart], sure: bool, message: str, continues: tuple[str, str] | None) -> RoutePlan:
    return RoutePlan(parts[:MAX_PARTS], sure, tuple(p.text for p in parts[MAX_PARTS:]), message, continues)


def _continues(session: Mapping[str, Any]) -> tuple[str, str] | None:
    intent, crew = session.get("last_intent"), session.get("last_crew")
    return (str(intent), str(crew)) if intent and crew else None


# --- cutting a message into requests ------------------------------------------------------------


@dataclass(frozen=True)
class _Piece:
    text: str
    intent: str
    probability: float
    crew_probability: float
    """That the intent's crew is the right one, whatever the intent; the intent's own where no crew serves it."""

    @classmethod
    def of(cls, text: str, ranked: list[tuple[str, float]], intents: Mapping[str, Intent]) -> "_Piece":
        name, probability = ranked[0]
        crew = intents[name].crew
        same = sum(p for other, p in ranked if intents[other].crew == crew) if crew else probability
        return cls(text, name, probability, same)

    @property
    def chatter(self) -> bool:
        return self.intent in (SMALLTALK, UNCLEAR)


def _pieces(text: str, classifier: Classifier) -> list[_Piece]:
    pieces = []
    for sentence in _sentences(text):
        pieces.extend(_cut(sentence, classifier))
    return pieces


def _spoken(text: str) -> list[tuple[int, int]]:
    """What is somebody's words, quoted or dictated: no request begins in it."""
    dictated = _DICTATED.search(text)
    return [
        *(match.span() for match in _QUOTED.finditer(text)),
        *([(dictated.end() - 2, len(text))] if dictated else []),
    ]


def _sentences(text: str) -> list[str]:
    """Sentences and lines that hold at least one letter or digit, in order. Quotes are left whole."""
    quoted = _spoken(text)
    sentences: list[str] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        inside = any(a < match.start() < b for a, b in quoted)
        if inside or _ABBREVIATION.search(text[max(0, match.start() - 8) : match.start()]):
            continue
        sentences.append(text[start : match.end()])
        start = match.end()
    sentences.append(text[start:])
    cleaned = (_BULLET.sub("", s).strip() for s in sentences)
    return [s for s in cleaned if any(c.isalnum() for c in s)]


def _cut(sentence: str, classifier: Classifier) -> list[_Piece]:
    """The sentence in one piece, or cut at conjunctions where each side is a request of its own."""
    lexicon = classifier.lexicon
    joints = _joints(sentence, lexicon)
    if not joints:
        return _classified([sentence], classifier)
    starts = [0, *(right for _, right in joints)]
    ends = [*(left for left, _ in joints), len(sentence)]
    texts = [sentence[a:b].strip(" ,") for a, b in zip(starts, ends, strict=True)]
    atoms = _classified(texts, classifier)
    groups: list[list[int]] = []  # neighbouring atoms that stay together
    for i, atom in enumerate(atoms):
        last = atoms[groups[-1][0]] if groups else None
        own = last is not None and _own_requests(last, atom)
        if last and own and (last.intent != atom.intent or _both_needed(last, atom, lexicon)):
            groups.append([i])
        elif groups:
            groups[-1].append(i)
        else:
            groups.append([i])
    whole = [sentence[starts[g[0]] : ends[g[-1]]].strip() for g in groups]
    return _classified(whole, classifier)


def _classified(texts: list[str], classifier: Classifier) -> list[_Piece]:
    # What is dictated to somebody else does not tell what is wanted of us.
    asked = [text[: found.end()] if (found := _DICTATED.search(text)) else text for text in texts]
    ranked = classifier.classify_all(asked)
    return [_Piece.of(text, r, classifier.intents) for text, r in zip(texts, ranked, strict=True)]


def _joints(sentence: str, lexicon: Lexicon) -> list[tuple[int, int]]:
    """(end of the left side, start of the right side) wherever a second request may begin. At most 8."""
    words = list(re.finditer(r"[\w$%]+(?:-\w+)*", sentence))
    if not words or plain(words[0].group()) in lexicon.conditions:
        return []
    quoted = _spoken(sentence)
    found: list[tuple[int, int]] = []
    for i in range(1, len(words)):
        first = plain(words[i].group())
        two = f"{first} {plain(words[i + 1].group())}" if i + 1 < len(words) else ""
        if lexicon.request_starts.isdisjoint((first, two)) or any(a < words[i].start() < b for a, b in quoted):
            continue
        before = i
        while before > 0 and plain(words[before - 1].group()) in lexicon.joints:
            before -= 1
        comma = "," in sentence[words[i - 1].end() : words[i].start()]
        if before == 0 or (before == i and not comma):
            continue
        found.append((words[before - 1].end(), words[i].start()))
    return found[:8]


def _own_requests(left: _Piece, right: _Piece) -> bool:
    """Whether both sides of a conjunction are clear requests: not "…, pq?", "…, pode fazer", "sim, …", "e ontem, …"."""
    if min(left.probability, right.probability) < _CUT or left.chatter or right.chatter:
        return False
    opening = left.intent in (FOLLOWUP, _ANSWER) and len(left.text.split()) <= 2
    return right.intent not in (FOLLOWUP, _ANSWER) and not opening


def _both_needed(left: _Piece, right: _Piece, lexicon: Lexicon) -> bool:
    """Two requests of one kind stay apart when they are two actions, or name two times."""
    if left.intent in _ACTIONS:
        return True
    return all(any(plain(w) in lexicon.periods for w in re.findall(r"\w+", p.text)) for p in (left, right))


def _merged(pieces: list[_Piece], lexicon: Lexicon) -> list[_Piece]:
    """Greetings fall away beside a request, remarks join the request next to them, twins become one."""
    requests = [p for p in pieces if not p.chatter]
    if not requests:
        return [max(pieces, key=lambda p: p.probability)]
    merged: list[_Piece] = []
    remark = ""
    for piece in requests:
        if any(_squeezed(piece.text) == _squeezed(p.text) for p in merged):
            continue
        words = re.findall(r"\w+", plain(piece.text))
        asks = "?" in piece.text or piece.probability >= SURE or piece.intent == FOLLOWUP
        bare = piece.intent == FOLLOWUP and len(words) <= 2 and lexicon.periods.isdisjoint(words)  # "Por quê?"
        if merged and len(words) <= 2 and any(word.isdigit() for word in words):
            asks = False  # "uns 5", "80 reais": of what was asked for before
        if len(requests) > 1 and (not asks or (bare and merged)):
            if merged:
                merged[-1] = replace(merged[-1], text=f"{merged[-1].text} {piece.text}")
            else:
                remark = f"{remark} {piece.text}".strip()
            continue
        if remark:
            piece, remark = replace(piece, text=f"{remark} {piece.text}"), ""
        last = merged[-1] if merged else None
        if last and last.intent == piece.intent != FOLLOWUP and not _both_needed(last, piece, lexicon):
            surest = max(last, piece, key=lambda p: p.probability)
            merged[-1] = replace(surest, text=f"{last.text} {piece.text}")
        else:
            merged.append(piece)
    if remark:
        first = max(requests, key=lambda p: p.probability)
        merged.append(replace(first, text=remark))
    return merged


# --- a part with its reason ---------------------------------------------------------------------


def _part(
    piece: _Piece, before: RoutePart | None, continues: tuple[str, str] | None, classifier: Classifier
) -> RoutePart:
    intent = classifier.intents[piece.intent]
    if intent.name == FOLLOWUP:
        return _followup(piece.text, piece.probability, "session", before, continues)
    follows = intent.crew is not None and classifier.lexicon.points_back(piece.text)
    why = Why(f"route.why.{intent.name}", {})
    return RoutePart(piece.text, intent.name, intent.crew, piece.probability, why, follows=follows)


def _followup(
    text: str, confidence: float, how: How, before: RoutePart | None, continues: tuple[str, str] | None
) -> RoutePart:
    """It continues the part before it in the message, else the last answer; `unclear` when there is neither."""
    if before and before.crew:
        continues = (before.base or before.intent, before.crew)
    if continues is None:
        return RoutePart(text, UNCLEAR, None, confidence, Why("route.why.nothing_before", {}), how)
    base, crew = continues
    return RoutePart(text, FOLLOWUP, crew, confidence, Why("route.why.followup", {}), how, base, follows=True)


# --- asking a model when unsure -----------------------------------------------------------------


def router_messages(turn: Turn, prompts: Prompts) -> list[dict[str, Any]]:
    """The chat messages that ask a model (role "router") to route the turn; its answer is for `parse_route_answer`."""
    system = prompts.fill(
        "router",
        "pt-BR",
        intents=list(shipped_intents().values()),
        last_intent=turn.session.get("last_intent") or "none",
        last_message=" ".join(str(turn.session.get("last_text") or "").split())[:_LAST],
        max_parts=MAX_PARTS,
    )
    text = turn.text if len(turn.text) <= _HEAD + _TAIL else f"{turn.text[:_HEAD]}\n[…]\n{turn.text[-_TAIL:]}"
    return [{"role": "system", "content": system.text}, {"role": "user", "content": text}]


def parse_route_answer(answer: str, guess: RoutePlan, intents: Mapping[str, Intent] | None = None) -> RoutePlan | None:
    """The plan a model chose for the message of `guess`, None when its answer cannot be used.

    `intents`: the classifier's own, when crews serve others than those that ship.

    A part's text must be the person's own words: what the model made up is replaced by the whole message, because
    crews read amounts and names that the user said from it.
    """
    found = re.search(r"\{.*\}", answer, re.DOTALL)
    try:
        raw = json.loads(found.group() if found else "null")
        chosen = [(str(part["intent"]), str(part.get("text", ""))) for part in raw["parts"]]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    intents = shipped_intents() if intents is None else intents
    if not chosen or any(name not in intents for name, _ in chosen):
        return None
    parts: list[RoutePart] = []
    own_words = _squeezed(guess.message)
    for name, text in chosen:
        own = bool(text.strip()) and _squeezed(text) in own_words
        words = text.strip() if own else guess.message.strip()
        if name == FOLLOWUP:
            part = _followup(words, SURE, "model", parts[-1] if parts else None, guess.continues)
        else:
            part = RoutePart(words, name, intents[name].crew, SURE, Why(f"route.why.{name}", {}), "model")
        if (part.intent, part.text) not in [(p.intent, p.text) for p in parts]:
            parts.append(part)
    return _plan(parts, True, guess.message, guess.continues)


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().casefold()
