"""What may not leave to a contact, whatever a model wrote: found by code, sentence by sentence.

Prices and discounts that are not in the catalogue and do not follow from it (money.py, sums.py), what the company never
said of itself (facts.py), promises that nobody keeps, claims of things that were not done, times that are not free,
other people's data, links of nowhere, instructions of ours, help with what is not our business, and passing for a
person. What the turn's tools gave, what the company wrote and what the contact said itself is known; the rest is not.
One finding, and the playbook's sentence goes instead (crew.py).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from business.messaging.clocks import BRASILIA, UNCLEAR, clock_told
from core.telemetry import holds_token
from core.words import plain
from crews.sdr.facts import Written, stands, unfounded
from crews.sdr.money import Amount, Names, amounts, per_of, read
from crews.sdr.sums import Shown, Terms, compared, counts_in, covers_too_little, made, percents_in

MOST = 900  # letters of a reply; longer ones are lectures
_MOST_OFF_TOPIC = 260
_LEAST_KEPT, _FEWEST_LETTERS = 0.3, 20
_CUT_OUT = frozenset({"promise", "claim", "link", "guarantee", "fee", "policy", "duration", "urgency", "customers"})


@dataclass(frozen=True)
class Finding:
    """`kind`: price, discount, promise, claim, guarantee, time, data, link, leak, off_topic, human, length, or what
    facts.py finds. `words`: where."""

    kind: str
    words: str


@dataclass(frozen=True)
class Grounds:
    """What a reply may lean on. `texts`: what the company wrote and tools gave, as text; `said`: what the contact wrote
    in this conversation. `amounts`: prices of the catalogue and amounts in the company's own texts."""

    texts: str
    said: str
    amounts: frozenset[Decimal]
    prices: tuple[Amount, ...]
    """The same amounts with the item and the unit that they were told with."""
    terms: Terms
    written: Written
    times: frozenset[str]
    """Hours HH:MM that are free, booked, or in the company's texts, by the clock of `zone`, the contact's."""
    zone: str = BRASILIA
    day: date | None = None
    """Of the times, where it is known: clocks abroad have a summer time."""
    booked: bool = False
    calls: bool = False
    """The meeting is a call by us: that we call is what was agreed."""
    moved: bool = False
    """The meeting was put at another time in this turn: the old one no longer stands."""
    cancelled: bool = False
    handed: bool = False
    stopped: bool = False
    off_topic: bool = False
    """The contact asked for something that is not our business, and for nothing else."""


# --- what is known ------------------------------------------------------------------------------------


def grounds(
    brief: dict[str, Any],
    results: Iterable[tuple[str, Any]],
    said: str,
    *,
    off_topic: bool = False,
    before: str = "",
    zone: str = BRASILIA,
    called: Mapping[str, Iterable[str]] | None = None,
) -> Grounds:
    """From the brief, the finished calls of the turn as (tool, result), the contact's words, and what we told them
    `before`, which was looked at then. `called`: item → what else the company says that people call it."""
    done = [(name, result) for name, result in results if result is not None]
    told = ("catalogue_search", "search_documents", "free_slots", "book_meeting", "hand_to_person")
    shown = [_public(brief), *(result for name, result in done if name in told)]
    texts = "\n".join(text for one in shown for text in _texts(one))
    own = "\n".join(_texts(_public(brief)))
    passages = [text for name, result in done if name == "search_documents" for text in _texts(result)]
    documents = "\n".join(passages)
    lists = [(brief.get("catalogue", []), brief.get("prices", []))]
    lists += [(result["items"], result["prices"]) for name, result in done if name == "catalogue_search"]
    prices = {Decimal(str(one)) for _, given in lists for one in given}
    known = prices | {amount for amount, _ in amounts(f"{own}\n{documents}\n{before}")}
    items = {item["name"]: item for listed, _ in lists for item in listed}
    item_names = Names(items.values(), called)
    prices_told = (
        *(price for listed, given in lists for price in _listed(listed, given)),
        *_elsewhere([*_texts({**_public(brief), "catalogue": []}), documents], item_names, set()),
        *_elsewhere([before], item_names, prices),
    )
    own_words = [*_of_itself(brief), *(f"{one['name']}: {one['description']}" for one in items.values()), *passages]
    written = [one for text in [*own_words, before] for one in sentences(text)]
    days: list[str] = []
    times = set(times_in(f"{own}\n{documents}\n{before}"))
    names = {name for name, _ in done}
    for name, result in done:
        if name == "free_slots":
            times |= {slot["starts"][11:16] for slot in result["slots"]}
            days += [slot["starts"][:10] for slot in result["slots"][:1]]
        if name == "book_meeting":
            times.add(result["starts"][11:16])
            days.append(result["starts"][:10])
    booked = [result for name, result in done if name == "book_meeting"]
    standing = brief.get("meeting")
    if standing:
        times.add(standing["starts"][11:16])
        days.insert(0, standing["starts"][:10])
    return Grounds(
        texts=f"{texts}\n{before}",
        said=said,
        amounts=frozenset(known),
        prices=prices_told,
        terms=Terms.of(item_names, prices_told, said, written),
        written=Written.of(written, said, brief.get("meeting_minutes", 0), item_names),
        zone=zone,
        day=date.fromisoformat(days[-1]) if days else None,
        times=frozenset(times),
        booked="book_meeting" in names or bool(standing),
        calls=(booked[-1] if booked else standing or {}).get("how") == "call",
        moved=any(one.get("moved") for one in booked),
        cancelled=any(name == "cancel_meeting" and result.get("cancelled") for name, result in done),
        handed="hand_to_person" in names,
        stopped="opt_out" in names,
        off_topic=off_topic,
    )


def _listed(items: list[dict[str, Any]], prices: list[Any]) -> Iterator[Amount]:
    """The catalogue's prices. `prices` are those of the items that have one, in their order; there may be more of them
    than items, when a brief tells the first ones alone."""
    priced = [item for item in items if item["price"] is not None]
    for place, price in enumerate(prices):
        item = priced[place] if place < len(priced) else {"name": "", "unit": ""}
        yield Amount(Decimal(str(price)), "", item["name"], per_of(item["unit"] or ""))


def _elsewhere(texts: Iterable[str], names: Names, but: set[Decimal]) -> Iterator[Amount]:
    """The amounts of other texts, without those values that they only repeat."""
    for text in texts:
        for sentence in sentences(text):
            yield from (one for one in read(sentence, names) if one.value not in but)


def _public(brief: dict[str, Any]) -> dict[str, Any]:
    """The brief without what only adds up and what the contact said."""
    return {name: value for name, value in brief.items() if name not in ("evidence", "sums", "numbers")}


def _of_itself(brief: dict[str, Any]) -> Iterator[str]:
    """What the company says of itself and its things: without the words of contacts, and questions to them."""
    answers = [one["answer"] for one in brief.get("objections", [])]
    named = {"catalogue": [], "topics": [], "to_ask": [], "goal": "", "objections": answers}
    yield from _texts({**_public(brief), **named})


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():
                yield from _texts(inner)
        case list() | tuple():
            for inner in value:
                yield from _texts(inner)


# --- the check ----------------------------------------------------------------------------------------


def check(text: str, on: Grounds) -> list[Finding]:
    """Everything that keeps the text from leaving; empty when it may."""
    found: list[Finding] = []
    if len(text) > MOST:
        found.append(Finding("length", f"{len(text)}"))
    found += _leaks(text)
    found += _data(text, on)
    found += _links(text, on)
    shown = Shown.of(sentences(text), on.amounts, on.terms)
    for sentence in sentences(text):
        found += _sentence(sentence, shown, on)
    if on.off_topic and (len(text) > _MOST_OFF_TOPIC or not _turns_away(text, on)):
        found.append(Finding("off_topic", text[:80]))
    return found


def without_promises(text: str, on: Grounds) -> str:
    """The text without the sentences that only promise, claim to have done something, or give a link, when that is all
    that is wrong with it and most of it is left; else empty. A price or a time has its reason in what stands around."""
    shown = Shown.of(sentences(text), on.amounts, on.terms)
    kept = []
    for one in sentences(text):
        kinds = {finding.kind for finding in (*_sentence(one, shown, on), *_links(one, on))}
        if not kinds or not kinds <= _CUT_OUT:
            kept.append(one)
    left = " ".join(kept)
    enough = len(left) >= max(_LEAST_KEPT * len(text), _FEWEST_LETTERS)
    return left if enough and not check(left, on) else ""


def sentences(text: str) -> list[str]:
    """Pieces that are judged by themselves: sentences and lines."""
    return [one.strip() for one in re.split(_ENDS, text) if one.strip()]


_ENDS = re.compile(r"(?<=[.!?…])\s+(?=\S)|(?<=[\u2600-\u27bf\U0001f300-\U0001faff])\s+(?=[A-ZÀ-Ý¿¡\d])|\n+")


def worked_out(text: str, on: Grounds) -> list[Decimal]:
    """The numbers of a text that may leave which no tool gave: amounts that add up, with how many were counted, and
    percents that the company gives."""
    shown = Shown.of(sentences(text), on.amounts, on.terms)
    found: list[Decimal] = []
    for sentence in sentences(text):
        right = made(list(read(sentence, on.terms.names)), sentence, shown, on.terms)
        right = [one for one in right if one.value not in on.amounts or one.parts]
        found += [one.value for one in right] + [Decimal(one.parts) for one in right if one.parts]
        found += [Decimal(count) for _, count in counts_in(plain(sentence)) if right]
        found += [percent for percent in percents_in(plain(sentence)) if percent in _percents(on)]
    return found


def _sentence(sentence: str, shown: Shown, on: Grounds) -> Iterator[Finding]:
    said = plain(sentence)
    asks = sentence.rstrip().endswith("?")
    no = bool(_NOT.search(said))
    told = list(read(sentence, on.terms.names))
    sums = made(told, sentence, shown, on.terms)
    right = {one.value for one in sums}
    for amount, words in amounts(sentence):
        if amount not in on.amounts | right and not _repeated(amount, said, on):
            yield Finding("price", words)
    for one in told:
        wrong = one not in sums and (_misplaced(one, on) or compared(one, said))
        if wrong and not _repeated(one.value, said, on):
            yield Finding("price", f"{one.words} {one.item or '?'} {'/'.join(sorted(one.per))}")
    if covers_too_little(said, shown, on.terms) and not asks:
        yield Finding("price", sentence[:120])
    if foreign := _signs(sentence) - _signs(f"{on.texts} {on.said}"):
        yield Finding("price", "".join(foreign))
    if _DISCOUNT.search(said) and not no and not asks and not _granted(said, on):
        yield Finding("discount", sentence[:120])
    if _HUMAN.search(said):
        yield Finding("human", sentence[:120])
    sure = _GUARANTEE.search(said)
    if sure and not no and not asks and not stands(sure, said, on.written):
        yield Finding("guarantee", sentence[:120])
    later = [*_promises(sentence, said, on), *_claims(sentence, said, on)] if not no and not asks else []
    if asks and not no and _rings(said, on):
        later = [Finding("promise", sentence[:120])]
    yield from later
    for kind in unfounded(sentence, on.written, bool(told), counts_in(said), shown.items):
        if not later or kind != "duration":  # of a promise: "te ligo em 5 minutos"
            yield Finding(kind, sentence[:120])
    yield from _hours(sentence, said, on)


# --- money --------------------------------------------------------------------------------------------

_DISCOUNT = re.compile(
    r"\bdescontos?\b|\bdescontinho\b|\bcupo(?:m|ns)\b|\bbonus\b|\bbrinde\b|\bpromoc\w+\b|\bcondicao especial\b"
    r"|\bpreco especial\b|\bvalor especial\b|\bmeia? mensalidade\b|\bprimeiro mes (?:por|sem)|"
    r"\bfech(?:o|amos|ado) (?:por|em)\b|\bfaco por\b"
    r"|\babat(?:e|em|er|id[oa]|imento)\b"
    r"|\b(?:pel[oa] (?:mesmo )?(?:preco|valor)|al (?:mismo )?precio|for the (?:same )?price) d?[oe][lfa]?\b(?! tabela)"
    r"|\bdeixo por\b|\bconsigo fazer por\b"
    r"|\d+ ?(?:%|por cento) (?:off|de desconto|a menos|mais barat[oa])|\bmetade do (?:preco|valor)\b"
    r"|\bhalf (?:the )?price\b|\bmitad de(?:l)? precio\b|\bdiscounts?\b|\bspecial (?:price|offer|deal)\b"
    r"|\bcoupon\b|\bwaive\w*\b"
    r"|\b(?:abaix(?:a|amos|ar|ei|o)|baixa(?:mos|r)?|diminu(?:i|imos|ir))\b(?= (?:um|mais|o (?:valor|preco))\b|\W*$)"
    r"|\b(?:melhor|baix|mejor|baj)(?:o|ar?|amos|e) (?:o|el|um|un) (?:\w+ )?(?:valor|prec\w+|custo)\b|\bprecinho\b"
    r"|\b(?:pix|a vista|contado|up ?front)\b.{0,30}\b(?:mais|mas) (?:barat[oa]|em conta)\b"
    r"|\bup ?front\b.{0,30}\bcheaper\b"
    r"|\b(?:lower|better|improve|reduce|drop|cut) (?:the |a |our )?prices?\b|\bknock\b.{0,20}\boff\b"
    r"|\bdescuentos?\b|\brebaja\w*\b|\bprecio especial\b"
)
_NOT = re.compile(
    r"\b(?:so (?:com|quem|alguem)|only (?:somebody|someone|a person)|solo (?:con|alguien)"
    r"|nao|nunca|nem|sem como|infelizmente|not|never|cannot|can'?t|don'?t|doesn'?t"
    r"|won'?t|unfortunately|isn'?t|aren'?t|tampoco|nadie|ninguem|nobody"
    r"|no (?:hay|tengo|tenemos|puedo|podemos|damos|doy|existen?|ofrecemos"
    r"|es posible|discounts?|special|way|longer|one))\b"
    r"|^no\b(?=[,.!])"
)
"""A sentence that says no. "No" alone is Portuguese for "in the": "no primeiro mês"."""
_WITHIN_IT = re.compile(r"\b(?:dentro d\w*|cabe\w*|within|under|below|abaixo|dentro de|entra nos?)\b")
_THEIRS = re.compile(
    r"\b(?:seus?|suas?|teus?|tuas?|tus|sus|voce (?:disse|falou|tem|quer|mencionou|comentou)|vc|your|you (?:said"
    r"|mentioned|have|want)|tu|su|dijiste|mencionaste)\b"
)


def _misplaced(one: Amount, on: Grounds) -> bool:
    """Whether an amount that is known is told as another item's, or for something else: R$ 900 a month as "a year".
    Where the item or the unit cannot be told, or the company gave none, it is not."""
    known = [price for price in on.prices if price.value == one.value]
    if not known:
        return False
    if one.item:
        known = [price for price in known if price.item in ("", one.item)]
    return not known or (bool(one.per) and all(price.per and not price.per & one.per for price in known))


def _repeated(amount: Decimal, said: str, on: Grounds) -> bool:
    """Whether the contact's own figure is told them again, and not agreed to."""
    told = _NOT.search(said) or _THEIRS.search(said) or _WITHIN_IT.search(said)
    return _echo(amount, on) and bool(told or _affords(amount, said, on))


_WITH = re.compile(r"(?:com|with|con)(?: (?:os|as|uns|ate|about|unos))? (?=r?\$|\d)")


def _affords(amount: Decimal, said: str, on: Grounds) -> bool:
    """Whether it is what one has ("com 3 mil por mês …"), and enough for a listed price of the sentence."""
    named = [value for value, _ in amounts(said)]
    enough = any(price.value == told < amount for told in named for price in on.prices if price.item)
    return bool(_WITH.match(said)) and named[:1] == [amount] and enough


def _echo(amount: Decimal, on: Grounds) -> bool:
    """Whether the contact named the amount: it may be repeated to them, never agreed to."""
    return (
        any(amount == said for said, _ in amounts(on.said))
        or re.search(rf"(?<!\d){amount.normalize():f}(?!\d)", on.said) is not None
    )


_GUARANTEE = re.compile(
    r"\bgarant(?:o|imos|e|ido|ida|idos|ia)\b|\b(?:com certeza|certamente|sem duvida"
    r"|pode ter certeza(?: de)? que|for sure|definitely|seguro que)"
    r"\b.{0,25}\b(?:vend\w+|fatur\w+|lot[ae]\w*|ench\w+|dobr\w+|receb\w+|ganh\w+|sell|get|earn|vendes|venderas)\b"
    r"|\bcom certeza (?:voce|vc|vai|ja|seu|sua|o)\b"
    r"|\b(?:dobra|triplica|duplica)r?\b"
    r".{0,20}\b(?:vendas|clientes|faturamento|lucro|pacientes|agenda)\b|\bvai (?:vender"
    r"|faturar|lotar) (?:muito|mais|o dobro)\b"
    r"|\b(?:vai|vao|van a|vas a|will) (?:dobrar|triplicar|duplicar|double|triple)\b"
    r"|\bresultados? (?:cert[oa]s?|garantid\w+)\b|\bguarantee\w*\b|\byou(?:'ll"
    r"| will) (?:definitely|surely|double|triple)\b"
    r"|\b(?:dobro|doble|double|twice|triplo|triple) (?:d[eo]s? |of |the |as many )*"
    r"(?:vend|client|pacient|patient|customer|sales)\w*"
    r"|\bse paga (?:sozinh|sol[oa]\b)|\bem \d+ \w+ .{0,25}se paga\b|\bpays? for itself\b"
    r"|\b(?:recuper\w+|recoup\w*|get back) (?:\w+ ){0,2}(?:invest\w+|dinheiro|dinero|money)\b"
    r"|\bgarantiz\w+\b|\bseguro que (?:vas|vendes|tendras)\b"
)
_SIGN = re.compile(r"R\$|€|U?S?\$S?")


def _signs(text: str) -> set[str]:
    """The currencies that a text writes: reais, euros, or another money of the sign $."""
    return {one if one in ("R$", "€") else "$" for one in _SIGN.findall(text)}


def _granted(said: str, on: Grounds) -> bool:
    """Whether the company gives it: so many percent, where it tells how many, and for nothing else than it says; else
    in its own words."""
    told, lines = set(percents_in(said)), [line.said for line in on.written.about(_DISCOUNT)]
    lines = [one for one in lines if told <= set(percents_in(one)) and _given_for(said) <= _given_for(one)]
    return any(told or (len(word) > 5 and word in one) for one in lines for word in _DISCOUNT.findall(said))


def _given_for(said: str) -> set[str]:
    return {one.lastgroup or "" for one in _CONDITION.finditer(said)}


_CONDITION = re.compile(
    r"\b(?:(?P<cash>pix|a vista|cash|contado|dinheiro|efectivo)|(?P<card>cartao|card|tarjeta)"
    r"|(?P<year>anual\w*|ano|year|annual\w*|yearly)|(?P<second>segund[oa]|second|famil\w+|irma\w*|hermano\w*)"
    r"|(?P<friend>amig\w+|friends?|indic\w+|refer\w+)|(?P<student>estudante\w*|students?))\b"
)
"""For what or whom a discount may be given."""


def _percents(on: Grounds) -> set[Decimal]:
    return {percent for _, percent in on.terms.percents}


# --- promises, and claims -----------------------------------------------------------------------------

_ACT = (
    r"(?:ligo|ligar\w*|retorno|retornar\w*|mando|mandar\w*|envio|enviar\w*|encaminh\w+|aviso"
    r"|avisar\w*|passo|respond\w+|confirm\w+|chamo|chamar\w*|verific\w+|consult\w+|checo"
    r"|checar"
    r"|prepar\w+|monto|montar\w*|agendo|agendar\w*|marco|marcar\w*|entro em contato"
    r"|entrar em contato|volto|voltar\w*|falo com|falar com|pergunt\w+|providenci\w+"
    r"|resolv\w+)"
)
_COMES = re.compile(
    r"\b(?:link|contrato|proposta|boleto|convite|orcamento|pdf|material|apresentacao|resposta"
    r"|retorno|contract|proposal|invite"
    r"|invoice|quote|enlace|propuesta|invitacion)\b.{0,40}\b(?:chega\w*|vai chegar"
    r"|sera enviad\w+|vai ser enviad\w+|vai por"
    r"|segue (?:depois|em breve)|will (?:be sent|arrive|come|follow)|llega\w*|sera enviad\w+)\b"
    r"|\b(?:convite|invite|invitation|invitacion)\b.{0,25}"
    r"\b(?:vai|vao|cai|segue|sai|esta indo|ja foi|goes|is on its way|va|sale)\b"
    r"|\b(?:coloquei|inclui|adicionei|incluo|incluir|adicionar|colocar|botei|added|add"
    r"|agregue)\b.{0,45}\b(?:convite|convidad\w+|invite|invitacion)\b"
    r"|\be-?mail\b.{0,12}\b(?:esta|ta|is) (?:no|on the) (?:convite|invite)\b"
    r"|\b(?:te|lhe) (?:mando|envio|encaminho)\b.{0,20}"
    r"\b(?:convite|contrato|proposta|boleto|orcamento|material|apresentacao|invitacion)\b"
    r"|\b(?:voce|vc|you|usted|tu)\b.{0,12}\b(?:vai receber|recebera|recebe|will (?:get"
    r"|receive)|recibir\w*|recibes)\b.{0,25}"
    r"\b(?:link|contrato|proposta|boleto|convite|orcamento|pdf|contract|proposal|invite|invoice|enlace|propuesta)\b"
)
"""Things that would have to be sent later; nobody does."""
_PROMISE = re.compile(
    rf"\b(?:vou|irei|vamos|iremos|vai|vao|ira|irao) (?:te |lhe |ja |logo |entao |tambem "
    rf"|agora |pedir (?:para|pra) \w+ )*{_ACT}"
    rf"|\b(?:eu |a gente |ja |logo |daqui a pouco |em breve |em \d+ minutos |amanha |depois "
    rf"|mais tarde )+(?:eu |a gente |ja )*te (?:ligo|retorno|mando|envio|aviso|passo|respondo"
    rf"|chamo|encaminho|confirmo)"
    r"|\bte (?:ligo|retorno|mando|envio|aviso|passo|respondo"
    r"|encaminho) (?:\w+ ){0,4}(?:amanha|hoje|logo|depois|mais tarde|em breve|em \d+|ainda"
    r"|assim que|segunda|terca|quarta|quinta|sexta|daqui)"
    r"|\b(?:ligaremos|enviaremos|mandaremos|retornaremos|entraremos|avisaremos|responderemos"
    r"|ligarei|enviarei|mandarei|retornarei|avisarei|entrarei)\b"
    r"|\b(?:alguem|(?:um|uma|o|a|nosso|nossa) (?:consultor\w*|especialista|vendedor\w*"
    r"|atendente|gerente|time|equipe|pessoa)"
    r"|ele|ela)(?: do time| da equipe)? (?:vai |ira |te |ja )*(?:ligar|liga"
    r"|entrar em contato|entra em contato|retornar?|retorna|mandar|enviar|te chamar|te chama"
    r"|procurar)"
    r"|\bem (?:ate )?(?:\d+|cinco|dez|quinze|alguns|poucos) (?:minutos(?! de| por| a gente)|minutinhos"
    r"|horas)\b.{0,40}\b(?:te |alguem|time|equipe|retorn|respond|contato|liga)"
    r"|\b(?:so )?um (?:minuto|minutinho|momento|instante|segundo)\b(?! de| para)|\baguarde?\b"
    r"|\bja (?:volto|retorno|te respondo)\b|\bdeixa eu (?:ver|verificar|checar|consultar"
    r"|confirmar|perguntar)\b"
    r"|\b(?:i|we)(?:'?ll| will| am going to|'?m going to) (?:\w+ ){0,2}(?:call|send|get back"
    r"|email|text|message|check|follow up|let you know|contact|reach out|ask|confirm|prepare"
    r"|reply)\b"
    r"|\b(?:someone|somebody|our team|a specialist|an agent)(?: from (?:the"
    r"|our) team)? will (?:\w+ )?(?:call|contact|get back|reach|email|send|message)\b"
    r"|\b(?:just )?(?:a|one) (?:minute|moment|second)\b|\bhold on\b|\blet me (?:check|ask|see"
    r"|confirm|verify)\b|\bi'?ll be right back\b"
    r"|\b(?:voy|vamos) a (?:llamarte|llamar|enviarte|enviar|mandarte|mandar|consultar"
    r"|verificar|avisarte|confirmar|preguntar)\b|\bte (?:llamo|envio|mando|aviso"
    r"|confirmo) (?:manana|luego|mas tarde|en|pronto|hoy)\b"
    r"|\b(?:te )?(?:llamaremos|enviaremos|contactaremos|avisaremos|llamare|enviare|mandare"
    r"|avisare)\b|\bun momento\b|\balguien (?:del equipo )?te (?:va a )?(?:llama\w*"
    r"|contacta\w*|escrib\w*)"
)
_BY_PERSON = re.compile(
    r"\b(?:alguem|uma pessoa|time|equipe|atendente|especialista|consultor|pessoa do time"
    r"|someone|somebody|person|team|colleague|alguien|una persona|equipo|asesor)\b"
)
_WITHIN = re.compile(
    r"\b(?:em|in|en|dentro de|within) (?:ate )?(?:\d+|um|uma|cinco|dez|quinze|poucos|alguns"
    r"|a few|five|ten|pocos|unos) (?:minut\w+|hora\w*|hour\w*|dia\w*|day\w*)|\bamanha\b"
    r"|\btomorrow\b|\bmanana\b|\bhoje ainda\b|\bainda hoje\b|\btoday\b|\bagora mesmo\b"
    r"|\bright away\b|\bja ja\b"
)
_MEETS = re.compile(
    r"\b(?:agend\w+|marc\w+|conversa\w*|reuniao|call|meeting|horario|encontro|video|lembr\w+"
    r"|book\w*|schedul\w+|remind\w*|charla|reunion|cita|recordat\w+|remarc\w+)\b"
)
_BOOKED = re.compile(
    r"\b(?:agendei|marquei|remarquei|reservei|confirmei|marcad[oa]s?|agendad[oa]s?"
    r"|reservad[oa]s?|remarcad[oa]s?|(?:esta|ta|fica|ficou|tudo) (?:confirmad[oa]|marcad[oa]"
    r"|agendad[oa]|certo para)"
    r"|booked|scheduled|rescheduled|(?:is|are|you'?re|all) (?:confirmed|set)|reserved"
    r"|ya (?:te )?(?:agende|reserve)|confirmad[oa]s? (?:para|a) (?:reuniao|conversa|call|meeting"
    r"|charla))\b"
)
_COULD = re.compile(
    r"\b(?:pode(?:mos)? (?:ser|deixar)|quer(?:es|em)?|gostaria|podemos|posso"
    r"|se (?:voce )?(?:quiser|preferir)|would you|can|could|shall|quieres|podemos|prefere"
    r"|para (?:ser|ficar) |assim que|quando|depois de|antes de|once|if|si )\b"
)
_SENT = re.compile(
    r"\b(?:enviei|mandei|te (?:mandei|enviei)|acabei de (?:te )?(?:enviar|mandar)|(?:foi"
    r"|ja) enviad[oa]|ja (?:mandei|enviei)|segue (?:em anexo|anexo|o (?:pdf|contrato|boleto))|em anexo"
    r"|i(?:'?ve| have)? (?:just )?(?:sent|emailed)|attached (?:is|you)|te (?:envie|mande)|he enviado|adjunto)\b"
)
_FETCHED = re.compile(
    r"\b(?:(?:ja |acabei de )?(?:chamei|acionei|avisei|passei (?:voce|vc|sua|o seu|seu|para"
    r"|pra|pro|ao)|transferi|encaminhei|notifiquei"
    r"|falei com)|(?:estou|to|vou) (?:transferindo|chamando|passando|encaminhando"
    r"|te (?:transferir|passar|conectar))"
    r"|i(?:'?ve| have)? (?:called|notified|transferred|forwarded|told|asked|spoken)"
    r"|(?:transferring|connecting) you|(?:ya )?(?:llame|avise|transferi"
    r"|pase (?:a|al|con|tu|su|el mensaje|la consulta)))\b"
)
_DAY = re.compile(
    r"\b(?:segunda|terca|quarta|quinta|sexta|sabado|domingo|amanha|(?:mon|tues|wednes|thurs|fri|satur|sun)day|tomorrow"
    r"|lunes|martes|miercoles|jueves|viernes)\b|\b\d{1,2}/\d{1,2}\b"
)
_PASSED = re.compile(r"\b(?:passei|transferi|transferred|pase)\b")
_CALLED_OFF = re.compile(r"\b(?:cancel\w+|desmar\w+)\b")
_NOW = re.compile(r"\b(?:agora|fic(?:a|ou)|now|moved|ahora|qued(?:a|o))\b")
_DONE = re.compile(
    r"\b(?:cancelei|desmarquei|cadastrei|registrei seu (?:pagamento|pedido)|removi|exclui"
    r"|apaguei|contrat(?:ei|o fechado)|ativei|liberei|apliquei|desmarcad[oa]|cancelad[oa]"
    r"|i(?:'?ve| have)? (?:cancel+ed|removed|deleted|activated|applied|registered)|cancele"
    r"|elimine|active|aplique)\b"
)
_WE_CALL = re.compile(
    r"\b(?:(?:te )?liga(?:mos|remos)|(?:a gente|o time|alguem(?: do time)?) te liga|vamos te ligar"
    r"|we(?:'?ll| will)? call you|te llama(?:mos|remos))\b"
)
_AT_ONCE = re.compile(r"\b(?:em|in|en|within) \w+ minut|\bagora\b|\bright away\b|\bahora\b")


_WHEN = (
    r"(?:amanha|hoje|tomorrow|today|manana|hoy|segunda|terca|quarta|quinta|sexta|sabado|domingo|lunes|martes|miercoles"
    r"|jueves|viernes|\w+day|semana|logo|mais tarde|depois|later)\b"
)
_PLACE = r"(?:loja|padaria|clinica|empresa|casa|escritorio|consultorio|restaurante|local|negocio|salao|studio)"
_RING = re.compile(
    r"\bte ligo\b|\bligo (?:pra|para) (?:voce|vc)\b|\bte telefono\b"
    rf"|\bte ligamos\b.{{0,20}}\b{_WHEN}|\b{_WHEN}.{{0,20}}\bte ligamos\b"
    r"|\b(?:dou|damos|dar|darei|faco|fazemos) (?:te )?uma? (?:ligad\w+|ligacao|telefon\w+|passad\w+|visit\w+|pul\w+"
    r"|toque)\b"
    rf"|(?<!te )(?<!lhe )\bpasso (?:por )?ai\b(?= (?:(?:na|no|a|de) )?{_WHEN}|\W*$| (?:as|para|pra)\b|,)"
    rf"|(?<!te )(?<!lhe )(?<!\bo )(?<!um )(?<!proximo )(?<!primeiro )\bpasso n[ao] (?:su?a|seu) {_PLACE}\b"
    r"|\bvou (?:ai|ate (?:ai|voce|a sua|o seu)|te visitar|passar (?:ai|n[ao] su?[ae]u?)|dar um pul\w+)\b|\bte visito\b"
    r"|\b(?:i|we)(?:'?ll| will) (?:\w+ )?(?:give you (?:a|another) (?:\w+ )?(?:ring|call|shout|buzz)|ring you|call you"
    r"|phone you|visit|(?:drop|stop|come|swing) by)\b"
    r"|\bte (?:llamo|doy una llamad\w+|visito)\b|\bpaso (?:por (?:ahi|alla|tu|su)|a ver\w+)\b"
)
"""A call or a visit by us."""
_CALLS = re.compile(r"\b(?:lig\w+|call|llam\w+|te chama\w*|visit\w*)\b")
_OFFERS = re.compile(
    r"\b(?:quer\w*|prefer\w*|gostaria|posso|podemos|would|can|could|shall|should|may|quier\w+|prefier\w+|puedo|se"
    r"|if|si)\b"
)


def _rings(said: str, on: Grounds) -> bool:
    """Whether a call or a visit by us is promised in what ends as a question: "te ligo amanhã, pode ser?". An offer is
    none, nor is the call that was agreed, or one at a time that is free."""
    found = _RING.search(said) or next((one for one in _PROMISE.finditer(said) if _CALLS.search(one[0])), None)
    if not found or _OFFERS.search(said[: found.start()]):
        return False
    if on.booked and on.calls and not _AT_ONCE.search(said):
        return False
    return not on.times & set(times_in(said))


def _promises(sentence: str, said: str, on: Grounds) -> Iterator[Finding]:
    """What somebody would have to do later. A person who was fetched will answer here; a meeting that stands takes
    place; nothing else is kept by anybody."""
    if _COMES.search(said):
        yield Finding("promise", sentence[:120])
        return
    we_call = on.booked and _WE_CALL.search(said)
    if we_call and on.calls and not _AT_ONCE.search(said):
        return
    found = _PROMISE.search(said) or _RING.search(said) or we_call
    if not found or _COULD.match(said):
        return
    calls = re.search(r"\b(?:lig\w+|call\w*|llam\w+)\b", said)
    if on.handed and _BY_PERSON.search(said) and not _WITHIN.search(said) and not calls:
        return
    if on.booked and _MEETS.search(said) and not re.search(r"\b(?:lig\w+|call you|te llam\w+)\b", said):
        return
    yield Finding("promise", sentence[:120])


def _claims(sentence: str, said: str, on: Grounds) -> Iterator[Finding]:
    """What was not done."""
    if _BOOKED.search(said) and not on.booked and not on.cancelled and not _COULD.search(said):
        yield Finding("claim", sentence[:120])
    if _SENT.search(said):
        yield Finding("claim", sentence[:120])
    moved = on.moved and bool(_DAY.search(said))  # "já passei para sexta às 14h", "a de quinta está cancelada"
    passed = moved and _PASSED.search(said) and not _BY_PERSON.search(said)
    if _FETCHED.search(said) and not on.handed and not passed:
        yield Finding("claim", sentence[:120])
    off = moved and _CALLED_OFF.search(said) and _NOW.search(said)
    if _DONE.search(said) and not (on.cancelled or on.stopped or off) and not _COULD.search(said):
        yield Finding("claim", sentence[:120])


# --- times --------------------------------------------------------------------------------------------

_HOUR = re.compile(
    r"(?<![\d/:.,$])(?P<h>\d{1,2})\s?(?:h(?:oras?|rs?|s)?\s?(?P<m1>\d{2})?\b"
    r"|:(?P<m2>\d{2}))\s?(?P<ap>[ap]\.?m\b)?"
    r"|(?<![\d/:.,$])(?P<h2>\d{1,2})\s?(?P<ap2>[ap]\.?m)\b"
    r"|\b(?:as|at|a las) (?P<h3>\d{1,2})\b(?!\s?[ap]\.?m\b)(?![:/%\d])",
    re.IGNORECASE,
)
_LASTS = re.compile(r"\b(?:em|in|en|ate|por|dura\w*|de|within|leva|toma|takes) (?:\w+ )?$")


def times_in(text: str) -> Iterator[str]:
    """The hours of the day that a text names, HH:MM."""
    for *_, told in hours_at(plain(text)):
        yield told


def hours_at(text: str) -> Iterator[tuple[int, int, str]]:
    """The hours of the day that `text`, in plain letters, names: (start, end, HH:MM)."""
    for found in _HOUR.finditer(text):
        if told := _clock(found):
            yield found.start(), found.end(), told


def _clock(found: re.Match[str]) -> str:
    hour = int(found["h"] or found["h2"] or found["h3"])
    minute = int(found["m1"] or found["m2"] or 0)
    half = (found["ap"] or found["ap2"] or "").lower()
    if half.startswith("p") and hour < 12:
        hour += 12
    return f"{hour:02d}:{minute:02d}" if hour < 24 and minute < 60 else ""


def _hours(sentence: str, said: str, on: Grounds) -> Iterator[Finding]:
    """Hours of the day that nobody offered: not free, not booked, not the house's, not the contact's own. One that is
    said to be by another clock is that hour of the contact's: "10h em Manaus, 11h em Brasília"; so are all of a list:
    "9h ou 10h em Manaus, 8h ou 9h em Nova York"."""
    theirs = set(times_in(on.said))
    last: tuple[str, set[str], int] | None = None
    for clock, hours in _by_clock(said):
        told = [_by_their_clock(_clock(found), clock, on) for found in hours]
        starts, ends = hours[0].start(), hours[-1].end()
        again = last and clock not in ("", last[0]) and not _OR.search(said[last[2] : starts])
        if again and last and (clock == UNCLEAR or last[1] != set(told)):
            yield Finding("time", said[starts:ends])  # the same hours by two clocks, which do not agree
        last = (clock or on.zone, set(told), ends) if clock or last is None else None
        for found, hour in zip(hours, told, strict=True):
            repeated = hour in theirs and (_NOT.search(said) or sentence.rstrip().endswith("?"))
            if not repeated and not _may_be_said(found, hour, said, on):
                yield Finding("time", found[0])


def _by_clock(said: str) -> Iterator[tuple[str, list[re.Match[str]]]]:
    """The hours of a sentence with the clock that they are said by, "" where none is said. Those of a list are by the
    clock that is said behind its last: "8h, 9h e 10h em Nova York"."""
    hours = list(_HOUR.finditer(said))
    group: list[re.Match[str]] = []
    for place, found in enumerate(hours, 1):
        group.append(found)
        ends = hours[place].start() if place < len(hours) else len(said)
        if place < len(hours) and _LISTED.fullmatch(said[found.end() : ends]):
            continue
        yield clock_told(said[found.start() : ends]), group
        group = []


def _may_be_said(found: re.Match[str], told: str, said: str, on: Grounds) -> bool:
    """Whether an hour, by the contact's clock, is one that may be told, or no hour of the day: "em 24h"."""
    if told == UNCLEAR:
        return False
    span = found["h"] and not found["m1"] and not found["m2"] and re.match(r"\d{1,2}\s?h(?:oras?|rs?|s)\b", found[0])
    later = f"{int(told[:2]) + 12:02d}{told[2:]}" if told and found["h3"] and int(told[:2]) < 8 else told
    if not told or told in on.times or later in on.times or (span and int(found["h"]) in (12, 24, 36, 48, 72)):
        return True
    return bool(span and _LASTS.search(said[: found.start()]))


_OR = re.compile(r"\b(?:ou(?! seja)|or|o|e as)\b")
_LISTED = re.compile(r"\s*(?:,|,? ?\b(?:ou|or|e|and|o|y|to)\b)?\s*(?:(?:as|at|a las|das?) )?")
"""What stands between the hours of a list, or of a span: "das 8h às 18h"."""


def _by_their_clock(told: str, zone: str, on: Grounds) -> str:
    """An hour HH:MM of the clock of `zone`, where that is known, by the contact's; UNCLEAR where that differs in summer
    and the day is not known."""
    if not told or zone in ("", UNCLEAR, on.zone):
        return told
    days = [on.day] if on.day else [date(2026, 1, 1), date(2026, 7, 1)]
    then = [datetime.combine(day, time.fromisoformat(told), ZoneInfo(zone)) for day in days]
    hours = {f"{one.astimezone(ZoneInfo(on.zone)):%H:%M}" for one in then}
    return hours.pop() if len(hours) == 1 else UNCLEAR


# --- data, links, secrets -----------------------------------------------------------------------------

_PHONE = re.compile(r"(?<![\w/.,:$-])\+?\(?\d[\d ().-]{7,18}\d(?![\w/])")
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")
_LINK = re.compile(
    r"(?:https?://|www\.)\S+|(?<![\w@.-])[a-z0-9][\w-]{1,62}(?:\.[a-z0-9-]{1,62})*\.(?:com"
    r"|net|org|io|app|br|me|ly|link|site|online|example|co|info|biz|dev|ai|pt|es"
    r"|us)(?:\.br)?(?:/\S*)?(?![\w@])",
    re.IGNORECASE,
)
_INTERNAL = re.compile(
    r"\b(?:sdr_brief|note_fact|catalogue_search|search_documents|free_slots|book_meeting"
    r"|cancel_meeting|hand_to_person|set_stage|opt_out)\b"
    r"|\b(?:chat|cont|comp|deal|turn|msg|user|tenant|evid|conv|appt)_[0-9a-f]{8,}\b"
    r"|\b(?:system|developer) (?:prompt|message)\b|\bBANT\b|\blead (?:score|quente|frio"
    r"|morno)\b|\bscore\b.{0,12}\d"
    r"|\b(?:minhas|my|mis) (?:instru\w+|regras|rules|reglas|diretrizes|guidelines) (?:s[aã]o"
    r"|are|son|dizem|say|dicen)\b|\bmeu prompt\b|\bmy prompt\b",
    re.IGNORECASE,
)
_HUMAN = re.compile(
    r"(?<!nao sou )(?<!nao e )\bgente de verdade\b|(?<!nao sou uma )\bpessoa de verdade (?:da"
    r"|do|aqui)\b|\baqui e gente\b|"
    r"(?<!nao )(?<!not )\b(?:sou|eu sou|aqui e) (?:uma? )?(?:pessoa(?: de verdade| real)?|human[oa]"
    r"|atendente human[oa])\b(?! virtual)|\bnao sou (?:um |uma )?(?:robo|bot|ia|maquina"
    r"|assistente virtual|inteligencia artificial|programa)\b"
    r"|\bi'?m (?:a )?(?:real )?(?:human|person)\b|\bi am (?:a )?(?:real )?(?:human|person)\b"
    r"|\bi'?m not (?:a |an )?(?:bot|robot|ai|machine)\b|\bi am not (?:a |an )?(?:bot|robot|ai"
    r"|machine)\b"
    r"|\bsoy (?:una )?(?:persona|human[oa])\b|\bno soy (?:un )?(?:robot|bot|ia)\b"
)


def _leaks(text: str) -> Iterator[Finding]:
    if holds_token(text):
        yield Finding("leak", "***")
    if found := _INTERNAL.search(text):
        yield Finding("leak", found[0])


def _data(text: str, on: Grounds) -> Iterator[Finding]:
    """Telephones, e-mail addresses and documents (CPF, CNPJ) that are neither ours nor the contact's."""
    known = re.sub(r"\D", "", f"{on.texts} {on.said}")
    for found in _PHONE.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        if (
            len(digits) >= 8
            and digits not in known
            and not re.fullmatch(r"\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}|\d{4}-\d{2}-\d{2}.*", found[0].strip())
        ):
            yield Finding("data", found[0].strip())
    for address in _EMAIL.findall(text):
        if address.lower() not in f"{on.texts}\n{on.said}".lower():
            yield Finding("data", address)


def _links(text: str, on: Grounds) -> Iterator[Finding]:
    known = f"{on.texts}".lower()
    for found in _LINK.finditer(_EMAIL.sub(" ", text)):
        link = found[0].rstrip(".,;:!?)\"'»”").lower()
        bare = re.sub(r"^(?:https?://)?(?:www\.)?", "", link)
        if bare.rstrip("/") not in known:
            yield Finding("link", found[0])


# --- what is not our business -------------------------------------------------------------------------

_AWAY = re.compile(
    r"\b(?:nao (?:acompanho|entendo de|sou de|e (?:minha|a minha)|consigo|posso|trato|ajudo"
    r"|sei|falo|e comigo)|so (?:trato|falo|ajudo|cuido"
    r"|consigo)|cuido (?:so|apenas)|meu assunto|fico devendo|apenas|somente|assuntos? d[ao]"
    r"|por aqui (?:eu )?(?:so|falo|trato)"
    r"|can'?t|cannot|only (?:help|talk|handle)|not able|no puedo|solo (?:puedo|ayudo|trato|hablo))\b"
)


def _turns_away(text: str, on: Grounds) -> bool:
    return bool(_AWAY.search(plain(text)))
