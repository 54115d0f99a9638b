"""Reading whom a person looks for from one sentence, and corrections of it, by rules: pt-BR, en, es, no model.

"ache 20 escritórios de arquitetura em Campinas com mais de 3 anos e fale com os melhores". What has been understood is
taken out of the sentence piece by piece, the most particular first, so that no word counts twice ("com site" is a wish,
"criação de sites" an activity; the 3 of the years is not how many). What is left over and looks like a place or an
activity is told as not known, never passed over: nobody gets bakeries of elsewhere who asked for those on the moon.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal, TypeVar

from business.prospecting.model import (
    MOST_WANTED,
    AgeRange,
    Doubt,
    IdealCustomer,
    Reading,
    Signal,
    Size,
    Unclear,
    WantedActivity,
    WantedPlace,
    Wish,
)
from integrations.brasil_places.activities import ActivityMatch, activities_for
from integrations.brasil_places.cities import Ambiguous, Found, Mention, Place, Unknown, places_in

Activities = Callable[[str], Sequence[ActivityMatch]]
"""Words → activities, best first."""
Places = Callable[[str], Sequence[Mention]]
"""A sentence → the places it speaks of."""


def read_profile(
    sentence: str,
    language: str,
    today: date,
    activities: Activities = activities_for,
    places: Places = places_in,
) -> Reading:
    """Whom `sentence` looks for, and what of it is not clear.

    `language` (pt-BR, en, es) is that of the names in the answer; sentences of all three are read whatever it says.
    """
    read = _read(sentence, language, activities, places)
    profile = IdealCustomer(
        activities=_without(tuple(read.activities), read.without_activities),
        places=_without(tuple(read.places), read.without_places),
        nationwide=read.nationwide and not read.places,
        sizes=tuple(read.sizes),
        mei=read.mei,
        age=read.age,
        wishes=tuple(read.wishes.values()),
        branches=read.branches or False,
        without_activities=tuple(read.without_activities),
        without_places=tuple(read.without_places),
        wants_contact=read.contact or False,
        contact_most=read.contact_most,
    )
    if read.wanted is not None:
        profile = replace(profile, wanted=min(max(read.wanted, 1), MOST_WANTED), wanted_said=True)
    return Reading(profile, _unclear(read, profile, today))


def corrected(
    profile: IdealCustomer,
    sentence: str,
    language: str = "pt-BR",
    today: date | None = None,
    activities: Activities = activities_for,
    places: Places = places_in,
) -> Reading:
    """The profile after a correction: "só em Valinhos também", "mais de 5 anos", "tira as MEI", "troca X por Y".

    A new place or activity stands beside the old ones after "também", "inclui", "e em"…, else in their place; an age,
    a size or a number replaces the old one. What the sentence does not speak of stays. `changes` names what changed.
    """
    read = _read(sentence, language, activities, places)
    text = _plain(sentence)
    and_so = _AND_FIRST.search(text) is not None and "?" not in sentence  # "e em Recife?" asks for Recife instead
    adding = (and_so or _ADDING.search(text) is not None) and not _SWAP.search(text)
    changed = profile
    if read.activities:
        base = changed.activities if adding else ()
        changed = replace(changed, activities=tuple(dict.fromkeys((*base, *read.activities))))
    if swap := _SWAP.search(text):
        changed = _swapped(profile, changed, swap, sentence, read, activities, places, language)
    elif read.places:
        base_places = changed.places if adding else ()
        changed = replace(changed, places=tuple(dict.fromkeys((*base_places, *read.places))), nationwide=False)
    elif read.nationwide:
        changed = replace(changed, places=(), nationwide=True)
    elif not adding and any(one.doubt in (Doubt.PLACE_UNKNOWN, Doubt.PLACE_AMBIGUOUS) for one in read.unclear):
        changed = replace(changed, places=(), nationwide=False)  # another place was meant: not the old ones
    if read.without_activities or read.without_places:
        gone, gone_places = read.without_activities, read.without_places
        changed = replace(
            changed,
            activities=_without(changed.activities, gone),
            places=_without(changed.places, gone_places),
            # What had been looked for and is taken away needs no prohibition besides.
            without_activities=_joined(changed.without_activities, _without(tuple(gone), profile.activities)),
            without_places=_joined(changed.without_places, _without(tuple(gone_places), profile.places)),
        )
    changed = replace(
        changed,
        without_activities=_without(changed.without_activities, read.activities),
        without_places=_without(changed.without_places, read.places),
    )
    if read.sizes or _ANY_SIZE.search(text):
        changed = replace(changed, sizes=tuple(read.sizes))
    if not read.age.open or _ANY_AGE.search(text):
        changed = replace(changed, age=read.age)
    if read.mei_said:
        changed = replace(changed, mei=read.mei)
    if read.branches is not None:
        changed = replace(changed, branches=read.branches)
    if read.wishes or read.unwished:
        kept = {one.signal: one for one in changed.wishes if one.signal not in read.unwished}
        changed = replace(changed, wishes=tuple((kept | read.wishes).values()))
    if read.wanted is not None:
        changed = replace(changed, wanted=min(max(read.wanted, 1), MOST_WANTED), wanted_said=True)
    if read.contact is not None:
        changed = replace(changed, wants_contact=read.contact, contact_most=read.contact_most)
    names = tuple(
        name
        for name in IdealCustomer.__dataclass_fields__
        if name != "wanted_said" and getattr(profile, name) != getattr(changed, name)
    )
    unclear = _unclear(read, changed, today or date.max)
    if names:  # a correction need not name an activity; only one that says nothing known is told so
        unclear = tuple(one for one in unclear if one.doubt is not Doubt.ACTIVITY_UNKNOWN)
    return Reading(changed, unclear, names)


# --- words ----------------------------------------------------------------------------------------

_NUMBERS = {
    word: number
    for number, words in (
        (1, "um uma one uno una un a an"),
        (2, "dois duas two dos"),
        (3, "tres three"),
        (4, "quatro four cuatro"),
        (5, "cinco five"),
        (6, "seis six"),
        (7, "sete seven siete"),
        (8, "oito eight ocho"),
        (9, "nove nine nueve"),
        (10, "dez ten diez"),
        (12, "doze twelve doce"),
        (15, "quinze fifteen quince"),
        (20, "vinte twenty veinte"),
        (30, "trinta thirty treinta"),
        (40, "quarenta forty cuarenta"),
        (50, "cinquenta fifty cincuenta"),
        (100, "cem hundred cien"),
    )
    for word in words.split()
}
_NUM = r"(?:\d{1,4}|" + "|".join(sorted(_NUMBERS, key=len, reverse=True)) + ")"
_UNIT = r"(?:anos?|years?|yrs?|meses|mes|months?)\b"
_OF_LIFE = (
    r"(?:\s+(?:de\s+)?(?:mercado|existencia|vida|idade|atividade|atuacao|funcionamento|operacao|abertas?|abertos?"
    r"|fundacao|historia|experiencia|cnpj|operacion|antiguedad|actividad|in (?:the )?(?:business|market|operation)"
    r"|on the market|of (?:existence|experience|age)|old|de abiertas?|en el mercado|no mercado))?"
)
_BORN = (
    r"(?:\b(?:que\s+)?(?:foram\s+|fueron\s+|were\s+|was\s+|founded|that\s+)*(?:abert\w*|abriram"
    r"|abriu|fundad\w+|criad\w+"
    r"|constituid\w+|inaugurad\w+|surgid\w+|opened|founded|created|established|started|set up|abiert\w+|cread\w+"
    r"|nascid\w+)\s+)"
)
_WITH = r"(?:\b(?:com|with|con|de|ha|hace|que tenham|que tem|que tengan|having|aged?|idade)\s+)*"

_Limit = Literal["between", "more", "least", "less", "most", "last", "bare"]
_AGES: tuple[tuple[_Limit, re.Pattern[str]], ...] = (
    ("between", re.compile(
        rf"{_WITH}(?:\b(?:entre|between|from|de)\s+)?\b(?P<a>{_NUM})(?:\s+{_UNIT})?\s*(?:-|–|\ba\b"
        rf"|\be\b|\bto\b|\band\b|\by\b|\bate\b)\s*(?P<b>{_NUM})\s+(?P<u>{_UNIT}){_OF_LIFE}"
    )),
    ("least", re.compile(
        rf"{_WITH}\b(?:pelo menos|no minimo|ao menos|minimo(?: de)?|at least|(?:a )?minimum(?: of)?"
        rf"|al menos|como minimo|por lo menos|a partir de)\s+(?P<a>{_NUM})\s+(?P<u>{_UNIT}){_OF_LIFE}"
    )),
    ("least", re.compile(
        rf"{_WITH}\b(?P<a>{_NUM})\s+(?P<u>{_UNIT})\s+(?:ou mais|or more|o mas|para cima"
        rf"|no minimo){_OF_LIFE}"
    )),
    ("least", re.compile(rf"{_WITH}\b(?P<a>\d{{1,3}})\s?\+\s?(?P<u>{_UNIT}){_OF_LIFE}")),
    ("more", re.compile(
        rf"{_WITH}(?:\b(?:mais velh[ao]s que|mais velh[ao]s do que|mais antig[ao]s que|mais de|mas de"
        rf"|more than|over|acima de|older than|mayores de|mayor a|superior a)|\+"
        rf"|>)\s*(?P<a>{_NUM})\s+(?P<u>{_UNIT}){_OF_LIFE}"
    )),
    ("less", re.compile(
        rf"{_BORN}?{_WITH}(?:\b(?:menos de|less than|under|younger than|mais nov[ao]s (?:do )?que"
        rf"|menores de|abaixo de|inferior a|below)|<)\s*(?P<a>{_NUM})\s+(?P<u>{_UNIT}){_OF_LIFE}"
    )),
    ("last", re.compile(
        rf"{_BORN}?(?:\b(?:nos|no|nas|na|in|within|over|during|en|durante)\s+)?(?:\b(?:os|o|the|los"
        rf"|el|as)\s+)?\b(?:ultim[oa]s?|last|past)\s+(?:(?P<a>{_NUM})\s+)?(?P<u>{_UNIT})"
    )),
    ("most", re.compile(
        rf"{_BORN}?{_WITH}\b(?:ate|no maximo|maximo(?: de)?|at most|up to|hasta|como maximo"
        rf"|a lo sumo)\s+(?P<a>{_NUM})\s+(?P<u>{_UNIT}){_OF_LIFE}"
    )),
    ("bare", re.compile(rf"\b(?:com|with|con|de|ha|for)\s+(?P<a>{_NUM})\s+(?P<u>{_UNIT}){_OF_LIFE}")),
    ("bare", re.compile(
        rf"\b(?P<a>{_NUM})\s+(?P<u>{_UNIT})(?:\s+(?:de\s+)?(?:mercado|existencia|vida|idade|old"
        rf"|antiguedad|in business))"
    )),
)  # fmt: skip
_YEARS = (
    ("since", re.compile(rf"{_BORN}?\b(?:a partir de|desde|since)\s+(?P<y>(?:19|20)\d\d)\b")),
    ("after", re.compile(rf"{_BORN}?\b(?:depois de|apos|after|despues de)\s+(?P<y>(?:19|20)\d\d)\b")),
    ("before", re.compile(rf"{_BORN}?\b(?:antes de|before|ate|until|hasta)\s+(?P<y>(?:19|20)\d\d)\b")),
    ("in", re.compile(rf"{_BORN}(?:em|in|en)\s+(?P<y>(?:19|20)\d\d)\b")),
)
_THIS_YEAR = re.compile(rf"{_BORN}(?:neste ano|esse ano|este ano|this year|en este ano)\b")
_RECENT = re.compile(
    r"\b(?:recem[- ]?(?:abert|criad|inaugurad|fundad)\w+|recien (?:abiert|cread|inaugurad)\w+"
    r"|(?:newly|recently) (?:opened|founded|created|established)"
    r"|(?:abert|criad|fundad|inaugurad)\w+ (?:recentemente|ha pouco(?: tempo)?)"
    r"|(?:abiert|cread)\w+ (?:recientemente|hace poco))\b"
)
_AGE_VAGUE = re.compile(
    r"\b(?:antig[ao]s?|tradiciona(?:l|is)|consolidad[ao]s?|maduras?|well[- ]established|long[- ]standing|traditional"
    r"|tradicionales|consolidad[ao]s)\b"
)
_ANY_AGE = re.compile(
    r"\b(?:qualquer idade|todas as idades|nao importa a idade|idade tanto faz|any age"
    r"|cualquier (?:edad|antiguedad))\b"
)
_ANY_SIZE = re.compile(
    r"\b(?:qualquer (?:tamanho|porte)|todos os (?:tamanhos|portes)|nao importa o (?:tamanho|porte)|any size|all sizes"
    r"|cualquier tamano)\b"
)

_BEST = (
    r"(?:melhor(?:es)?|mejor(?:es)?|best(?: one)?|top|qualificad[ao]s|cualificad[ao]s|calificad[ao]s"
    r"|primeir[ao]s|first(?: ones)?|primer[ao]s|qualified(?: ones)?|mais promissor\w+"
    r"|mas prometedor\w+|most promising(?: ones)?|good ones|bons|boas|buen[ao]s|que valerem a pena)"
)
_SPEAK = (
    r"(?:ja\s+)?(?:fal[ae]r?|convers[ae]r?|entr[ae]r? em contato|chame|chama|contat[ae]r?|contact(?:e|a|ar)?"
    r"|mand[ae]r? (?:uma )?mensage(?:m|ns)|envi[ae]r? (?:uma )?mensage(?:m|ns)|abord[ae]r?|escrev[ae]r?|ligue|liga"
    r"|talk|speak|reach out|write|get in touch|message|call|habl[aeá]r?|escrib[aeí]r?|comunicate|ponte en contacto)"
)
_CONTACT = re.compile(
    rf"(?:\b(?:e|and|y|,)\s+)?(?:\b(?:depois|then|luego)\s+)?\b{_SPEAK}\s+(?:(?:com|para|pra|pras"
    rf"|pros|to|with|con|a|ao|aos)\s+)?"
    rf"(?:(?:os|as|the|los|las)\s+)?(?:(?P<a>{_NUM})\s+)?(?:{_BEST}|todos|todas|all|el[ae]s|them|ell[oa]s)"
    rf"(?:\s+(?P<b>{_NUM})\b)?(?:\s+(?:del[ae]s|of them|de ell[oa]s|ones))?"
)
_ONE = re.compile(r"\b(?:melhor|mejor|best one)\b")
_NO_CONTACT = re.compile(
    r"\b(?:nao|sem|without|no|do not|don.?t|sin)\s+(?:(?:precisa|quero|e para|vamos|mande|necesitas?)\s+)?"
    r"(?:falar|fale|contatar|contate|contact\w*|talk\w*|hablar|hables|entr\w+ em contato|mand\w+ mensage\w+|chamar"
    r"|mensage\w+|abordar|write|call)\b(?:\s+(?:com|to|con|a)\b)?(?:\s+(?:ninguem|anyone|anybody"
    r"|nadie|el[ae]s|them))?"
)

_CANNOT = re.compile(
    rf"(?:\b(?:com|with|con|que tenham|que faturam|having|de|num|within|dentro de|a)\s+)?(?:"
    rf"(?:(?:mais|menos|mas|more|less|acima|ate|entre|over|under|at least|pelo menos|up to"
    rf"|between)\s+(?:de\s+|than\s+)?)?"
    rf"(?:{_NUM}\s+(?:a|e|to|and|y|ate)\s+)?{_NUM}\+?\s+(?:funcionari\w+|empregad\w+"
    rf"|colaborador\w+|employees|empleados|pessoas|people|staff)"
    rf"|(?:faturamento|receita|revenue|faturam|facturacion|facturan"
    rf"|que faturem)\b[^,;.]*?(?:milh\w+|mil\b|million\w*|reais|\d[\d.,]*k?\b)(?:\s+(?:de reais"
    rf"|milh\w+|mil|por (?:mes|ano)|reais))*"
    rf"|(?:um |a )?rai[oo] de {_NUM}\s*km|radius of {_NUM}\s*(?:km|miles)|(?:ate\s+)?{_NUM}\s*km (?:de|of|from)(?=\s)"
    rf"|(?:no|na|in|en el|en la)\s+(?:bairro|barrio)\s+[\w]+(?:\s+[\w]+)?(?=\s+(?:em|de|in|en)\b|[,;.]|$)"
    rf"|(?:no centro|na zona (?:sul|norte|leste|oeste|central)|downtown|city center|en el centro"
    rf"|en la zona (?:sur|norte|este|oeste))"
    rf")"
)  # fmt: skip

_MEI = (
    r"(?:\bmei'?s?\b|\bmicroempreendedor\w*(?: individua\w+)?|\bmicroemprendedor\w*(?: individual\w*)?"
    r"|\bsole (?:traders?|proprietors?)\b|\bindividual (?:micro)?-?entrepreneurs?\b)"
)
_FILL = (
    r"(?:\s+(?:as|os|a|o|the|los|las|ser|sejam|sean|any|nenhum\w*|ningun\w*|empresas|que|sao|are"
    r"|son|de|tipo|seja|com|incluir|contar))*\s+"
)
_TAKE_AWAY = (
    r"(?:tir[ae]\w*|remov\w+|retir\w+|exclu\w+|elimin\w+|cort[ae]\w*|quit[ae]\w*|saca\w*|drop|skip"
    r"|ignor\w+|avoid|evit\w+|leave out|deixe? fora|descart\w+)"
)
_MEI_RULES: tuple[tuple[bool | None, re.Pattern[str]], ...] = (
    (False, re.compile(
        rf"(?:\b(?:sem|nao|que nao|menos|exceto|fora|no|not|non|without|except|excluding|but not|sin"
        rf"|excepto|salvo|{_TAKE_AWAY})(?:{_FILL}|-))(?:pequenos\s+)?{_MEI}"
    )),
    (True, re.compile(rf"\b(?:so|somente|apenas|only|just|solo|solamente|exclusivamente){_FILL}{_MEI}")),
    (None, re.compile(
        rf"\b(?:pode\w*(?: ser)?|inclu\w+|aceit\w+|including|also|puede\w*(?: ser)?|volt\w+"
        rf"|traga de volta|vale|tambem|can be|may be){_FILL}{_MEI}(?:\s+(?:tambem|too|tambien))?"
    )),
    (True, re.compile(_MEI)),
)  # fmt: skip
_BRANCHES = (
    (False, re.compile(
        r"\b(?:sem|nao|exceto|tir\w+|without|no|exclud\w+|sin)(?:\s+(?:as|os|the|las|quero"
        r"|incluir))*\s+(?:filia(?:l|is)|branch(?:es)?|sucursal(?:es)?)\b|\b(?:so|somente|apenas"
        r"|only|solo)\s+(?:as\s+|the\s+|las\s+)?(?:matriz(?:es)?|head ?offices?|headquarters"
        r"|casas? matriz)\b"
    )),
    (True, re.compile(
        r"\b(?:com|inclu\w+|pode ser|including|with|con|tambem)(?:\s+(?:as|os|the"
        r"|las))*\s+(?:filia(?:l|is)|branch(?:es)?|sucursal(?:es)?)\b"
    )),
)  # fmt: skip

_SIGNAL_WORDS: dict[Signal, str] = {
    Signal.WEBSITE: r"(?:web ?sites?|sites?|paginas? (?:web|na internet|de internet)|sitios? web|sitios?|web)",
    Signal.INSTAGRAM: r"insta(?:gram)?s?",
    Signal.LINKEDIN: r"linkedin",
    Signal.PHONE: r"(?:telefones?|fones?|phones?(?: numbers?)?|telefonos?|numeros? de telefone)",
    Signal.WHATSAPP: r"(?:whats ?app|whats|zap|wpp)",
    Signal.EMAIL: r"(?:e-?mails?|correos?(?: electronicos?)?)",
}
_SIGNAL = re.compile("|".join(rf"(?P<{signal}>\b{words}\b)" for signal, words in _SIGNAL_WORDS.items()))
_ARTICLE = (
    r"(?:(?:um|uma|o|a|os|as|an|any|the|un|una|el|la|algum|alguma|nenhum|nenhuma|ningun|ninguna"
    r"|proprio|seu|own|their|pagina|perfil|conta|perfil de|perfil no|perfil do|conta no"
    r"|numero de|presenca no|ativo no)\s+)*"
)
_LACKS = re.compile(
    rf"\b(?:sem|nem|nao tenham|nao tenha|nao tem|nao possuem|nao possuam|without|with no|lacking"
    rf"|no|not have|don.?t have|sin|no tengan|no tienen|que no tengan)\s+(?:ter\s+"
    rf"|nem\s+)?{_ARTICLE}$"
)
_HAS = re.compile(
    rf"\b(?:com|tenham|tenha|tem|possuam|possuem|with|have|has|having|con|tengan|tienen|tenga"
    rf"|que usam|use|using|estejam no|estao no|on|no)\s+(?:bom\s+|good\s+)?{_ARTICLE}$"
)
_NOT_NEEDED = re.compile(
    rf"\b(?:nao precisa(?:m)?(?: de| ter)?|nao exija|sem exigir|tanto faz(?: ter)?|no need (?:for"
    rf"|of)|need not have|doesn.?t need|no hace falta(?: que tengan)?"
    rf"|no necesita\w*)\s+{_ARTICLE}$"
)
_AND = re.compile(
    rf"^\s*(?:,|e|ou|nem|and|or|y|o|/|\+)\s*(?:com\s+|with\s+|con\s+|sem\s+|sin\s+|without\s+)?{_ARTICLE}$"
)

_WITHOUT = re.compile(
    rf"\b(?:exceto|menos(?!\s+de\b)|fora(?:\s+de)?|tirando|sem(?:\s+(?:incluir|contar|ser"
    rf"|serem))?|que nao (?:seja|sejam|fique|fiquem)|nao quero|mas nao"
    rf"|except(?:\s+for)?|excluding|but not|not in|without|other than|excepto|salvo"
    rf"|sin(?:\s+incluir)?|que no sean|pero no|no quiero|{_TAKE_AWAY})\s+"
    rf"(?P<what>[^,;.!?]+?)(?=[,;.!?]|$|\s+(?:com|with|con|mas|but|pero)\s"
    r"|\s+(?:e|and|y)\s+(?:add|inclu|acrescent|adicion|coloc|bot|ponh|agreg|anad|suma|put|em|in|en|de)\w*)"
)
_NOT_THERE = re.compile(
    r"\b(?:nao|not|y no)\s+(?:mais\s+|mas\s+)?(?:(?:em|in|en)\s+)?(?P<what>[^,;.!?]+?)(?=[,;.!?]|$)"
)
"""What follows a bare no and is a place: "em Sorocaba, não Campinas"."""
_COUNT = re.compile(
    r"(?<![\w/.,-])(?P<n>\d{1,3}(?:[.,]\d{3})+|\d{1,9})(?![\w/-]|[.,]\d)(?!\s*(?:horas|hours|h\b|%|km|reais))"
)
_COUNT_WORD = re.compile(
    r"(?P<dozen>\b(?:uma duzia|a dozen|una docena)\b)|(?P<half>\b(?:meia duzia|half a dozen|media docena)\b)|\b(?P<w>"
    + "|".join(word for word in sorted(_NUMBERS, key=len, reverse=True) if _NUMBERS[word] > 1 and word != "dos")
    + r")\b"
)  # fmt: skip
_NATIONWIDE = re.compile(
    r"\b(?:em todo o|no|pelo|por todo o|todo o|all over|throughout|anywhere in|in|en todo|en)\s+"
    r"(?:(?:el|o|the)\s+)?(?:brasil|brazil|pais|country|territorio nacional)(?:\s+(?:todo|inteiro|entero))?\b"
)
_SIZES: tuple[tuple[tuple[Size, ...], bool, re.Pattern[str]], ...] = (
    ((Size.SMALL,), False, re.compile(r"\b(?:empresas? de )?pequeno porte\b|\bepps?\b")),
    ((Size.MICRO, Size.SMALL, Size.OTHER), True, re.compile(r"\bpymes?\b|\bpmes?\b|\bsmes?\b")),
    ((Size.MICRO,), False, re.compile(r"\bmicro[- ]?(?:empresas?|businesses|companies)?\b")),
    ((Size.MICRO, Size.SMALL), False, re.compile(r"\b(?:de (?:porte|tamanho) )?(?:pequen[ao]s?|small)\b")),
    ((Size.OTHER,), True, re.compile(
        r"\b(?:de (?:porte|tamanho) )?(?<!ensino )(?:medi[ao]s|medio porte|median[ao]s?|medium"
        r"|mid-?sized?|grandes?|large|big)\b"
    )),
)  # fmt: skip

_ADDING = re.compile(
    r"\b(?:tambem|alem|inclu\w+|acrescent\w+|adicion\w+|junt[ae]|coloc\w+|bot[ae]|soma|mais (?:em|na|no)|also|too|add"
    r"|as well|besides|tambien|ademas|agreg\w+|suma|anad\w+)\b"
)
_AND_FIRST = re.compile(r"^\s*(?:e|and|y)\s")
_SWAP = re.compile(
    r"\b(?:troc\w+|substitu\w+|mud\w+|replace|swap|change|cambi\w+|reemplaz\w+)\s+(?:de\s+|a\s+"
    r"|o\s+|the\s+|from\s+)?(?P<old>.+?)"
    r"\s+(?:por|para|pra|by|with|to|for)\s+(?P<new>.+)$"
)

# Words before what may be a place that nobody knows; and what stands there and is none.
_LEFT_PLACE = re.compile(
    r"\b(?:em|na|no|nas|nos|in|on|at|en|near)\s+(?:(?:la|el|las|los|the|o|a|cidade de|ciudad de"
    r"|city of|regiao de|regiao da"
    r"|regiao do|planeta|planet)\s+)*(?P<name>[a-z][\w'-]*(?:\s+(?!(?:e|com|que|and|with|y|con"
    r"|para|mas|but|pero|sem|sin"
    r"|without|or|ou|for|por|a|que|em|in|en|na|no)\b)[a-z][\w'-]*){0,3})"
)
_LEFT_CITY = re.compile(
    r"(?:\b(?:de|do|da|of|from|del|d[ao]s)\s|[,;])\s*(?P<name>[a-z][\w'-]*(?:\s+[a-z][\w'-]*){0,3})"
)
_NO_PLACE = frozenset(
    """internet geral instagram google facebook linkedin mercado area ramo setor segmento mundo total maximo minimo dia
    semana mes ano hoje contato contact touch order business market advance need lista list caso vez linha line general
    sector rubro campo field industry which whom que quem top whatsapp portugues ingles espanhol english spanish media
    seguida particular fact especial verdade realidade realidad site sites online crescimento growth alta baixa expansao
    busca search minha meu my your nossa nosso our mi su regiao region region cidade city ciudad estado state momento
    moment tudo todo toda all qualquer any varios varias least most average addition detalhe detail maps tiktok youtube
    crm meta
    excel""".split()
)
_EVERYDAY_CITY = frozenset(
    "para serra natal feira campos rio santos franca palmas prudente paulista americana foz bc moda roupas".split()
)
_SAYS_NOTHING = frozenset(
    """ache achar acha encontre encontra encontrar busque buscar busca procure procurar procura quero queria preciso
    precisamos precisa necessito liste lista listar mostre mostra traga traz trazer consiga conseguir gere gerar me nos
    eu nao sim por favor pode poderia gostaria clientes cliente leads lead contatos contato empresas empresa negocios
    negocio companhias firmas prospects prospect novos novas novo nova bons boas bom boa alguns algumas uns umas mais
    muitos muitas para pra de do da dos das que com sem em no na nos nas o a os as um uma e ou meu minha meus minhas
    vender vendas venda comprar gente pessoas ser sejam seja estao esta ficam fica tipo area ramo agora hoje ai
    find get look looking search for need needs want show give bring list us i we the an some any new good more clients
    client customers customer companies company businesses business firms of to in on at with without and or that are
    is please can could you would like sell people my our them best those
    busca busquen buscame encuentra encontrar necesito quiero dame muestra muestrame trae
    nuevos nuevas buenos buenas mas el la los las un una unos unas del y con sin para por que sean favor necesitamos
    ajuda ajude ajudar help ayuda ayudame quem who quien hola oi ola bom dia boa tarde noite hello hi hey lugar
    lugares onde where donde ativas ativos active activas
    tambem also tambien entao then entonces bem well so somente apenas only solo inclui inclua tira tire troca muda as
    too num numa
    perto proximo proxima near cerca around regiao cidade estado region city state""".split()
)


# --- taking the sentence apart --------------------------------------------------------------------

Wanted = TypeVar("Wanted", WantedActivity, WantedPlace)


@dataclass
class _Read:
    """What was found in a sentence."""

    activities: list[WantedActivity] = field(default_factory=list)
    places: list[WantedPlace] = field(default_factory=list)
    nationwide: bool = False
    sizes: list[Size] = field(default_factory=list)
    mei: bool | None = None
    mei_said: bool = False
    age: AgeRange = field(default_factory=AgeRange)
    wishes: dict[Signal, Wish] = field(default_factory=dict)
    unwished: set[Signal] = field(default_factory=set)
    branches: bool | None = None
    without_activities: list[WantedActivity] = field(default_factory=list)
    without_places: list[WantedPlace] = field(default_factory=list)
    wanted: int | None = None
    contact: bool | None = None
    contact_most: int | None = None
    unclear: list[Unclear] = field(default_factory=list)
    leftover: str = ""
    """Words of which nothing was understood and that may name an activity."""


class _Text:
    """The sentence, of which what has been understood is blotted out. Both forms have the same length."""

    def __init__(self, sentence: str) -> None:
        self.given = " ".join(sentence.split())[:600]
        self.plain = _plain(self.given)

    def take(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """Every place of the pattern, left to right; each is blotted out behind the caller."""
        start = 0
        while found := pattern.search(self.plain, start):
            yield found
            start = max(found.start() + 1, start)
            self.blot(found.start(), found.end())

    def blot(self, start: int, end: int) -> None:
        blank = (";" + " " * (end - start - 1)) if end > start else ""
        self.given = self.given[:start] + blank + self.given[end:]
        self.plain = self.plain[:start] + blank + self.plain[end:]

    def said(self, found: re.Match[str], group: str | int = 0) -> str:
        return self.given[found.start(group) : found.end(group)].strip(" ;,")


def _read(sentence: str, language: str, activities: Activities, places: Places) -> _Read:
    read, text = _Read(), _Text(sentence)
    _contact(text, read)
    for found in text.take(_CANNOT):
        read.unclear.append(Unclear(Doubt.CANNOT_CHECK, text.said(found)))
    _age(text, read)
    _mei_and_branches(text, read)
    _signals(text, read)
    _exclusions(text, read, language, activities, places)
    _count(text, read)
    for _ in text.take(_NATIONWIDE):
        read.nationwide = True
    _places(text, read, places)
    for sizes, coarse, pattern in _SIZES:
        for found in text.take(pattern):
            read.sizes += [size for size in sizes if size not in read.sizes]
            if coarse and Doubt.SIZE_COARSE not in [one.doubt for one in read.unclear]:
                read.unclear.append(Unclear(Doubt.SIZE_COARSE, text.said(found)))
    read.sizes.sort(key=list(Size).index)
    _activities(text, read, language, activities)
    _places_left(text, read, activities, places)
    words = [word for word in re.findall(r"[^\W\d_]+", text.given) if _plain(word) not in _SAYS_NOTHING]
    read.leftover = " ".join(words[:6])
    return read


def _contact(text: _Text, read: _Read) -> None:
    for _ in text.take(_NO_CONTACT):
        read.contact = False
    for found in text.take(_CONTACT):
        if read.contact is None:
            read.contact = True
            number = found["a"] or found["b"]
            one = 1 if _ONE.search(found.group()) else None
            read.contact_most = _number(number) if number else one


def _age(text: _Text, read: _Read) -> None:
    age = read.age
    for kind, pattern in _AGES:
        for found in text.take(pattern):
            months = 1 if found["u"].startswith(("mes", "month")) else 12
            first = _number(found["a"] or "1") * months
            if kind == "between":
                low, high = sorted((first, _number(found["b"]) * months))
                age = replace(age, least_months=low, least_strict=False, most_months=high, most_strict=False)
            elif kind in ("more", "least", "bare"):
                age = replace(age, least_months=first, least_strict=kind == "more")
            else:
                age = replace(age, most_months=first, most_strict=kind == "less")
    for what, pattern in _YEARS:
        for found in text.take(pattern):
            year = int(found["y"])
            if what in ("since", "in", "after"):
                age = replace(age, since=date(year + (what == "after"), 1, 1))
            if what in ("before", "in"):
                age = replace(age, until=date(year - (what == "before"), 12, 31))
    for _ in text.take(_THIS_YEAR):
        age = replace(age, most_months=12, most_strict=False)
    for _ in text.take(_RECENT):
        age = replace(age, most_months=12, most_strict=False)
    for found in text.take(_AGE_VAGUE):
        if age.open:
            read.unclear.append(Unclear(Doubt.AGE_VAGUE, text.said(found)))
    for pattern in (_ANY_AGE, _ANY_SIZE):
        for _ in text.take(pattern):
            pass
    read.age = age


def _mei_and_branches(text: _Text, read: _Read) -> None:
    for mei, pattern in _MEI_RULES:
        for _ in text.take(pattern):
            if not read.mei_said:
                read.mei, read.mei_said = mei, True
    for branches, pattern in _BRANCHES:
        for _ in text.take(pattern):
            read.branches = branches if read.branches is None else read.branches


def _signals(text: _Text, read: _Read) -> None:
    """ "com site e Instagram", "sem site": a chain keeps the sense of its first. Other mentions are no wishes."""
    last_end = -1
    last_sense: bool | None = None
    blots: list[tuple[int, int]] = []
    for found in _SIGNAL.finditer(text.plain):
        signal = Signal(str(found.lastgroup))
        before = text.plain[max(0, found.start() - 60) : found.start()]
        sense: bool | None = None
        if opening := _NOT_NEEDED.search(before):
            read.unwished.add(signal)
            blots.append((found.start() - len(opening.group()), found.end()))
            continue
        if opening := _LACKS.search(before):
            # "no Instagram" in Portuguese is where they are, not what they lack.
            sense = opening.group().startswith("no ") and signal in (Signal.INSTAGRAM, Signal.LINKEDIN)
        elif opening := _HAS.search(before):
            sense = True
        elif last_sense is not None and _AND.match(text.plain[last_end : found.start()]):
            sense = last_sense
        if sense is None:
            continue
        read.wishes[signal] = Wish(signal, sense)
        start = found.start() - (len(opening.group()) if opening else found.start() - last_end)
        blots.append((start, found.end()))
        last_end, last_sense = found.end(), sense
    for start, end in reversed(blots):
        text.blot(start, end)


def _exclusions(text: _Text, read: _Read, language: str, activities: Activities, places: Places) -> None:
    for found in list(_WITHOUT.finditer(text.plain)):
        start, end = found.span("what")
        said = text.given[start:end]
        gone_places = [
            _wanted_place(mention.answer.place)
            for mention in _mentions(said, places)
            if isinstance(mention.answer, Found)
        ]
        rest = said
        for mention in _mentions(said, places):
            rest = rest.replace(mention.words, " ")
        gone = [_wanted(match, language) for match in _sure(activities(rest))]
        if gone or gone_places:
            read.without_activities += [one for one in gone if one not in read.without_activities]
            read.without_places += [one for one in gone_places if one not in read.without_places]
            text.blot(*found.span())

    for found in list(_NOT_THERE.finditer(text.plain)):
        said = text.given[slice(*found.span("what"))]
        for mention in _mentions(said, places):
            if isinstance(mention.answer, Found) and _plain(mention.words) == _plain(said.strip()):
                read.without_places.append(_wanted_place(mention.answer.place))
                text.blot(*found.span())


def _count(text: _Text, read: _Read) -> None:
    if found := _COUNT.search(text.plain):
        read.wanted = int(re.sub(r"\D", "", found["n"]))
    elif found := _COUNT_WORD.search(text.plain):
        read.wanted = 12 if found["dozen"] else 6 if found["half"] else _NUMBERS[found["w"]]
    else:
        return
    said = text.said(found)
    text.blot(*found.span())
    if read.wanted == 0:
        read.unclear.append(Unclear(Doubt.COUNT_IMPOSSIBLE, said))
    elif read.wanted > MOST_WANTED:
        read.unclear.append(Unclear(Doubt.COUNT_TOO_MANY, said))


def _places(text: _Text, read: _Read, places: Places) -> None:
    position = 0
    before: WantedPlace | None = None
    for mention in places(text.given):
        start = text.given.find(mention.words, position)
        if start < 0:  # told otherwise than it stands there: then it is found by its first word
            start = text.given.find(mention.words.split()[0], position)
        between = _plain(text.given[position : max(start, position)])
        here = _place(mention, read)
        if (
            here is not None
            and before is not None
            and here.kind == "state"
            and before.uf == here.uf
            and not re.search(r"\b(?:e|and|y|ou|or|o)\b|,", between)
        ):
            read.places.remove(here)  # "em Campinas, no estado de São Paulo" is Campinas
        before = here or before
        if start >= 0:
            end = min(start + len(mention.words), len(text.given))
            text.blot(start, end)
            position = end


def _place(mention: Mention, read: _Read) -> WantedPlace | None:
    answer = mention.answer
    if isinstance(answer, Found):
        place = _wanted_place(answer.place)
        if place not in read.places:
            read.places.append(place)
        if answer.around:
            read.unclear.append(Unclear(Doubt.PLACE_AROUND, mention.words, (place,)))
        if answer.namesakes:
            others = tuple(_wanted_place(one) for one in answer.namesakes)
            read.unclear.append(Unclear(Doubt.PLACE_NAMESAKES, mention.words, (place, *others)))
        return place
    if isinstance(answer, Ambiguous):
        choices = tuple(_wanted_place(one) for one in answer.candidates)
        read.unclear.append(Unclear(Doubt.PLACE_AMBIGUOUS, mention.words, choices))
    else:
        near = tuple(_wanted_place(one) for one in answer.near)
        read.unclear.append(Unclear(Doubt.PLACE_UNKNOWN, mention.words, near))
    return None


def _activities(text: _Text, read: _Read, language: str, activities: Activities) -> None:
    matches = list(activities(text.given))
    sure = _sure(matches)
    for match in sure:
        if (one := _wanted(match, language)) not in read.activities:
            read.activities.append(one)
    also = tuple(_wanted(match, language) for match in matches if match.whole and match not in sure)
    if also:
        read.unclear.append(Unclear(Doubt.ACTIVITY_ALSO, sure[0].term, also))
    telling = [word for word in re.findall(r"[^\W\d_]+", text.given) if _plain(word) not in _SAYS_NOTHING]
    if not sure and telling:  # "clientes novos" points at nothing, and not at sellers of new cars
        matches = list(activities(" ".join(telling)))
    if not sure and telling and matches and read.sizes == [] and not read.mei_said:
        choices = tuple(_wanted(match, language) for match in matches[:5])
        read.unclear.append(Unclear(Doubt.ACTIVITY_GUESS, matches[0].term, choices))


def _places_left(text: _Text, read: _Read, activities: Activities, places: Places) -> None:
    """Places in small letters, and words that stand where a place stands and are none that is known."""
    for found in list(_LEFT_CITY.finditer(text.plain)):
        words = found["name"].split()
        for size in range(len(words), 0, -1):
            name = " ".join(words[:size])
            if size == 1 and (name in _EVERYDAY_CITY or len(name) < 4):
                continue
            known = [one for one in places("em " + name.title()) if isinstance(one.answer, Found | Ambiguous)]
            if known and _plain(known[0].words) == name and not _sure(activities(name)):
                _place(known[0], read)
                start = found.start("name")
                text.blot(start, start + len(name))
                break
    for found in list(_LEFT_PLACE.finditer(text.plain)):
        name = text.given[found.start("name") : found.end("name")]
        if text.plain[found.start() : found.end()] != found.group() or _sure(activities(name)):
            continue
        if found["name"].split()[0] in _NO_PLACE or any(word in _SAYS_NOTHING for word in found["name"].split()[:1]):
            continue
        mention = next(iter(places("em " + name.title())), None)
        whole = mention is not None and _plain(mention.words) == _plain(name)
        _place(Mention(name, mention.answer if mention and whole else Unknown(name)), read)
        text.blot(found.start("name"), found.end("name"))


def _unclear(read: _Read, profile: IdealCustomer, today: date) -> tuple[Unclear, ...]:
    told = list(read.unclear)
    doubts = {one.doubt for one in told}
    if not profile.activities and Doubt.ACTIVITY_GUESS not in doubts:
        if read.leftover:
            told.append(Unclear(Doubt.ACTIVITY_UNKNOWN, read.leftover))
        else:
            told.append(Unclear(Doubt.ACTIVITY_MISSING))
    elif profile.activities:
        told = [one for one in told if one.doubt is not Doubt.ACTIVITY_GUESS]
    if not profile.places and not profile.nationwide and not doubts & {Doubt.PLACE_UNKNOWN, Doubt.PLACE_AMBIGUOUS}:
        told.append(Unclear(Doubt.PLACE_MISSING))
    first, last = profile.age.opened(today)
    if (first and last and first > last) or (first and first > today):
        told.append(Unclear(Doubt.AGE_IMPOSSIBLE))
    order = list(Doubt)
    return tuple(sorted(dict.fromkeys(told), key=lambda one: order.index(one.doubt)))


def _sure(matches: Sequence[ActivityMatch]) -> list[ActivityMatch]:
    """Those that the words name; of several for one and the same term its owner alone."""
    kept: dict[str, ActivityMatch] = {}
    for match in matches:
        if match.sure and _plain(match.term) not in kept:
            kept[_plain(match.term)] = match
    found = list(kept.values())
    # "dentista" and "dentistas" of two languages are one term for two codes, too: the best one has it.
    return [one for one in found if not any(_is_form(one.term, other.term) for other in found[: found.index(one)])]


def _is_form(term: str, of: str) -> bool:
    mine, others = _plain(term), _plain(of)
    return mine[:-1] == others[:-1] or mine == others + "s" or others == mine + "s"


def _swapped(
    profile: IdealCustomer,
    changed: IdealCustomer,
    swap: re.Match[str],
    sentence: str,
    read: _Read,
    activities: Activities,
    places: Places,
    language: str,
) -> IdealCustomer:
    """ "troca Campinas por Valinhos": the old one goes, the new one takes its place."""
    squeezed = " ".join(sentence.split())
    old, new = (_read(squeezed[slice(*swap.span(side))], language, activities, places) for side in ("old", "new"))
    if old.places and new.places:
        kept = [place for place in profile.places if place not in old.places]
        changed = replace(changed, places=tuple(dict.fromkeys((*kept, *new.places))), nationwide=False)
    elif new.places:
        changed = replace(changed, places=tuple(new.places), nationwide=False)
    if old.activities and new.activities:
        kept_ones = [one for one in profile.activities if one not in old.activities]
        changed = replace(changed, activities=tuple(dict.fromkeys((*kept_ones, *new.activities))))
    return changed


def _mentions(said: str, places: Places) -> list[Mention]:
    """Places of a piece of a sentence; its first word stands as after "em"."""
    found = list(places(said))
    if not found:
        bare = re.sub(r"^(?:em|na|no|in|en|as|os|a|o|the)\s+", "", said.strip())
        found = [one for one in places("em " + bare.title()) if isinstance(one.answer, Found)]
        found = [one for one in found if _plain(one.words) == _plain(bare)]
    return found


def _wanted(match: ActivityMatch, language: str) -> WantedActivity:
    return WantedActivity(match.code, match.activity.name(language))


def _wanted_place(place: Place) -> WantedPlace:
    return WantedPlace(place.kind, place.name, place.uf, place.ibge)


def _without(all_of: tuple[Wanted, ...], gone: Sequence[Wanted]) -> tuple[Wanted, ...]:
    return tuple(one for one in all_of if one not in gone)


def _joined(some: tuple[Wanted, ...], more: Sequence[Wanted]) -> tuple[Wanted, ...]:
    return some + tuple(one for one in dict.fromkeys(more) if one not in some)


def _number(said: str) -> int:
    return int(said) if said.isdecimal() else _NUMBERS[said]


def _plain(text: str) -> str:
    """Small letters without accents, one character for each."""
    plain = []
    for character in text:
        base = unicodedata.normalize("NFD", character)[0].lower()
        plain.append(base if len(base) == 1 else character)
    return "".join(plain)
