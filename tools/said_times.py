"""Which days and hours a message names, and whether it takes one of the times that are on the table.

Portuguese, English and Spanish, as people write on a telephone. What is refused here is asked about once more; what is
let through is booked: so a day or an hour that is denied, that bounds ("depois das 15h"), that lasts ("em 24 horas") or
that counts something ("15 funcionários") names no time.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import pairwise

from core.words import ORDINALS, folded, plain

WEEKDAYS = (
    "segunda lunes monday", "terca martes tuesday", "quarta miercoles wednesday", "quinta jueves thursday",
    "sexta viernes friday", "sabado saturday", "domingo sunday",
)  # fmt: skip
_SHORT = (
    "seg lun mon", "ter mar tue tues", "qua mie wed", "qui jue thu thurs", "sex vie fri", "sab sat", "dom sun",
)  # fmt: skip
_MONTHS = (
    "janeiro enero january jan", "fevereiro febrero february fev feb", "marco marzo march mar",
    "abril april abr apr", "maio mayo may mai", "junho junio june jun", "julho julio july jul",
    "agosto august ago aug", "setembro septiembre september set sep", "outubro octubre october out oct",
    "novembro noviembre november nov", "dezembro diciembre december dez dic dec",
)  # fmt: skip
_WEEKDAY = {
    word: number for table in (WEEKDAYS, _SHORT) for number, words in enumerate(table) for word in words.split()
}
_MONTH = {word: number for number, words in enumerate(_MONTHS, 1) for word in words.split()}
_SPOKEN = {
    "uma": 1, "una": 1, "one": 1, "duas": 2, "dos": 2, "two": 2, "tres": 3, "three": 3, "quatro": 4, "cuatro": 4,
    "four": 4, "cinco": 5, "five": 5, "seis": 6, "six": 6, "sete": 7, "siete": 7, "seven": 7, "oito": 8, "ocho": 8,
    "eight": 8, "nove": 9, "nueve": 9, "nine": 9, "dez": 10, "diez": 10, "ten": 10, "onze": 11, "once": 11,
    "eleven": 11, "doze": 12, "doce": 12, "twelve": 12, "treze": 13, "trece": 13, "quatorze": 14, "catorze": 14,
    "catorce": 14, "quinze": 15, "quince": 15, "dezesseis": 16, "dieciseis": 16, "dezessete": 17, "diecisiete": 17,
    "dezoito": 18, "dieciocho": 18,
}  # fmt: skip

# --- how it is written --------------------------------------------------------------------------------

_PART = {
    "manha": "morning", "manana": "morning", "morning": "morning", "tarde": "afternoon", "afternoon": "afternoon",
    "cedo": "morning", "noite": "evening", "noche": "evening", "evening": "evening", "night": "evening",
}  # fmt: skip
_SPANS = {"morning": (0, 12), "afternoon": (12, 18), "evening": (18, 24)}
_PART_WORDS = re.compile(
    r"\b(?:de|da|pela|na|a|of|in the|the|de la|por la|en la|a la|esta|this|d[oe] fim da)"
    rf"\s+({'|'.join(_PART)})\b|\b(morning|afternoon|evening|(?<!mais )cedo)\b"
)
_GREETING = re.compile(
    r"\b(?:bom dia|boa (?:tarde|noite)|good (?:morning|afternoon|evening)|buen[oa]s (?:dias|tardes|noches))\b"
)
_AS_WORD = rf"\b({'|'.join(_SPOKEN)})\b"
_SPOKEN_HOUR = (
    re.compile(
        rf"{_AS_WORD}(?=\s+(?:horas?|hs|e meia|y media|d[ae] (?:manha|tarde|noite)|de la (?:manana|tarde|noche)"
        r"|in the (?:morning|afternoon|evening)|[ap]\.?m\b|o ?'?clock))"
    ),
    re.compile(
        rf"(?:(?<=\bas )|(?<=\bat )|(?<=\blas )|(?<=\ba la )){_AS_WORD}(?=\s*(?:$|[,.!?;\n]|(?:on|n[ao]|el)\b))"
    ),
)
_HOUR = re.compile(
    r"(?P<pre>\b(?:as|at|a las|a la|las|pelas|das|around|umas)\s+)?(?<![\d/:.,$%-])(?P<h>\d{1,2})"
    r"(?:\s?[h:]\s?(?P<m>[0-5]\d)(?!\d))?(?P<unit>\s?(?:hs?|hrs?|horas?|o ?'?clock)\b)?"
    r"(?P<half>\s?h?\s(?:e meia|y media)\b)?(?P<ap>\s?[ap]\.?\s?m\b\.?)?"
    r"(?P<part>\s+(?:d[ae]|de la|in the|por la|at)\s+(?:manha|tarde|noite|manana|noche|morning|afternoon|evening"
    r"|night)\b)?"
    r"(?!\s?[\d/%]|[.,:]\d|\s?(?:mil|k|reais|anos?|dias?|days?|years?|min|minut\w+|vezes|times|mes(?:es)?)\b)"
)
_NOON = re.compile(r"\b(?:ao |at |al )?(?:meio[- ]dia(?P<half> e meia)?|noon|mediodia)\b")
_DAY = re.compile(
    r"\b(?P<two>depois de amanha|(?:the )?day after tomorrow|pasado manana)\b"
    r"|\b(?P<one>amanha|tomorrow|(?<!\bla )(?<!esta )manana)\b|\b(?P<now>hoje|today|hoy|tonight)\b"
    r"|(?<![\d/])(?P<d>\d{1,2})/(?P<mon>\d{1,2})(?:/(?:\d{4}|\d{2}))?(?![\d/])"
    rf"|\b(?P<d2>\d{{1,2}})(?:st|nd|rd|th|o)?\s+(?:de |of )?(?P<mon2>{'|'.join(_MONTH)})\b"
    rf"|\b(?P<mon3>{'|'.join(_MONTH)})\.?\s+(?P<d3>\d{{1,2}})(?:st|nd|rd|th)?\b(?!\s?[h:])"
    r"|\b(?:dia|the)\s+(?P<d4>\d{1,2})(?:st|nd|rd|th)?\b(?!\s?(?:h\b|h\d|:|[ap]m))"
    r"|\bel\s+(?P<d5>\d{1,2})\b(?!\s?(?:h\b|h\d|:|[ap]m))|\b(?P<d6>\d{1,2})(?:st|nd|rd|th)\b"
    rf"|\b(?P<week>{'|'.join(' '.join(WEEKDAYS).split())})s?\b(?:[- ]feira)?"
    rf"(?!\s+(?:opc\w+|option|alternativa|data|sugestao|vez|pessoa|reuniao|hora|proposta|loja|unidade|one)\b)"
    r"|\b(?P<nth>[2-6])a[- ]?feira\b"
    rf"|\b(?P<short>{'|'.join(' '.join(_SHORT).split())})\b\.?"
    rf"(?=,?\s*(?:(?:dia |as |at |a las )?\d{{1,2}}(?:/|h|:|\s?[ap]m)|(?:{'|'.join(_MONTH)})\b))"
)
_NEXT_WEEK = re.compile(r"\b(?:semana que (?:vem|viene)|(?:proxima|outra) semana|semana proxima|next week)\b")
_CLAUSE = re.compile(
    r"[!?;\n]+|(?<!\b[ap])\.+(?!\d)|(?<!\d),|,(?!\d)|:(?!\d)"
    r"|\s(?=(?:mas|but|pero|so|only|solo|prefiro|prefiero|sino|porem)\s)|(?<!nao)\s(?=(?:pode ser|da pra ser)\b)"
)

# --- what it does not mean ----------------------------------------------------------------------------

_NO_DENIAL = re.compile(
    r"\b(?:(?:nao|sem|no)\s(?:tem |ha |vejo |teria |hay )?(?:nenhum |mais )?problemas?|no problem|sin problema"
    r"|nao me importo|don'?t mind|(?:por ?que|pq|why|como|porque) (?:nao|not|no)|nao (?:e|eh)\s*(?=\?|$)|nao\s*\?"
    r"|se nao (?:for|tiver|houver)|nao (?:se )?(?:esque\w+|precis\w+|falt\w+)|nao vejo a hora|don'?t forget|no olvid\w+"
    r"|can'?t wait)"
)
_DENIAL = re.compile(
    r"\b(?:nao|naum|nem|nunca|jamais|menos|exceto|except|salvo|not|never|cannot|can'?t|won'?t|don'?t|doesn'?t"
    r"|isn'?t|couldn'?t|unable|tampoco|ocupad[oa]s?|viajando|imprevisto|impossivel|imposible|deu ruim|complicad[oa]"
    r"|(?:respondo|aviso|retorno)|te (?:ligo|falo|confirmo|digo|mando)|let you know|get back to"
    r"|(?:tenho|tengo) (?:uma? |una? |outr[oa] |otr[oa] )?(?:reuniao|consulta|medico|dentista|compromisso|aula|viagem"
    r"|reunion|cita|clase|viaje)|i have an? (?:meeting|class|call|appointment|trip)"
    r"|busy|cancel\w*|desmarc\w*|n (?=posso|da\b|vai|consigo|rola|quero|pode)"
    r"|no (?=puedo|podre|voy|me\b|es\b|esta|estoy|can\b|tengo|funciona|sirve|works?|quiero|va\b)|no$)"
)
_NEAR = 80  # letters before and behind a day or an hour that are looked at for what is said of it
_DENIES_NEXT = 4  # words between a denial and what it denies; as many behind it
_INSTEAD = re.compile(
    r"\b(?:em vez|ao inves|no lugar|instead|en vez|en lugar)\s+(?:d[aeo]s?|of|del?)?\s*(?:l?as?)?\s*$"
)
_BOUND = re.compile(
    r"\b(?:depois|apos|antes|after|before|until|till|ate|desde|a partir|partir|from|despues|hasta|em|in|dura\w*|por|for"
    r"|durante|within|ha|cada|daqui a|mais de|menos de|entre|between)\s*(?:d[aeo]s?|l?as?|of|the|uns|umas)?\s*$"
)
_LASTS = re.compile(r"^\s*(?:por (?:dia|semana|mes)|a (?:day|week)|de (?:reuniao|conversa|duracao)|al dia|long)\b")
_COUNTS = re.compile(r"^\s+(?!(?:mais|antes|horas|d?as|las)\b)[a-z]*[aeo]s\b(?<!mos)")
"""Behind "as 15": what there are fifteen of ("as 15 lojas"), which is no hour."""
_UNTIL = re.compile(r"\s*(?:e |y |and |ate |a |to |-|–)?\s*(?:l?as )?\s*$")
_TO = re.compile(r"[\s,]*(?:pra|para|pras|pro|to|por)\s*(?:as|a|o|the|las|la|el|next|proxima|n[ao])?\s*$")
_FROM = re.compile(r"\b(?:d[aeo]s?|from|del)\s*(?:the |l?as? |el )?$")
_OTHER = re.compile(
    r"\b(?:outr[oa]s?|another|other|otr[oa]s?|mais (?:cedo|tarde)|antes|depois|earlier|later|despues|mas (?:tarde"
    r"|temprano)|diferente|different)\b"
)
_OR = re.compile(r"\b(?:ou|or|o|e|y|and|u)\b")
_ON_IT = re.compile(r"\s*(?:d[ae] (?:manha|tarde|noite) )?(?:n[ao]|d[aeo]|on|el|del|this|de)\s*(?:dia |proxim[ao] )?$")
"""What stands between an hour and the day that it is said to be on: "às 15h na quinta"."""

# --- a yes, a place in the list -----------------------------------------------------------------------

_SURE = re.compile(
    r"\b(?:sim|pode ser|fechado|combinado|confirmo|confirmado|ok|okay|beleza|blz|yes|yeah|yep|yup|sure|de acuerdo"
    r"|book it|por supuesto|com certeza)\b|[👍👌✅]"
)
_MAYBE = re.compile(
    r"\b(?:pode|perfeito|otimo|claro|isso|esse|essa|serve|topo|bora|vamos|marca\w*|marque|agend\w+|works?|perfect"
    r"|great|good|that one|si|dale|vale|perfecto|sirve|ese|esa|eso|quero|aham|uhum|s|ss|ta bom|esta bom|bom|certo|show"
    r"|maravilha|legal|fine|confirm\w+|reserva\w*|da certo|da sim|please|quiero|bueno|genial|of course"
    r"|fechou|positivo|va bien|(?:sem|no|sin) problem\w*)\b"
)
"""A yes where nothing else is said beside it: "isso", not "isso inclui o Google?"."""
_SMALL = frozenset(
    "fechou positivo sem problema problemas problem sin bola a o as os e eu pra para mim por favor entao na no da"
    " do de das dos em ai la aqui ta esta bom boa bem ja que pode ser podem podemos seria fica ficar fico com"
    " prefiro escolho quero queria gostaria vou ir vamos bora melhor mesmo mesma tambem sim s ss obrigado obrigada"
    " valeu horario hora horas dia opcao opcion option reuniao conversa call meeting marca marcar marque marcado"
    " agenda agendar agende agendado confirma confirmar confirmado confirmo fechado fechada fechar fechamos"
    " combinado perfeito perfeita otimo otima beleza blz ok okay claro isso esse essa este serve show top certo"
    " certinho legal maravilha excelente feito gente nos voces vcs meu tudo acho acredito feira nesse nessa the i"
    " ill ll take would like is it its that this one works work for me us please sure yes yep great good fine"
    " perfect lets let go with book at on then thanks thank you sounds will slot time el los las sirve va vale si"
    " dale perfecto bueno bien acuerdo entonces quiero prefiero mejor puede gracias ese esa eso aham uhum topo"
    " confirm reserva reservar mi genial of course prefer pick d choose numero number certeza conversar falar".split()
)
_SEE_YOU = re.compile(r"\b(?:ate la|see you (?:then|there)|nos vemos(?: (?:la|alli|ahi))?|alla nos vemos)\b")
"""What is said to one proposed time by somebody who will come; with more beside it it may be "by then"."""
_DRAWN = re.compile(r"\b(?:s+i+m+|o+k+)\b")
"""How a yes is drawn out: "siim"."""
_POINTS = re.compile(r"\b(?:o|a|os|as|esse|essa|the|el|la|ese|esa|prefiro|prefer|prefiero|quero|fico com)\b")
_ORDINAL = re.compile(
    rf"(?<!\bum )(?<!\bun )(?<!\bone )\b(?P<word>{'|'.join(ORDINALS)}|ultim[ao]|last|(?:de ?|la de )(?:baixo|abajo)"
    r"|bottom one|(?P<top>de (?:cima|arriba)|top one)|(?P<middle>do meio|del medio|middle one))\b"
)
_PLACE = re.compile(r"\b(?:a|la|essa|esa) (segunda|quarta|quinta|sexta)\b(?!-| feira|,? (?:as |a las )?\d)")
_OPTION = re.compile(r"^\s+(?:opc\w+|option|alternativa|horario|hora|data|sugestao|one|slot|time)\b")
_NUMBERED = re.compile(r"\b(?:opcao|opcion|option|numero|number|n)\s*(\d{1,2})\b")


@dataclass(frozen=True)
class _Mention:
    start: int
    end: int
    days: frozenset[date] = frozenset()
    times: frozenset[time] = frozenset()
    bare: bool = False
    """A number by itself, of which only what stands beside it tells whether it is an hour."""


@dataclass
class Named:
    """What a message names: `times` with their days (none: the day is not said), `days`, what it denies, and what is
    left of each clause."""

    times: list[tuple[frozenset[date], frozenset[time]]] = field(default_factory=list)
    days: list[frozenset[date]] = field(default_factory=list)
    denied: list[tuple[frozenset[date], frozenset[time], str]] = field(default_factory=list)
    parts: set[str] = field(default_factory=set)
    bounded: bool = False
    numbers: list[int] = field(default_factory=list)
    clauses: list[tuple[str, bool]] = field(default_factory=list)
    """Each with whether it denies something."""

    def denies(self, wanted: datetime) -> bool:
        return any(
            (not days or wanted.date() in days)
            and (not times or wanted.time() in times)
            and (not part or _in_part(wanted, part))
            for days, times, part in self.denied
        )


def times_of(text: str, today: date) -> list[datetime]:
    """The times that a text names with their days, in its order."""
    found: list[datetime] = []
    for days, times in read(text, today).times:
        for one in sorted(datetime.combine(day, at) for day in days for at in times):
            office = [other for other in times if 8 <= other.hour < 20]
            if (len(times) == 1 or one.time() in office) and one not in found:
                found.append(one)
    return found


def days_of(text: str, today: date) -> set[date]:
    """The days that a text names, with those of its hours."""
    return {day for days in read(text, today).days for day in days}


def as_place(said: str, table: Sequence[datetime]) -> str:
    """ "a segunda" is the second of two that were proposed, where none of them is on a Monday; "na segunda" never."""

    def place(found: re.Match[str]) -> str:
        number = ORDINALS[found[1]]
        day = any(one.weekday() == _WEEKDAY[found[1]] for one in table)
        return f"{found[0]} opcao" if number <= len(table) and not day else found[0]

    return _PLACE.sub(place, said)


def takes(
    text: str,
    wanted: datetime,
    *,
    today: date,
    table: Sequence[datetime],
    listed: Sequence[datetime] = (),
    numbered: bool = False,
    days: Collection[date] = (),
    signs: bool = True,
) -> bool:
    """Whether a message takes this very time (all of them local, naive).

    `table`: the times that were proposed last, in their order; `listed`: those of the list below them, if there was
    one, and whether it was `numbered`; `days`: of which day an hour is when nothing else tells; `signs`: whether 👍 and
    its like are a yes to what is proposed.
    """
    text = as_place(plain(text), table)
    named = read(text, today, near={one.date() for one in [*table, *listed]})
    if named.denies(wanted):
        return False
    proposed = listed if numbered and listed else table
    hours, places = list(named.times), list(_pointed(named, table, proposed))
    for number in named.numbers:
        place = proposed[number - 1] if 1 <= number <= len(proposed) else None
        hour = any(one.time() in _clock(number) for one in [*table, *listed])
        if place is not None and (numbered or not hour or place.time() in _clock(number)):
            places.append(place)
        elif place is not None:
            return False  # the second, or two o'clock?
        else:
            hours.append((frozenset(), _clock(number)))
    if hours:
        return any(_takes_hour(wanted, on, times, (table, listed), days, named) for on, times in hours)
    left = [
        one
        for one in table
        if (not named.days or any(one.date() in day for day in named.days))
        and (not named.parts or any(_in_part(one, part) for part in named.parts))
    ]
    if places:
        return set(places) == {wanted} and (not named.days or wanted in left)
    if named.bounded or _OTHER.search(text) or left != [wanted]:
        return False
    said = [clause for clause, denies in named.clauses if not denies]
    if named.days or any(_is_yes(clause, signs) for clause in said):
        return True
    return bool(named.parts) and any(_POINTS.search(clause) for clause in said)


def read(text: str, today: date, near: set[date] | None = None) -> Named:
    """What a text names. A weekday is the next one, or that one of `near`, days that are spoken of."""
    said = _GREETING.sub(lambda found: " " * len(found[0]), plain(text))
    for pattern in _SPOKEN_HOUR:
        said = pattern.sub(lambda found: str(_SPOKEN[found[1]]), said)
    named = Named()
    mentions = sorted([*_days(said, today, near or set()), *_hours(said)], key=lambda one: one.start)
    spans = _clauses(said)
    kept: list[_Mention] = []
    denied: list[_Mention] = []
    for place, one in enumerate(mentions):
        span = next((span for span in spans if span[0] <= one.start < span[1]), (0, len(said)))
        if one.bare and not _only(said, span, mentions, one):
            continue
        if one.times and not one.bare and _bounds(said, mentions, place):
            named.bounded = True
            continue
        (denied if _is_denied(said, span, one) or _is_left(said, mentions, place) else kept).append(one)
    for one in kept:
        if one.bare:
            number = int(re.sub(r"\D", "", said[one.start : one.end]))
            on = _day_of(said, one, kept)
            if on:
                named.times.append((on, one.times))
            else:
                named.numbers.append(number)
        elif one.times:
            named.times.append((_day_of(said, one, kept), one.times))
    named.days = [days for days, *_ in _groups(said, [one for one in kept if one.days])]
    for one in denied:
        span = next((span for span in spans if span[0] <= one.start < span[1]), (0, len(said)))
        beside = [other for other in denied if span[0] <= other.start < span[1]]
        if one.times:
            named.denied.append((_day_of(said, one, beside), one.times, ""))
        elif not any(other.times for other in beside):
            part = next(_parts(said[span[0] : span[1]]), "")
            named.denied.append((one.days, frozenset(), part))
    for start, end in spans:
        clause = said[start:end]
        denies = bool(_DENIAL.search(_NO_DENIAL.sub(" ", clause).strip()))
        named.clauses.append((_without(said, (start, end), mentions), denies))
        if not denies:
            named.parts |= set(_parts(_without(said, (start, end), [one for one in mentions if one.times])))
    return named


# --- the pieces ---------------------------------------------------------------------------------------


def _clauses(said: str) -> list[tuple[int, int]]:
    cuts = [0, *(found.end() if found[0].strip() else found.start() for found in _CLAUSE.finditer(said)), len(said)]
    return [(one, other) for one, other in pairwise(cuts) if said[one:other].strip()]


def _days(said: str, today: date, near: set[date]) -> Iterator[_Mention]:
    next_week = bool(_NEXT_WEEK.search(said))
    for found in _DAY.finditer(said):
        if word := found["week"] or found["short"]:
            days = _weekday(_WEEKDAY[word], today, near, next_week)
        elif found["nth"]:
            days = _weekday(int(found["nth"]) - 2, today, near, next_week)
        elif found["two"] or found["one"] or found["now"]:
            days = {today + timedelta(days=2 if found["two"] else 1 if found["one"] else 0)}
        else:
            number = int(found["d"] or found["d2"] or found["d3"] or found["d4"] or found["d5"] or found["d6"])
            name = found["mon2"] or found["mon3"]
            days = _dated(number, int(found["mon"]) if found["mon"] else _MONTH[name] if name else None, today)
        if days:
            yield _Mention(found.start(), found.end(), days=frozenset(days))


def _weekday(weekday: int, today: date, near: set[date], next_week: bool) -> set[date]:
    monday = today - timedelta(days=today.weekday())
    if next_week:
        return {monday + timedelta(days=7 + weekday)}
    if spoken_of := {day for day in near if day.weekday() == weekday}:
        return spoken_of
    return {today + timedelta(days=(weekday - today.weekday()) % 7 or 7)}


def _dated(day: int, month: int | None, today: date) -> set[date]:
    """The next day of that number, of that month where one is said; none where there is no such day."""
    for ahead in range(13):
        year, index = divmod(today.month - 1 + ahead, 12)
        if month is None or month == index + 1:
            try:
                found = date(today.year + year, index + 1, day)
            except ValueError:
                continue
            if found >= today:
                return {found}
    return set()


def _hours(said: str) -> Iterator[_Mention]:
    days = [(one.start(), one.end()) for one in _DAY.finditer(said)]
    for found in _NOON.finditer(said):
        yield _Mention(found.start(), found.end(), times=frozenset({time(12, 30 if found["half"] else 0)}))
    for found in _HOUR.finditer(said):
        hour = int(found["h"])
        if hour > 23 or any(start <= found.start("h") < end for start, end in days):
            continue
        sure = any(found[name] for name in ("pre", "m", "unit", "half", "ap", "part"))
        if found["pre"] and not any(found[name] for name in ("m", "unit", "half", "ap", "part")):
            pre = found["pre"].strip()
            if pre in ("as", "das", "las", "umas") and _COUNTS.search(said[found.end() :]):
                continue
        if found["unit"] and _LASTS.search(said[found.end() :]):
            continue
        minute = 30 if found["half"] else int(found["m"] or 0)
        tail = f"{found['ap'] or ''} {found['part'] or ''}"
        yield _Mention(found.start(), found.end(), times=_clock(hour, minute, tail), bare=not sure)


def _clock(hour: int, minute: int = 0, tail: str = "") -> frozenset[time]:
    """What an hour can be: "às 3" either half of the day, "3 da tarde" one."""
    late = bool(re.search(r"\bp\.?\s?m|tarde|noite|noche|afternoon|evening|night", tail))
    early = not late and bool(re.search(r"\ba\.?\s?m|manha|manana|morning", tail))
    if hour > 12 or hour == 0:
        hours = {hour}
    elif early:
        hours = {hour % 12}
    elif late or hour == 12:
        hours = {hour % 12 + 12}
    else:
        hours = {hour, hour + 12}
    return frozenset(time(one, minute) for one in hours)


def _without(said: str, span: tuple[int, int], mentions: Sequence[_Mention]) -> str:
    """What is left of a clause without what it names."""
    left = list(said[span[0] : span[1]])
    for one in mentions:
        if span[0] <= one.start < span[1]:
            left[one.start - span[0] : one.end - span[0]] = " " * (min(one.end, span[1]) - one.start)
    return "".join(left)


def _only(said: str, span: tuple[int, int], mentions: Sequence[_Mention], one: _Mention) -> bool:
    """Whether a bare number is all that a clause says beside days and small words: "quinta 15 então"."""
    rest = _without(said, span, mentions)
    if sum(other.bare for other in mentions if span[0] <= other.start < span[1]) > 1:
        return False
    return _small(_PART_WORDS.sub(" ", rest))


def _small(clause: str) -> bool:
    return set(folded(clause).split()) <= _SMALL


def _parts(clause: str) -> Iterator[str]:
    for found in _PART_WORDS.finditer(clause):
        yield _PART[found[1] or found[2]]


def _in_part(one: datetime, part: str) -> bool:
    first, last = _SPANS[part]
    return first <= one.hour < last


def _bounds(said: str, mentions: Sequence[_Mention], place: int) -> bool:
    """Whether an hour is the end of a span: "depois das 15h", "das 14h às 16h", "em 24 horas"."""
    one = mentions[place]
    pre = re.match(r"(?:as|at|a las|a la|las|pelas|das|around|umas)\s+", said[one.start : one.end])
    before = _before(said, one.start) + (pre[0] if pre else "")
    if _BOUND.search(before.rstrip() + " "):
        return True
    if re.search(r"\bd[ea]\s+$", _before(said, one.start)) and re.match(r"[1-3]\s?h", said[one.start : one.end]):
        return True  # "uma reunião de 1 hora"
    opens = bool(pre and pre[0].strip() == "das") or bool(re.search(r"\b(?:de|from|entre|between)\s+$", before))
    after = next((other for other in mentions[place + 1 : place + 2] if other.times), None)
    if opens and after is not None and _UNTIL.fullmatch(said[one.end : after.start]):
        return True
    if place and mentions[place - 1].times and _UNTIL.fullmatch(said[mentions[place - 1].end : one.start]):
        first = mentions[place - 1]
        opened = said[first.start : first.end].startswith("das") or re.search(
            r"\b(?:de|from|entre|between)\s+$", _before(said, first.start)
        )
        return bool(opened)
    return False


def _before(said: str, at: int) -> str:
    return said[max(0, at - _NEAR) : at]


def _is_denied(said: str, span: tuple[int, int], one: _Mention) -> bool:
    if _INSTEAD.search(_before(said, one.start)):
        return True
    first, last = max(span[0], one.start - _NEAR), min(span[1], one.end + _NEAR)
    near_it = _NO_DENIAL.sub(lambda found: " " * len(found[0]), said[first:last])
    before, behind = near_it[: one.start - first], near_it[one.end - first :].rstrip()
    near = [found for found in _DENIAL.finditer(before) if len(before[found.end() :].split()) <= _DENIES_NEXT]
    return bool(near) or any(len(behind[: found.start()].split()) < _DENIES_NEXT for found in _DENIAL.finditer(behind))


def _is_left(said: str, mentions: Sequence[_Mention], place: int) -> bool:
    """Whether it is what they move from: "de quinta pra sexta", "das 15h para as 16h"."""
    one = mentions[place]
    start = said[one.start : one.end]
    chain = place + 1
    while chain < len(mentions):
        between = said[mentions[chain - 1].end : mentions[chain].start]
        if _TO.fullmatch(between):
            same = bool(mentions[chain].days) == bool(one.days)
            return same and bool(start.startswith("das ") or _FROM.search(_before(said, one.start)))
        if not re.fullmatch(r"[\s,]*(?:as|a|na|no|de)?\s*", between):
            return False
        chain += 1
    return False


def _groups(said: str, days: Sequence[_Mention]) -> list[tuple[frozenset[date], _Mention, _Mention]]:
    """Days that are said together, with the first and the last word of each: "quinta, 26/11" is one day (none, where
    that is a Friday), "quinta ou sexta" is two."""
    found: list[tuple[frozenset[date], _Mention, _Mention]] = []
    for one in days:
        between = said[found[-1][2].end : one.start] if found else "?"
        if found and re.fullmatch(r"[\s,()]*(?:dia|n[ao]|on|el|the|de|d[ao])?[\s,()]*", between):
            found[-1] = (found[-1][0] & one.days, found[-1][1], one)
        elif found and re.fullmatch(rf"[\s,]*{_OR.pattern}\s*(?:n[ao]|on|el|the)?\s*", between):
            found[-1] = (found[-1][0] | one.days, found[-1][1], one)
        else:
            found.append((one.days, one, one))
    return found


def _day_of(said: str, hour: _Mention, mentions: Sequence[_Mention]) -> frozenset[date]:
    """The day that an hour is on: the one that it is said to be on, else the one before it, else the next one."""
    groups = _groups(said, [one for one in mentions if one.days])
    before = [days for days, first, _ in groups if first.start < hour.start]
    behind = [(days, first) for days, first, _ in groups if first.start > hour.start]
    if behind and _ON_IT.fullmatch(said[hour.end : behind[0][1].start]):
        return behind[0][0]
    return before[-1] if before else behind[0][0] if behind else frozenset()


def _takes_hour(
    wanted: datetime,
    on: frozenset[date],
    times: frozenset[time],
    proposed: Sequence[Sequence[datetime]],
    days: Collection[date],
    named: Named,
) -> bool:
    """Whether an hour that they named is this one: on the day that they named, else as it was proposed."""
    if wanted.time() not in times or (named.parts and not any(_in_part(wanted, part) for part in named.parts)):
        return False
    if on or named.days:
        return wanted.date() in on
    for table in proposed:
        if fits := {one for one in table if one.time() in times}:
            return fits == {wanted}
    return set(days) == {wanted.date()}


def _pointed(named: Named, table: Sequence[datetime], numbered: Sequence[datetime]) -> Iterator[datetime]:
    """The proposed times that they point to by their place: "a segunda opção", "o último", "opção 2"."""
    for clause in (clause for clause, denies in named.clauses if not denies):
        for found in _NUMBERED.finditer(clause):
            if 1 <= int(found[1]) <= len(numbered):
                yield numbered[int(found[1]) - 1]
        for found in _ORDINAL.finditer(clause):
            rest = f"{clause[: found.start()]} {clause[found.end() :]}"
            if not (_OPTION.search(clause[found.end() :]) or _small(rest)):
                continue
            middle = (len(table) + 1) // 2 if len(table) % 2 else 0
            place = middle if found["middle"] else 1 if found["top"] else ORDINALS.get(found["word"], len(table))
            if 1 <= place <= len(table):
                yield table[place - 1]


def _is_yes(clause: str, signs: bool) -> bool:
    heard = clause if signs else re.sub(r"[👍👌✅]", " ", clause)
    heard = _DRAWN.sub(lambda found: re.sub(r"(.)\1+", r"\1", found[0]), heard)
    small = _SEE_YOU.sub(" ", heard)
    return bool(_SURE.search(heard)) or (bool(_MAYBE.search(heard) or small != heard) and _small(small))
