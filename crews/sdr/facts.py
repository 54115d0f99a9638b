"""What only the company may say of itself: what is free, what is not charged, what one may change, pause or cancel, how
long things take, how its customers fared, that something is short or ends soon. A reply may say it where the company
wrote of the same, of the same item and the same way round; plain questions, and "I don't know", say nothing.
Portuguese, English, Spanish, whichever the company writes and whichever the contact reads.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from core.words import folded, plain
from crews.sdr.money import Names, counted
from crews.sdr.sums import Counts


@dataclass(frozen=True)
class _Line:
    said: str
    items: frozenset[str]


@dataclass(frozen=True)
class Written:
    """The company's own sentences. `theirs`: lengths of time in minutes that the contact named, and a meeting's."""

    lines: tuple[_Line, ...]
    theirs: frozenset[int]
    names: Names
    asked: frozenset[str] = frozenset()
    """Items that the contact named."""

    @classmethod
    def of(cls, sentences: Iterable[str], theirs: str, minutes: int, names: Names) -> "Written":
        lines = []
        for one in sentences:
            said = plain(one)
            if not one.rstrip().endswith("?") and not _UNKNOWN.search(said):
                lines.append(_Line(said, frozenset(name for *_, name in names.find(one))))
        named = {length for length, _ in _spans(plain(theirs))} | {minutes}
        asked = frozenset(name for *_, name in names.find(theirs))
        return cls(tuple(lines), frozenset(named), names, asked)

    def of_items(self, items: frozenset[str]) -> list[_Line]:
        """The sentences that are of these items, or of none."""
        return [line for line in self.lines if not items or not line.items or line.items & items]

    def about(self, pattern: re.Pattern[str], items: frozenset[str] = frozenset()) -> list[_Line]:
        return [line for line in self.of_items(items) if pattern.search(line.said)]


def unfounded(
    sentence: str, on: Written, money: bool, counts: Counts, shown: frozenset[str] = frozenset()
) -> Iterator[str]:
    """What kinds of things the sentence says that the company did not: discount (what is free), fee, policy, duration,
    guarantee, urgency, customers. `money`: amounts are told in it, which are looked at as such, with what they are
    `counts` of. `shown`: the items that the whole reply names."""
    if any(not _reached(clause, sentence, on) for clause in _PIECES.split(plain(sentence))):
        yield "customers"
    if sentence.rstrip().endswith("?"):  # "São as últimas vagas, quer marcar?" says something all the same
        sentence = sentence.rpartition(", ")[0]
        if _ASKS.match(plain(sentence)):
            return
    told = [one for one in _CLAUSES.split(sentence) if not _UNKNOWN.search(plain(one))]
    sentence = ", ".join(told)  # "I don't know, but …" says what follows
    said = plain(sentence)
    found_items = on.names.find(sentence)
    items = frozenset(name for *_, name in found_items)
    if any(not _given(clause, said, on) for clause in re.split(r"[;,] ", sentence) if _FREE.search(plain(clause))):
        yield "discount"
    if any(not _charged(found, said, items, money, on) for found in _TERM.finditer(said)):
        yield "fee"
    marked = said
    for start, end, _ in reversed(found_items):
        marked = f"{marked[:start]}§{marked[end:]}"
    for found in _POLICIES.finditer(marked):
        if not _allowed(found, said, items, on):
            yield "guarantee" if found["refund"] else "policy"
    if any(not _split(clause, items, shown or on.asked, on) for clause in re.split(r"[;,:] ", said)):
        yield "policy"
    known = on.theirs | (lengths(counts) if money else frozenset())
    known |= {length for line in on.of_items(items) for length, _ in _spans(line.said)}
    if any(leads and length not in known for length, leads in _spans(said)):
        yield "duration"
    for kind, pattern in _SOLD.items():
        if any(not stands(found, said, on) for found in pattern.finditer(said)):
            yield kind


_ASKS = re.compile(
    r"\W*(?:(?:e |mas |entao |so |and |but |so |y |pero )?(?:se|if|si|quer\w*|prefer\w*|gostaria|would|do|does"
    r"|are|is|can|could"
    r"|shall|should|qua\w+|quando|como|o que|what|when|how|which|que|cual|cuando|tem|pode|podemos|posso"
    r"|quier\w+|prefier\w+"
    r"|voce (?:quer|prefere|ja|tem)|do you)\b|$)"
)
"""How a question begins, or a condition."""
_UNKNOWN = re.compile(
    r"\b(?:nao (?:sei|consigo (?:dizer|confirmar|responder)|tenho (?:essa|esta) informacao|encontrei)|don'?t know"
    r"|document\w* (?:nao|no|do(?:es)?n'?t|do(?:es)? not) "
    r"(?:fala\w*|diz\w*|trata\w*|dice\w*|habla\w*|say\w*|mention\w*|cover\w*)"
    r"|(?:nao|no) (?:esta|consta|aparece)\w* (?:n?os|en|em)(?: nuestros| nossos)? document"
    r"|(?:is|are)(?: not|n't) in our document"
    r"|not sure|can'?t (?:say|confirm)|isn'?t something i|no (?:lo )?se\b|no tengo (?:esa|esta) informacion"
    r"|no puedo confirmar)"
)


_CLAUSES = re.compile(r"[,;:] (?=(?:e|mas|porem|and|but|y|pero)\b)", re.IGNORECASE)


def stands(found: re.Match[str], said: str, on: Written) -> bool:
    """Whether what was found stands in the company's sentences with the words around it: four in a row."""
    run, sure = folded(said).split(), folded(found[0]).split()[-1]
    runs = [" ".join(run[at : at + 4]) for at in range(len(run) - 3) if sure in run[at : at + 4]]
    return any(one in folded(line.said) for line in on.lines for one in runs)


# --- what is free -------------------------------------------------------------------------------------

_FREE = re.compile(
    r"\b(?:de graca|gratis|gratuit\w+|cortesia|isen\w+|nao custa nada|(?:sem|sin) (?:nenhum |ningun )?(?:custo|costo)"
    r"|sem cobrar|nao cobramos nada|regal\w+|por (?:nossa|minha) conta|no cuesta nada|costs? nothing"
    r"|(?:ganha|ganas|leva) (?:um|uma|o|a|un) (?:mes|mensalidade|semana|aula|clase)|for free|free of charge"
    r"|(?:is|are|be|comes?|totally|completely) free(?! (?:on|at|from|until|to)\b)"
    r"|(?:is|are|month|week) on (?:us|the house)"
    r"|free (?:first |initial )?(?:months?|weeks?|class\w*|lessons?|trials?|calls?|visits?|sessions?|audits?|plans?))\b"
    r"(?! (?:extra|adicional))"
)
_CALENDAR = re.compile(r"\b(?:slots?|times|calendar|schedule|morning|afternoon)\b|\d ?[ap]m\b|\d:\d\d")
"""Of which it is said in English that they are free."""
_MEETS = (
    r"convers\w+|reuni\w+|call|calls|chat|chamada|charla|meeting|avaliac\w+|evaluacion|assessment|consulta\w*|visita?s?"
    r"|cita|appointment|encontro|demo\w*|aulas?|clases?|class(?:es)?|lessons?|treinos?|sess(?:ao|oes|ions?)"
    r"|sesion(?:es)?"
)
_FIRST = re.compile(rf"\b(?:primeir[ao]|first|primer[ao]?)(?: (?P<what>[a-z]+))?(?: (?P<next>{_MEETS})\b)?")
_TALK = re.compile(r"\b(?:a|essa|esta|nossa|la|the|this|our) (?:conversa|call|charla|chat|reuniao|meeting|reunion)\b")
_MEETING = re.compile(rf"\b(?:{_MEETS})\b")
_MEETING_FREE = re.compile(rf"\b(?:{_MEETS})\b.{{0,12}}{_FREE.pattern}")
_ELIDED = frozenset("e is es one y sai fica and nao no a la uma".split())


def _given(clause: str, sentence: str, on: Written) -> bool:
    """Whether what is called free is what the company calls so: the first one of what one comes to, or in its own
    words; and nothing that has a price, unless they name it."""
    said = plain(clause)
    items = frozenset(name for *_, name in on.names.find(clause))
    free = [line for line in on.lines if _FREE.search(line.said) and (not items or items & line.items)]
    if _CALENDAR.search(said) or any(stands(found, sentence, on) for found in _FREE.finditer(sentence)):
        return True
    first = _FIRST.search(said)
    theirs = [found for line in free if (found := _FIRST.search(line.said))]
    if first is None:
        alone = _MEETING_FREE.search(said) and any(
            _MEETING_FREE.search(line.said) and not _FIRST.search(line.said) for line in free
        )
        return bool(alone or (_TALK.search(said) and any(_MEETING.search(found[0]) for found in theirs)))
    if counted(first["what"] or ""):
        return False  # "the first two"
    what = first["next"] or first["what"] or ""
    same = what in _ELIDED or any(what == found["what"] for found in theirs)
    alike = bool(_MEETING.fullmatch(what)) and any(_MEETING.search(one[0]) for one in theirs)
    return bool(theirs) and (same or alike)


# --- what is charged, and what is not -----------------------------------------------------------------

_TERMS = {
    "fee": r"taxas?|fees?|tarifas?|custos? (?:extras?|adiciona\w+|ocultos?)|recargos?|hidden|comision\w*",
    "penalty": r"multas?|penalt\w+|penalid\w+",
    "lock": r"fidelidade|permanencia|lock-?in|lock|commitment|compromis\w+",
    "joining": r"adesao|matricula|enrol+ments?|inscri[pc]\w+|setup|joining",
    "interest": r"juros|interes(?:es|t)?\b(?! (?:in|en|em))",
    "notice": r"aviso|antecedencia|notice|anticipacion",
    "waiting": r"carencia",
}
_NONE_OF = (
    r"(?:sem|nao (?:tem|ha|existe|cobramos|cobra|paga|precisa|exige)|no|not|n't need|without|sin|no (?:hay"
    r"|tiene|cobramos"
    r"|necesita)|zero|nem|ni|nor)"
    r"(?: (?!mas\b|but\b|pero\b)\w+){0,3} "
)
_TERM = re.compile(
    rf"(?P<no>\b{_NONE_OF})?\b(?:{'|'.join(f'(?P<{name}>{words})' for name, words in _TERMS.items())})\b"
    r"(?P<free>[- ]free\b|:? nao (?:tem|ha|existe)\b|:? no hay\b)?(?P<much> (?:e|es|is|de|of|por)\b)?"
)
_CHARGES = re.compile(r"\bcobra\w*|\bcharge\w*|\bpaga\w*|\bpay\b")


def _charged(found: re.Match[str], said: str, items: frozenset[str], money: bool, on: Written) -> bool:
    """Whether the company says of it that there is none, as the sentence does, or how much there is."""
    name = next(one for one in _TERMS if found[one])
    none = bool(found["no"] or found["free"])
    if not none and (money or name not in ("fee", "penalty") or not (found["much"] or _CHARGES.search(said))):
        return True  # it is only spoken of
    for line in on.about(re.compile(rf"\b(?:{_TERMS[name]})\b"), items):
        if any(bool(one["no"] or one["free"]) == none for one in _TERM.finditer(line.said) if one[name]):
            return True
    return False


# --- what one may do ----------------------------------------------------------------------------------

_POLICY = {
    "plan": r"(?:trocar|mudar|migrar|pas?sar|cambiar|cambio|mudanca|(?<!em )troca|switch\w*|chang(?:e|ing)"
    r"|mov(?:e|ing))\b.{0,20}"
    r"\b(?:plan\w*|pacotes?|packages?|paquetes?)|(?:mud|troc|cambi|migr)\w* (?:de|entre) (?:plan\w*|pacote)|upgrades?"
    r"|downgrades?|(?:trocar|mudar|migrar|cambiar|pas?sar|switch|change|move) (?:\w+ )?(?:d[eo]|del?|from|to|para o) "
    r"(?:the |el )?§ (?:para|pr[ao]|to|al?|por|for)",
    "group": r"(?:troc|mud|cambi|switch|chang)\w*\b.{0,12}\b(?:turmas?|grupos?|groups?)",
    "teacher": r"(?:troc|mud|cambi|switch|chang)\w*\b.{0,12}\b(?:profes\w+|teachers?|tutor\w*|instru\w+|coach\w*)",
    "pause": r"(?:paus|congel|tranca|suspend|freez)\w*|trancar|on hold",
    "cancel": r"(?:cancel|rescind)\w*",
    "trial": r"(?:dias? |periodo |semana )?(?:de teste|de prueba)(?= |\.|,|!|$)|trials?"
    r"|aula experimental|(?:testar?|experimentar|try|probar)\b.{0,20}\b(?:dias?|semanas?|mes|meses|days?|weeks?"
    r"|months?|o plano|the plan)",
    "refund": r"(?:devolv|reembols|estorn|refund)\w*|money back",
    "insurance": r"convenios?|insurance|seguros? medicos?",
}
_POLICIES = re.compile("|".join(rf"\b(?P<{name}>{words})\b" for name, words in _POLICY.items()))
_ANY_TIME = re.compile(
    r"\b(?:a qualquer (?:momento|hora)|quando (?:voce )?quiser\w*|any ?time|whenever|at once|immediate\w*|imediat\w*"
    r"|na hora|as long as you (?:like|want)|pelo tempo que|todo el tiempo|en cualquier momento"
    r"|cuando (?:quiera\w*|gustes?)|inmediat\w*)\b"
)
_OF_A_MEETING = re.compile(
    r"\b(?:reuni\w+|conversa|call|meeting|horario|charla|cita|appointment|avaliacao|segunda|terca|quarta|quinta|sexta"
    r"|amanha|(?:mon|tues|wednes|thurs|fri)day|tomorrow|lunes|martes|miercoles|jueves|viernes)\b|\d/\d"
)
_DENIES = re.compile(r"\b(?:nao|not|no|n'?t|don'?t|doesn'?t)\b")


def _allowed(found: re.Match[str], said: str, items: frozenset[str], on: Written) -> bool:
    """Whether the company speaks of it, too, and says that it may be at any time, where the sentence tells no limit."""
    name = next(one for one in _POLICY if found[one])
    if name == "cancel" and _OF_A_MEETING.search(said):
        return True  # a meeting is called off by its tool
    written = on.about(re.compile(rf"\b(?:{_POLICY[name]})\b"), items)
    if name == "insurance":
        written = [line for line in written if bool(_DENIES.search(line.said)) == bool(_DENIES.search(said))]
    if not written or not _ANY_TIME.search(said) or re.search(r"\d", said):
        return bool(written)
    return any(_ANY_TIME.search(line.said) for line in written)


_SPLITS = re.compile(
    r"\bparcel(?:a(?:r|mos|d[oa]s?|m)?|e)\b"
    r"|\bmetade agora\b|\bhalf now\b|\bsplit (?:it|the pay\w+|(?:\w+ )?in(?:to)?)\b"
    r"|\bdivid\w+(?= sim\b|\W*$| (?:o|a|esse|este) (?:plan\w*|valor|pagamento|mensalidade)\b)"
    r"|\b(?:em|in|en|into) (?:ate |up to |hasta )?"
    r"(?:\d{1,2} ?x\b|\w+ (?:vezes|parcelas|veces|cuotas|instal+ments|payments))(?! (?:de |of )?(?:r|us)?\$)"
)
_NOT_SPLIT = re.compile(r"\b(?:nao|nunca|not|never|no se)\b|n't\b")
_ANY_PLAN = re.compile(r"\b(?:plan\w*|mensalidade\w*|pacotes?|packages?|paquetes?)\b")


def _split(clause: str, items: frozenset[str], shown: frozenset[str], on: Written) -> bool:
    """Whether what is said to be paid in parts is what the company says so of: this item, else one of `shown`."""
    if not _SPLITS.search(clause) or _NOT_SPLIT.search(clause):
        return True
    whose = items or (frozenset() if _ANY_PLAN.search(clause) else shown)
    lines = [line for line in on.about(_SPLITS) if not _NOT_SPLIT.search(line.said)]
    return any(not line.items or line.items & whose for line in lines)


# --- how long -----------------------------------------------------------------------------------------

_MINUTES = {"min": 1, "hor": 60, "hou": 60, "dia": 1440, "day": 1440, "sem": 10080, "wee": 10080}
_MONTH = 43_201  # not the same as 30 days
_YEAR = 12 * _MONTH
_SPAN = re.compile(
    r"(?P<leads>\b(?:em|in|en|dentro de|within|after|apos|depois de|leva|levam|takes?|dura\w*|lasts?|tarda\w*|only|so"
    r"|solo|ate|hasta|up to|por|for|com|con|with) (?:(?:ate|as little as|menos de|less than|so|apenas|only|just"
    r"|about|uns|cerca de) )*)?"
    r"\b(?P<n>\d{1,3}|[a-z]+)(?:-| (?:(?:a|to|e|o|ou|or) (?P<to>\d{1,3}) )?)(?:(?:primeir|primer|proxim)[ao]s "
    r"|first |next )?"
    r"(?P<unit>minut\w+|hora?s?|hours?|dias?|days?|semanas?|weeks?|mes|meses|months?|anos?|years?)\b"
)
_ONE = frozenset("um uma un una a an one".split())


def _spans(said: str) -> Iterator[tuple[int, bool]]:
    """(minutes, whether it is said that something takes or comes in it) of each length of time in a text."""
    for found in _SPAN.finditer(said):
        one = found["n"]
        many = 1 if one in _ONE else int(one) if one.isdecimal() else counted(one)
        unit = found["unit"]
        each = _MINUTES.get(unit[:3]) or (_YEAR if unit[:2] in ("an", "ye") else _MONTH)
        for count in {many, int(found["to"] or 0)} - {0}:
            yield count * each, bool(found["leads"])


def lengths(counts: Iterable[tuple[str, int]]) -> frozenset[int]:
    """The lengths of time, in minutes, for which a sum is made: ("month", 12)."""
    return frozenset(count * _MINUTES.get(kind[:3], _MONTH) for kind, count in counts)


# --- what sells ---------------------------------------------------------------------------------------

_PLACES = r"(?:vagas?|lugares?|unidades?|cupos?|plazas?|spots?|seats?|places?|slots?)"
_SOON = (
    r"(?:segunda|terca|quarta|quinta|sexta|sabado|domingo|lunes|martes|\w+day|semanas?|week|mes|month|janeiro"
    r"|january|enero"
    r"|dezembro|december|logo|amanha|hoje|tomorrow|soon|temporada|season|ano|year|depois|after)\b"
)
_CUSTOMER = r"(?:client\w+|pacientes?|alun[oa]s?|customers?|patients?|students?|alumn[oa]s?)"
_WON = (
    r"(?:dobr|triplic|duplic|fatur|consegui|vende(?:u|ram)|ganh(?:ou|aram)|cresceu|logr|fez|ador|amou|got|went"
    r"|achiev|doubl"
    r"|tripl)\w*"
)
_FARED = (
    rf"(?:{_WON}|vendem?|crescem|made|sees?|saw|lov\w+|satisf\w+|happy|felizes|contentos|come back|volt\w+|ve|veem|ven"
    r"|viram|notam|recuperam)\b"
)
_SOLD = {
    "urgency": re.compile(
        rf"\b(?:ultim[oa]s?|last|only|so|solo|apenas|just|restam?|quedan?)(?: \w+){{0,3}} {_PLACES}\b"
        rf"|\bultimo horario d[ao] (?:semana|mes)\b|\bquedan? (?:solo )?\w+ {_PLACES}\b"
        r"|\b(?:so|solo|somente|apenas|only|just) (?:por |for )?(?:hoje|hoy|today|tonight|amanha|until"
        r"|ate (?:hoje|amanha|sexta))\b|\b(?:hoje|today|this week|esta semana) (?:only|so)\b"
        r"|\b(?:val\w+|validade) (?:so |apenas |solo )?(?:ate|hasta)\b"
        r"|\b(?:offer|promo\w*|deal|oferta)\b.{0,20}\b(?:ends?|expires?|termina|acaba)\b"
        r"|\b(?:prec\w+|valor\w*|prices?)\b.{0,12}\b(?:sob\w+|aument\w+|go(?:es)? up|rises?|sub\w+)\b.{0,15}"
        rf"\b{_SOON}"
        r"|\b(?:hold|keep|segur\w+|mantenho|mantengo|guardo)\b.{0,15}\b(?:price|preco|valor|precio)\b|\bhurry\b"
        r"|\bcorre que\b"
        r"|\b(?:agenda|calendar|vagas?|lugares|horarios|slots?|spots?|cupos)\b.{0,30}"
        r"\b(?:quase (?:chei|lotad|esgotad)\w*|(?:acaband|esgotand|lotand|enchend|agotand)o"
        r"|almost (?:full|gone)|running out|filling up|casi llen\w*)\b"
        r"|\b(?:entao|so|por isso) (?:corre|hurry)\b"
        r"|\b(?:ultimo dia|last day)\b|\bse fechar hoje\b|\bmelhor fechar\b|\baprovech\w+ hoy\b"
        r"|\baproveit\w+ (?:hoje|agora)\b"
    ),
    "customers": re.compile(
        r"\b(?:dobrou|triplicou|duplicou|multiplicou|doubled|tripled|duplico|triplico)\b"
        rf"|\b(?:noss[oa]s?|our|nuestr[oa]s?|most|many|muit[oa]s|varios|mais de|more than)"
        rf"(?: (?:of|d[eo]s|our|noss[oa]s|nuestr[oa]s|mil|\d+))* {_CUSTOMER}\b.{{0,40}}\b{_FARED}"
        rf"|\b(?:um|uma|un|una|one|a|o|outr[oa]|el|la|another) {_CUSTOMER}\b.{{0,25}}\b{_WON}"
        rf"|\b(?:noss[ao]|our|nuestr[ao]) {_CUSTOMER} (?!de |que |com |sem |do |da )[a-z]+ [a-z]+ {_WON}"
    ),
}

# --- results with a number ----------------------------------------------------------------------------

_RESULT = re.compile(
    r"\b(?:(?P<cost>(?:custos?|costo|cost) (?:por|per|of|de) \w+|cpl|cac)"
    r"|(?P<sales>vend\w+|fatur\w+|lucr\w+|receitas?|sales?|sell\w*|sold|revenue|profits?|ventas?|ingresos)"
    r"|(?P<movement>movimento|movimiento|fluxo|traffic|encomendas|pedidos|orders)"
    r"|(?P<leads>leads?|contatos|contactos|inquiries)"
    rf"|(?P<customers>{_CUSTOMER}|clientela)"
    r"|(?P<return>retorno|roi|roas|returns?|resultados?|results?))\b"
)
_FACTOR = re.compile(
    r"\b(?P<percent>\d{1,4}(?:[.,]\d+)?|[a-z]+) ?(?:%|\b(?:por cento|por ciento|per ?cent)\b)"
    r"|(?<!\bem )(?<!\bin )(?<!\ben )(?<!\bem ate )\b(?P<times>\d{1,2}(?:[.,]\d)?) ?"
    r"(?:x\b(?! ?(?:de |of )?(?:r|us)?\$| ?\d)|(?:vezes|veces|times) (?:mais|mas|more)\b)"
    rf"|\b(?P<two>dobr\w+|duplic\w+|doubl\w+|doble|twice)\b(?=.{{0,25}}{_RESULT.pattern.replace('?P<', '?P<two_')})"
    rf"|\b(?P<three>tripl\w+)\b(?=.{{0,25}}{_RESULT.pattern.replace('?P<', '?P<three_')})"
)
_OF_PRICES = re.compile(
    r"(?:descont|discount|descuento|taxa|fee|multa|juros|sinal|entrada|deposit)\w*(?: \w+){0,2} $"
    r"|^ ?(?:de |of |in |a )?(?:desc\w+|discount|off\b|mais barat|cheaper|juros|sinal|entrada|deposit|menos n[oa]\b)"
)
_PIECES = re.compile(r"[;:] |, |\b(?:mas|but|pero)\b ")
_SAYS_NO = re.compile(
    r"\b(?:nao (?!(?:e|ha) (?:raro|dificil|incomum))|nunca|nem|never|not |ninguem|nobody"
    r"|no (?:puedo|podemos|promet\w+))|n't\b"
)
_WANTED = re.compile(
    r"\b(?:voce|vc|you|tu) (?:ja )?(?:disse|falou|quer|mencionou|comentou|busca|said|mentioned|want\w*)\b"
    r"|\b(?:dijiste|mencionaste|quieres|buscas)\b|\b(?:sua|seu|your|tu) (?:meta|objetivo|goal|target)\b"
)
_COMMON = frozenset("uns umas mais que com por para dos das the and you can more see mes month gente".split())


def _reached(clause: str, sentence: str, on: Written) -> bool:
    """Whether a result that is told with a number, of sales, customers or what they cost, is one that the company tells
    of the same. What the contact wants may be said back, and what is wanted may be asked."""
    said = plain(sentence)
    about = {one.lastgroup for one in _RESULT.finditer(clause)}
    if not _RESULT.search(said) or _SAYS_NO.search(clause) or _WANTED.search(clause):
        return True
    if said.rstrip().endswith("?") and (_ASKS.match(said) or re.search(r"\b(?:quanto|how much|cuanto)\b", said)):
        return True
    words = {word for word in folded(clause).split() if len(word) > 2 and not word.isdecimal()} - _COMMON
    for found in _FACTOR.finditer(clause):
        before, after = clause[: found.start()], clause[found.end() :]
        whole = found["percent"] == "100" and not re.match(r" (?:a mais|mais|more|mas|dos|of)\b", after)
        if whole or _OF_PRICES.search(before) or _OF_PRICES.search(after):
            continue
        for line in on.lines:
            if _factor(found) in map(_factor, _FACTOR.finditer(line.said)):
                same = about & {one.lastgroup for one in _RESULT.finditer(line.said)}
                if same or (not about and words & set(folded(line.said).split())) or _charges(clause, line.said):
                    break
        else:
            return False
    return True


def _charges(clause: str, line: str) -> bool:
    return bool(_CHARGES.search(clause) and _CHARGES.search(line))


def _factor(found: re.Match[str]) -> tuple[str, float | str]:
    """("%", 30) or ("x", 2)."""
    if (percent := found["percent"]) is not None:
        return "%", counted(percent) or percent if percent.isalpha() else float(percent.replace(",", "."))
    return "x", 2.0 if found["two"] else 3.0 if found["three"] else float(found["times"].replace(",", "."))
