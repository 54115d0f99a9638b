"""What a person asks of the CRM, read from their words by rules: which tool, whom it is about, what they said.

Used by the playbook, which has no model to understand with. Portuguese, English and Spanish, with or without accents.
What cannot be read safely is left out, and the playbook asks for it.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from business.crm.moments import find_due
from core.errors import ArgumentsWrong
from core.words import plain
from crews.crm.named import bare_name, keys_in_text, pointed_at
from crews.orders import Kind, kind_of
from tools.amounts import NamedAmount, amounts_in
from tools.crm_targets import place_named


@dataclass(frozen=True)
class Asked:
    """One request: a tool and its arguments. `missing` names what has to be asked for first (a text key's end); `slot`
    is the argument that names whom it is about."""

    tool: str
    arguments: dict[str, Any] = field(default_factory=dict)
    slot: str = "record"
    missing: str = ""
    about: str = ""
    """What of the result is asked for: "where_from", "phone", …; empty for all of it."""
    held: str = ""
    """Why this only looks where a writing verb was read (a text key's end), said below what was found."""


# --- what is asked --------------------------------------------------------------------------------

_NOT_THERE = re.compile(
    r"\b(?:previs(?:ao|ion)|forecast|taxa de|tasa de|rate of|closing rate|conversion rate|boletos?|nota fiscal"
    r"|invoices?|factura\w*|contas a pagar"
    r"|gera um contrato|converte mais|(?:anuncio|campanha|campana|ad|campaign)\b.{0,30}\b(?:trouxe|trajo|brought"
    r"|gerou|veio|client\w+|customer))\b"
)
"""What people ask of a CRM, and what this one does not do."""
_EXPORT = re.compile(r"\b(?:export\w*|baix(?:a|ar|e)|download\w*|descarg\w*|gera\w*|tira\w*|manda\w*)\b")
_LISTS = re.compile(r"\b(?:contat\w+|contact\w*|client\w+|customers?|empresas?|compan\w+|leads?|crm|lista|list|base)\b")
_FILE = re.compile(r"\b(?:csv|excel|xlsx|planilha|spreadsheet|planilla|arquivo|file|archivo|hoja)\b")
_IMPORT = re.compile(r"\b(?:import\w*|sub(?:ir|e|a) (?:a|essa|esta|la|minha) (?:lista|planilha|planilla)|upload)\b")
_ERASE = re.compile(
    r"\b(?:apag\w+|exclu\w+|delet\w+|elimin\w+|esquec\w+|eras\w+|forget|borr\w+|remov\w+|remove|tir[ae] d[ao] (?:crm"
    r"|base|sistema))\b"
)
_ERASES_A_PART = re.compile(
    r"\b(?:apag\w+|exclu\w+|delet\w+|elimin\w+|eras\w+|borr\w+|remov\w+|cancel\w*|cancela\w*)\s+(?:(?:a|o|as|os|the"
    r"|la|el|las|los"
    r"|essa|esse|esta|este|this|minha|my|mi|ultima|last|primeira|segunda|first|second)\s+)*"
    r"(?:tarefas?|tasks?|tareas?|lembretes?|reminders?|recordatorios?|negocios?|deals?|oportunidades?|opportunit\w+"
    r"|notas?|notes?"
    r"|anotac\w+|etapas?|stages?|reuniao|meeting|reunion)\b"
)
"""Only people and companies are erased: a task is finished, a deal lost."""
_NO_CONTACT = re.compile(
    r"\b(?:sair|tir(?:a|ar|em)|salir|off|out)\b.{0,20}\b(?:lista|listas|list|campanhas|campanas|envios)\b"
    r"|\bd(?:ar?|en) de baja\b|\bopt.?out\b|\bdescadastr\w+|\bunsubscrib\w+|\bdo.not.contact\b"
    r"|\b(?:lista negra|blacklist|blocklist|blocked list)\b|\bbloque\w+|\bblock\b"
    r"|\b(?:nao|nunca|never|don ?'?t|dont|not|stop|par(?:a|ar|em|e) de|deja(?:r|n)? de|jamais)\b.{0,40}"
    r"\b(?:contat\w+|contact\w*|ligar|ligue\w*|liga(?:r|mos)?|mand\w+|envi\w+|escrev\w+|message\w*|messaging|call\w*"
    r"|writ\w+|perturb\w+|mensage\w+|receb\w+|incomod\w+|llam\w+|escrib\w+|molest\w+|recib\w+|text|email\w*)\b"
    # "no contato" is Portuguese for "in the contact"
    r"|\bno (?:(?:quier\w+|se|le|les|lo|la|me|mas|more|further) )*(?:contact(?:ar|en|es|emos|ado|ada)"
    r"|llam(?:ar|en|es)|escrib\w+|molest\w+|recib\w+|envi(?:ar|en)|mand(?:ar|en)"
    r"|more (?:messages|contact|calls|emails)|messages|calls)\b"
)
_AGAIN = re.compile(
    r"\b(?:desbloque\w+|unblock|pode(?:mos)? (?:voltar|contatar|ligar)|voltar a contat\w+|contact again|de novo"
    r"|otra vez)\b"
)
_OFF_THE_LIST = re.compile(
    r"\b(?:tir(?:a|ar|e|em)|remov\w+|sac(?:a|ar)|saque|quit(?:a|ar|e)|take|remove)\b.{0,60}\b(?:lista|list) "
    r"(?:de |of )?(?:nao contat\w+|nao contact\w+|bloque\w+|block\w*|do.not.contact|no contact\w+|negra)\b"
    r"|\b(?:off|out of|from) (?:the |our )?(?:blacklist|blocklist|blocked list|do.not.contact list)\b"
)
"""Whoever is taken from it may be contacted again."""
_WHERE_FROM = re.compile(
    r"\b(?:de onde|where|de donde|origem|origen|fonte|fontes|sources?|fuente|procedencia)\b.*"
    r"\b(?:dad(?:o|os)|data|datos|contat\w+|contact\w*|tem(?:os)?|have|got|get|veio|vieram|came|come|saiu|sali\w+"
    r"|vien\w+|vino"
    r"|tir\w+|sac\w+|peg\w+|consegu\w+|obtuv\w+|telefone|telefono|phone|number|numero|e-?mail|info\w*|cadastro|ficha)\b"
    r"|\b(?:origem|fonte|origen|fuente|source) (?:d[aeo]s?|del?|of)\b"
)
_COPY = re.compile(
    r"\b(?:copia|copy|export\w*|tod[oa]s) (?:d[aeo]s?|os|of|de|los|the|all|her|his)* ?(?:seus|meus|sus|mis|their"
    r"|all the)? ?"
    r"(?:dados|data|datos)\b|\b(?:dados|data|datos) (?:d[aeo]|del?|of|que) .*\blgpd\b|\blgpd\b.*\b(?:dados|data"
    r"|datos)\b"
)
_MERGE = re.compile(
    r"\b(?:junt\w+|un[aei]r?\b|unific\w+|mescl\w+|merg\w+|fusion\w+|combin\w+|mesma pessoa|same person|misma persona)\b"
)
_UNMERGE = re.compile(r"\b(?:desfaz\w*|desfaca|undo|separ\w+|deshac\w+|deshaz|desun\w+|unmerge)\b")
_TASK = re.compile(
    r"\b(?:tarefas?|tasks?|tareas?|lembr\w+|remind\w*|recuerd\w+|recordar\w*|recordatorios?|pendencias?|to-?dos?"
    r"|follow.?ups?|agend(?:a|ar|e)|schedule|compromissos?)\b"
)
_DONE = re.compile(
    r"\b(?:conclu\w+|finaliz\w+|terminei|termine|complet\w+|done|finish\w*|hech[ao]|feit[ao]|fiz|marc\w+ .*(?:feit"
    r"|conclu|pront)\w+"
    r"|ja (?:liguei|falei|fiz|mandei)|hice|listo)\b"
)
_MARKED_DONE = re.compile(r"\b(?:como|as) (?:feit[ao]s?|conclu\w+|pront[ao]s?|done|complet\w+|hech[ao]s?)\b")
_LIST = re.compile(
    r"\b(?:quais|qual|minhas|lista\w*|mostra\w*|ver|what|which|show|list|my|cuales|mis|muestra\w*|tenho|tem|tengo"
    r"|hay|ha"
    r"|temos|have|que tareas|que tarefas|proximas|pendentes|pendientes|pending|atrasad\w+|overdue)\b"
)
_CHANGE_TASK = re.compile(
    r"^(?!.*\b(?:lembr|remind|recuerd|recordar)\w*\b.*\bcancel).*\b(?:cancel(?:a|ar|e|o|amos|led)?|apag(?:a|ar|ue)"
    r"|exclu(?:a|i|ir)|delet(?:a|ar|e)|remov(?:a|e|er)|tir(?:a|ar|e)|elimin(?:a|ar|e)|borr(?:a|ar|e)|desmarc(?:a|ar)"
    r"|desmarque|reabr(?:a|e|ir)|reopen|adi(?:a|ar|e)|remarc(?:a|ar)|remarque|reagend(?:a|ar|e)|reschedule|postpone"
    r"|pospon(?:er|e)|drop|forget|esquec(?:e|er)|olvida)\b.{0,40}\b(?:tarefas?|tasks?|tareas?|lembretes?|reminders?"
    r"|recordatorios?|compromissos?|to-?dos?|follow.?ups?)\b"
)
"""What is not done to tasks: they are added, and finished."""
_ADD_TASK = re.compile(
    r"\b(?:lembr(?:a|e|ar|ete)\b|me lembr\w*|remind\b|remind me|recuerda\w*|recuerdame|recordar\w*|cri(?:a|e|ar)\b"
    r"|adicion\w+"
    r"|nova|new|add|create|crea|agrega\w*|agend(?:a|ar|e)\b|schedule|anot\w+|coloc\w+|bot(?:a|ar)|poe|put|set"
    r"|marc(?:a|ar|e)\b)"
)
_BOARD = re.compile(
    r"\b(?:funil|pipeline|kanban|embudo|funnel|quadro|board|tablero|etapas|stages)\b"
    r"|\b(?:negocios?|deals?|oportunidades?|opportunit\w+|vendas|ventas|leads?)\b.{0,25}\b(?:abert\w+|open|abiert\w+"
    r"|andamento|ongoing"
    r"|curso|parad\w+|fechad\w+|perdid\w+|ganh\w+|etapa|stage|negociacao|negotiation|proposta)\b"
    r"|\b(?:quant\w+|how many|cuant\w+|quais|que|which|what|cuales|lista\w*|list|mostra\w*|show|muestra\w*|total"
    r"|valor total)\b"
    r".{0,25}\b(?:negocios|deals|oportunidades|opportunities|negociacao|negotiation|negociacion)\b"
)
_WON = re.compile(
    r"\b(?:ganh(?:amos|ei|ou|o|a)|fech(?:amos|ei|ou)|won|closed|ganamos|gane|cerramos|cerre|vendemos|vendi|sold)\b"
)
_LOST = re.compile(r"\b(?:perd(?:emos|i|eu|id[oa]|imos|io)|lost|desisti\w+)\b")
_MOVE = re.compile(
    r"\b(?:mov(?:e|a|er|i)|mud(?:a|ar|e)|pass(?:a|ar|e)|coloc(?:a|ar|que)|poe|bot(?:a|ar|e)|avanc\w+|lev(?:a|ar|e)"
    r"|move|put|push"
    r"|advance|muev\w+|pas(?:a|ar|e)|pon(?:er|go)?|llev\w+|transfer\w+|set|cambia\w*|change)\b"
)
_DEAL = re.compile(r"\b(?:negocios?|deals?|oportunidades?|opportunit\w+|oportunidad|negociacao|negociacion)\b")
_NEW = re.compile(
    r"\b(?:cri(?:a|ar|e)|abr(?:e|ir|a)|nov[oa]|adicion(?:a|e|ar)|cadastr(?:a|e|ar)|registr(?:a|e|ar)|inclu(?:i|a|ir)"
    r"|inser(?:e|ir)"
    r"|salv(?:a|e|ar)|add|save|create|open|new|register|enter|crea|crear|nuev[oa]|agreg(?:a|ar|ue)|guard(?:a|ar|e)"
    r"|anad(?:e|ir)"
    r"|insert)\b"
)
_UPDATE = re.compile(
    r"\b(?:atualiz\w+|mud(?:a|ar|e|ou)|troc(?:a|ar|e|ou)|alter\w+|corrig\w+|updat\w+|chang\w+|correct|actualiz\w+"
    r"|cambi\w+|corrig\w+|novo|new|nuevo|agora|now|ahora|passou a ser)\b"
)
_TAG = re.compile(
    r"\b(?:etiquet\w+|tags?|taguei|tagu\w+|tagged|labels?|marcador\w*)\b|\b(?:marc(?:a|ar|e|o|que)|mark"
    r"|class?ific\w+) .+ (?:como|as) "
)
_UNTAG = re.compile(r"\b(?:tir(?:a|ar|e)|remov\w+|remove|apag\w+|quit\w+|sac(?:a|ar)|delete|untag|desmarc\w+)\b")
_ASSIGN = re.compile(
    r"\b(?:atribu\w+|assign\w*|asign\w+|(?:novo )?responsavel|nova? don[oa]|owner|responsable|carteira"
    r"|pass\w+ .+ (?:para|pra|pro) (?:o|a) |give .+ to )"
)
_NOTE = re.compile(
    r"\b(?:anot\w+|notas?|notes?|observac\w+|registr\w+ (?:que|uma|um|a|o)|log|liguei|falei|conversei|visitei"
    r"|reuniao|mandei|called"
    r"|spoke|talked|met|visited|emailed|llame|hable|visite|me reuni|escribi|apunt\w+)\b"
)
_WROTE = (
    r"\b(?:mand(?:ei|ou)|envi(?:ei|ou|e|o)|escrev(?:i|eu)|receb(?:i|eu)|respond(?:i|eu|io)|sent|wrote|mande|escribi)\b"
)
_ENTRY = (
    ("call", r"\b(?:liguei|ligou|ligacao|telefonei|called|call|llame|llamo|llamada)\b"),
    ("meeting", r"\b(?:reuniao|reuni|visitei|visita|encontro|met|meeting|visited|visite|reunion)\b"),
    ("email", rf"{_WROTE}.*\b(?:e-?mail|email|correo)\b|\b(?:emailed|mailed)\b"),
    ("message", rf"{_WROTE}.*\b(?:mensagem|whatsapp|zap|message|mensaje|dm)\b|\b(?:messaged|texted)\b"),
)
_FIELDS = (
    ("reach", r"telefone|fone|celular|numero|phone(?: number)?|number|telefono|movil|whats(?:app)?|zap|e-?mail|correo"
     r"|mail|cnpj|cpf|instagram|linkedin"),
    ("city", r"cidade|city|ciudad"),
    ("title", r"cargo|funcao|job title|title|role|puesto"),
    ("address", r"endereco|address|direccion"),
    ("website", r"site|website|pagina"),
    ("company", r"empresa|company"),
    ("name", r"nome|name|nombre"),
)  # fmt: skip
_ASKED_FIELDS = (
    ("phone", r"telefone|fone\b|celular|numero|phone|number|telefono|whats"),
    ("email", r"e-?mail|correo"),
)
_TITLES = re.compile(
    r"(?:gerente|diretora?|don[oa]|soci[oa]|ceo|compradora?|manager|director|owner|founder|vendedora?|coordenadora?"
    r"|secretari[oa]|president\w|head|analista)\b"
)
_PLACES = frozenset(
    "padaria loja clinica escritorio empresa restaurante mercado academia escola construtora oficina farmacia hotel"
    " pousada"
    " imobiliaria agencia studio estudio salao pet consultorio grupo industria transportadora distribuidora bar cafe"
    " cafeteria"
    " pizzaria hamburgueria supermercado atelier colegio universidade hospital laboratorio fabrica autoescola barbearia"
    " panaderia bakery shop store clinic office company tienda oficina".split()
)
"""Words with which names of companies begin: what follows "da" is a surname otherwise."""


NEW_STAGE = "new stage: "
"""In `Asked.about` of crm_setup: a stage to be put before the ends, whose name follows."""
WRITES = frozenset(
    {"crm_save", "crm_deal", "crm_task", "crm_mark", "crm_merge", "crm_do_not_contact", "crm_erase", "crm_import"}
)
_HELD: dict[Kind, str] = {"negation": "denied", "condition": "condition", "exception": "exception"}
_IS = r"(?:e|eh|era|is|es|mora|trabalha|fica|lives|works|vive|trabaja)"
"""Of what is kept about somebody: "o telefone da Ana não é 11 98811-2233" is no telephone."""
_NAMES = re.compile(r"[A-ZÀ-Ý][\w'’&-]*(?:\s+(?:d[aeo]s?\s+|e\s+|&\s+)?[A-ZÀ-Ý][\w'’&-]*)*")


def understand(text: str, intent: str, *, now: datetime, time_zone: str, pending_import: bool = False) -> Asked:
    """Read one part of a message that was routed to the CRM. `intent` decides where the words do not. Only an order is
    carried out: what a question is about is looked at, and for what is denied, only supposed or has an exception
    `missing` says so ("denied", "condition", "exception")."""
    asked = _read(text, intent, now, time_zone, pending_import)
    sets_up = asked.tool == "crm_setup" and bool(asked.arguments or asked.about)
    if asked.tool not in WRITES and not sets_up:
        return asked
    kind = kind_of(text, _IS if asked.tool == "crm_save" and "record" in asked.arguments else "")
    if kind == "order":
        return asked
    if kind == "question":
        return _looked_at(asked, text)
    return Asked(asked.tool, missing=_HELD[kind])


def _looked_at(asked: Asked, text: str) -> Asked:
    """What answers a question that has the words of an order: "ganhamos o negócio da Padaria Sol?" opens its record."""
    if asked.tool == "crm_import":
        return Asked("crm_import", missing="import")
    if asked.tool in ("crm_task", "crm_setup"):
        return Asked("crm_tasks" if asked.tool == "crm_task" else "crm_setup", held="question")
    who = str(next((asked.arguments[one] for one in ("deal", "of", "record") if asked.arguments.get(one)), ""))
    if who and who == pointed_at(text):
        return Asked("crm_record", {"record": who}, held="question")
    keys, _ = keys_in_text(who)
    if found := keys[0] if keys else (named[0] if (named := _NAMES.search(who)) else ""):
        return Asked("crm_search", {"query": found}, "query", held="question")
    if asked.tool == "crm_deal":
        return Asked("crm_board", {}, "stage", held="question")
    return Asked(asked.tool, missing="question")


def _read(text: str, intent: str, now: datetime, time_zone: str, pending_import: bool) -> Asked:
    words = plain(" ".join(text.split()))
    hint = intent.removeprefix("crm.")
    if _NOT_THERE.search(words):
        return Asked("", missing="not_there")
    if (asked := _setup(text, words)) is not None:
        return asked
    if pending_import and _IMPORT.search(words):
        return Asked("crm_import")
    if _COPY.search(words) and (who := bare_name(text, "copia", "copy", "lgpd", "exporta", "exportar", "export")):
        return Asked("crm_export", {"what": who}, "what")
    if (
        _EXPORT.search(words)
        and _LISTS.search(words)
        and (_FILE.search(words) or "export" in words or "download" in words)
    ):
        return _export(words)
    if _IMPORT.search(words) and (hint == "import" or _LISTS.search(words) or _FILE.search(words)):
        return Asked("crm_import")
    if hint == "import":
        return Asked("crm_import", missing="import")
    if _WHERE_FROM.search(words):
        return _where_from(text)
    if _UNMERGE.search(words) and re.search(
        r"\b(?:un\w+|merge\w*|junc\w+|juntad\w+|fus\w+|mescl\w+|separ\w+|ficha\w*|cadastro\w*|record\w*)\b", words
    ):
        who = bare_name(
            text,
            *_words_of(_UNMERGE, words),
            "uniao",
            "juncao",
            "merge",
            "fusao",
            "union",
            "fusion",
            "separa",
            "separe",
        )
        return Asked("crm_merge", {"records": [who or "it"], "undo": True}, "records")
    if _ERASES_A_PART.search(words):
        return Asked("", missing="not_erasable")
    if _TASK.search(words) or hint == "task" or _MARKED_DONE.search(words):
        return _task(text, words, now, time_zone)
    if _ends(words) and (asked := _deal(text, words, "deal")) is not None:
        return asked
    if _TAG.search(words):
        return _tag(text, words)
    if _NO_CONTACT.search(words) or (_AGAIN.search(words) and hint == "privacy"):
        return _no_contact(text, words)
    if _ERASE.search(words) and hint not in ("deal", "board"):
        who = bare_name(
            text,
            *_words_of(_ERASE, words),
            "lgpd",
            "vez",
            "sempre",
            "pra",
            "forever",
            "completely",
            "totalmente",
            "siempre",
            "delete",
        )
        who = who or pointed_at(text) or ""
        return Asked("crm_erase", {"record": who} if who else {}, missing="" if who else "whose_erase")
    if _MERGE.search(words) and hint in ("save", "record", "privacy"):
        return _merge(text, words)
    if (asked := _update(text, words)) is not None:
        return asked
    if (asked := _deal(text, words, hint)) is not None:
        return asked
    if _BOARD.search(words) or hint == "board":
        return _board(text, words)
    if _ASSIGN.search(words) and hint in ("save", "record", "privacy") and (asked := _assign(text)) is not None:
        return asked
    if _NOTE.search(words) and not re.match(
        r"\W*(?:cadastr|adicion|salv|add|save|registr\w+ (?:o |a )?(?:client|contat))", words
    ):
        return _note(text, words)
    opened = hint == "record" and re.match(r"\W*(?:abr(?:e|ir|a)|open)\b", words)  # "abre a ficha da Ana" looks
    if hint in ("save", "record") and (
        (_NEW.search(words) and not opened) or (hint == "save" and keys_in_text(text)[0])
    ):
        return _save(text, words)
    if hint == "save":
        return Asked("crm_save", missing="name")
    return _find(text, words)


def _ends(words: str) -> bool:
    """ "marca como ganho", "mark as lost": an end of a deal, not a tag."""
    return bool(re.search(r"\b(?:como|as) (?:um )?(?:ganh[oa]|perdid[oa]|fechad[oa]|won|lost|ganado|cerrado)\b", words))


def _words_of(pattern: re.Pattern[str], words: str) -> list[str]:
    return [word for found in pattern.finditer(words) for word in found[0].split()]


# --- looking --------------------------------------------------------------------------------------


def _find(text: str, words: str) -> Asked:
    """One record where one is named by a place or a pronoun, else a search, whose one hit is shown whole."""
    tag = re.search(r"\b(?:etiquet\w+|tags?|label)\s+(?:de\s+|of\s+)?[\"“']?([\w-]+)", words)
    if tag:
        return Asked("crm_search", {"tag": tag[1]}, "query")
    about = next((name for name, said in _ASKED_FIELDS if re.search(rf"\b(?:{said})", words)), "")
    keys, _ = keys_in_text(text)
    if keys:
        return Asked("crm_search", {"query": keys[0]}, "query", about=about)
    name = bare_name(
        text,
        "historico",
        "sobre",
        "recentes",
        "ultimos",
        "ultimas",
        "latest",
        "recent",
        "quantos",
        "quantas",
        "sera",
        "acho",
        "talvez",
        "maybe",
        "perdemos",
        "ganhamos",
        "fechamos",
        "win",
        "won",
        "lose",
        "lost",
        "perdimos",
        "ganamos",
    )
    pointed = pointed_at(text)
    if pointed:
        return Asked("crm_record", {"record": pointed}, about=about)
    if name:
        return Asked("crm_search", {"query": name}, "query", about=about)
    return Asked("crm_search", {}, "query")


def _board(text: str, words: str) -> Asked:
    if re.search(
        r"\b(?:quais|que|which|what|cuales|lista|list|mostra|show)\b.{0,20}\b(?:etapas|stages|fases)\b", words
    ):
        return Asked("crm_setup")
    more = (
        "funil pipeline kanban embudo funnel quadro board tablero etapas stages etapa stage vendas ventas sales"
        " aberto abertos"
        " aberta abertas open abierto abiertos andamento ongoing curso parado parados negociacao negotiation"
        " negociacion proposta"
        " proposal propuesta fechado fechados fechamos fecharam ganho ganhos perdidos perdidas quanto quantos"
        " quantas many much"
        " cuanto cuantos total valor value hoje mes ano week month year current crm equipe comercial time esta estao"
        " vai going"
        " minhas oportunidades novo novos new"
    ).split()
    who = bare_name(text, *more)
    if who and re.search(r"[A-ZÀ-Ý]", who[:1]):  # "em que etapa está a Padaria Sol?": its record tells
        return Asked("crm_search", {"query": who}, "query", about="deals")
    stage = re.search(r"\b(?:etapa|stage|fase|coluna)\s+(?:d[aeo]\s+|of\s+|de\s+)?([\w ]{3,30})$", words.strip(" ?.!"))
    return Asked("crm_board", {"stage": stage[1].strip()} if stage else {}, "stage")


def _where_from(text: str) -> Asked:
    more = (
        "tiraram tirou tiramos conseguiram conseguimos conseguiu veio vieram pegaram pegamos pegou saiu sairam"
        " origem fonte"
        " fontes source sources origen fuente meus meu mis my got came come obtained sacaron sacamos obtuvieron"
        " viene vienen"
        " vino salio salieron voces ustedes they us did"
    ).split()
    who = bare_name(text, *more)
    own = re.search(r"\b(?:meus?|minhas?|my|mis?)\b", plain(text))
    if not who or own:
        pointed = None if own else pointed_at(text)
        return Asked(
            "crm_record", {"record": pointed} if pointed else {}, missing="" if pointed else "whose", about="where_from"
        )
    return Asked("crm_record", {"record": pointed_at(text) or who}, about="where_from")


def _export(words: str) -> Asked:
    arguments: dict[str, Any] = {
        "what": "companies" if re.search(r"\b(?:empresas?|compan\w+)\b", words) else "contacts"
    }
    if re.search(r"\b(?:excel|xlsx)\b", words):
        arguments["form"] = "xlsx"
    if tag := re.search(r"\b(?:etiquet\w+|tags?)\s+[\"“']?([\w-]+)", words):
        arguments["tag"] = tag[1]
    return Asked("crm_export", arguments, "what")


# --- contacts and companies -----------------------------------------------------------------------

_SAVE_WORDS = (
    "cadastra cadastrar cadastre cadastro adiciona adicionar adicione salva salvar salve cria criar crie registra"
    " registrar"
    " registre inclui incluir inclua insere nova novo add save create register new enter agrega agregar agregue guarda"
    " guardar anade crea crear registra nuevo nueva chame chamada chama"
).split()


def _save(text: str, words: str) -> Asked:
    keys, rest = keys_in_text(text)
    kind = "contact"
    if re.search(r"^\W*(?:\w+\s+){0,3}?(?:empresa|company|compania)\b", plain(rest)):
        kind = "company"
    arguments: dict[str, Any] = {"kind": kind}
    if keys:
        arguments["reach"] = keys
    if tags := re.search(
        r"\b(?:com (?:a )?(?:etiqueta|tag)|tagged|with (?:the )?tag|con (?:la )?etiqueta)\s+([\w-]+)", plain(rest)
    ):
        arguments["tags"] = [tags[1]]
        rest = rest[: tags.start()] + rest[tags.end() :]
    parts = [part.strip() for part in re.split(r"\s*[,;\n]\s*", rest) if part.strip()]
    name = ""
    for place, part in enumerate(parts):
        if not name:
            part, company = _with_company(part) if kind == "contact" else (part, None)
            name = _named_after_verb(part)
            if company:
                arguments["company"] = company
            if city := re.search(r"\s(?:em|in|en)\s+([A-ZÀ-Ý][\w' -]+)$", part):
                arguments["city"] = city[1].strip()
                name = re.sub(rf"\s(?:em|in|en)\s+{re.escape(city[1])}$", "", name)
            continue
        told = _told_of(part, kind, place)
        if not told and len(keys) > 1 and re.match(r"(?:e|and|y)\s+\S", part):
            return Asked("crm_save", missing="one_by_one")  # whose number is whose is not guessed at
        for field_name, value in told:
            arguments.setdefault(field_name, value)
    if name:
        arguments["name"] = name
    return Asked("crm_save", arguments, missing="" if name or keys else "name")


_PRONOUNS = frozenset(
    "ela ele dela dele elas eles her him his it them she he ella el lo la le essa esse isso this that".split()
)


def _named_after_verb(part: str) -> str:
    name = bare_name(part, *_SAVE_WORDS)
    return name if name and not name.isdigit() and plain(name) not in _PRONOUNS else ""


def _with_company(part: str) -> tuple[str, str | None]:
    """ "Ana Souza da Padaria Sol": what follows is a company where its first word says so, or a preposition does."""
    for found in re.finditer(r"\s(?:de la|d[aeo]|del|from|at|n[ao])\s+(?=[A-ZÀ-Ýa-z])", part):
        after = part[found.end() :].strip()
        first = plain(after.split()[0]) if after else ""
        if found[0].strip() in ("from", "at") or (first in _PLACES and found.start() > 0):
            company = re.sub(r"^(?:empresa|company)\s+", "", after, flags=re.I)
            before = part[: found.start()]
            if _named_after_verb(before):
                return before, company
    return part, None


def _told_of(part: str, kind: str, place: int) -> list[tuple[str, str]]:
    """What a piece between commas tells: "da Padaria Sol", "em Campinas", "cargo gerente"."""
    words = plain(part)
    for name, said in _FIELDS:
        if found := re.match(rf"(?:{said})\b\s*(?:[:=]|e|is|es)?\s+(?=\S)|(?:{said})\s*[:=]\s*", words):
            value = part[found.end() :].strip()
            return [(name, value)] if name not in ("reach", "name") and value else []
    if found := re.match(
        r"(?:d[ao]|del|de la|from|at|trabalha n[ao]|works (?:at|for)|trabaja en|n[ao])\s+(?:empresa\s+|company\s+)?",
        words,
    ):
        value = part[found.end() :].strip()
        return [("company" if kind == "contact" else "city", value)] if value else []
    if found := re.match(r"(?:em|in|en|de)\s+", words):
        value = part[found.end() :].strip()
        first = plain(value.split()[0]) if value else ""
        return [("company" if first in _PLACES else "city", value)] if value else []
    if _TITLES.match(words):
        title, _, company = (
            one.strip() for one in re.sub(r"\s(?:d[ao]|na|no|de la|del|at|of|en)\s", "|", part, count=1).partition("|")
        )
        return [("title", title), *([("company", company)] if company and kind == "contact" else [])]
    return []


def _update(text: str, words: str) -> Asked | None:
    """ "o telefone da Ana é 11 98765-4321", "muda o e-mail da Ana para ana@sol.com.br"."""
    for name, said in _FIELDS:
        pointing = re.search(
            rf"\b(?:{said})\s+(?P<who>del[ae]|de ella|de el)\s+(?:agora\s+|ahora\s+)?(?:e|eh|es|mudou (?:para|pra)"
            rf"|para|pra|:|=)"
            rf"\s+(?P<value>\S.*)$|\b(?P<whose>her|his)\s+(?:new\s+)?(?:{said})\s+(?:is now|now is|is"
            rf"|to)\s+(?P<told>\S.*)$",
            words,
        )
        if pointing is not None:
            value = (pointing["value"] or pointing["told"]).strip(" .!")
            keys, _ = keys_in_text(value)
            if name == "reach":
                return (
                    Asked("crm_save", {"record": "ela", "reach": keys or [value]})
                    if re.search(r"\d|@", value)
                    else None
                )
            shown = " ".join(text.split()).strip(" .!")
            return Asked("crm_save", {"record": "ela", name: shown[len(shown) - len(value) :]})
        found = re.search(
            rf"\b(?:{said})\s+(?:novo\s+|new\s+)?(?:d[aeo]s?|del?|of)\s+(?:el |la )?(?P<who>.+?)\s+"
            r"(?:agora\s+(?:e|eh)|mudou (?:para|pra)|passou a ser|now is|is now|is|ahora es|e|eh|es|para|pra|to|a"
            r"|por|=|:)\s+(?P<value>\S.*)$",
            words,
        ) or re.search(
            rf"(?P<who>[\w .'-]+?)['’]s\s+(?:new\s+)?(?:{said})\s+(?:is now|is|to|now is)\s+(?P<value>\S.*)$", words
        )
        if found is None or found["value"].startswith(("qual", "what", "que ", "onde")):
            continue
        shown = " ".join(text.split())
        if len(plain(shown)) != len(shown):
            return None
        who, value = (shown[found.start(part) : found.end(part)].strip(" .!") for part in ("who", "value"))
        who = bare_name(who, *_words_of(_UPDATE, plain(who))) or pointed_at(who) or who
        keys, _ = keys_in_text(value)
        if name == "reach":
            return Asked("crm_save", {"record": who, "reach": keys or [value]}) if re.search(r"\d|@", value) else None
        kind = {"kind": "company"} if name == "website" else {}
        return Asked("crm_save", {"record": who, name: value, **kind})
    return None


_OWN_FIELD = re.compile(
    r"\b(?:campos?|fields?)\b(?P<rest>.*?)(?:\s*:\s*|\s+(?:chamad[oa]|called|llamad[oa]|named)\s+|\s+(?=[\"“]))"
    r"[\"“]?(?P<label>[^\"”]{2,60})"
)
_OWN_STAGE = re.compile(
    r"\b(?:etapa|stage|fase)\b.*?(?:\s*:\s*|\s+(?:chamad[oa]|called|llamad[oa]|named)\s+|\s+(?=[\"“]))"
    r"[\"“]?(?P<label>[^\"”]{2,60})"
)


def _setup(text: str, words: str) -> Asked | None:
    """ "cria um campo novo no contato: aniversário", "cria uma etapa chamada Visita"."""
    shown = " ".join(text.split()).strip(" .!")
    if not _NEW.search(words) or (_DEAL.search(words) and not re.search(r"\bcampos?\b|\bfields?\b", words)):
        return None
    if found := _OWN_FIELD.search(shown):
        rest = plain(found["rest"])
        company, deal = re.search(r"\b(?:empresas?|compan\w+)\b", rest), _DEAL.search(rest)
        of = "company" if company else "deal" if deal else "contact"
        return Asked("crm_setup", {"field": found["label"].strip(" ."), "field_of": of})
    if found := _OWN_STAGE.search(shown):
        return Asked("crm_setup", about=f"{NEW_STAGE}{found['label'].strip(' .')}")
    return None


# --- deals ----------------------------------------------------------------------------------------

_BECAUSE = re.compile(
    r"[,;:]?\s*\b(?:porque|pq|por que|por causa d[aeo]|motivo:?|because(?: of)?|due to|since|ya que|debido a"
    r"|por(?=\s+(?:el|la|los|las|falta|preco|preço|precio)\b)|pel[oa]s?|razao:?"
    r"|reason:?)\s+(.+)$",
    re.I,
)
_TO_STAGE = re.compile(
    r"^(.*)\s(?:para|pra|pro|p/|to|into|hacia|a|en|na|no|in|em)\s+(?:(?:a|o|the|la|el|etapa|stage|fase"
    r"|coluna)\s+)*(?:de\s+)?(\S[^,;]*)$",
    re.I,
)
_DEAL_WORDS = (
    "ganhamos ganhei ganhou ganho ganha ganhar fechamos fechei fechou fechado fechada won win closed close ganamos gane"
    " cerramos cerre ganado vendemos vendi sold perdemos perdi perdeu perdido perdida perder lost lose perdimos"
    " perdio move"
    " mova mover muda mudar mude passa passar passe coloca colocar poe bota botar avanca avancar leva levar put push"
    " advance"
    " mueve mover pasa pon marca marcar marque mark como as cria criar crie create abre abrir abra novo nova new"
    " nuevo nueva"
    " adiciona add agrega crea crear registra set cambia change valor value monto amount estagio etapa stage negociacao"
    " contrato contract proposta_de valendo worth vale vai fica"
).split()


def _deal(text: str, words: str, hint: str) -> Asked | None:
    named = bool(_DEAL.search(words)) or hint == "deal"
    won, lost = _WON.search(words), _LOST.search(words)
    if (won or lost) and re.search(r"\b(?:quant\w+|quais|qual|how many|which|what|cuant\w+|cuales|quem|who)\b", words):
        return Asked("crm_board", {}, "stage")
    amount, rest = _amount(text)
    if hint in ("deal", "board", "save") and (won or lost) and (named or hint == "deal"):
        reason = _BECAUSE.search(rest) if lost else None
        if reason:
            rest = rest[: reason.start()]
        who = bare_name(rest, *_DEAL_WORDS) or pointed_at(text) or ""
        arguments: dict[str, Any] = {"deal": who, "outcome": "won" if won and not lost else "lost"}
        if reason:
            arguments["reason"] = reason[1].strip(" .!")
        return Asked("crm_deal", _with(arguments, amount), "deal", missing="" if who else "deal")
    if not named or (_BOARD.search(words) and not (_MOVE.search(words) or _NEW.search(words))):
        return None
    new = _NEW.search(words)
    if new and not _MOVE.match(words) and _DEAL.search(words):
        title = re.search(r"\b(?:chamad[oa]|called|llamad[oa]|titulo:?|title:?)\s+[\"“]?([^\"”,;]+)", rest, re.I)
        if title:
            rest = rest[: title.start()] + rest[title.end() :]
        who = bare_name(rest, *_DEAL_WORDS) or pointed_at(text) or ""
        arguments = {"of": who} | ({"title": title[1].strip()} if title else {})
        return Asked("crm_deal", _with(arguments, amount), "of", missing="" if who else "deal_of")
    if _MOVE.search(words):
        if amount is not None and re.search(r"\b(?:valor|value|monto|amount)\b", words):
            who = bare_name(rest, *_DEAL_WORDS) or pointed_at(text) or ""
            return Asked("crm_deal", _with({"deal": who}, amount), "deal", missing="" if who else "deal")
        split = _TO_STAGE.match(rest.strip(" .!?"))
        if split:
            who = bare_name(split[1], *_DEAL_WORDS) or pointed_at(split[1]) or ""
            return Asked("crm_deal", {"deal": who, "stage": split[2].strip()}, "deal", missing="" if who else "deal")
        return Asked("crm_deal", {}, "deal", missing="stage")
    if amount is not None:
        who = bare_name(rest, *_DEAL_WORDS) or pointed_at(text) or ""
        if who:
            return Asked("crm_deal", _with({"deal": who}, amount), "deal")
    return None


def _with(arguments: dict[str, Any], amount: NamedAmount | None) -> dict[str, Any]:
    return arguments if amount is None else arguments | {"amount": str(amount.value)}


def _amount(text: str) -> tuple[NamedAmount | None, str]:
    """The sum that a sentence about a deal names, and the sentence without it. A bare number only behind a word that
    tells a price."""
    money = [one for one in amounts_in(text) if one.kind == "money"]
    clear = [one for one in money if one.said.strip("0123456789.,- ")]
    bare = re.search(
        r"\b(?:por|de|for|valor(?: de)?|em|a|vale|worth|at|para|to)\s+(\d[\d.,]*)\s*$", plain(text).strip(" .!")
    )
    found = clear[-1] if clear else (money[-1] if money and bare and money[-1].said in bare[0] else None)
    if found is None:
        return None, text
    shown = plain(text)
    at = shown.rfind(found.said)
    if at < 0 or len(shown) != len(text):
        rest = re.sub(
            r"(?:por|de|for|no valor de)?\s*(?:R\$|US\$|\$|€)\s*[\d.,]+(?:\s*mil)?(?:\s*reais)?", " ", text, flags=re.I
        )
        return found, rest
    before = re.sub(
        r"\s+(?:por|de|for|no valor(?: de)?|em|valendo|worth|of|at|com valor(?: de)?|con valor(?: de)?|para|to|a)\s*$",
        "",
        text[:at],
        flags=re.I,
    )
    return found, f"{before} {text[at + len(found.said) :]}".strip()


# --- tasks ----------------------------------------------------------------------------------------

_LEAD_IN = re.compile(
    r"^\W*(?:(?:por favor|please|oi|ola|voce|vc|pode|can you|could you|puedes)\W+)*"
    r"(?:(?:me )?lembr(?:a|e|ar|ete)(?:-me)?|remind me|recuerdame|recuerda(?:me)?|recordarme"
    r"|(?:cri(?:a|e|ar)|adicion(?:a|e|ar)|anot(?:a|e|ar)|coloc(?:a|ar)|bota|poe|add|create|make|set|crea|agrega|nova"
    r"|new|nueva|agend(?:a|e|ar)|schedule|marc(?:a|ar))"
    r"(?:\s+(?:me|para mim|pra mim))?(?:\s+(?:uma|um|a|an|una|un|nova|new|nueva))*(?:\s+(?:tarefa|task|tarea"
    r"|lembrete|reminder|recordatorio|follow.?up))?)"
    r"\s*:?\s*(?:(?:de|para|pra|que|to|of|about|para que|por)\s+)?"
)
_TASK_NOUN = re.compile(r"^\W*(?:tarefa|task|tarea|lembrete|reminder|recordatorio)\s*:?\s*(?:de|para|pra|to)?\s*")
_WHOM = re.compile(
    r"\b(?:para|pra|pro|com|con|with|to|send|call|ligar|visitar|visit|email|ao|a|à|às|sobre|about|d[aeo]|llamar|call"
    r"|ping"
    r"|cobrar|contatar)\s+"
    r"(?:(?:o|a|os|as|the|el|la|com|para|pra|to|à)\s+)?(?P<who>[A-ZÀ-Ý][\w'’-]*(?:\s+(?:d[aeo]s?\s+|e\s+"
    r"|&\s+)?[A-ZÀ-Ý][\w'’-]*)*)"
)


def _task(text: str, words: str, now: datetime, time_zone: str) -> Asked:
    adding = _ADD_TASK.search(words)
    if _CHANGE_TASK.search(words):
        return Asked("crm_tasks", held="task_stays")
    if _DONE.search(words):
        more = (
            "concluida concluir conclui conclua conclusao finaliza finalizar finalizei terminei termine completa"
            " completei done finish finished hecha hecho feita feito fiz marca marcar mark como as tarefa tarefas"
            " task tasks tarea tareas lembrete reminder recordatorio complete completed liste"
        ).split()
        which = pointed_at(text) or _task_named(text) or bare_name(text, *more)
        return Asked("crm_task", {"finish": which} if which else {}, "finish", missing="" if which else "task_done")
    asks = "?" in text or _LIST.search(words)
    if asks and not (
        adding and not re.match(r"\W*(?:qua|que |what|which|cual|quem|minhas|my|mis|mostra|lista|show|list|ver)", words)
    ):
        return _tasks(text, words, now, time_zone)
    shown = " ".join(text.split()).strip()
    body, due_words = _without_due(shown, now, time_zone)
    lead = _LEAD_IN.match(plain(body)) or _TASK_NOUN.match(plain(body))
    title = body[lead.end() :] if lead and len(plain(body)) == len(body) else body
    title = re.sub(r"\s+([,.;!?])", r"\1", title).strip(" ,.;:!?-")
    arguments: dict[str, Any] = {}
    if title:
        arguments["title"] = title[:1].upper() + title[1:]
    if due_words:
        arguments["due"] = due_words
    if whom := _WHOM.search(title):
        arguments["record"] = whom["who"]
    return Asked("crm_task", arguments, missing="" if title else "task_what")


def _task_named(text: str) -> str:
    """ "conclui a tarefa de ligar para a Ana": the words behind the noun, as they stand."""
    found = re.search(
        r"\b(?:tarefa|task|tarea|lembrete|reminder|recordatorio)\s*:?\s+(?:(?:de|da|do|para|pra|com|to|of|for|with"
        r"|con)\s+)?(?P<name>.+)$",
        " ".join(text.split()).strip(" .!?"),
        re.I,
    )
    if found is None:
        return ""
    name = re.sub(
        r"\s+(?:como|as)\s+\S+$|^(?:como|as|est[aá]|t[aá]|is|feita|done|hecha)\b.*$", "", found["name"], flags=re.I
    )
    return re.sub(r"\s+(?:est[aá]|t[aá]|is)\s+\S+$", "", name, flags=re.I).strip()


def _tasks(text: str, words: str, now: datetime, time_zone: str) -> Asked:
    arguments: dict[str, Any] = {}
    if re.search(r"\b(?:equipe|time|todos|team|everybody|everyone|equipo|all)\b", words):
        arguments["owner"] = "todos"
    if re.search(r"\b(?:feitas|concluidas|done|completed|hechas)\b", words):
        arguments["done"] = True
    _, due = _without_due(" ".join(text.split()), now, time_zone)
    if due:
        arguments["until"] = due
    more = (
        "tarefa tarefas task tasks tarea tareas minha minhas my mis mi pendencia pendencias lembrete lembretes"
        " reminder reminders pendente pendentes pending pendientes aberta abertas open abiertas equipe time team"
        " equipo semana week hoje today hoy amanha tomorrow manana atrasada atrasadas overdue atrasadas feitas"
        " concluidas done proximas proxima next agenda compromissos fazer eu i yo me mim tenho have tengo there"
    ).split()
    if not due and "owner" not in arguments and (who := bare_name(text, *more)):
        arguments["record"] = who
    return Asked("crm_tasks", arguments)


def _without_due(text: str, now: datetime, time_zone: str) -> tuple[str, str]:
    """The text without the words that tell when, and those words."""
    try:
        due = find_due(text, now=now, time_zone=time_zone)
    except ArgumentsWrong as error:
        return text, str(error.params.get("said", ""))  # the tool says what is wrong with it
    shown = plain(text)
    if due is None or len(shown) != len(text):
        return text, "" if due is None else " ".join(due.said)
    for said in due.said:
        at = shown.find(said)
        if at < 0:
            continue
        start = re.search(
            r"(?:\s+(?:no|na|em|on|el|para|pra|ate|by|de|a|at|the|next|proxima|proximo))*\s*$", shown[:at]
        )
        begin = start.start() if start else at
        text = f"{text[:begin]} {text[at + len(said) :]}"
        shown = f"{shown[:begin]} {shown[at + len(said) :]}"
    return " ".join(text.split()), " ".join(due.said)


# --- notes, tags, owners, merging, privacy --------------------------------------------------------


def _note(text: str, words: str) -> Asked:
    """ "anota na Padaria Sol que pediram desconto", "registra que liguei para a"
    " Ana". The whole sentence is the note where
    what happened cannot be cut from it."""
    kind = next((kind for kind, said in _ENTRY if re.search(said, words)), "note")
    shown = " ".join(text.split())
    about = re.search(
        r"\b(?:n[ao]|para|pra|pro|com|con|with|on|to|of|sobre|about|d[aeo]|en|del?|que (?:o|a)|called|spoke to|met"
        r"|visited|al|a)\s+(?:(?:o|a|the|la|el|ficha d[aeo]|cliente|contato|client|customer|contact|empresa"
        r"|company)\s+)*"
        r"(?P<who>[A-ZÀ-Ý][\w'’-]*(?:\s+(?:d[aeo]s?\s+|e\s+|&\s+)?[A-ZÀ-Ý][\w'’-]*)*)",
        shown,
    )
    who = about["who"] if about and about["who"] != "I" else pointed_at(text, beside_names=True)
    body = shown
    if split := re.search(r"\s*(?::|\bque\b|\bthat\b)\s+(?P<body>.+)$", shown[about.end() :] if about else shown, re.I):
        body = split["body"]
    elif lead := re.match(
        r"\W*(?:anot[ae]|registr[ae]|note|log|apunta)\s*(?:a[ií])?\s*(?:que|that|:)?\s*", shown, re.I
    ):
        body = shown[lead.end() :]
    body = body.strip()
    note = body[:1].upper() + body[1:]
    arguments = {"record": who or "", "note": note, "note_kind": kind}
    return Asked("crm_mark", arguments, missing="" if who else "note_of")


def _tag(text: str, words: str) -> Asked:
    shown = " ".join(text.split()).strip(" .!")
    if re.match(
        r"\W*(?:quais|quem|which|who|lista\w*|mostra\w*|ver|show|list|contatos|clientes|leads|cuales|contact[os]*"
        r"|empresas|busca|find)\b",
        words,
    ):
        return _find(text, words)
    remove = bool(_UNTAG.search(words))
    patterns = (
        r"(?:etiquet[ae]\w*|tag|marc\w+|mark|label|class?ific\w+)\s+(?P<who>.+?)\s+(?:como|as|with|com"
        r"|con)\s+(?:(?:a |o |the |la )?(?:etiqueta|tag|label)\s+)?(?P<tags>.+)$",
        r"(?:etiqueta|tag|label)\s+(?P<tags>[\"“']?[\w ,-]+?[\"”']?)\s+(?:d[aeo]s?|n[ao]s?|from|to|on|del?|en|a|para"
        r"|pra)\s+(?:(?:o|a|the|la|el)\s+)?(?P<who>.+)$",
        r"(?P<who>.+?)\s+(?:com|with|con)\s+(?:a |the |la )?(?:etiqueta|tag|label)\s+(?P<tags>.+)$",
    )
    for pattern in patterns:
        if (found := re.search(pattern, plain(shown))) and len(plain(shown)) == len(shown):
            who = shown[found.start("who") : found.end("who")]
            tags = [
                one.strip(" \"'“”")
                for one in re.split(r",|\s+e\s+|\s+and\s+|\s+y\s+", shown[found.start("tags") : found.end("tags")])
            ]
            named = pointed_at(who) or bare_name(who) or who
            return Asked(
                "crm_mark", {"record": named, ("remove_tags" if remove else "add_tags"): [one for one in tags if one]}
            )
    return Asked("crm_mark", {}, missing="tag")


def _assign(text: str) -> Asked | None:
    shown = " ".join(text.split()).strip(" .!")
    found = re.search(
        r"(?:atribu\w+|assign|asign\w+|pass\w+|give|d[aáê])\s+(?:(?:o|a|the|la|el)\s+)?(?P<who>.+?)\s+(?:para|pra"
        r"|pro|ao|à|to|a)\s+(?:(?:o|a|the|la|el)\s+)?(?P<owner>[\w ]+)$",
        shown,
        re.I,
    )
    if found is None:
        return None
    who = pointed_at(found["who"]) or bare_name(found["who"]) or found["who"]
    return Asked("crm_mark", {"record": who, "owner": found["owner"].strip()})


def _merge(text: str, words: str) -> Asked:
    rest = re.sub(
        r"\b(?:junt[ae]r?|un[aei]r?|unific\w+|mescl\w+|merge|fusion\w+|combin\w+|s[aã]o a mesma pessoa"
        r"|are the same person|son la misma persona"
        r"|duplicad[oa]s?|duplicates?|cadastros?|fichas?|registros?|records?|contatos?|contacts?|contactos?|as duas"
        r"|os dois|the two|both|los dos|las dos|dois|duas|two|dos)\b",
        " ",
        text,
        flags=re.I,
    )
    sides = [bare_name(part) for part in re.split(r"\s+(?:e|com|and|with|y|con)\s+(?:(?:o|a|the|el|la)\s+)?", rest)]
    places = [str(place_named(one) or "") for one in re.split(r"\s+(?:e|com|and|with|y|con)\s+", text)]
    if len(places) == 2 and all(places):
        return Asked("crm_merge", {"records": places}, "records")
    named = [one for one in sides if one][:2]
    return Asked("crm_merge", {"records": named} if named else {}, "records", missing="" if named else "merge")


def _no_contact(text: str, words: str) -> Asked:
    keys, _ = keys_in_text(text)
    more = (
        "nao nunca never not no dont don't sem stop para parar parem pare jamais mais more again contatar contate"
        " contatem contact"
        " contacted contacting ligar ligue liguem liga mandar mande mandem manda enviar envie escrever escreva"
        " message messages"
        " call calls called write perturbar mensagem mensagens receber recebe incomodar llamar llames escribir"
        " molestar mensajes"
        " recibir opt out opt-out optout descadastra descadastrar unsubscribe bloqueia bloquear bloqueie block"
        " blocklist lista negra"
        " blacklist contactar contacten contactemos contactado sair tirar tira tirem lista listas list campanhas"
        " campanas envios off salir baja dar den da"
        " text email emails pediu pede pidio asked asks quer quiere wants want deixar deixa ser be to"
        " desbloqueia"
        " desbloquear unblock devemos debemos should must va vai mas nossas nossos our anymore ever volver a que pra"
    ).split()
    who = keys[0] if keys else (pointed_at(text) or bare_name(text, *more))
    arguments: dict[str, Any] = {"record": who} if who else {}
    again = _AGAIN.search(words) and not re.search(r"\bnao\b|\bnot?\b|\bnunca\b", words)
    if again or _OFF_THE_LIST.search(words):
        arguments["undo"] = True
    return Asked("crm_do_not_contact", arguments, missing="" if who else "whose_stop")
