"""Checks of what goes out, pure functions: every number traces to a tool result, no secret leaves.

A number in a reply is traceable when a value of the tool results, or a number the person said, rounds to it at the
precision shown: "R$ 1,2 mil" to 1234.56, "12,3%" to 12.34 or to 0.1234. A model's own arithmetic is not: differences
and changes come from tools. Dates must lie in a window of the results. List numbers, ordinals and times are not
numbers in this sense.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import combinations
from typing import Any

from core import formats
from core.telemetry import holds_token

# --- numbers as people write them ---------------------------------------------------------------

_GROUP_MARK = {"pt-BR": ".", "es": ".", "en": ","}

# Words and letters that multiply the number before them. "mi" is Portuguese only (Spanish: "my").
_SCALES: dict[str, Decimal] = {
    word: Decimal(10) ** power
    for power, words in {
        3: "k mil thousand",
        6: "m mm mi mio milhao milhão milhoes milhões millon millón millones million millions",
        9: "b bi bilhao bilhão bilhoes bilhões billion billions",
    }.items()
    for word in words.split()
}

_DIGITS = r"\d+(?:[.,\u00a0\u202f]\d+)*"
_MONTH = (
    r"(?:jan(?:uary|eiro)?|ene(?:ro)?|feb(?:ruary|rero)?|fev(?:ereiro)?|mar(?:ch|[cç]o|zo)?|apr(?:il)?|abr(?:il)?|mayo?"
    r"|maio?|jun(?:e|h?io|ho)?|jul(?:y|io|ho)?|aug(?:ust)?|ago(?:sto)?|sept?(?:ember|iembre)?|set(?:embro|iembre)?"
    r"|oct(?:ober|ubre)?|out(?:ubro)?|nov(?:ember|embro|iembre)?|dec(?:ember)?|dez(?:embro)?|dic(?:iembre)?)\b\.?"
)
_TOKEN = re.compile(
    # What begins with a letter and what begins with a digit are told apart first: it halves the time.
    r"(?=[hw])(?P<url>https?://\S+|\bwww\.\S+)"
    rf"|(?=[^\W\d])(?P<month_first>\b(?P<m2>{_MONTH})\s(?P<d3>\d{{1,2}})(?:st|nd|rd|th)?(?!\d)"
    r"(?:\s?(?:to|and|-|–|—)\s?(?P<d4>\d{1,2})(?!\d))?(?:,?\s(?P<y2>\d{4}))?)"
    r"|(?=\d)(?:"
    r"(?P<iso>\b\d{4}-\d{2}-\d{2}(?:T[\d:.+Z-]+)?)"
    r"|(?P<slashed>(?<![\w/])\d{1,2}/\d{1,2}(?:/\d{4}|/\d{2})?(?![\w/]))"
    r"|(?P<time>(?<!\w)\d{1,2}(?:(?::\d{2}){1,2}(?:\s?[ap]\.?m\b)?|\s?h(?:\d{2})?\b|\s?[ap]m\b))"
    rf"|(?P<day_first>(?<!\w)(?P<d1>\d{{1,2}})(?:º|st|nd|rd|th)?(?:\s?(?:a|al|e|y|to|and|-|–|—)\s?(?P<d2>\d{{1,2}}))?"
    rf"\s(?:de\s|of\s)?(?P<m1>{_MONTH})(?:,?\s(?:de\s)?(?P<y1>\d{{4}}))?)"
    r"|(?P<ordinal>(?<!\w)\d{1,3}(?:\.?[ºª°]|st\b|nd\b|rd\b|th\b|[oa]\b)))"
    r"|(?=[\d+\-−$€£¥\\A-Z])(?P<number>(?<![\w.,])(?P<sign>[+\-−])?"
    r"(?:(?P<currency>(?-i:[A-Z]{0,3})\\?[$€£¥]|(?-i:[A-Z]{3}))\s?)?"
    rf"(?P<sign_inside>[+\-−])?(?P<digits>{_DIGITS})"
    r"(?:(?P<percent>\s?%|\s?p\.?p\.?(?![a-z])|\s(?:por\s?cento|percent|por\s?ciento)\b)"
    r"|\s?(?P<scale>mil|thousand|mio?|milh[ãa]o|milh[õo]es|mill[óo]n|millones|millions?|bi|bilh[ãa]o|bilh[õo]es|billions?)\b"
    r"|(?P<letter>[kKmMbB]{1,2})\b)?)",
    re.IGNORECASE,
)
_LIST_NUMBER = re.compile(r"^[\s>*_#-]*\d{1,3}(?:[.)]|\.\))(?=[\s*_])|^\s*\|\s*#?\d{1,3}\s*(?=\|)", re.MULTILINE)
_RANK = re.compile(r"(?:#|\bn[.º°]{1,2}\s?)\d{1,3}\b")
_DAY_WORD = re.compile(r"\b(?:dias?|d[íi]as?|days?)\s$", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
_PLAIN_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?")
_TELEPHONE = re.compile(r"\+?[\d ().-]{10,20}")
_ISO_DATE = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})(?!\d)")
_ATTRIBUTION = re.compile(r"(\d{1,2})d_(?:click|view|engaged)")

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            ("jan", "ene"),
            ("feb", "fev"),
            ("mar",),
            ("apr", "abr"),
            ("may", "mai"),
            ("jun",),
            ("jul",),
            ("aug", "ago"),
            ("sep", "set"),
            ("oct", "out"),
            ("nov",),
            ("dec", "dez", "dic"),
        ),
        start=1,
    )
    for name in names
}


@dataclass(frozen=True)
class _Shown:
    """A number as written: its value and half of the last place shown."""

    value: Decimal
    half: Decimal


def _read(digits: str, language: str) -> list[_Shown]:
    """The number that `digits` write in a language; several when it is a list such as "1,2,3"."""
    digits = digits.replace("\u00a0", ".").replace("\u202f", ".") if "," in digits else digits
    digits = re.sub("[\u00a0\u202f]", "", digits)
    marks = [c for c in digits if c in ".,"]
    if not marks:
        return [_Shown(Decimal(digits), Decimal("0.5"))]
    last = marks[-1]
    head, _, tail = digits.rpartition(last)
    groups = re.split("[.,]", head)
    grouped = all(len(g) == 3 for g in groups[1:]) and 1 <= len(groups[0]) <= 3
    if len(set(marks)) == 2 and marks.count(last) == 1 and grouped:
        return [_decimal("".join(groups), tail)]
    if len(marks) > 1:
        if len(set(marks)) == 1 and grouped and len(tail) == 3:
            return [_Shown(Decimal("".join([*groups, tail])), Decimal("0.5"))]
        return [_Shown(Decimal(part), Decimal("0.5")) for part in re.split("[.,]", digits)]
    if len(tail) == 3 and last == _GROUP_MARK.get(language, ".") and grouped and groups[0].lstrip("0"):
        return [_Shown(Decimal(groups[0] + tail), Decimal("0.5"))]
    return [_decimal(head, tail)]


def _decimal(whole: str, fraction: str) -> _Shown:
    return _Shown(Decimal(f"{whole}.{fraction}"), Decimal(5).scaleb(-len(fraction) - 1))


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


# --- what is known ------------------------------------------------------------------------------


_FRACTION_KEY = re.compile(r"(?:^|_)(?:fraction|share|rate|ratio)$")
_CHANGE_KEY = re.compile(r"(?:^|_)(?:change|delta|variation)(?:_|$)")


@dataclass
class KnownNumbers:
    """An index of every value that a reply may state, built once for many checks. All lists are sorted.

    Values stand under their absolute value, by what they may be said with: `positive` and `negative` values,
    `rises` and `falls` (changes, which stand under a key such as "change"), and fractions as percent.
    """

    positive: list[Decimal] = field(default_factory=list)
    negative: list[Decimal] = field(default_factory=list)
    rises: list[Decimal] = field(default_factory=list)
    falls: list[Decimal] = field(default_factory=list)
    hundredfold: list[Decimal] = field(default_factory=list)
    """"12,3%" from a fraction of 0.123: values outside data, or under a key such as "share"."""
    names: list[str] = field(default_factory=list)
    """Strings of the results that hold digits ("Vídeo 02"), in lower case, the longest first."""
    days: set[date] = field(default_factory=set)
    said_days: set[tuple[int, int]] = field(default_factory=set)
    """(day, month) that a text named."""

    @classmethod
    def of(cls, facts: Iterable[Any], language: str) -> "KnownNumbers":
        """From results as plain data (nested dicts and lists) and texts (the person's words, earlier messages).

        A string that is not inside a dict is a text: the numbers written in it count. Inside a dict a string is a
        number ("1234.56"), a day, or a name whose digits count only where the name stands.
        """
        known = cls()
        for fact in facts:
            known._gather(fact, language, None)
        for values in (known.positive, known.negative, known.rises, known.falls, known.hundredfold):
            values.sort()
        known.names = sorted(set(known.names), key=len, reverse=True)
        return known

    def _add(self, value: Decimal, key: str | None) -> None:
        """`key`: under which the value stands in the data, None for one outside of it."""
        if not value.is_finite():
            return
        if key is not None and _CHANGE_KEY.search(key):
            (self.rises if value >= 0 else self.falls).append(abs(value))
        else:
            (self.positive if value >= 0 else self.negative).append(abs(value))
        if abs(value) <= 20 and value != value.to_integral_value() and (key is None or _FRACTION_KEY.search(key)):
            self.hundredfold.append(abs(value) * 100)

    def _gather(self, fact: Any, language: str, key: str | None) -> None:
        match fact:
            case None | bool():
                pass
            case int() | float() | Decimal():
                self._add(Decimal(str(fact)), key)
            case date():
                self.days.update(_days_of(fact))
            case str():
                self._gather_text(fact, language, key)
            case Mapping():
                own: list[date] = []
                for name, value in fact.items():
                    self._gather_text(str(name), language, "")
                    own.extend(_days_of(value))
                    below = f"{key}_{name}" if key and _CHANGE_KEY.search(key) else str(name)
                    self._gather(value, language, below)
                if 2 <= len(own) <= 6:  # since and until: how many days that is may be said
                    for span in {abs((a - b).days) for a, b in combinations(own, 2)}:
                        self._add(Decimal(span + 1), "")
            case list() | tuple() | set() | frozenset():
                if key is not None:
                    self._add(Decimal(len(fact)), "")
                for item in fact:
                    self._gather(item, language, key)
            case _:
                pass

    def _gather_text(self, text: str, language: str, key: str | None) -> None:
        if not _DIGIT.search(text):
            return
        if key is not None and _TELEPHONE.fullmatch(text):  # people write it in another form than a source does
            self.names.append(formats.phone(text))
        if len(text) < 40 and _PLAIN_NUMBER.fullmatch(text):
            self._add(Decimal(text), key)
            if key is not None:
                return
        for found in _ISO_DATE.finditer(text):
            if day := _day(*(int(part) for part in found.groups())):
                self.days.add(day)
        for found in _ATTRIBUTION.finditer(text):
            self._add(Decimal(found[1]), "")
        if key is not None:
            if not _ISO_DATE.match(text) or len(text) > 35:
                self.names.append(text.lower())
            return
        for found in _TOKEN.finditer(text):
            if found["digits"]:
                scale = _scale(found)
                bare = found["digits"] if len(found["digits"]) <= 2 and found["digits"].isdigit() else ""
                if bare and _DAY_WORD.search(text[: found.start("digits")][-8:]):
                    self.said_days.add((int(bare), 0))  # "dia 10", of whatever month
                for reading in {language, "en", "pt-BR"}:  # the person may have written in another style before
                    for shown in _read(found["digits"], reading):
                        self._add(shown.value * scale, "")
            elif found["slashed"]:
                first, second = (int(p) for p in found["slashed"].split("/")[:2])
                self.said_days |= {(first, second), (second, first)}
            elif month := found["m1"] or found["m2"]:
                for day_text in (found["d1"], found["d2"], found["d3"], found["d4"]):
                    if day_text:
                        self.said_days.add((int(day_text), _MONTHS[month[:3].lower()]))
            elif found["ordinal"]:
                self._add(Decimal(re.sub(r"\D", "", found["ordinal"])), "")

    # --- questions --------------------------------------------------------------------------

    def has(self, shown: _Shown, scale: Decimal = Decimal(1), sign: str = "", percent: bool = False) -> bool:
        """Whether a known value rounds to what is shown. `sign` is "+", "-", "rise", "fall" or empty (either way)."""
        value, half = shown.value * scale, shown.half * scale
        lists = {
            "+": [self.positive, self.rises],
            "-": [self.negative, self.falls],
            "rise": [self.positive, self.rises],
            "fall": [self.positive, self.negative, self.falls],  # a drop may be told as a magnitude
            "": [self.positive, self.negative, self.rises, self.falls],
        }[sign]
        if percent:
            lists.append(self.hundredfold)
        return any(_near(values, value, half) for values in lists)

    def has_day(self, day: int, month: int, year: int | None) -> bool:
        """Whether the date lies between the oldest and the newest day of the results, or was said."""
        if (day, month) in self.said_days:
            return True
        if not self.days:
            return False
        first, last = min(self.days), max(self.days)
        years = [year] if year is not None else range(first.year, last.year + 1)
        return any((d := _day(y, month, day)) is not None and first <= d <= last for y in years)

    def has_day_of_month(self, day: int) -> bool:
        if any(day == said for said, _ in self.said_days):
            return True
        if not self.days:
            return False
        first, last = min(self.days), max(self.days)
        return (last - first).days >= 31 or any(
            first <= d <= last
            for year in range(first.year, last.year + 1)
            for month in range(1, 13)
            if (d := _day(year, month, day))
        )


def _days_of(value: Any) -> list[date]:
    """The day that a value of the results is, if it is one."""
    if isinstance(value, datetime):
        return [value.date()]
    if isinstance(value, date):
        return [value]
    found = _ISO_DATE.match(value) if isinstance(value, str) and len(value) < 40 else None
    day = _day(*(int(part) for part in found.groups())) if found else None
    return [day] if day else []


def _near(ordered: list[Decimal], value: Decimal, half: Decimal) -> bool:
    at = bisect_left(ordered, value - half)
    return at < len(ordered) and ordered[at] <= value + half


def _scale(found: re.Match[str]) -> Decimal:
    return _SCALES.get((found["scale"] or found["letter"] or "").lower(), Decimal(1))


# --- the check ----------------------------------------------------------------------------------


def untraceable_numbers(text: str, facts: Iterable[Any] | KnownNumbers, language: str) -> list[str]:
    """The numbers of `text`, as written, that no fact accounts for; empty when the text may leave.

    `facts`: what KnownNumbers.of takes, or the index itself when several texts are checked against one set.
    """
    known = facts if isinstance(facts, KnownNumbers) else KnownNumbers.of(facts, language)
    if not any(c.isdigit() for c in text):
        return []
    masked = _without_names(text, known.names)
    for pattern in (_LIST_NUMBER, _RANK):
        masked = pattern.sub(lambda m: " " * len(m[0]), masked)
    return [
        text[found.start() : found.end()].strip(" .")
        for found in _TOKEN.finditer(masked)
        if not _traceable(found, masked, known, language)
    ]


def _without_names(text: str, names: Sequence[str]) -> str:
    """The text with every known name blanked out, so that digits in names count only there."""
    lowered = text.lower()
    if len(lowered) != len(text):
        lowered = text
    for name in names:
        start = lowered.find(name)
        while start >= 0:
            end = start + len(name)
            if not (lowered[start - 1 : start].isalnum() or lowered[end : end + 1].isalnum()):
                text = f"{text[:start]}{' ' * len(name)}{text[end:]}"
                lowered = f"{lowered[:start]}{' ' * len(name)}{lowered[end:]}"
            start = lowered.find(name, end)
    return text


def _traceable(found: re.Match[str], text: str, known: KnownNumbers, language: str) -> bool:
    if found["url"] or found["time"] or found["ordinal"]:
        return True
    if found["iso"]:
        year, month, day = (int(p) for p in found["iso"][:10].split("-"))
        return known.has_day(day, month, year)
    if found["slashed"]:
        return _slashed(found["slashed"], known, language)
    if month_name := found["m1"] or found["m2"]:
        days = [int(d) for d in (found["d1"], found["d2"], found["d3"], found["d4"]) if d]
        year_text = found["y1"] or found["y2"]
        number = _MONTHS[month_name[:3].lower()]
        return all(known.has_day(day, number, int(year_text) if year_text else None) for day in days)
    return _number(found, text, known, language)


def _slashed(written: str, known: KnownNumbers, language: str) -> bool:
    """20/11/2026, 20/11; in English also 11/20. What is no date, such as "2/5", is two numbers."""
    parts = [int(p) for p in written.split("/")]
    year = None if len(parts) == 2 else parts[2] if parts[2] > 99 else 2000 + parts[2]
    orders = [(parts[0], parts[1])] + ([(parts[1], parts[0])] if language == "en" else [])
    if any(known.has_day(day, month, year) for day, month in orders):
        return True
    return year is None and all(known.has(_Shown(Decimal(p), Decimal("0.5"))) for p in parts)


def _number(found: re.Match[str], text: str, known: KnownNumbers, language: str) -> bool:
    digits = found["digits"]
    sign = "-" if "−" in (found["sign"], found["sign_inside"]) else found["sign"] or found["sign_inside"] or ""
    bare = not (sign or found["currency"] or found["percent"] or found["scale"] or found["letter"])
    if bare and len(digits) == 4 and digits.isdigit() and 1990 <= int(digits) <= 2100:
        years = {day.year for day in known.days}
        if not years or min(years) - 1 <= int(digits) <= max(years) + 1:
            return True
    if bare and len(digits) <= 2 and digits.isdigit() and _DAY_WORD.search(text[: found.start("digits")][-8:]):
        return known.has_day_of_month(int(digits))
    percent, scale = bool(found["percent"]), _scale(found)
    if percent and not sign:
        sign = _direction(text[max(0, found.start() - 30) : found.start()], text[found.end() : found.end() + 14])
    readings = _read(digits, language)
    if bare and digits.strip("0") == "":  # a count of nothing must be a nothing that was measured
        return known.has(_Shown(Decimal(0), Decimal(0)))
    if all(known.has(shown, scale, sign, percent) for shown in readings):
        return True
    # A part of a known name: "Vídeo 02" of "CA | Vídeo 02 | frio".
    before = re.search(r"([^\W\d_]+[\s\-_]?)$", text[: found.start("digits")][-40:].lower())
    return bool(bare and before and any(f"{before[1]}{digits}" in name for name in known.names))


_RISE = (
    r"subi[uó]|subiram|subieron|aument(?:ou|aram|ó|aron)|cresce(?:u|ram)|creci(?:ó|eron)|alta de|increased|rose|grew|up"
)
_FALL = (
    r"ca(?:iu|íram|yó|yeron)|diminu(?:iu|íram)|disminuy(?:ó|eron)|baj(?:ó|aron)|recuou|queda de|caída de|decreased"
    r"|dropped|fell|down"
)
_BEFORE = re.compile(rf"\b(?:(?P<rise>{_RISE})|(?P<fall>{_FALL}))\b(?=[^.;:!?\n,]*$)", re.IGNORECASE)
_AFTER = re.compile(
    r"^\s(?:(?P<rise>a mais|maior|acima|higher|more|above|más|mayor|increase)"
    r"|(?P<fall>a menos|menor|abaixo|lower|less|fewer|below|menos|decrease))\b",
    re.IGNORECASE,
)


def _direction(before: str, after: str) -> str:
    """ "rise" or "fall" when the words next to a percentage say so, else empty."""
    found = _AFTER.search(after)
    if not found:
        for found in _BEFORE.finditer(before):  # noqa: B007  the last one counts
            pass
    if not found:
        return ""
    return "rise" if found["rise"] else "fall"


# --- streamed text ------------------------------------------------------------------------------

_ABBREVIATION_WORDS = """
    ltda sr sra srta dr dra prof av r ex exmo obs vs etc aprox máx max mín min méd med tel pág pag p pp n nº art inc co
    corp mr mrs ms jr st approx no e.g i.e eg ie a.m p.m ud uds s.a s.p p.ej ej núm num
    jan fev mar abr mai jun jul ago set out nov dez feb apr aug sep sept oct dec ene dic
"""
_ABBREVIATIONS = frozenset(_ABBREVIATION_WORDS.split())
_SENTENCE_END = re.compile(r"\n|[.!?…]+[\"”»')\]*_]*(?=\s)")


# What a number, an amount or a date may begin with: held until the next word shows that none follows.
_OPENS_A_NUMBER = re.compile(rf"[^\w]*(?:[A-Z]{{3}}|(?i:{_MONTH}))[^\w]*|\W+|.*[$€£¥+\-−#(\[*]")
_KEPT_WORDS = 4  # words of a long secret in a row after which nothing more goes ahead; so three of them may leave


class SentenceGate:
    """Lets streamed text through: words as they come, and from the first digit of a sentence on only the whole of it,
    when all its numbers trace.

    `feed` and `finish` return the pieces to show, in order; None takes back all that was shown so far (as in
    llm/messages.py OnText), and what stands follows it anew. A sentence with a number that does not trace is left out,
    the words of it that had gone ahead are taken back, and `blocked` says which numbers. After a secret nothing more
    comes (`leaked`). However the text is cut into pieces, what is shown in the end is `released`.
    """

    def __init__(self, facts: Callable[[], Sequence[Any]], language: str, secrets: Sequence[str] = ()) -> None:
        """`facts` is called when a sentence is checked: results may arrive while text does. They may only grow."""
        self._facts = facts
        self._language = language
        self._secrets = secrets
        self._known: tuple[int, KnownNumbers] | None = None
        self.reset()

    def reset(self) -> None:
        """Forget everything that was fed, for another attempt."""
        self.blocked: list[str] = []
        self.leaked = False
        self.released = ""
        """The sentences that stand."""
        self._waiting = ""
        self._ahead = 0  # characters of `_waiting` that have been shown

    def feed(self, chunk: str) -> list[str | None]:
        """Take a piece of text; return what is to be shown of it."""
        self._waiting += chunk
        return self._release(final=False)

    def finish(self) -> list[str | None]:
        """The text is over: return the rest, when it may be shown."""
        return self._release(final=True)

    def _release(self, *, final: bool) -> list[str | None]:
        shown: list[str | None] = []
        new = ""
        while not self.leaked and (end := sentence_end(self._waiting, final=final)):
            sentence, self._waiting = self._waiting[:end], self._waiting[end:]
            ahead, self._ahead = self._ahead, 0
            wrong = self._wrong_with(sentence)
            self.blocked += wrong
            if not wrong:
                new += sentence[ahead:]
                self.released += sentence
            elif ahead:
                shown, new = [None], self.released
        if not self.leaked and (ahead := self._may_go_ahead()) > self._ahead:
            new += self._waiting[self._ahead : ahead]
            self._ahead = ahead
        return [*shown, new] if new else shown

    def _may_go_ahead(self) -> int:
        """How much of the unfinished sentence may be shown: whole words before the first digit, without what a number
        or a secret may begin with."""
        text = self._waiting
        digit = _DIGIT.search(text, self._ahead)
        end = digit.start() if digit else len(text)
        while end > self._ahead and not text[end - 1].isspace():
            end -= 1
        while words := text[self._ahead : end].rstrip():
            last = words.rsplit(None, 1)[-1]
            if not _OPENS_A_NUMBER.fullmatch(last):
                break
            end = self._ahead + len(words) - len(last)
        before = (self.released[-200:] + text[: self._ahead])[-200:]  # what is on the screen may be its beginning
        if end <= self._ahead or _may_begin_a_secret(before + text[self._ahead : end], self._secrets):
            return self._ahead
        return end

    def _wrong_with(self, sentence: str) -> list[str]:
        if leaks(self.released[-500:] + sentence, self._secrets):
            self.leaked = True
            return ["***"]
        if not any(c.isdigit() for c in sentence):
            return []
        facts = self._facts()
        if self._known is None or self._known[0] != len(facts):
            self._known = (len(facts), KnownNumbers.of(facts, self._language))
        return untraceable_numbers(sentence, self._known[1], self._language)


def sentence_end(text: str, *, final: bool = False) -> int:
    """Where the first complete sentence or line of `text` ends (with the space after it), 0 while there is none.

    Never inside "R$ 1.234,56", "3.5%", "Ltda.", "1. " at the start of a line, or an address.
    """
    for found in _SENTENCE_END.finditer(text):
        if found[0] == "\n":
            return found.end()
        rest = text[found.end() :]
        after = rest.lstrip(" \t\u00a0")
        if not after:
            break  # what follows decides, and has not come yet
        line = text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
        if found[0].startswith(".") and (_goes_on(line) or after[0].islower()):
            continue
        return found.end() + len(rest) - len(after) + (1 if after[0] == "\n" else 0)
    return len(text) if final else 0


def _goes_on(line: str) -> bool:
    """Whether a dot after this beginning of a line is no end: a list number, an abbreviation, an initial."""
    if re.fullmatch(r"[\s>*_#|-]*\d{1,3}", line):
        return True
    word = re.search(r"[\w.º]+$", line)
    return bool(word) and (word[0].lower() in _ABBREVIATIONS or (len(word[0]) == 1 and word[0].isupper()))  # type: ignore[index]


# --- secrets ------------------------------------------------------------------------------------

_RUN = 8  # words of a long secret in a row that give it away


def leaks(text: str, secrets: Sequence[str]) -> bool:
    """Whether `text` holds a credential, one of the `secrets`, or eight words in a row of a long one (a prompt)."""
    if holds_token(text):
        return True
    words = re.findall(r"\w+", text.casefold())
    squeezed = " ".join(words)
    runs = set(_runs(words, _RUN))
    for secret in secrets:
        parts, secret_runs = _taken_apart(secret)
        if len(parts) <= _RUN:
            if len(secret) >= 6 and (secret in text or (len(parts) > 2 and " ".join(parts) in squeezed)):
                return True
        elif not secret_runs.isdisjoint(runs):
            return True
    return False


def _may_begin_a_secret(text: str, secrets: Sequence[str]) -> bool:
    """Whether `text` holds a credential, four words in a row of a long secret, or the first word of a short one."""
    if holds_token(text):
        return True
    words = re.findall(r"\w+", text.casefold())
    runs = set(_runs(words, _KEPT_WORDS))
    for secret in secrets:
        parts = _taken_apart(secret)[0]
        begins = parts[:1] if len(parts) <= _RUN else None
        if begins is None and not _beginnings(secret).isdisjoint(runs):
            return True
        if begins and begins[0] in words:
            return True
    return False


# The secrets are the prompts of the crews: every sentence is compared with them.


@lru_cache(maxsize=64)
def _taken_apart(secret: str) -> tuple[list[str], frozenset[tuple[str, ...]]]:
    parts = re.findall(r"\w+", secret.casefold())
    return parts, frozenset(_runs(parts, _RUN))


@lru_cache(maxsize=64)
def _beginnings(secret: str) -> frozenset[tuple[str, ...]]:
    return frozenset(_runs(_taken_apart(secret)[0], _KEPT_WORDS))


def _runs(words: list[str], length: int) -> Iterator[tuple[str, ...]]:
    return (tuple(words[i : i + length]) for i in range(len(words) - length + 1))
