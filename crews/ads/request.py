"""What a person asks of the ads analyst, read from their words by rules: which metric, which object, which account.

Used by the playbook, which has no model to understand with. Periods are left in the person's words: the tools read
them, in the account's time zone. Portuguese, English and Spanish, with or without accents.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Literal

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
_LOWER_IS_BETTER = frozenset({"cost_per_result", "cpc", "cpm", "frequency"})

_LEVELS: dict[Level, tuple[str, ...]] = {
    "adset": (r"conjuntos?", r"ad ?sets?", r"publicos?\b"),
    "ad": (r"anuncios?", r"\bads?\b", r"criativos?", r"creativos?", r"creatives?", r"pecas?\b"),
    "campaign": (r"campanhas?", r"campaigns?", r"campanas?", r"\bcamps?\b"),
    "account": (r"\bcontas?\b", r"\baccounts?\b", r"\bcuentas?\b"),
}

SUPERLATIVE = re.compile(
    r"\b(?:melhor\w*|pior\w*|maior\w*|menor\w*|best|worst|most|highest|lowest|least|cheapest|mejor\w*|peor\w*|mayor\w*)\b"
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
    r"[,;:?!\n]|\.(?:\s|$)|\s(?:para|pra|to|em|in|por|by|nos?|nas?|neste|nesta|nesse|nessa|este|esta|esse|essa|this|desde|since|ontem|hoje|yesterday|today"
    r"|ayer|hoy|comparad\w+|compared|vs|versus|desse|dessa|do mes|last|ultim\w+|de (?:hoje|ontem)|durante"
    r"|during|e (?:pausa|me)"
    r"|com|with|con|que|which|foi|esta|is|was|doing|indo|pel[ao]|ao dobro|al doble|a la mitad)\b",
)
# Only one thing has a name: "quais campanhas gastaram mais" names none.
_NOUN = re.compile(
    r"\b(?:campanha|campana|campaign|conjunto(?: de anuncios)?|ad ?set|anuncio|ad|criativo|creativo|creative)\s+"
    r"(?:chamad[ao]\s+|named\s+|called\s+|llamad[ao]\s+|d[aeo]\s+|del?\s+|of\s+)?"
)
_ASKED_FOR = re.compile(
    r"\b(?:quai?s|qual|que|which|what|cual(?:es)?|cada|each|every|por|per|nenhuma?|alguma?|any|ninguna?|alguna?|melhor\w*"
    r"|pior\w*|best|worst|mejor\w*|peor\w*|top|mais \w+|mas \w+|most \w+|least \w+|\d+)"
    r"(?:\s+(?:foi|e|eh|is|was|es|fue|a|o|as|os|the|la|el|minha|meu|my|mi|single))*\s*$"
)
"""Before a noun: it is asked which one, so what follows the noun is no name ("qual campanha gastou mais?")."""
# "o custo da Prospecção", "results of Remarketing": a name begins with a capital.
_OF_NAME = re.compile(r"\b(?:d[aeo]s?|del?|of|(?:[Ee]|[Aa]nd|[Yy])\s+(?:a|o|as|os|the|la|el|da|do))\s+(?=[A-ZÀ-Ý\[])")
_OF_NAME_END = re.compile(
    r"[,;:?!\n]|\.(?:\s|$)"
    r"|\s(?=(?!(?:d[aeo]s?|e)\s)"
    r"(?:[a-zà-ÿ]{1,3}|neste|nesta|nesse|nessa|este|esta|this|last|ontem|hoje|yesterday|today)(?:\W|$)|\d)"
)
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
CHANGES = frozenset({"ads.pause", "ads.resume", "ads.budget"})
"""Intents that end in a proposal."""
_NAMED_AFTER = {"ads.pause": (_VERB,), "ads.resume": (_VERB,), "ads.budget": (_BUDGET_OF,)}
_NOT_NAMES = frozenset(
    "as os a o el la los las the minhas meus mis my tus suas seus com con with de del do da dos das of que which "
    "isso ele ela "
    "tudo all todas todos para to e and y it en em no na nos nas in on por by me te foram estao are do did es son esta "
    "su sus mas mais menos janeiro fevereiro marco abril maio junho julho agosto setembro outubro novembro dezembro "
    "january "
    "february march april may june july august september october november december enero febrero mayo "
    "septiembre octubre "
    "noviembre diciembre".split()
)


def plain(text: str) -> str:
    """Lower case without accents, same length word by word: "Anúncio" and "anuncio" are one word."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


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


def understand(intent: str, text: str, session: dict[str, Any]) -> AdsRequest:
    """Read one part of a message. `session` holds `entities` (the last results shown, in order), `focus` (the last
    single object spoken of), and `accounts` (those the person may see)."""
    words = plain(text)
    level, named = _level(words)
    metric = _metric(words)
    account = _account(words, session)
    target = _target(text, words, session, intent)
    if target and account and _names_account(target, account, session):
        target = None
    return AdsRequest(
        intent=intent.removeprefix("ads."),
        text=text,
        level=level,
        level_named=named,
        metric=metric,
        descending=_descending(words, metric),
        limit=_limit(words),
        target=target,
        account=account,
    )


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


def _descending(words: str, metric: str | None) -> bool:
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


def _account(words: str, session: dict[str, Any]) -> str | None:
    """The id of the account whose name, or a word of it that no other account has, stands in the text."""
    accounts: list[dict[str, str]] = session.get("accounts", [])
    for account in accounts:
        if account["id"] in words or plain(account["name"]) in words:
            return account["id"]
    for account in accounts:
        others = {w for a in accounts if a is not account for w in plain(a["name"]).split()}
        own = [w for w in plain(account["name"]).split() if len(w) > 3 and w not in others]
        if any(re.search(rf"\b{re.escape(word)}\b", words) for word in own):
            return account["id"]
    return None


def _names_account(target: str, account: str, session: dict[str, Any]) -> bool:
    """Whether what was taken for an object is the account's own name, perhaps after a month ("outubro da Loja")."""
    name = next(plain(a["name"]) for a in session.get("accounts", []) if a["id"] == account)
    rest = [word for word in plain(target).split() if word not in _NOT_NAMES | _NOT_NAMES_ALONE]
    return set(rest) <= set(name.split())


def _target(text: str, words: str, session: dict[str, Any], intent: str) -> str | None:
    if quoted := re.search(r"[\"“”«'‘]([^\"“”»'’]{2,120})[\"“”»'’]", text):
        return quoted[1].strip()
    if digits := re.search(r"\b\d{10,20}\b", text):
        return digits[0]
    entities: list[dict[str, str]] = session.get("entities", [])
    for entity in sorted(entities, key=lambda e: -len(e["name"])):
        if plain(entity["name"]) in words:
            return entity["id"]
    for pattern, position in _ORDINALS:
        if re.search(pattern, words) and entities:
            index = position - 1 if position > 0 else len(entities) - 1
            if index < len(entities):
                return entities[index]["id"]
    if name := _named(text, words, intent):
        return name
    if _PRONOUNS.search(words):
        focus = session.get("focus") or (entities[0] if len(entities) == 1 else None)
        return focus["id"] if focus else None
    return None


def _named(text: str, words: str, intent: str) -> str | None:
    """A name that follows a noun ("a campanha Remarketing Inverno"), or the verb or the budget of a change ("pausa
    Remarketing Inverno", "o orçamento do Remarketing")."""
    # Folding may change the length of odd letters; then positions do not match and the folded words serve.
    source = text if len(text) == len(words) else words
    for pattern in (_NOUN, *_NAMED_AFTER.get(intent, ())):
        for found in pattern.finditer(words):
            if pattern is _NOUN and _ASKED_FOR.search(words[: found.start()]):
                continue
            rest = words[found.end() - 1 :]  # with the space before it: what ends a name may stand at its beginning
            end = _NAME_END.search(rest)
            name = source[found.end() - 1 :][: end.start() if end else None].strip(" \"'“”")
            if len(name) > 2 and not set(plain(name).split()) <= _NOT_NAMES and not _is_only_words_of_a_question(name):
                return name
    for found in _OF_NAME.finditer(text):
        name = _OF_NAME_END.split(text[found.end() :], maxsplit=1)[0].strip(" \"'“”")
        if len(name) > 2 and not set(plain(name).split()) & _NOT_NAMES_ALONE and not text.isupper():
            return name
    for pattern in (_NOUN_AFTER, _BUDGET_AFTER) if intent == "ads.budget" else (_NOUN_AFTER,):
        if found_after := pattern.search(words):
            name = source[found_after.start(1) : found_after.end(1)].strip()
            if not set(plain(name).split()) <= _NOT_NAMES:
                return name
    return None


def _is_only_words_of_a_question(name: str) -> bool:
    words = plain(name)
    known = [p for patterns in (*_METRICS.values(), *_LEVELS.values()) for p in patterns]
    return any(re.fullmatch(rf"(?:{p})\W*", words) for p in known) or bool(
        re.match(
            r"(?:tiveram|teve|had|tuvieron|mais|menos|com|with|performed|foram|estao|are|do|did|ontem|hoje|ativ|pausad)",
            words,
        )
    )
