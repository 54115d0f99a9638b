"""Whether a sentence asks for a change: to pause, to resume, another budget. By rules, for the playbook.

Only what is asked now, plainly and of one thing becomes a proposal. A no, a question, a condition, a later time or
something that happened is told apart here, in one place. Portuguese, English and Spanish.
"""

import re
from dataclasses import dataclass
from typing import Literal

from core.words import squeezed
from tools.amounts import NamedAmount, amounts_in

Effect = Literal["pause", "resume", "budget"]
But = Literal[
    "negated", "question", "condition", "later", "everything", "transfer", "zero", "unclear", "several", "unsupported"
]


@dataclass(frozen=True)
class ChangeSaid:
    """`effect`: what the verbs of the sentence would change, None when they would change nothing we know. `but`: why
    it is no order to do it now; None when it is one. `first`: the sentence begins with the verb, as orders do."""

    effect: Effect | None = None
    but: But | None = None
    first: bool = False

    @property
    def asked(self) -> bool:
        return self.effect is not None and self.but is None


# Orders, requests and infinitives; not what happened ("pausou", "paused") nor what is so ("pausada").
_VERBS: dict[Effect, str] = {
    "pause": r"(?<!\ba )(?<!\bda )(?<!\bna )(?<!\bla )(?<!\buma )(?<!\bthe )paus(?:a|e|ar|em|es|as|amos|o|ing)\b"
    r"|deslig(?:a|ar|ue|uem|o)\b|desativ(?:a|ar|e|em|o)\b|desactiv(?:a|ar|e|en)\b|stop\b|suspend(?:e|er|a|o)?\b"
    r"|par(?:ar|e|em)\b(?! (?:que|ce))|\bpara (?=de \w+r\b|tudo\b|el[ae]\b|ess[ae]\b|(?:a |o )?(?:campanha|anuncio"
    r"|conjunto)\b)"
    r"|(?:turn|switch|shut)\b[^.;!?]{0,60}?\boff\b|deten(?:er|ga|e|la|lo)?\b|apag(?:a|ar|ue) (?:la|el|los|las)\b"
    r"|(?:tir|tire)[ae]?r? (?:\S+ ){0,6}do ar\b|(?:coloc|bot|poe|put)\w* (?:\S+ ){0,6}(?:em pausa|on hold)\b",
    "resume": r"(?:re)?ativ(?:ar|e|em|o)\b|reativa\b"
    r"|(?<!campanha )(?<!conta )(?<!conjunto )\bativa\b|despaus(?:a|ar|e)\b"
    r"|(?<!\bque )(?:re)?lig(?:a|ar|ue|uem|o)\b|retom(?:a|ar|e|o)\b|resum(?:e|ing)\b|unpause\b|(?:re)?activ(?:a|ar"
    r"|e|ate)\b"
    r"|reanud(?:a|ar|e)\b|(?:re)?start\b|enable\b|relaunch\b|enciend[ea]\b|encender\b"
    r"|volt(?:a|ar|e) (?:a (?:rodar|veicular|ativar|campanha|ligar)|com|o (?:anuncio|conjunto))\b|(?:pro|no"
    r"|de volta ao) ar\b"
    r"|(?:turn|switch)\b[^.;!?]{0,60}?\bon\b",
    "budget": r"aument(?:a|ar|e|em|o)\b|sub(?:a|ir|o|e|i)\b|sob(?:e|ir)\b|elev(?:a|ar|e)\b|increment(?:a|ar|e)\b"
    r"|acrescent(?:a|ar|e)\b|adicion(?:a|ar|e)\b|rais(?:e|ing)\b|increas(?:e|ing)\b|bump\b|boost\b|scale\b"
    r"|escal(?:a|ar|e)\b"
    r"|reduz(?:a|ir)?\b|reduc(?:e|ir)\b|reduzca\b|reduzc\w+|diminu(?:a|ir|i)\b|disminu(?:ye|ya|ir)\b|(?:a)?baix(?:a"
    r"|ar|e|em|o)\b"
    r"|baj(?:a|ar|e)\b|cort(?:a|ar|e|o)\b|cut\b|lower\b|decreas(?:e|ing)\b|dobr(?:a|ar|e|o)\b|doubl(?:e|ing)\b"
    r"|triplic(?:a|ar|ue)\b|tripl(?:e|ing)\b|halv(?:e|ing)\b|duplic(?:a|ar|ue)\b",
}
_CHANGE = re.compile("|".join(rf"(?P<{effect}>\b(?:{verbs}))" for effect, verbs in _VERBS.items()))
# These say little by themselves: "põe R$ 80", "muda o orçamento", but not "muda o nome".
_SET = re.compile(
    r"\b(?:mud(?:a|ar|e)|alter(?:a|ar|e)|troc(?:a|ar|que)|ajust(?:a|ar|e)|coloc(?:a|ar|que)|poe|por|ponh?a|bot(?:a"
    r"|ar|e)|pon(?:er)?"
    r"|deix(?:a|ar|e)|defin(?:a|e|ir)|fix(?:a|ar|e)|pass(?:a|ar|e)|tir(?:a|ar|e)|volt(?:a|ar|e)|set|change|put|make"
    r"|adjust|add"
    r"|take|cambi(?:a|ar|e)|pas(?:a|ar|e)|zer(?:a|ar|e)|mov[ae]r?|mueve|shift|transfer\w*|(?:re)?alo[ck]\w+"
    r"|remanej\w+)\b"
)
_BUDGET = re.compile(r"\b(?:orcamentos?|verbas?|budgets?|presupuestos?|gasto diario|daily spend)\b")
_CANNOT = re.compile(
    r"\b(?:(?:des)?arquiv(?:a|ar|e)|(?:un)?archiv(?:e|a|ar)|delet(?:a|ar|e)|exclu(?:a|ir|i)|apag(?:a|ar"
    r"|ue)(?! (?:la|el|los|las)\b)|elimin(?:a|ar|e)"
    r"|borr(?:a|ar|e)|remov(?:a|er|e)|renomei(?:a|e)|renomear|rename|renombr(?:a|ar|e)|clon(?:a|ar|e)|copi(?:a|ar"
    r"|e)|copy"
    r"|duplicate|duplic(?:a|ar|ue)|agend(?:a|ar|e)|program(?:a|ar|e)|schedule|segment(?:a|ar|e)|encerr(?:a|ar|e)"
    r"|edit(?:a|ar|e)?)\b"
    r"|\b(?:mud|troc|alter|ajust|chang|cambi|set|coloc|adjust)\w*\b.{0,60}\b(?:nome|name|nombre|segmenta\w+"
    r"|targeting|publico"
    r"|audienc\w+|horarios?|schedule|datas?|dates?|fechas?|lances?|bids?|puja|criativos?|creatives?|creativos?"
    r"|textos?|titulos?"
    r"|imagem|objetivo|objective|link|url|idade|age|edad|posicionamentos?|placements?)\b"
)
_NO = re.compile(
    r"\b(?:nao|nunca|jamais|nem|sem|don ?'?t|dont|do not|never|no|not|without|sin|nada de|evit[ae]r?|avoid)"
    r"(?: (?:quero|queria|quiero|precis\w+|deve\w*|dev[oe]|vou|vai|vamos|e|era|para|pra|que|me|se|te|pode|want|you"
    r"|to|need|should"
    r"|please|por favor|hay|debes|eu|mais|mas|again|ever|ainda|todavia|melhor|lo|la|nos|voce|tu|any|the|just"
    r"|dare))*\s+$"
)
_NOTHING = re.compile(r"\s+(?:nothing|nada|nenhum\w*|ningun\w*|none)\b")
_ASKS = re.compile(
    r"\b(?:posso|devo|dev[ei]ria|devemos|podemos|devia|vale a pena|compensa|sera que|e se|que (?:acontec|pass)\w+"
    r"|what happens"
    r"|what if|what would|should (?:i|we)|(?:can|may|could|shall) (?:i|we)|is it|would it|worth|seria|adianta"
    r"|faz sentido|melhor se"
    r"|debo|deberi\w+|puedo|podemos|vale la pena|convien\w+|por que|porque|why|por ?que|quanto|cuanto|how|como|qual"
    r"|quais|cual\w*"
    r"|o que|which|what|quem|who|quien|alguem|did|have you|has|ja (?:\w+ou|foi)|foi|faz diferenca|que tal"
    r"|what about)\b"
)
_POLITE = re.compile(
    r"\b(?:pode(?:s|ria|rias|m)?|consegue\w*|da (?:pra|para)|(?:can|could|would|will) you|puede\w*|podri(?:as|a)"
    r"|quero|queria|vamos"
    r"|please|por favor|por gentileza|let'?s|quiero)\b"
)
_IF = re.compile(
    r"\b(?:se|if|si|caso|quando|when|cuando|assim que|as soon as|sempre que|whenever|a menos que|unless|enquanto"
    r"|once)\b"
    r"(?! (?:possivel|der|puder|possible|you can|voce puder|nao for incomodo|puedes|es posible)\b)"
)
_DAY_NAMES = (
    r"segunda|terca|quarta|quinta|sexta|sabado|domingo|lunes|martes|miercoles|jueves|viernes|monday|tuesday|wednesday"
    r"|thursday|friday|saturday|sunday"
)
_LATER = re.compile(
    rf"\b(?:amanha|tomorrow|(?<!la )(?<!esta )manana|mais tarde|later|(?:hoje|esta) a? ?noite|tonight|esta noche"
    rf"|semana que vem|mes que vem|ano que vem|proxim[oa]s? (?:semana|mes|dia|{_DAY_NAMES})|next (?:week|month"
    rf"|{_DAY_NAMES})"
    rf"|(?:ate|until|till|hasta|a partir d[aeo]|from|desde|every|toda|todo|cada|on) (?:[oae]l? )?(?:dia \d"
    rf"|{_DAY_NAMES}|fim d|end of"
    rf"|fin d|\d+[/-]\d|mes|natal|christmas)|(?:segunda|terca|quarta|quinta|sexta)-feira|el (?:lunes|martes"
    rf"|miercoles|jueves|viernes)"
    rf"|daqui a|dentro de|in \d+ (?:hour|day|week|minute)s?|em \d+ (?:hora|dia|semana|minuto)s?|(?:por|for"
    rf"|durante) \d+ (?:dia|day"
    rf"|hora|hour|semana|week)s?|no dia \d+|as \d{{1,2}} ?(?:h|hs|horas|:\d\d)\b|at \d{{1,2}}(?::\d\d)? ?(?:am|pm"
    rf"|h)\b|no fim de semana)"
)
_EVERYTHING = re.compile(
    r"\b(?:tudo(?! bem| certo| ok| bom)|tod[ao]s|(?:a )?conta (?:inteira|toda)|everything|all(?! right| good)"
    r"|todo(?! bien)"
    r"|(?:la )?cuenta (?:entera|completa)|(?:whole|entire) account)\b(?! (?:dia|day|semana|os dias))"
)
_TRANSFER = re.compile(
    r"\b(?:transf\w+|realoc\w+|remanej\w+|reallocat\w+|shift|mov[ae]r?|move|muev\w+|pass(?:a|ar|e)|pas(?:a|ar|e)"
    r"|tir(?:a|ar|e)|take"
    r"|mud(?:a|ar|e)|coloc\w+)\b.*\b(?:d[aeo]s?|from|del?)\b.*?\b(?:para|pra|pro|to|into|a|e (?:poe|coloca|bota"
    r"|passa) n[ao])\s+"
    r"(?:(?:a|o|as|os|the|la|el)\s+)?(?!r\$|us\$|\$|\d)(?!a?(?:metade|half|mitad|dobro|doble|zero)\b)[\w\[\"]"
)
_ZERO = re.compile(r"\bzer(?:a|ar|e)\b|\b(?:para|pra|to|a|em)\s+(?:zero|cero|(?:r\$\s*)?0(?:[.,]00)?(?!\S*\d))\b")
_FROM_TO = re.compile(r"\b(?:de|from)\s+(?:r\$|us\$|\$)?\s*\d\S*\s+.{0,12}?\b(?:para|pra|to|a)\b")
_BEGINS = re.compile(
    r"^\W*(?:(?:nao|nunca|no|don ?'?t|do not|never|na verdade|actually|en realidade|agora|then|now|entao|ok|okay"
    r"|certo|isso|sim|yes|por favor|please|e|and|y|ai|aí"
    r"|pode(?:s|ria)?|me|voce|(?:can|could|would|will) you|puedes?|podrias?|quero|queria|i want to|vamos|let'?s"
    r"|da pra)\W+)*$"
)


def asks_for_change(text: str) -> ChangeSaid:
    """What change a sentence asks for, and why not, where it does not ask for it now. Names in quotes are not read."""
    words = _words(text)
    budget_named = bool(_BUDGET.search(words))
    amounts = _clear(amounts_in(text))
    cannot = _CANNOT.search(words)
    verbs = [] if cannot and not (budget_named and "duplic" in cannot[0]) else list(_CHANGE.finditer(words))
    if cannot and not verbs and not budget_named:
        return ChangeSaid(None, "unsupported" if _BEGINS.match(words[: cannot.start()]) else None)
    wanted = [verb for verb in verbs if not _denied(words, verb)]
    if verbs and not wanted:
        return ChangeSaid(_effect(verbs[0]), "negated")
    verb, effect = (wanted[0], _effect(wanted[0])) if wanted else (None, None)
    if verb is None and (setting := _SET.search(words)) and (budget_named or amounts):
        verb, effect = setting, "budget"
        if _denied(words, setting):
            return ChangeSaid(effect, "negated")
    if verb is None or effect is None:
        return ChangeSaid()
    if effect != "budget" and budget_named and amounts:
        effect = "budget"  # "liga com 20% a mais de verba"
    return ChangeSaid(effect, _but(words, verb, effect, text), bool(_BEGINS.match(words[: verb.start()])))


def asks_something(text: str) -> bool:
    """Whether a text is a question of its own, by its words or its sign."""
    return "?" in text or bool(_ASKS.search(_words(text)))


def several_amounts(text: str) -> bool:
    """More than one amount, other than "from 100 to 150"."""
    told = {(one.kind, one.value) for one in _clear(amounts_in(text))}
    return len(told) > 1 and not re.search(
        r"\b(?:de|from)\s+(?:r\$|us\$|\$)?\s*\d\S*\s+.{0,12}?\b(?:para|pra|to|a)\b", _words(text)
    )


def _but(words: str, verb: re.Match[str], effect: Effect, text: str) -> But | None:
    around = words[: verb.start()] + " " + words[verb.end() :]
    if _IF.search(words[: verb.start()]) or _IF.search(words[verb.end() :]):
        return "question" if "?" in text and _ASKS.search(words) else "condition"
    if _ASKS.search(words[: verb.start()]) and not _polite(words, verb):
        return "question"
    if "?" in text and verb[0].endswith("r") and not _polite(words, verb):
        return "question"
    if _LATER.search(around):
        return "later"
    if _EVERYTHING.search(around):
        return "everything"
    if effect == "budget":
        if _TRANSFER.search(words):
            return "transfer"
        if _ZERO.search(words):
            return "zero"
        if re.search(r"(?<![\w\d])-\s?(?:r\$\s*|\$\s*)?\d+(?:[.,]\d+)?(?!\s*(?:%|\d|por ?cento|percent))", words):
            return "unclear"  # "em -50": by fifty, or to what?
    return None


def _polite(words: str, verb: re.Match[str]) -> bool:
    """The last thing before the verb asks to do it: "você pode pausar"; not "como eu posso pausar"."""
    return any(verb.start() - found.end() < 12 for found in _POLITE.finditer(words[: verb.start()]))


def _denied(words: str, verb: re.Match[str]) -> bool:
    clause = re.split(r"[,;.!?\n]|\b(?:mas|but|pero)\b", words[: verb.start()])[-1]
    return bool(_NO.search(clause) or _NOTHING.match(words[verb.end() :]))


def _effect(verb: re.Match[str]) -> Effect:
    return next(effect for effect in _VERBS if verb.group(effect))


def _clear(amounts: list[NamedAmount]) -> list[NamedAmount]:
    """Percentages and sums with a currency; bare numbers only where there is nothing else."""
    sure = [one for one in amounts if one.kind == "percent" or one.said.strip("0123456789.,- ")]
    return sure or [one for one in amounts if one.value < 10**9]


def _words(text: str) -> str:
    unquoted = re.sub(r"[\"“«][^\"”»\n]{1,120}[\"”»]", " nome ", text)
    return _CLITIC.sub(r"\1", squeezed(unquoted.replace("’", "'")))


_CLITIC = re.compile(
    r"\b(paus[ae]|sub[ea]|baj[ae]|aument[ae]|increment[ae]|reduce|disminuye|pon|dej[ae]|(?:re)?activ[ae]|reanud[ae]|cambi[ae]"
    r"|duplica)(?:me|te|se|nos)?l[eoa]s?\b"
)
"""Spanish verbs with what they act on: "súbele", "páusala", "pónselo"."""
