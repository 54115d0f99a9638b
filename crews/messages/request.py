"""What is asked about conversations with people outside, read by rules: which tool with which arguments, and what is
said beside its result. Portuguese, English and Spanish, with or without accents."""

import re
from dataclasses import dataclass, field
from typing import Any

from core.words import folded, plain
from tools.crm_targets import place_named
from tools.messages import CHAT, PRONOUN

LIST, SHOW, TEMPLATES, STATUS = "list_conversations", "show_conversation", "list_templates", "whatsapp_status"
WRITE = "message_contact"


@dataclass(frozen=True)
class Asked:
    """`tool`: "" for none; `topic`: a text `messages.about.<topic>` that is said beside it, "" for none."""

    tool: str
    arguments: dict[str, Any] = field(default_factory=dict)
    topic: str = ""


def _any(*words: str) -> re.Pattern[str]:
    """One of these words, which spaces part; "_" is a space within one."""
    one = "|".join(word.replace("_", " ") for line in words for word in line.split())
    return re.compile(rf"\b(?:{one})\b")


# What has a place of its own, the first that fits: (words, tool, topic).
_TOPICS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (_any(r"conect(?!ad)\w* connect(?!ed)\w* vincul\w* integr\w* configur\w* instal\w*"), STATUS, "connect"),
    (_any(r"instagram direct dms? sms e-?mails? correos? pix"), "", "elsewhere"),
    (
        _any(
            r"dispar\w* em_massa masiv\w* blast bulk promo\w* offer oferta (?:minha|my|mi)_lista?",
            r"todos_(?:os|los)_contact?os all_(?:my_)?contacts",
        ),
        "",
        "bulk",
    ),
    (_any(r"transcr\w*"), "", "audio"),
    (
        _any(r"(?:agenda|programa|schedule)\w*_(?:uma_|un_|a_)?(?:mensag\w+|mensaje|message)"),
        "",
        "schedule",
    ),
    (_any(r"lembretes? reminders? recordatorios?"), "", "schedule"),
    (
        _any(
            r"assum[ea]\w* take_over (?:pra|para|to|a)_(?:um|a|una)_(?:humano|human|persona)",
            r"(?:passa|pasa|transfere|transfiere|hand)\w*_(?:a_|o_|el_|la_|the_)?(?:conversa|chat|atendimento)\w*",
        ),
        "",
        "take_over",
    ),
    (
        _any(
            r"bot automat\w* automac\w* atende(?:_o)?_meu atiende_mi",
            r"(?:responde|reply_to|answer)(?:_a)?(?:_os|_as|_los)?(?:_meus|_my|_mis)?_(?:leads|clientes|customers)",
        ),
        STATUS,
        "bot",
    ),
)
_CADENCES = _any(r"cadenc\w* sequenc\w* secuenc\w* follow.?ups? seguimiento")
_TEMPLATES = _any(r"modelos? templates? plantillas?")
_NEW = _any(r"cri[ae]\w* crea\w* create nov[oa] nuev[oa] new faz\w* make escrev\w* write")
_STATUS = _any(
    r"status situacao qualidade quality calidad numeros? numbers? fila queue cola pausad\w* paused limite limit tier"
)
_ASKING = _any(
    r"quem quais qual quant[oa]s? mostr\w* lista liste ver le leia resum[ea] tem",
    r"who which what how_many show list read summari[sz]e",
    r"quien(?:es)? cuant[oa]s cuales muestra\w* lee hay abre abra open see",
)
_WRITING = _any(
    r"mand[ae]\w* envi[ae]\w* escrev[ea]\w* escrib\w* respond[ea] avis[ae]\w* fal[ae] cham[ae] diz diga dile inicia",
    r"send write text tell reply answer let message",
)
_SHOWS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        _any(r"(?:nao|no|not|never|didn.?t|haven.?t)(?:_ha|_han)?(?:_me|_nos)?_(?:respond|answer|repl|contest)\w*"),
        "quiet",
    ),
    (
        _any(
            r"sem_respo\w+ sin_respo\w+ unanswered esper\w+ aguard\w+ waiting pend[ei]\w*",
            r"(?:pra|para|por|to)_(?:responder|answer|reply)",
        ),
        "waiting",
    ),
    (_any(r"nao_lid\w+ (?:por|para)_ler unread sin_leer no_leid\w+"), "unread"),
    (
        _any(
            r"(?:pedi\w+|quer\w*|pidi\w+|quiere\w*|asked|wants?)_(?:for_|por_|pra_|para_|to_)?"
            r"(?:falar_com_|hablar_con_|talk_to_)?(?:uma?_|una?_|a_)?(?:pessoa|humano|atendente|persona|person|human)"
        ),
        "fetching",
    ),
    (_any(r"com_(?:o_)?(?:bot|robo|assistente) with_the_(?:bot|assistant) con_el_(?:bot|robot|asistente)"), "bot"),
    (_any(r"com_(?:uma_)?(?:pessoa|gente|atendente) with_(?:a_)?person con_(?:una_)?persona"), "person"),
    (_any(r"minhas_(?:conversas|atendimentos) my_(?:conversations|chats) mis_(?:conversaciones|chats)"), "mine"),
    (_any(r"encerrad\w+ fechad\w+ closed cerrad\w+"), "closed"),
)
_ANSWERED = _any(
    r"(?:quem|alguem)_(?:me_)?(?:respondeu|escreveu|chamou|falou|mandou)",
    r"(?:who|anyone|anybody)_(?:has_)?(?:replied|answered|wrote|written|texted|messaged)",
    r"(?:quien|alguien)_(?:me_)?(?:respondio|escribio|contesto|hablo)",
)
_DAYS = (
    (_any("hoje today hoy"), 1),
    (_any("ontem yesterday ayer"), 2),
    (_any("semana week"), 7),
    (_any("mes month"), 30),
)
_LATELY = 7  # days of "who answered?" without a time

_ARTICLE = r"(?:(?:o|a|os|as|the|el|la|meu|minha|my|mi)\s+)?(?:(?:cliente|lead|contact?o|contato|customer|client)\s+)?"
_NAME = r"(?P<name>[\w+(][^,;:?!]*?)"
_WHERE = r"\s*(?:\b(?:no|pelo|do|on|por|en|de|in)\s+(?:whats\w*|zap|wpp|hoje|today|hoy|ontem|chat)\b.*)?[?.!]*\s*$"
_OF_ONE = (
    re.compile(
        r"\b(?:conversas?|chats?|conversations?|conversaci[oó]n|mensage(?:m|ns)|mensajes?|messages?|hist[oó]rico)\s+"
        rf"(?:com|con|with|d[oae]|of|from)\s+{_ARTICLE}{_NAME}{_WHERE}",
        re.I,
    ),
    re.compile(
        rf"\bo\s+que\s+{_ARTICLE}{_NAME}\s+(?:me\s+)?(?:falou|disse|respondeu|escreveu|mandou|quer|pediu){_WHERE}", re.I
    ),
    re.compile(rf"\bwhat\s+did\s+{_ARTICLE}{_NAME}\s+(?:say|write|answer|reply|want|ask)(?:\s+for)?{_WHERE}", re.I),
    re.compile(
        rf"\bqu[eé]\s+(?:me\s+)?(?:dijo|escribi[oó]|respondi[oó]|quiere|pidi[oó])\s+{_ARTICLE}{_NAME}{_WHERE}", re.I
    ),
)
_OF_THEM = re.compile(
    r"\b(?:conversas?|chats?|mensagens|mensagem|hist[oó]rico)\s+d(?P<who>el[ae])\b"
    r"|\b(?P<whose>su|sua|her|his|their)\s+(?:conversas?|conversaci[oó]n|conversations?|chats?|messages?|mensajes?)\b",
    re.I,
)
"""The conversation of somebody who was spoken of."""
_NOBODY = re.compile(
    r"(?:\d+ )?(?:melhores|mejores|best)\b.*"
    r"|(?:(?:um|uma|an?|una) )?(?:whats\w*|zap|wpp|hoje|ontem|today|yesterday|hoy|ayer|semana|week|bot|rob[oô]"
    r"|assistente|assistant|asistente|pessoa|person|persona|clientes?|leads?|customers?|contatos?|contacts?|contactos?|todos|all"
    r"|dia|gente)\b.*",
    re.I,
)
"""What stands where a name would and is none."""
_OPENING = re.compile(
    r"^\W*(?:(?:e|and|y)\s+)?(?:(?:mostr[ae]|abr[ae]|abrir|ver|veja|show|open|see|mu[eé]str\w+)\s+)?(?:me\s+)?", re.I
)

_VERB = re.compile(
    r"\b(?:mand[ae]\w*|envi[ae]\w*|envía\w*|escrev[ea]\w*|escr[ií]b\w*|avis[ae]\w*|avísa\w*|diz|diga|dile|fal[ae]"
    r"|send|write|text|tell|message)\b",
    re.I,
)
_SAYING = re.compile(
    r":\s+|:(?=[\"“«'])|\s+(?:dizendo|falando|saying|diciendo)\s+(?:que\s+|that\s+)?|\s+(?=[\"“«])|\s+(?:com|con)\s+o?\s*texto\s+",
    re.I,
)
"""Between to whom and what is said."""
_THAT = re.compile(r"\s+(?:que|that)\s+", re.I)
_INDIRECT = re.compile(r"^(?:avis|avís|diz|diga|dile|fal|tell)", re.I)
_A_MESSAGE = r"(?:(?:uma?|un|an?)\s+)?(?:(?:mensage[mn]\w*|msg|mensaje|message|zap|whats\w*|wpp|recado|texto)\b\s*)"
_BY = r"(?:\b(?:de|no|pelo|por|on|by|via)\s+(?:whats\w*|zap|wpp)\b\s*)"
_BEFORE_NAME = re.compile(rf"^\s*{_A_MESSAGE}?{_BY}?(?:(?:pra|para|pro|ao|à|a|o|to|com|con|for)\s+)?{_ARTICLE}", re.I)
_AFTER_NAME = re.compile(
    rf"\s*{_BY}$|\s+(?:(?:uma?|un|an?)\s+)?(?:whats\w*|zap|wpp)?\s*(?:mensage[mn]\w*|mensaje|message|msg)?\s*$", re.I
)
_MOST_NAME = 6  # words


def understand(text: str) -> Asked:
    """Always something: where nothing is recognised, the newest conversations."""
    said = plain(text)
    if (message := dictated(text)) is not None:
        return Asked(WRITE, {"contact": message[0], "text": message[1]})
    if _TEMPLATES.search(said):
        return Asked(TEMPLATES, topic="template_new" if _NEW.search(said) else "")
    shows = next((show for words, show in _SHOWS if words.search(said)), "")
    for words, tool, topic in _TOPICS:
        if words.search(said) and not (shows and topic in ("bot", "take_over")):
            return Asked(tool, topic=topic)
    if _CADENCES.search(said):
        return Asked(LIST, {"show": "quiet"}, "cadence")
    if name := named(text):
        return Asked(SHOW, {"conversation": name})
    asking = bool(_ASKING.search(said) or said.lstrip(" ¿").startswith("que "))
    if not shows and not _ANSWERED.search(said):
        if _STATUS.search(said):
            return Asked(STATUS)
        if _WRITING.search(said) and not asking:
            return Asked("", topic="write")
    days = next((count for words, count in _DAYS if words.search(said)), None)
    if days is None and not shows and _ANSWERED.search(said):
        days = _LATELY
    arguments = {name: value for name, value in {"show": shows, "days": days}.items() if value}
    return Asked(LIST, arguments, "cadence" if shows == "quiet" and _WRITING.search(said) and not asking else "")


def named(text: str) -> str:
    """With whom the conversation is that somebody wants to see; a place in a list or a pronoun stays as it was written;
    "" for none."""
    for pattern in _OF_ONE:
        found = pattern.search(text)
        if found and not _NOBODY.fullmatch(found["name"].strip()):
            return found["name"].strip()[:120]
    if found := _OF_THEM.search(text):
        return found["who"] or found["whose"]
    bare = CHAT.sub("", _OPENING.sub("", text, count=1).strip(" .!?"))
    points = place_named(bare) is not None or PRONOUN.fullmatch(folded(bare))
    return bare if len(bare.split()) <= 3 and points else ""


def dictated(text: str) -> tuple[str, str] | None:
    """(to whom, what) of "manda uma mensagem pra Ana Souza: sua proposta está pronta"; None where one of both is not
    said, or where it is no single person."""
    cut = _SAYING.search(text)
    verb = _VERB.search(text)
    if cut is None and verb and _INDIRECT.match(verb[0]):
        cut = _THAT.search(text, verb.end())
    if cut is None or verb is None or verb.end() > cut.start():
        return None
    name = _AFTER_NAME.sub("", _BEFORE_NAME.sub("", text[verb.end() : cut.start()], count=1)).strip(" ,")
    body = text[cut.end() :].strip().strip("\"“”«»'").strip()
    if not name or not body or len(name.split()) > _MOST_NAME or _NOBODY.fullmatch(name):
        return None
    return name, body
