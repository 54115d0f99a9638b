"""What a message asks of the hunter, by rules: Portuguese, English and Spanish. For the playbook.

The router says roughly what it is about; the words decide. Whom to look for is not read here but where searches start
(business/prospecting/profile.py); here it is only told from what else can be said of companies and searches.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal

from business.prospecting.model import customer_from
from business.prospecting.profile import corrected, read_profile
from core.words import ORDINALS, folded, squeezed
from crews.orders import Kind, kind_of

Asked = Literal[
    "find", "change", "list", "status", "pause", "resume", "explain", "rules", "decide", "contact", "cadence",
    "cadences", "cadence_stop", "unclear",
]  # fmt: skip
Decision = Literal["save", "reject", "won", "lost", "not_this_kind"]
CONTACTED = 5
"""First messages that are prepared when nobody said for how many: so many can be read before they are approved."""
_LONGEST_LIST = 30
MOST_CONTACTED = 8
"""In one message; the turn has a limit of calls."""


@dataclass(frozen=True)
class HunterRequest:
    asked: Asked
    text: str
    companies: tuple[str, ...] = ()
    """As the tools take them: numbers of the last list, or ids."""
    best: int | None = None
    """How many of the best are meant; None where single companies are, or none."""
    decision: Decision | None = None
    verdict: Literal["qualified", "person", "below", "all"] = "all"
    score_said: int | None = None
    """The score that the words speak of: "por que a terceira tem 82?"."""
    facts: bool = False
    """How to reach it is asked for: "qual o telefone da segunda?"."""
    message: str | None = None
    """A first message in quotes, to be used as it is."""
    lead: str = ""
    """Whose cadence is meant, by name."""
    held: Kind | None = None
    """Why nothing is done, where a verb was read that would: a question, a no, a condition, an exception."""


_DECISIONS: tuple[tuple[Decision, re.Pattern[str]], ...] = (
    ("lost", re.compile(
        r"\b(?:perdemos|perdi|perdeu-se|perdid[ao]|nao (?:quis|quiseram|fechou|fecharam|fechamos|rolou|topou|toparam)"
        r"|desisti(?:u|ram)|we lost|lost|did(?: ?n.?t| not) (?:close|want|buy)|turned us down|perdimos|perdi"
        r"|no (?:quiso|quisieron|cerro|cerramos|compro)|desistio)\b"
    )),
    ("won", re.compile(
        r"\b(?:fech(?:amos|ei|ou|aram)|ganh(?:amos|ei)|conquist(?:amos|ei)|vir(?:ou|aram) (?:nosso "
        r"|nossos )?clientes?"
        r"|(?:e|sao) (?:nosso |nossos )?clientes? agora|we (?:won|closed|signed)|won|closed (?:the )?(?:deal|with)"
        r"|signed|became (?:a )?(?:customer|client)s?|ganamos|gane|cerr(?:amos|e|o)|ya es cliente|es cliente ahora)\b"
    )),
    ("not_this_kind", re.compile(
        r"\b(?:nao|not|no|isn.?t|aren.?t|nem)\b(?: \w+){0,3}? (?:tipo|perfil|ramo|segmento|kind|type|profile"
        r"|sort|rubro)\b"
        r"|\bnao (?:e|era|sao) (?:bem )?(?:isso|o que (?:eu )?(?:quero|queria|procuro|busco))\b|\bnada a ver\b"
        r"|\bfora d[oe] (?:perfil|que)\b|\b(?:wrong|outro|otro|another|different) (?:profile|kind|type|tipo"
        r"|ramo|rubro"
        r"|perfil)\b|\bnot what (?:i|we)\b|\bno (?:es|era|son) lo que\b|\bnada que ver\b"
    )),
    ("reject", re.compile(
        r"\b(?:rejeit\w+|descart\w+|recus\w+|reject\w*|discard\w*|dismiss\w*|drop|rechaz\w+|elimin\w+"
        r"|nao quero (?:a|o|ess[ae]"
        r"|est[ae])|(?:tir|remov|exclu|quit|sac)\w+ (?:\w+ ){0,4}(?:da|de la|from the) lista?|throw out|get rid of)\b"
    )),
    ("save", re.compile(
        r"\b(?:salv\w+|save|keep|guard\w+|aprov\w+|aprueb\w+|approv\w+|fica(?:mos)? com|(?:coloc|bot|mand|pass"
        r"|pon|add|put)\w*"
        r" (?:\w+ ){0,4}crm|quero (?:ess[ae]|a (?=\d|\w+[ae]\b)))\b"
    )),
)  # fmt: skip
_NOT_YET = re.compile(r"\b(?:ainda|yet|todavia|aun)\b")
_TAKEN_BACK = re.compile(r"\b(?:desfa\w+|undo|revert\w*|cancel\w*|anul\w*|deshac\w+|deshaz|desrejeit\w+|unreject)\b")
_NO_SEARCH = re.compile(
    r"\b(?:nao|don ?'?t|do not|never|nunca|no) (?:me |quero que |you )?(?:busqu?\w+|procur(?:a|e|ar|es)|ach(?:e|a|ar)"
    r"|encontr(?:e|a|ar|es)|encuentr\w+|search|look|find|traz|traga|traig\w+)\b"
)
_TO_WRITE = (
    r"(?:fal[ae]|convers|abord|escrev|redij|redig|rascunh|contat|contact|mand|envi|cham|apresent|prepar|draft|habl"
    r"|escrib|redact|religa|destrav|volt|continu)\w*|write|talk|send|reach|message|call"
)
"""Orders here, besides what is an order everywhere."""
_WHY = re.compile(
    r"\b(?:por ?que|porque|pq|why|explic\w+|explain\w*|justific\w+|(?:o que|what|que) (?:pesou|conta|contou"
    r"|counted|peso"
    r"|falta|faltou|missing)|de onde (?:saiu|saem|veio|vem|vieram)|where (?:does|did|do)|de donde (?:sal|vien)\w+"
    r"|como (?:voce )?(?:cheg|calcul|funciona|e feit)\w*|how (?:is|are|do|does|did)|detalh\w+ (?:d?a )?(?:nota"
    r"|pontua\w+))\b"
)
_SCORE = re.compile(r"\b(?:notas?|pontua\w+|pontos?|scor\w+|points?|puntaj\w+|puntua\w+|puntos?|ratings?)\b")
_FACTS = re.compile(
    r"\b(?:telefones?|fones?|phones?|e-?mails?|correos?|sites?|websites?|sitios?|contatos?|contactos?|contacts?"
    r"|whats\w*|zap"
    r"|instagram|quem|who|quien|onde|where|donde)\b"
)
_RULES = re.compile(
    r"\b(?:regras?|rules?|reglas?|criterios?|criteria|pesos?|weights?)\b"
    r"|\bcomo (?:funciona|e (?:feit|calculad)[ao]|voces? (?:calcul|pontu|dao)\w*|se (?:calcul|hace)\w*|calcul\w+)"
    r"|\bhow (?:is|are|do|does) .*(?:scor|rat|comput|calculat|work)"
)
_WRITE = re.compile(
    r"\b(?:fal[ae]r?|fala|convers[ae]r?|abord[ae]\w*|escrev[ae]r?|redij\w+|redig\w+|rascunh\w+|contat[ae]r?"
    r"|contactar?"
    r"|mensage(?:m|ns)|mensaje?s?|messages?|primeiro contato|primer contacto|first (?:contact|message)|cham[ae]r?"
    r"|draft\w*|write|reach out|talk|contact|habl[ae]r?|habla|escrib\w+|redact\w+|apresent\w+|opening|opener)\b"
)
_CADENCE = re.compile(
    r"\b(?:cadenci\w*|cadences?|sequencias? de (?:mensagens|contatos?|contactos?|mensajes)|sequences?)\b"
)
_BEGIN = re.compile(r"\b(?:comec\w+|comeca\w*|inici\w+|coloc\w+|bot\w+|pon\w*|empie\w+|start\w*|begin|put|arranc\w+)\b")
_END = re.compile(r"\b(?:tir[ae]\w*|encerr\w+|termin[ae]r?|quit[ae]\w*|end|remov\w+|remove)\b")
_OF_WHOM = re.compile(
    r"(?:cad[eê]nci\w*|cadence|sequ[eê]nci\w*|sequence)(?:\s+de\s+\w*(?:mensa|conta)\w+)?\s+(?:(?:com|con|with|d[aeo]s?|del?|of|for|para|pra)\s+)"
    r"(?:(?:a|o|la|el|the|empresa)\s+)?([^,;.!?\n]{2,80})",
    re.I,
)
_PAUSE = re.compile(
    r"\b(?:paus\w+|par[ae]r?|para|stop|halt|hold|deten\w*|suspend\w*|interromp\w*|segur[ae]|interrump\w+"
    r"|cancel\w*|frena\w*)\b"
)
_RESUME = re.compile(
    r"\b(?:retom\w*|resum(?:e|ing)|despaus\w*|unpause|reanud\w*|reinici\w*|volt\w+ a (?:buscar|procurar|rodar)"
    r"|pode (?:voltar|seguir)|religa\w*|destrav\w*)\b"
)
_LEARNT = re.compile(r"\b(?:aprend\w+|learn\w*|aprendi\w+)\b")
_STATE = re.compile(
    r"\b(?:como (?:ta|esta|vai|anda|ficou|foi)|status|andamento|situacao|progress\w*|terminou|termino|acabou"
    r"|concluiu|pront[ao]s?"
    r"|finished|done|over|how (?:is|s|far)|how.?s|quanto (?:gast|cust|consum|falta)\w*|quantas? (?:ja|empresas"
    r"|achou|faltam)"
    r"|quanto ja|how (?:much|many)|cuant[ao]s? (?:gast|cuest|cost|lleva|falta|empresas)\w*|costs?|custos?|costo"
    r"|como va"
    r"|cota|quota|buscas|searches|busquedas|ainda (?:esta|ta)|still|falta muito)\b"
)
_SHOW = re.compile(
    r"\b(?:mostr\w+|list\w*|quais|qual|which|show|ver|veja|see|cuales|muestr\w+|tabela|table|tabla|resto|rest"
    r"|outras|others"
    r"|aparec\w+|traz|traga|bring|quem)\b"
)
_VERDICTS: tuple[tuple[Literal["qualified", "person", "below"], re.Pattern[str]], ...] = (
    ("person", re.compile(
        r"\b(?:(?:para|pra|to|for me to) (?:eu |mim |mi |yo )?(?:olhar|ver|look|review|decide|decidir|avaliar"
        r"|revis\w+|mirar)"
        r"|esper\w+|pendent\w+|pending|waiting|aguard\w+|duvid\w+|meio termo|em cima do muro)\b"
    )),
    ("below", re.compile(r"\b(?:abaixo|reprovad\w+|descartad\w+|ruins|piores|below|worst|rejected|bajo|peores)\b")),
    ("qualified", re.compile(r"\b(?:qualificad\w+|[kc]alificad\w+|cualificad\w+|qualified|melhores|mejores|best"
        r"|aprovad\w+)\b")),
)  # fmt: skip
_GO_ON = re.compile(
    r"^\W*(?:e |and |y )?(?:(?:quero|traz|traga|ache|acha|busca|busque|procura|mostra|give me|find|show|get"
    r"|dame|trae|want|i want"
    r"|quiero|me (?:da|traz|ve))\s+)*(?:(?:as|os|the|las|los|outras|mais|more|otras)\s+)*(?:mais|more|mas"
    r"|proxim[ao]s|next"
    r"|siguientes|outr[ao]s|others|otr[ao]s|continu\w+|segue|sigue)\b"
)
_CHANGES = re.compile(
    r"\b(?:sem|so|somente|apenas|only|just|solo|without|sin|na verdade|actually|en realidad|troc\w+|mud\w+"
    r"|cambi\w+|change"
    r"|tir\w+|quit\w+|remov\w+|inclu\w+|acrescent\w+|also|tambem|tambien|em vez|instead|agora|now|ahora"
    r"|corrig\w+|menos|exceto"
    r"|except|deixa|deja|make it)\b"
)

_WORD_NUMBERS = {
    word: number
    for number, words in enumerate(
        ("", "uma um one una uno", "duas dois two dos", "tres three", "quatro four cuatro", "cinco five", "seis six",
         "sete seven siete", "oito eight ocho", "nove nine nueve", "dez ten diez")
    )
    for word in words.split()
}  # fmt: skip
_HOW_MANY = rf"(?:\d{{1,2}}|{'|'.join(_WORD_NUMBERS)})"
_BEST_WORDS = (
    r"(?:melhores|mejores|best|top|primeir[ao]s|primer[ao]s|first(?= (?:ones|\d|two|three|four|five))|qualificad[ao]s"
    r"|[ck]alificad[ao]s|cualificad[ao]s|qualified|mais promissor\w+|most promising)"
)
_BEST = re.compile(
    rf"\b(?:(?P<a>{_HOW_MANY}) (?:\w+ )?)?{_BEST_WORDS}(?: (?P<b>{_HOW_MANY})\b)?|\b(?P<c>{_HOW_MANY}) first\b"
    rf"|\b(?:tod[ao]s(?: (?:elas|eles|as|os))?|all(?: of them)?)\b"
)
_ORDINAL = re.compile(rf"\b(?:{'|'.join(ORDINALS)})\b")
_LAST_ONE = re.compile(r"\b(?:ultim[ao]|last(?: one)?)\b")
_SCORED = re.compile(
    r"\b(?:tem|tenha|com|nota|score|scored|scores|ficou com|tirou|esse|este|ese|that|this|has|have|had|with"
    r"|tiene|con|quedo con"
    r"|puntaje|got|de|deu)\s+(?:nota |so |only |just |apenas |um |a |los |os "
    r"|uns )*(?P<score>\d{2,3})\b(?!\s*(?:empresas|companies))"
    r"|\b(?P<points>\d{1,3})\s*(?:pontos|points|puntos)\b"
)
_BARE_SCORE = re.compile(r"\b(3[1-9]|[4-9]\d|100)\b(?!\s*(?:%|anos|years|km|empresas|companies))")
"""No place in a list, which has 30 at most."""
_PLACE = re.compile(
    r"(?:#|\bn[ºo°]? ?)?\b(\d{1,2})(?:[ªºao]|st|nd|rd|th)?\b(?!\s*(?:%|anos|years|km|empresas|companies|h\b))"
)
_THAT = re.compile(
    r"\b(?:ess[ae]|est[ae]|dess[ae]|dest[ae]|ness[ae]|el[ae]|del[ae]|this|that|it|es[ae]|ell[ao])\b(?! (?:busca"
    r"|search|busqueda|lista"
    r"|tipo|perfil|kind|type|nota))"
)
_THOSE = re.compile(r"\b(?:elas|eles|delas|deles|ess[ae]s|them|those|ell[ao]s|es[ao]s)\b(?! (?:empresas|buscas))")
_QUOTED = re.compile(r"[\"“«]([^\"”»]{20,1000})[\"”»]")
_COMMON = frozenset(
    "ltda me epp eireli empresa empresas arquitetura arquitetos clinica clinicas escritorio studio estudio centro"
    " servicos comercio para com dos das grupo brasil casa".split()
)


def understand(
    intent: str, text: str, session: Mapping[str, Any], today: date, language: str = "pt-BR"
) -> HunterRequest:
    """What is asked. `intent` is the routed one, "followup" for what follows the last answer. Of the session: the
    `entities` of the last list, the company in `focus`, the ids of those `spoken_of` together, the last `hunt`. What
    is no plain order is not done: a question shows what it asks about, the rest has `held` alone."""
    request = _read(intent, text, session, today, language)
    words = squeezed(_QUOTED.sub(" ", text).replace("’", "'"))
    if request.asked == "find" and _NO_SEARCH.search(words):
        return replace(request, held="negation")
    if request.asked not in ("decide", "contact", "cadence", "cadence_stop", "pause", "resume"):
        return request
    kind = _kind(request, words)
    if kind == "order":
        return request
    if kind == "question" and request.asked in ("cadence", "cadence_stop"):
        return HunterRequest("cadences", text)
    if kind != "question":
        return replace(request, decision=None, held=kind)
    if request.asked in ("pause", "resume"):
        return HunterRequest("status", text, held=kind)
    if request.companies:
        return HunterRequest("explain", text, request.companies[:1], facts=True, held=kind)
    return HunterRequest("list", text, held=kind)


def _kind(request: HunterRequest, words: str) -> Kind:
    """What the words are; "a terceira não fechou" and "não é desse tipo" are told, not denied."""
    if request.decision and _TAKEN_BACK.search(words):
        return "negation"
    if request.decision in ("lost", "not_this_kind") and not _NOT_YET.search(words):
        words = dict(_DECISIONS)[request.decision].sub(" ", words)
    return kind_of(words, _TO_WRITE)


def withheld(text: str) -> Kind:
    """Whether the first messages that a wish asks for in the same breath are to be prepared: "order" where so."""
    words = squeezed(_QUOTED.sub(" ", text).replace("’", "'")).rstrip(" ?")
    clauses = re.split(r"(?:[,;.]|\b(?:e|and|y)\b)\s", words)
    at = next((n for n, clause in enumerate(clauses) if _WRITE.search(clause)), None)
    return "order" if at is None else kind_of(", ".join(clauses[at:]), _TO_WRITE)


def _read(intent: str, text: str, session: Mapping[str, Any], today: date, language: str) -> HunterRequest:
    words = squeezed(_QUOTED.sub(" ", text).replace("’", "'"))
    routed = intent.removeprefix("hunter.") if intent.startswith("hunter.") else ""
    wish = read_profile(text, language, today).profile
    if routed in ("search", "refine", "contact", "") and wish.activities and wish.searchable:
        return _looking(routed, text, words, session)
    entities = [one for one in session.get("entities", []) if one.get("kind") == "candidate"]
    named = _companies(words, text, entities, session.get("focus"), explaining=routed == "explain")
    if not named and routed in ("contact", "decide", "") and _THOSE.search(words):
        named = tuple(session.get("spoken_of") or ())
    score_said = _score_said(words)
    if _CADENCE.search(words):
        return _cadence(text, words, named, {str(one["id"]): str(one["name"]) for one in entities})
    about = bool(named or score_said is not None)
    decision = _decision(words)
    why, score = bool(_WHY.search(words)), bool(_SCORE.search(words))

    if _LEARNT.search(words) and not about:
        return HunterRequest("status", text)
    if routed == "decide" or (decision and about and not (why and "?" in text) and routed != "contact"):
        return HunterRequest("decide", text, named, decision=decision)
    if routed == "explain" or (routed in ("", "status") and (why or score) and (about or score)):
        if named:
            facts = bool(_FACTS.search(words))
            return HunterRequest("explain", text, named[:1], score_said=score_said, facts=facts)
        if _RULES.search(words) or (score and not _focused(session)) or not _focused(session):
            return HunterRequest("rules", text, score_said=score_said)
        return HunterRequest("explain", text, (_focused(session),), score_said=score_said)
    writes = bool(_WRITE.search(words))
    if routed == "contact" or (routed in ("", "search") and writes and (named or _BEST.search(words))):
        best = _best(words)
        message = _QUOTED.search(text)
        return HunterRequest(
            "contact",
            text,
            () if best is not None and not message else named,
            best=best if best is not None or named else CONTACTED,
            message=message[1] if message else None,
        )
    if routed in ("status", "") and not _wishes(session, text, today, language):
        if _RESUME.search(words):
            return HunterRequest("resume", text)
        if _PAUSE.search(words):
            return HunterRequest("pause", text)
        if _GO_ON.search(words):
            return HunterRequest("change", text)
        verdict = next((name for name, pattern in _VERDICTS if pattern.search(words)), None)
        if (verdict or (_SHOW.search(words) and not _STATE.search(words))) and not named:
            return HunterRequest("list", text, verdict=verdict or "all")
        if routed == "status" or _STATE.search(words):
            return HunterRequest("status", text)
        if named:
            return HunterRequest("explain", text, named[:1], facts=True)
    return _looking(routed, text, words, session)


def _cadence(text: str, words: str, named: tuple[str, ...], names: Mapping[str, str]) -> HunterRequest:
    """To stop one, to see them, or to begin one with companies of the list: the best where none is named."""
    if _PAUSE.search(words) or _END.search(words):
        found = _OF_WHOM.search(text)
        lead = found[1].strip(" .!?\"'”") if found else ""
        if named and (not lead or folded(lead) in ORDINALS or lead.isdigit()):  # by its place in the list
            lead = names.get(named[0], lead)
        return HunterRequest("cadence_stop", text, lead=lead)
    if not named and (_SHOW.search(words) or _STATE.search(words)) and not _BEGIN.search(words):
        return HunterRequest("cadences", text)
    best = _best(words)
    return HunterRequest("cadence", text, () if best is not None else named, best=best)


def _looking(routed: str, text: str, words: str, session: Mapping[str, Any]) -> HunterRequest:
    """A new wish, or a change of the last one. An answer to our question, and what begins like a correction, is one."""
    hunt = session.get("hunt")
    changes = hunt and (
        routed in ("refine", "") or not hunt.get("search") or _GO_ON.search(words) or _CHANGES.search(words)
    )
    whole = routed == "search" and hunt and hunt.get("search") and not (_GO_ON.search(words) or _CHANGES.match(words))
    return HunterRequest("change" if changes and not whole else "find", text)


def _wishes(session: Mapping[str, Any], text: str, today: date, language: str) -> bool:
    """Whether the words change whom the last search looked for, or answer what it asked."""
    hunt = session.get("hunt")
    if not hunt:
        return False
    reading = corrected(customer_from(hunt["wish"]), text, language, today)
    return any(change in _TELLING for change in reading.changes)


_TELLING = ("activities", "places", "nationwide", "sizes", "mei", "age", "wishes", "branches", "without_activities",
            "without_places")  # fmt: skip
"""What a correction changes by words that can mean nothing else; a bare number may be anything."""


def _decision(words: str) -> Decision | None:
    return next((name for name, pattern in _DECISIONS if pattern.search(words)), None)


def _best(words: str) -> int | None:
    """How many of the best are meant: "os 3 melhores", "the top five"; CONTACTED for "os melhores" and for all."""
    found = _BEST.search(words)
    if found is None:
        return None
    number = found["a"] or found["b"] or found["c"]
    if number is None:
        return CONTACTED
    return min(int(number) if number.isdigit() else _WORD_NUMBERS[number], MOST_CONTACTED)


def _score_said(words: str) -> int | None:
    for found in _SCORED.finditer(words):
        said = int(found["score"] or found["points"])
        if said <= 100:
            return said
    bare = _BARE_SCORE.search(words)
    return int(bare[1]) if bare else None


def _companies(
    words: str, text: str, entities: Sequence[Mapping[str, Any]], focus: Any, *, explaining: bool
) -> tuple[str, ...]:
    """The companies that the words name: by place in the last list, by name, by score, or as "that one"."""
    rest = _BEST.sub(" ", _SCORED.sub(" ", words))
    found = [str(place) for place in _places_in(rest)]
    if not found and entities and _LAST_ONE.search(rest):
        found = [str(entities[-1]["n"])]
    if not found:
        found = _by_name(text, entities)
    if not found and (said := _score_said(words)) is not None:
        scored = [str(one["id"]) for one in entities if one.get("score") == said]
        found = scored[:1] if len(scored) == 1 else []
    if not found and isinstance(focus, Mapping) and focus.get("kind") == "candidate" and _THAT.search(words):
        found = [str(focus["id"])]
    if not found and explaining and isinstance(focus, Mapping) and focus.get("kind") == "candidate":
        found = [str(focus["id"])] if not _SCORE.search(words) else []
    by_number = {str(one["n"]): str(one["id"]) for one in entities}
    return tuple(dict.fromkeys(by_number.get(one, one) for one in found))


def place_meant(text: str) -> int | None:
    """The place in a list that a short answer names: "a segunda", "3"."""
    return next(iter(_places_in(squeezed(text))), None)


def _places_in(words: str) -> list[int]:
    by_word = [ORDINALS[match[0]] for match in _ORDINAL.finditer(words)]
    return by_word or [place for match in _PLACE.finditer(words) if (place := int(match[1])) <= _LONGEST_LIST]


def _by_name(text: str, entities: Sequence[Mapping[str, Any]]) -> list[str]:
    """Entities whose name, or a word of it that no other has, stands in the text."""
    said = folded(text)
    words = set(said.split())
    whole = [one for one in entities if folded(str(one["name"])) and f" {folded(str(one['name']))} " in f" {said} "]
    if whole:
        return [str(one["id"]) for one in whole]
    own = [(one, {w for w in folded(str(one["name"])).split() if len(w) > 3} - _COMMON) for one in entities]
    common = {
        w for n, (_, mine) in enumerate(own) for m, (_, others) in enumerate(own) if n != m for w in mine & others
    }
    return [str(one["id"]) for one, mine in own if words & (mine - common)]


def _focused(session: Mapping[str, Any]) -> str:
    focus = session.get("focus")
    return str(focus["id"]) if isinstance(focus, Mapping) and focus.get("kind") == "candidate" else ""
