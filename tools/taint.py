"""Where an argument of a change comes from: the user's own words, or data that somebody else may have written.

Names of ads, cells of a file and messages of contacts are data. A change whose target was found there and not named
by the user is still proposed (a person must say yes to it anyway), but the proposal says so.
"""

import re
from collections.abc import Iterator
from typing import Any

from core.turn import Turn
from core.words import ORDINALS, folded
from tools.spec import ToolArgs

Warning_ = tuple[str, dict[str, Any]]
"""A text's key and its parameters, as in business/approvals/model.py Preview.warnings."""

_NOT_TARGETS = frozenset({"reason", "account", "text"})
"""`reason` is the model's own sentence: evidence, not an order. `account` only says where the target is looked for.
`text` is what would be written or said: whoever approves reads all of it."""
_POINTS = re.compile(
    r"\b(?:el[ae]s?|ess[ae]s?|est[ae]s?|dess[ae]s?|dest[ae]s?|isso|isto|del[ae]s?|it|them|this|that|these|those"
    r"|es[ae]|es[ao]s|primeir[ao]s?|segund[ao]s?|terceir[ao]s?|quart[ao]s?|quint[ao]s?|ultim[ao]s?"
    r"|sext[ao]|setim[ao]|oitav[ao]|non[ao]|decim[ao]"
    r"|first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last one"
    r"|primer[ao]?|tercer[ao]?|cuart[ao]|septim[ao]|octav[ao]|noven[ao]|\d[ao])\b"
    # Not where they tell a time: "essa semana", "últimos 7 dias", "this month", "segunda-feira".
    r"(?! (?:\d+ |\w+ )?(?:dias?|semanas?|mes(?:es)?|anos?|horas?|trimestre|ano|days?|weeks?|months?|years?|quarter"
    r"|feira|manha|tarde|noite|fim|final|periodo|period|morning|evening)\b)"
)
"""Words that point at something shown before: "pausa ela", "a segunda"."""
_BEST = re.compile(
    r"\b(?:melhores|mejores|best|top|qualificad[ao]s|qualified|[ck]alificad[ao]s|cualificad[ao]s|primeir[ao]s|primer[ao]s"
    r"|tod[ao]s)\b"
)
"""Words that leave the choice to our ranking: "fale com os melhores"."""
_ONE = re.compile(
    r"\b(?:el[ae]|ess[ae]|est[ae]|dess[ae]|dest[ae]|isso|isto|del[ae]|nel[ae]|ness[ae]|it|him|her|them|this|that"
    r"|es[ae]|eso|esto|l[ae])\b"
)
"""Words for what was spoken of last."""
_WHOLE_LIST = re.compile(
    r"\b(?:tod[ao]s|el[ae]s|ess[ae]s|est[ae]s|dess[ae]s|del[ae]s|ambas|ambos|as duas|os dois|all|both|these|those"
    r"|es[ao]s|las dos|los dos)\b"
)
"""Words for the whole of the last list."""
_YES = re.compile(
    r"^\W*(?:sim|pode(?: sim| fazer)?|isso|confirmo|confirmado|faz|faca|yes|yep|go ahead|si|dale|confirmed)\W*$"
)
OTHERS = frozenset({"file", "web", "contact"})
"""Origins of results in which somebody else may have written what should be done."""
_WORDS = frozenset({"text", "last_words", "summary"})
"""Fields of results that hold what was written: whoever is named there is not the row."""
_BEST_ONE = re.compile(r"\b(?:melhor|pior|mejor|peor|best|worst)\b")
_LAST_ONE = re.compile(r"\b(?:ultim[ao]|last(?: one)?)\b")
_COMMON = frozenset(
    re.findall(
        r"\w+",
        "campanha campanhas campaign campaigns campana campanas anuncio anuncios conjunto conjuntos adset criativo"
        " creative para from with",
    )
)


def argument_warnings(turn: Turn, args: ToolArgs) -> list[Warning_]:
    """One warning for each named thing in `args` that the user did not name, with where it was found.

    Through MCP there is no user's text to compare with: the client's argument is what was asked.
    """
    if turn.door == "mcp" and not turn.text:
        return []
    warnings: list[Warning_] = []
    for name, value in args.model_dump(mode="json", exclude_unset=True).items():
        schema = type(args).model_fields[name].annotation
        # Amounts have a check of their own (tools/amounts.py).
        if name in _NOT_TARGETS or any(t in str(schema) for t in ("Literal", "Decimal")):
            continue
        for one in value if isinstance(value, list) and name in args.targets else [value]:
            if not isinstance(one, str):
                continue
            origin = "user" if name in args.targets and _chosen(turn, one) else origin_of(turn, one)
            if origin != "user":
                key = "proposal.warning.from_" + (origin or "nowhere").replace(" ", "_")
                warnings.append((key, {"value": _name_of(turn, one)}))
    return warnings


def named_by_others(turn: Turn, args: ToolArgs, *, each: bool = False) -> str | None:
    """The first thing that a draft would be done to and that was not the user's choice; None when all are.

    The user's choice is what they named or pointed at: "a terceira" is the third row of the last list and no other,
    "ela" what was spoken of last, "todas" or a yes the whole list. Whatever else stands in a result is not, for others
    may have written there what should be done.

    `each`: one by one, as for what goes out to people. "The best" and "all" are nobody then, and once something of
    others was read in this turn only this turn's own words and the places of earlier lists count.
    """
    if turn.door == "mcp" and not turn.text:
        return None
    for name in args.targets:
        given = getattr(args, name)
        for value in given if isinstance(given, list) else [given]:
            if value is not None and not _chosen(turn, str(value), each=each):
                return _name_of(turn, str(value))
    return None


def said_by_user(turn: Turn, words: str) -> bool:
    """Whether the user wrote these words in this conversation, as far as it is remembered. Through MCP there is no
    user's text: the client speaks for them."""
    if turn.door == "mcp" and not turn.text:
        return True
    earlier = [text for role, text in turn.session.get("history", []) if role == "user"]
    return _said_by_user(turn, words) or any(_stands_in(words, text) for text in earlier)


def _chosen(turn: Turn, value: str, *, each: bool = False) -> bool:
    read = any(record.origin in OTHERS and record.result is not None for record in turn.results)
    now = read and each
    earlier = [] if read else [text for role, text in turn.session.get("history", []) if role == "user"]
    if _said_by_user(turn, value, now=now) or any(_stands_in(value, text) for text in earlier):
        return True
    text = folded(turn.text)
    if value.isdigit() and int(value) in {ORDINALS[word] for word in text.split() if word in ORDINALS}:
        return True  # beyond the end of the list, too: then the tool says how far it goes
    found = [owner for record in turn.results for owner in _owners(record.result, value)]
    shown = _owners(_shown(turn), value)
    listed = [one for one in [*found, *shown] if "n" in one]
    if listed and not each and (_BEST.search(text) or _BEST_ONE.search(text)):
        return True
    if _LAST_ONE.search(text) and any(one["n"] == _last_number(turn) for one in listed):
        return True
    if any(_by_place(turn, one) for one in (shown if now else [*found, *shown])):
        return True
    if any(_named_by_user(turn, str(one.get("name") or ""), now=now) for one in [*found, *shown]):
        return True
    if any(
        _named_by_user(turn, str(one.get("detail") or ""), now=now) for one in shown
    ):  # "a de Campinas", of those to choose from
        return True
    focus = turn.session.get("focus") or {}
    alone = len(turn.session.get("entities") or []) == 1
    spoken_of = [one for one in _owners([focus], value) or (shown if alone else [])]
    whole = _YES.search(text) or (not each and _WHOLE_LIST.search(text))
    return bool((shown and whole) or (spoken_of and _ONE.search(text)))


def _last_number(turn: Turn) -> int:
    """Under which number the last row of what was shown stands; 0 without any."""
    rows = [*(turn.session.get("entities") or [])]
    return max((row["n"] for row in rows if isinstance(row.get("n"), int)), default=0)


def origin_of(turn: Turn, value: str) -> str | None:
    """`user`, the origin of the tool result that holds the value, or None when it stands nowhere.

    An id counts as the user's when they wrote a word of the name it belongs to, or point at what was shown before.
    """
    if _said_by_user(turn, value):
        return "user"
    found: str | None = None
    for record in turn.results:
        for owner in _owners(record.result, value):
            ranked = "n" in owner and "score" in owner and _BEST.search(folded(turn.text))
            if ranked or _by_place(turn, owner) or _named_by_user(turn, str(owner.get("name") or "")):
                return "user"
            found = record.origin
    for owner in _owners(_shown(turn), value):
        pointed = _by_place(turn, owner) or _POINTS.search(folded(turn.text))
        if pointed or _named_by_user(turn, str(owner.get("name") or "")):
            return "user"
        found = found or "account data"
    return found


def _shown(turn: Turn) -> list[Any]:
    """What was shown before: the rows of the last answer, and what it asked to choose from."""
    session = turn.session
    asked = session.get("open") or {}
    return [session.get("entities") or [], session.get("found") or [], asked.get("candidates") or []]


def _by_place(turn: Turn, owner: dict[str, Any]) -> bool:
    """Whether the user wrote the number under which it stood in a list: "rejeita a 5", "a terceira"."""
    if "n" not in owner:
        return False
    number = owner["n"]
    ways = [rf"{number}[ao]?", *(word for word, place in ORDINALS.items() if place == number)]
    return re.search(rf"(?<!\w)(?:{'|'.join(ways)})(?!\w)", folded(turn.text)) is not None


def _named_by_user(turn: Turn, name: str, *, now: bool = False) -> bool:
    """The whole name, or a word of it that is not common to all of them."""
    words = [word for word in folded(name).split() if len(word) >= 4 and word not in _COMMON]
    return any(_said_by_user(turn, one, now=now) for one in (name, *words))


def _name_of(turn: Turn, value: str) -> str:
    """The name that belongs to an id, where it was seen; else the value itself."""
    for seen in (*(record.result for record in turn.results), _shown(turn)):
        for owner in _owners(seen, value):
            if owner.get("name"):
                return str(owner["name"])
    return value


def _said_by_user(turn: Turn, value: str, *, now: bool = False) -> bool:
    """In this message, or (unless `now`) in the one before it."""
    before = "" if now else str(turn.session.get("last_text") or "")
    return any(_stands_in(value, text) for text in (turn.text, before))


def _stands_in(value: str, text: str) -> bool:
    wanted = folded(value)
    return bool(wanted) and re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", folded(text)) is not None


def _owners(data: Any, value: str) -> list[dict[str, Any]]:
    """The innermost objects in a result that hold `value` as one of their own texts, or stand at that place of a
    list."""
    return list(_holders(data, folded(value)))


def _holders(data: Any, wanted: str) -> Iterator[dict[str, Any]]:
    if isinstance(data, dict):
        by_place = wanted.isdigit() and data.get("n") == int(wanted)
        own = [inner for name, inner in data.items() if isinstance(inner, str) and name not in _WORDS]
        if by_place or any(folded(inner) == wanted for inner in own):
            yield data
        for inner in data.values():
            if isinstance(inner, dict | list):
                yield from _holders(inner, wanted)
    elif isinstance(data, list):
        for inner in data:
            yield from _holders(inner, wanted)
