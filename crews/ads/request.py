"""What a person asks of the ads analyst, read from their words by rules: which metric, which object, which account.

Used by the playbook, which has no model to understand with. Periods are left in the person's words: the tools read
them, in the account's time zone. Portuguese, English and Spanish, with or without accents.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

from core.words import plain
from crews.ads.asked import But, asks_for_change

Level = Literal["account", "campaign", "adset", "ad"]

# Metric → words that name it, most telling first; the first metric with a word in the text wins.
_METRICS: dict[str, tuple[str, ...]] = {
    "cost_per_result": (
        r"custos? por \w+",
        r"coste? por \w+",
        r"cost per \w+",
        r"\bcpa\b",
        r"\bcpl\b",
        r"\bcac\b",
        r"\bcust\w+ cada",
        r"cuestan? cada",
        r"mais barat\w+",
        r"mais car[oa]s?\b",
        r"cheapest",
        r"most expensive",
        r"mas barat\w+",
        r"mas car[oa]s?\b",
    ),
    "roas": (r"\broas\b", r"retorno", r"return on", r"lucrativ\w+", r"rentab\w+", r"profitab\w+"),
    "ctr": (r"\bctr\b", r"taxa de cliques?", r"click.?through", r"tasa de clics?"),
    "cpc": (r"\bcpc\b",),
    "cpm": (r"\bcpm\b",),
    "frequency": (r"frequen\w+", r"frecuen\w+"),
    "reach": (r"alcance", r"\breach\b", r"pessoas alcancadas"),
    "impressions": (r"impress\w+", r"visualiza\w+", r"exibic\w+"),
    "clicks": (r"cliques?", r"clicks?", r"clics?"),
    "purchase_value": (
        r"fatur\w+",
        r"receitas?\b",
        r"revenue",
        r"ingresos?\b",
        r"facturac\w+",
        r"valor d[aeo]s? (?:vendas|compras)",
    ),
    "purchases": (
        r"\bvendas?\b",
        r"\bventas?\b",
        r"\bsales?\b",
        r"\bcompras?\b",
        r"\bpurchases?\b",
        r"\bvend(?:eu|i|emos|eram|em|e)\b",
    ),
    "leads": (r"\bleads?\b", r"cadastros?"),
    "conversations": (
        r"\bconversas?\b",
        r"conversaci\w+",
        r"conversations?\b",
        r"\bmensage\w+",
        r"\bmensajes?\b",
        r"\bmessages?\b",
    ),
    "results": (r"resultados?", r"results?", r"\bconvers(?:oes|ao|iones|ions?)\b"),
    "spend": (
        r"gast\w+",
        r"invest\w+",
        r"invers\w+",
        r"invirt\w+",
        r"spen[dt]\w*",
        r"\bcost\b",
        r"\bcusto\b",
        r"consum\w+",
    ),
}
_COST_OF = {
    "lead": r"(?:custos?|coste?|cost) (?:por|per) (?:leads?|cadastros?)|\bcpl\b",
    "purchase": r"(?:custos?|coste?|cost) (?:por|per) (?:vendas?|compras?|ventas?|sale|purchase)",
    "conversation": r"(?:custos?|coste?|cost) (?:por|per) (?:convers\w+|mensage\w+|mensaje|message)",
}
_LOWER_IS_BETTER = frozenset({"cost_per_result", "cpc", "cpm", "frequency"})

_LEVELS: dict[Level, tuple[str, ...]] = {
    "adset": (r"conjuntos?", r"ad ?sets?", r"publicos?\b"),
    "ad": (r"anuncios?", r"\bads?\b", r"criativos?", r"creativos?", r"creatives?", r"pecas?\b"),
    "campaign": (r"campanhas?", r"campaigns?", r"campanas?", r"\bcamps?\b"),
    "account": (r"\bcontas?\b", r"\baccounts?\b", r"\bcuentas?\b"),
}

SUPERLATIVE = re.compile(
    r"\b(?:melhor\w*|pior\w*|maior\w*|menor\w*|best|worst|most|highest|lowest|least|cheapest|mejor\w*|peor\w*"
    r"|mayor\w*)\b"
    r"|\b(?:mais|mas)\s+(?!de\b|que\b)"
)
_ORDINALS: list[tuple[str, int]] = [
    (r"primeir[ao]|\bfirst\b|\bprimer[ao]?\b|\b1[ªºao]\b|#1\b|\b1st\b", 1),
    (r"\bsegund[ao]\b(?!.feira)|\bsecond\b|\b2[ªºao]\b|#2\b|\b2nd\b", 2),
    (r"\bterceir[ao]\b|\bthird\b|\btercer[ao]?\b|\b3[ªºao]\b|#3\b|\b3rd\b", 3),
    (r"\bquart[ao]\b(?!.feira)|\bfourth\b|\bcuart[ao]\b|\b4[ªºao]\b|#4\b|\b4th\b", 4),
    (r"\bquint[ao]\b(?!.feira)|\bfifth\b|\b5[ªºao]\b|#5\b|\b5th\b", 5),
    (r"\bultim[ao]\b(?! (?:semana|mes|ano|fim|dia))|\blast one\b", -1),
]
_PRONOUNS = re.compile(
    r"\b(?:el[ae]s?|ess[ae]s?|est[ae]s?|dess[ae]s?|dest[ae]s?|iss[oa]|del[ae]s?|it|them|that one|this one"
    r"|es[ae]|es[ao]s)\b"
)
_AMOUNT_NUMBER = {
    "duas": 2,
    "dois": 2,
    "tres": 3,
    "cinco": 5,
    "dez": 10,
    "two": 2,
    "three": 3,
    "five": 5,
    "ten": 10,
    "dos": 2,
}

# Where the name of an object ends, when it is not in quotes.
_NAME_END = re.compile(
    r"[,;:?!\n]|\.(?:\s|$)|\s(?:para|pra|to|em|in|por|by|nos?|nas?|neste|nesta|nesse|nessa|este|esta|esse|essa|this"
    r"|desde|since|ontem|hoje|yesterday|today"
    r"|ayer|hoy|comparad\w+|compared|vs|versus|desse|dessa|do mes|last|ultim\w+|de (?:hoje|ontem)|durante"
    r"|during|e (?:pausa|me)"
    r"|a(?=\s+(?:r\$|\d))|com|with|con|que|which|foi|esta|is|was|doing|indo|pel[ao]|ao dobro|al doble|a la mitad)\b",
)
# Only one thing has a name: "quais campanhas gastaram mais" names none.
_NOUN = re.compile(
    r"\b(?:campanha|campana|campaign|conjunto(?: de anuncios)?|ad ?set|anuncio|ad|criativo|creativo|creative)\s+"
    r"(?:chamad[ao]\s+|named\s+|called\s+|llamad[ao]\s+|d[aeo]\s+|del?\s+|of\s+)?"
)
_ASKED_FOR = re.compile(
    r"\b(?:quai?s|qual|que|which|what|cual(?:es)?|cada|each|every|por|per|nenhuma?|alguma?|any|ninguna?|alguna?"
    r"|melhor\w*"
    r"|pior\w*|best|worst|mejor\w*|peor\w*|top|mais \w+|mas \w+|most \w+|least \w+|\d+)"
    r"(?:\s+(?:foi|e|eh|is|was|es|fue|a|o|as|os|the|la|el|minha|meu|my|mi|single))*\s*$"
)
"""Before a noun: it is asked which one, so what follows the noun is no name ("qual campanha gastou mais?")."""
# "o custo da Prospecção", "results of Remarketing": a name begins with a capital.
_OF_NAME = re.compile(
    r"(?:\b(?:[Dd][aeo]s?|[Dd]el?|of|[OoAa]s?|[Tt]he|[LlEe][al]|[Nn][ao]s?|on|in|en|[Ee]|[Aa]nd|[Yy]|[Oo]u|or|vs"
    r"|for|sobre|about|entre"
    r"|between|foi|was|is|did|compar[ae]r?|[Ss]et|[Ii]ncrease|[Rr]aise|[Ll]ower|[Pp]ause|[Ss]ube|[Rr]esume)\s+|,\s*"
    r"|^\W*(?=\S+ (?:e|y|and|ou|or) [A-ZÀ-Ý\[]))"
    r"(?=[A-ZÀ-Ý\[])"
)
_OF_NAME_END = re.compile(
    r"[,;:?!\n]|\.(?:\s|$)"
    r"|\s(?=(?!(?:d[aeo]s?|e)\s)"
    r"(?:[a-z]{1,3}|neste|nesta|nesse|nessa|esta|estao|este|essa|esse|this|last|ontem|hoje|yesterday|today|ayer|hoy"
    r"|gast\w+"
    r"|deve|vale|teve|vend\w+|budget|para|with|from|contra|versus|doing|cansad\w+|\w{2,}(?:ou|eu|iu|aram|eram"
    r"|iram))(?:\W|$)|(?!0\d\b)\d|r\$)"
)
_TOO_COMMON = frozenset(
    "semana semanas video videos imagem carrossel reels post stories pagina whatsapp trafego engajamento vendas nova "
    "novo publico clientes interesses mulheres semelhantes image carousel dias pacotes".split()
)
"""Words in many names, that mean other things too."""
_NOT_NAMES_ALONE = frozenset(
    "meta facebook instagram whatsapp google black janeiro fevereiro marco abril maio junho julho agosto setembro "
    "outubro "
    "novembro dezembro january february march april may june july august september october november december enero "
    "febrero mayo septiembre octubre noviembre diciembre".split()
)
_NOUN_AFTER = re.compile(r"(?:\bthe\s+|\bmy\s+)([\w|/&' -]{3,60}?)\s+(?:campaign|ad set|ad)\b")
_VERB = re.compile(
    r"\b(?:paus\w+|deslig\w+|par[ae]r?|desativ\w+|ativ\w+|reativ\w+|lig\w+|resum\w+|retom\w+|activ\w+|stop"
    r"|turn (?:on|off)"
    r"|suspend\w+|reanud\w+)\s+(?:(?:o|a|os|as|the|el|la)\s+)?"
)
_BUDGET_OF = re.compile(
    r"\b(?:orcamento|verba|budget|presupuesto)\s+(?:diari[ao]\s+|daily\s+)?(?:d[aeo]|del?|of|for|n[ao]|en|on)\s+"
    r"(?:(?:o|a|the|el|la)\s+)?"
)
_BUDGET_AFTER = re.compile(r"\b(?:the|my)\s+([\w|/&' -]{3,60}?)(?:'s)?\s+(?:daily\s+|lifetime\s+)?budget\b")
_BUDGET_VERB = re.compile(
    r"\b(?:aument\w+|sob[ei]\w*|sub[aeio]\w*|elev\w+|reduz\w*|diminu\w+|(?:a)?baix\w+|coloc\w+|bota|poe|passa|set"
    r"|raise|increase|lower|dobr\w+"
    r"|double|cut|baja|aumenta)\s+(?:em\s+)?(?:\d+\s*%\s+)?(?:d?[ao]|the|la|el)\s+(?!orcamento|verba|budget"
    r"|presupuesto|custo|gasto)"
)
CHANGES = frozenset({"ads.pause", "ads.resume", "ads.budget"})
"""Intents that end in a proposal."""
_NAMED_AFTER = {"ads.pause": (_VERB,), "ads.resume": (_VERB,), "ads.budget": (_BUDGET_OF, _BUDGET_VERB)}
_NOT_NAMES = frozenset(
    "i at from inteira toda entera whole "
    "as os a o el la los las the minhas meus mis my tus suas seus com con with de del do da dos das of que which "
    "isso ele ela essa esse essas esses esa ese esas esos eso "
    "tudo all todas todos para to e and y it en em no na nos nas in on por by me te foram estao are do did es son esta "
    "su sus mas mais menos janeiro fevereiro marco abril maio junho julho agosto setembro outubro novembro dezembro "
    "january "
    "february march april may june july august september october november december enero febrero mayo "
    "septiembre octubre "
    "noviembre diciembre".split()
)


def says_only(text: str, verb: re.Pattern[str]) -> bool:
    """Whether a text holds the verb and little words, and so names no object: "pausa", "pausa isso por favor"."""
    rest = verb.sub(" ", plain(text))
    return set(re.findall(r"\w+", rest)) <= _NOT_NAMES | {
        "favor",
        "please",
        "agora",
        "now",
        "ai",
        "entao",
        "sim",
        "pode",
        "can",
        "you",
    }


@dataclass(frozen=True)
class AdsRequest:
    """One request, understood. `target` is an id or the person's words for an object; None means none was named."""

    intent: str
    text: str
    level: Level
    level_named: bool
    metric: str | None
    descending: bool
    limit: int | None
    target: str | None
    account: str | None
    targets: tuple[str, ...] = ()
    """Every object that was named, the first of them being `target`; likewise the accounts."""
    accounts: tuple[str, ...] = ()
    kind: str | None = None
    """The kind of result that a cost is asked of: "custo por lead"."""
    but: But | None = None
    """Why a change that the words speak of is not proposed (crews/ads/asked.py)."""


def understand(intent: str, text: str, session: dict[str, Any]) -> AdsRequest:
    """Read one part of a message. `session` holds `entities` (the last results shown, in order), `focus` (the last
    single object spoken of), and `accounts` (those the person may see)."""
    words = plain(text)
    level, named = _level(words)
    metric = _metric(words)
    accounts = _accounts(words, session)
    targets = [one for one in _targets(text, words, session, intent) if not _names_account(one, accounts, session)]
    return AdsRequest(
        intent=intent.removeprefix("ads."),
        text=text,
        level=level,
        level_named=named,
        metric=metric,
        descending=is_descending(words, metric),
        limit=_limit(words),
        target=targets[0] if targets else None,
        account=accounts[0] if accounts else None,
        kind=next((kind for kind, said in _COST_OF.items() if re.search(said, words)), None),
        targets=tuple(targets),
        accounts=tuple(accounts),
    )


def pieces(text: str, session: dict[str, Any]) -> list[str]:
    """A text that says something different of several things, cut so that each piece says one: "Remarketing em 20% e
    Prospecção em 10%", "Loja Aurora ontem, Clínica Vitória hoje". The verb of the first goes for all. One piece where
    it cannot be cut so."""
    cut = [piece for piece in re.split(r"\s*[,;]\s*|\s+(?:e|and|y|mas|but|pero)\s+", text) if piece.strip()]
    named = [bool(_targets(one, plain(one), session, "ads.budget") or _accounts(plain(one), session)) for one in cut]
    if len(cut) < 2 or not all(named):
        return [text]
    verb = re.match(
        r"\W*(?:[^\W\d]+\s+){1,2}?(?:(?:o\s+)?(?:orçamento|orcamento|verba)|the budget|(?:el )?presupuesto)?", cut[0]
    )
    begins = verb[0].strip() if verb and asks_for_change(cut[0]).effect else ""
    return [cut[0], *(f"{begins} {one}".strip() for one in cut[1:])]


def _level(words: str) -> tuple[Level, bool]:
    for level, patterns in _LEVELS.items():
        if level != "account" and any(re.search(p, words) for p in patterns):
            return level, True
    return "campaign", False


def _metric(words: str) -> str | None:
    for metric, patterns in _METRICS.items():
        if any(re.search(p, words) for p in patterns):
            return metric
    return None


def is_descending(words: str, metric: str | None) -> bool:
    lower_is_better = metric in _LOWER_IS_BETTER
    if re.search(
        r"\bmenor\w*|\bmenos\b|mais baix\w+|lowest|least|fewest|mas baj\w+|mais barat|cheapest|mas barat", words
    ):
        return False
    if re.search(r"\bmaior\w*|mais alt\w+|highest|most\b|mayor\w*|mas alt\w+|mais car|mas car", words):
        return True
    worst = bool(re.search(r"\bpior\w*|worst|peor\w*", words))
    return worst if lower_is_better else not worst


def _limit(words: str) -> int | None:
    found = re.search(r"\b(?:top|as|os|the|las|los)\s+(\d{1,2})\b(?!\s*(?:dias|days|semanas|weeks|meses))", words)
    if found:
        return max(1, min(25, int(found[1])))
    found = re.search(r"\b(?:as|os|the|las|los|top)\s+(" + "|".join(_AMOUNT_NUMBER) + r")\b", words)
    return _AMOUNT_NUMBER[found[1]] if found else None


def _accounts(words: str, session: dict[str, Any]) -> list[str]:
    """The ids of the accounts whose name, or a word of it that no other account has, stands in the text; in its
    order."""
    accounts: list[dict[str, str]] = session.get("accounts", [])
    found: dict[str, int] = {}
    for account in accounts:
        if (name := plain(account["name"])) and (name in words or account["id"] in words):
            found[account["id"]] = words.find(name)
    for account in accounts if not found else []:
        others = {w for a in accounts if a is not account for w in plain(a["name"]).split()}
        own = [w for w in plain(account["name"]).split() if len(w) > 3 and w not in others]
        places = [place.start() for word in own if (place := re.search(rf"\b{re.escape(word)}\b", words))]
        if places:
            found[account["id"]] = min(places)
    return sorted(found, key=lambda account_id: found[account_id])


def _names_account(target: str, accounts: list[str], session: dict[str, Any]) -> bool:
    """Whether what was taken for an object is an account's own name, perhaps after a month ("outubro da Loja")."""
    names = [plain(a["name"]) for a in session.get("accounts", []) if a["id"] in accounts]
    words = [word for word in plain(target).split() if word not in _NOT_NAMES | _NOT_NAMES_ALONE]
    rest = {word for word in words if not _is_only_words_of_a_question(word)}
    return any(rest <= set(name.split()) for name in names)


def _targets(text: str, words: str, session: dict[str, Any], intent: str) -> list[str]:
    """Ids or names of the objects that are spoken of, in the order of the text."""
    if quoted := re.findall(r"[\"“”«'‘]([^\"“”»'’]{2,120})[\"“”»'’]", text):
        return [name.strip() for name in quoted]
    if digits := re.findall(r"\b\d{10,20}\b", text):
        return list(dict.fromkeys(digits))
    entities: list[dict[str, str]] = session.get("entities", [])
    if whole := [e for e in entities if plain(e["name"]) in words]:
        inner = {e["id"] for e in whole for o in whole if e is not o and plain(e["name"]) in plain(o["name"])}
        found = [e for e in whole if e["id"] not in inner] or whole[:1]
        return [e["id"] for e in sorted(found, key=lambda e: words.find(plain(e["name"])))]
    if entities and (places := _places(words)):
        chosen = [place - 1 if place > 0 else len(entities) - 1 for place in places]
        if all(place < len(entities) for place in chosen):
            return [entities[place]["id"] for place in dict.fromkeys(chosen)]
    if names := _named(text, words, intent):
        return [_known_as(name, entities) or name for name in names]
    if known := _known_in(words, entities):
        return known
    if _PRONOUNS.search(words):
        focus = session.get("focus") or (entities[0] if len(entities) == 1 else None)
        return [focus["id"]] if focus else []
    return []


def _places(words: str) -> list[int]:
    """Places in the last answer: "a segunda" is [2], "os dois primeiros" [1, 2], "a primeira e a terceira" [1, 3]."""
    many = "|".join([r"\d", *_AMOUNT_NUMBER])
    firsts = "primeir[ao]s|primer[ao]s"
    first = re.search(rf"\b(?:({many}) (?:{firsts})|(?:first|{firsts}) ({many}))\b", words)
    if first:
        count = first[1] or first[2]
        return list(range(1, (int(count) if count.isdigit() else _AMOUNT_NUMBER[count]) + 1))
    found = [(place.start(), position) for pattern, position in _ORDINALS for place in re.finditer(pattern, words)]
    return [position for _, position in sorted(found)]


def _known_as(name: str, entities: list[dict[str, str]]) -> str | None:
    """The id of the one object among those shown that has the name, or a part of its name that no other has."""
    wanted = rf"(?<!\w){re.escape(plain(name))}(?!\w)"
    found = [entity["id"] for entity in entities if re.search(wanted, plain(entity["name"]))]
    return found[0] if len(found) == 1 else None


def _known_in(words: str, entities: list[dict[str, str]]) -> list[str]:
    """Objects that were shown and are named without a capital: by a part between the bars of their name ("vídeo 03"),
    or after an article by a word that no other has ("a remarketing")."""
    found: dict[str, int] = {}
    for entity in entities:
        name = plain(re.sub(r"\[[^\]]*\]", "", entity["name"]))
        parts = [part.strip() for part in name.split("|")]
        # Whether it stands there at all is looked at first: the rest costs a hundred times as much.
        own = [rf"(?<!\w){re.escape(part)}(?!\w)" for part in parts if len(part) > 3 and part in words]
        own += [
            rf"\b(?:[oa]s?|d[aeo]|n[ao]|the|el|la|del?|e|and|y) {re.escape(word)}\b"
            for word in re.findall(r"\w{5,}", name)
            if word in words
            and word not in _NOT_NAMES | _NOT_NAMES_ALONE | _TOO_COMMON
            and not _is_only_words_of_a_question(word)
        ]
        for pattern in own:
            said = re.search(pattern, words)
            mentioned = re.sub(r"^\w+ (?=\w+$)", "", said[0]) if said else ""
            if said and mentioned not in _TOO_COMMON and _known_as(mentioned, entities) == entity["id"]:
                found.setdefault(entity["id"], said.start())
    return sorted(found, key=lambda entity_id: found[entity_id])


def _named(text: str, words: str, intent: str) -> list[str]:
    """Names that follow a noun ("a campanha Remarketing Inverno"), the verb or the budget of a change ("pausa
    Remarketing Inverno", "o orçamento do Remarketing"), or begin with a capital."""
    # Folding may change the length of odd letters; then positions do not match and the folded words serve.
    source = text if len(text) == len(words) else words
    capitals = _capitals(source, words)
    for pattern in (_NOUN, *_NAMED_AFTER.get(intent, ())):
        for found in pattern.finditer(words):
            if pattern is _NOUN and _ASKED_FOR.search(words[: found.start()]):
                continue
            rest = words[found.end() - 1 :]  # with the space before it: what ends a name may stand at its beginning
            end = _NAME_END.search(rest)
            name = source[found.end() - 1 :][: end.start() if end else None].strip(" \"'“”")
            if len(name) > 2 and not _says_nothing(name, intent in CHANGES):
                several = [one for one in capitals if one not in name]
                return [*(_listed(name) or [name]), *several] if several else _listed(name) or [name]
    if capitals:
        return capitals
    for pattern in (_NOUN_AFTER, _BUDGET_AFTER) if intent == "ads.budget" else (_NOUN_AFTER,):
        if found_after := pattern.search(words):
            name = source[found_after.start(1) : found_after.end(1)].strip()
            if not set(plain(name).split()) <= _NOT_NAMES:
                return [name]
    return []


def _listed(name: str) -> list[str]:
    """ "Remarketing e Prospecção" is two names, "Blog e lookbook" one: what follows begins with a capital."""
    listed = re.split(r"\s+(?:e|and|y)\s+(?:(?:a|o|the|la|el|d[aeo])\s+)?(?=[A-ZÀ-Ý\[])", name)
    return listed if len(listed) > 1 else []


def _capitals(source: str, words: str) -> list[str]:
    """Names that are known by their capital: "o custo da Prospecção", "results of Remarketing", "a X e a Y"."""
    names: list[str] = []
    if source.isupper():
        return names
    begins = 0
    while found := _OF_NAME.search(source, begins):
        end = _OF_NAME_END.search(words, found.end())
        begins = end.start() if end else len(source)
        said = source[found.end() : begins]
        if _is_only_words_of_a_question(said.split(maxsplit=1)[0]):
            begins = found.end() + 1  # "o CPA da Remarketing": the name comes after
            continue
        for name in _listed(said) or [said]:
            name = re.sub(rf"(?:\s+(?:{'|'.join(_NOT_NAMES)}))+$", "", name.strip(" \"'“”.?!"))
            bare = set(plain(name).split())
            if len(name) > 2 and not _says_nothing(name) and not bare & _NOT_NAMES_ALONE:
                names.append(name)
    return list(dict.fromkeys(names))


def _says_nothing(name: str, of_change: bool = False) -> bool:
    """Whether what stands where a name may stand is none: "a campanha inteira", "de ontem". Where something is changed,
    "vendas" is a name, and no figure."""
    words = plain(name).split()
    if of_change:
        levels = [pattern for patterns in _LEVELS.values() for pattern in patterns]
        return all(word in _NOT_NAMES or any(re.fullmatch(p, word) for p in levels) for word in words)
    return _is_only_words_of_a_question(name) or all(
        word in _NOT_NAMES or _is_only_words_of_a_question(word) for word in words
    )


def _is_only_words_of_a_question(name: str) -> bool:
    words = plain(name)
    known = [p for patterns in (*_METRICS.values(), *_LEVELS.values()) for p in patterns]
    return any(re.fullmatch(rf"(?:{p})\W*", words) for p in known) or bool(
        re.match(
            r"(?:tiveram|teve|had|tuvieron|mais|menos|com|with|performed|foram|estao|are|do|did|ontem|hoje|ativ"
            r"|pausad)",
            words,
        )
    )
