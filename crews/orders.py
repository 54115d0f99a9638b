"""Whether a sentence is an order to do something now, or only sounds like one: for playbooks, before they write.

A question, a no, a condition and an exception are told apart from orders and reports ("ganhamos a primeira") by rules,
in one place, so that without a model nothing is done that was not asked for. What is doubtful is no order: to be asked
back costs a sentence, to be taken at a word one did not say costs more. Portuguese, English and Spanish.
"""

import re
from functools import cache
from typing import Literal

from core.words import squeezed

Kind = Literal["order", "question", "negation", "condition", "exception"]

_ACTS = (
    r"(?:rejeit|descart|recus|reject|discard|dismiss|rechaz|rechac|aprov|aprueb|approv|bloque|block|desbloque|unblock"
    r"|cadastr|descadastr|unsubscrib|adicion|registr|regist(?:er|re)|inclu|agreg|anad|apag|exclu|delet|eras|borr|elimin"
    r"|remov|esquec|esqueca|forget|olvid|junt|mescl|merg|unific|fusion|combin|etiquet|anot|apunt|import|export|lembr"
    r"|remind|recuerd|agend|schedul|cancel|paus|suspend|interromp|halt|resum|retom|reanud|atribu|assign|asign|atualiz"
    r"|updat|actualiz|cambi|chang|alter|troc|muev|desfa|deshac|deshaz|separ|desmarc|transfer|coloc|avanc)\w*"
    r"|salv(?:a|ar|e|em|o|ou|ei|amos|es)|sav(?:e|es|ed|ing)|keep(?:ing)?|guard(?:a|ar|e|es|o|ei|ou)|drop(?:ped|ping)?"
    r"|add(?:ed|ing)?|cri(?:a|ar|e|em|o|ou|ei|amos)|creat(?:e|ed|ing)|cre(?:ar|es|a)|un(?:a|e|ir|as|am|i|iu)"
    r"|mov(?:e|a|er|i|eu|am|ed|ing|as|emos|imos)|mud(?:a|ar|e|em|o|ou|ei|amos)|pass(?:a|ar|e|em|o|ou|ei|amos)"
    r"|pas(?:a|ar|e|es)|bot(?:a|ar|e|ei|ou)|poe|por(?= (?:n[ao]|a |o ))|ponh?a\w*|pon(?:er|gas?)?|put|set"
    r"|tir(?:a|ar|e|em|o|ou|ei)|quit(?:a|ar|e|es)|marc(?:a|ar|am|ou|ei|amos|ado|ada)|marqu\w+|mark(?:ed|ing)?"
    r"|tag(?:ged|ging)?|label|log|not(?:e|ed)|abr(?:a|e|ir|i|iu)|open|undo|par(?:ar|e|em|es)|stop(?:ped|ping)?|deten\w*"
    r"|para(?= (?:a |essa |esta |la |de )?(?:busca|search|busqueda|\w+r\b))|dele|give|reabr\w+|reopen"
)
"""What a person orders. No contact verbs: "não ligue mais para a Ana" is itself an order, to write it down."""
_OUTCOMES = (
    r"(?:ganh|perd|fech|conquist|conclu|finaliz|termin|finish|complet|clos|cerr|cierr|acab)\w*|w[io]n(?:ning)?|los[et]"
    r"|losing|sold|sell|vend(?:e|er|eu|i|emos|ido|io|imos)|gan(?:a|e|o|amos|aron|ar|ado|emos)|done|feit[ao]s?|hech[ao]s?"
)
"""What happened; nobody orders it with a question mark."""

# --- what is not looked at ------------------------------------------------------------------------

_QUOTED = re.compile(r"[\"“«][^\"”»]{1,2000}[\"”»]")
_IN_A_NAME = re.compile(
    r"(?<=[a-zà-ÿ] )(?:Se|Si|If|When|Quando|Cuando|Caso|Menos|Fora|Salvo|Nunca|Never|Sem|Sin|Quase|Casi)(?= [A-ZÀ-Ý])"
)
_HELLO = re.compile(
    r"^\W*(?:(?:oi|ola|opa|hi|hello|hey|bom dia|boa tarde|boa noite|buen[oa]s (?:dias|tardes|noches)|good (?:morning"
    r"|afternoon|evening)|td bem|tudo (?:bem|bom|certo|joia)|como vai|how are you|que tal|como estas?)\b[\s,.!?;]*)+"
)
_FILLER = (
    r"(?:(?:ok|okay|entao|agora|por favor|por gentileza|please|e|and|y|sim|yes|isso|bom|certo|ai|me|nos|vamos|let'?s"
    r"|lets|tambem|tambien|also|then|now|ahora|so|just|ja|nao|no|claro|obrigad[ao]|thanks|gracias|na verdade|actually"
    r"|en realidad|pois|bem|well|bueno|ah|ei|mas|but|pero|eu|quero|queria|quiero|i want(?: you)? to|pode|go ahead)"
    r"[\s,]+)*"
)
_TELLS = re.compile(
    r"\b(?:nao me deix\w+ esquecer|don ?'?t let me forget|no me dejes olvidar"
    r"|anot(?:a|e|ar)|registr(?:a|e|ar) que|apunt[ae]|note|log|(?:me )?lembr(?:a|e|ar|ete)|remind|recuerda\w*"
    r"|recordar\w*|(?:cri(?:a|e|ar)|adicion(?:a|e|ar)|nova|new|add|create|crea|agrega|coloc(?:a|ar|que)|bota|poe|put"
    r"|agend(?:a|e|ar)|schedule|marc(?:a|ar|que))\s+(?:\w+\s+){0,2}(?:tarefa|task|tarea|lembrete|reminder|recordatorio"
    r"|follow.?up|reuniao|meeting|reunion|visita))\b(?= )"
)
"""What follows is what is to be written down or remembered, whatever it says. The same for what one tells of a call."""
_LABELLED = re.compile(
    r"^\W*(?:nov[oa] |new |nuev[oa] )?(?:tarefa|lembrete|nota|anotacao|obs|task|reminder|note|to-?do|tarea"
    r"|recordatorio)\s*:"
)
_TOLD = re.compile(
    r"^\W*(?:hoje|ontem|today|yesterday|hoy|ayer|acabei de|i|we|eu|ja|a gente|just)?\W*(?:liguei|falei|conversei"
    r"|visitei|mandei|called|spoke|talked|met|visited|emailed|llame|hable|visite|me reuni|escribi)\b"
)
_REASON = re.compile(r"(?<=\w)\W+(?:porque|because|pois|ja que|por causa|due to|since|debido|motivo|razao)\b.*$")
_TAG_OF_ORDER = re.compile(
    r",?\s*\b(?:ta|ta bom|ta bem|ok|okay|viu|beleza|blz|por favor|please|pode ser|vale|de acuerdo|combinado|would you"
    r"|will you|could you|pode|si|sim|yes|alright|all right)\?+$"
)

# --- questions ------------------------------------------------------------------------------------

_ASKS = re.compile(
    rf"^\W*{_FILLER}(?:por ?que(?! n[ao]s?\b)|pq|why|(?:com |de |para |pra |with )?(?:quem|who|whom|whose|quien)"
    r"|como(?! (?:ganh|perdid|feit|conclu|combin|vip|client|lead))|how|quant[ao]s?|cuant[ao]s?|qual|quais|cual(?:es)?"
    r"|o que|que (?:tal|acontec\w+|pasa\w*)|what|which|where|onde|aonde|donde|sera que|e verdade|es verdad|is|are|was"
    r"|were|did|didn ?'?t|does|do (?:we|i|you|they)|has|have (?:we|you|they|i|the)|haven ?'?t (?:we|you)|should|posso"
    r"|podemos|poderia(?:mos)? eu|dev(?:o|emos|ia|iamos|eria|eriamos)|puedo|debo|debemos|may (?:i|we)|can (?:i|we)"
    r"|could (?:i|we)|shall|vale a pena|vale la pena|compensa|faz sentido|adianta|e se|what if|y si|hay que"
    r"|alguem|anyone|anybody|alguien|quer dizer)\b"
)
_WHETHER = re.compile(
    r"\b(?:(?:me )?(?:diz|diga|fala|conta)|saber|sabe|sei|confere|confira|verifi(?:ca|que)|checa|cheque|veja|ve|olha"
    r"|tell me|know|wonder|check|see|dime|sabes|revisa|fijate)\s+(?:se|if|whether|si)\b"
)
_UNSURE = re.compile(
    r"\b(?:acho que|talvez|parece que|pode ser que|provavelmente|maybe|perhaps|i (?:think|guess)|probably|creo que"
    r"|quizas?|tal vez|capaz que|parece ser|might|estou em duvida|not sure|no estoy segur[ao])\b"
)
_ASKS_AT_END = re.compile(r"\b(?:ne|nao e|nao|certo|right|verdad|no|isn ?'?t it|didn ?'?t we|nao foi|foi)\s*\?+$")
_POLITE = (
    r"(?:(?:voce|vc|tu|you)\s+)?(?:pode(?:s|ria|rias)?|consegue\w*|da (?:pra|para)|(?:can|could|would|will) you"
    r"(?: please)?|puedes?|podes|podrias?|me (?:puedes|podrias|pode)|quer|quero|queria|vamos|se importa de)\s+"
    r"(?:(?:por favor|please|me|lo|la)\s+)*"
)

# --- conditions, negations, exceptions ------------------------------------------------------------

_REFLEXIVE = (
    r"(?:\w+(?:ou|eu|iu|aram|eram|iram)|chama\w*|llama\w*|trata|cerro|perdio|gano|cayo|mudo|fue|vendio|nega|recusa"
    r"|interes\w+|encontra)\b"
)
_AT_EASE = r"(?! (?:possivel|der|puder|possible|you can|voce puder|nao for incomodo|puedes|es posible)\b)"
_IF = re.compile(
    r"(?:^|[,;.!?]|\b(?:e|mas|and|but|so|apenas|only)\s)\W*\bse\b"
    rf"(?! (?:cerro|perdio|gano|cayo|mudo|fue|vendio|llama|trata|apresent\w+)\b){_AT_EASE}"
    rf"|(?<=\w )se\b(?! {_REFLEXIVE}){_AT_EASE}"
    r"|\b(?:if|si(?!\s*[,.!])|quando|when|cuando|whenever|unless|assim que|logo que|sempre que|a menos que"
    r"|a nao ser que|desde que|contanto que|as soon as|as long as|provided|siempre que|en cuanto|hasta que|ate que"
    r"|until|enquanto|mientras|depois que|despues de que|(?:once|after) (?:she|he|they|we|it|you|the)"
    r"|(?<!\bo )(?<!\bum )(?<!sse )(?<!ste )(?<!todo )(?<!\bdo )(?<!\bno )caso)\b"
    rf"{_AT_EASE}|\b(?:imagin[ae]|suponh?\w+|supoe|suppose|espero|tomara|oxala|ojala|hopefully|i hope|we hope"
    r"|falta pouco|(?:rejeit|descart|salv|apag|bloque|junt|marc|mov|cadastr|guard|exclu|fech|perd|ganh|rechaz)"
    r"(?:ar|er|ir)ia\w*|teria(?:mos)?|teriam|would have|could have|habria\w*|hubiera\w*)\b"
)
_NO = (
    r"(?:nao|nunca|jamais|nem|never|not|nor|don ?'?t|do not|didn ?'?t|haven ?'?t|hasn ?'?t|hadn ?'?t|isn ?'?t|wasn ?'?t"
    r"|aren ?'?t|weren ?'?t|won'?t|can ?'?t|cannot|shouldn ?'?t|doesn ?'?t|couldn ?'?t|sem|without|quase|almost|casi"
    r"|nearly|nada de|em vez de|instead of|en vez de|evit[ae]r?|avoid|stop|(?:par[ae]|parar|deix[ae]|deixar|dej[ae]"
    r"|dejar|desist\w+) de)"
)
_BETWEEN = (
    r"(?:(?:me|te|se|a|o|as|os|lo|la|los|las|le|the|to|foi|foram|fue|e|eh|era|quer\w*|quier\w*|precis\w+|need\w*|want"
    r"|v[oa][iu]|vamos|vao|mais|mas|more|again|ever|eu|we|i|you|gente|ainda|para|pra|que|pod\w+|dev\w+|should|have|has"
    r"|been|ser|be|dare|yet|acho|acredito|think|creo|seja|sejam|esta|estao|it|them|el[ae]s?|isso|nada|es|ha|han|hemos|he|hay|please"
    r"|por|favor|nunca|really|actually|all|consegu\w+|deu|was|were|todavia|aun|antes|tod[ao]s?|both|just|so"
    r"|deix\w+|dej\w+|de)\s+){0,5}"
)
_SPANISH_NO = (
    r"no\s+(?:(?:me|te|se|lo|la|los|las|le|les|nos|hemos|han|ha|he|quiero|queremos|debes|hay|que|vamos|a)\s+)*"
)
_SPANISH_VERB = (
    r"(?:(?:borr|elimin|olvid|guard|agreg|bloque|desbloque|rechac|rechaz|descart|aprueb|gan|junt|un|fusion|combin|etiquet"
    r"|anot|apunt|recuerd|import|export|termin|complet|cancel|paus|cre|cambi|asign|pas|cerr|cierr|quit|marqu|registr)"
    r"(?:a|e|as|es|an|en|amos|emos|aron|ar|ado|ada|arl[ao]|asla|esla)|perd(?:imos|i|io|er|ido|iste|amos)|muev(?:a|as|e)"
    r"|pong(?:a|as)|anad(?:a|as)|venda|vendimos|deteng(?:a|as))"
)
_NOT_DONE = re.compile(
    rf"\b{_NO}\s+{_BETWEEN}(?:lig(?:uei|amos|ou)|mand(?:ei|ou)|envi(?:ei|ou)|escrevi|escreveu|contat(?:ei|ou)|fal(?:ei"
    r"|ou|amos)|convers(?:ei|amos)|visitei|receb(?:i|eu|emos)|llame|hable|escribi|recibi\w*)\b"
    r"|\b(?:didn ?'?t|haven ?'?t|hasn ?'?t|couldn ?'?t)\s+(?:\w+ )?(?:call|contact|messag|writ|writt|email|text"
    r"|receiv|sp[eo]ak|talk|reach)\w*"
    r"|\b(?:ainda|todavia|aun) (?:nao|no)\b|\b(?:nao|no|not)\b.*\b(?:yet|ainda)\b"
    r"|\b(?:nao|no) (?:consegu\w+|consig\w+|deu|deix\w+ de|dej\w+ de|pude|logr\w+)|\bno (?:he|hemos|han?) (?:llamad"
    r"|hablad|escrit|contactad|recibid|enviad)o"
)
"""What has not come about is not an order to leave it: "ainda não liguei para a Ana" blocks nobody."""
_BUT = re.compile(
    r"(?<!pelo )(?<!ao )(?<!ou )(?<!mas o )(?<!por lo )(?<!al )\bmenos (?!de |que |mal\b|importan|\d+ ?(?:%|anos|reais"
    r"|dias|km))|\bexce(?:to|pto)\b|\bexcept\b|\bexcluding\b|\b(?:tirando|excluindo|excluyendo|com excecao"
    r"|con excepcion)\b|(?:,|tod[ao]s|all|melhores|mejores)\s+(?:salvo|fora)\b|\ba nao ser\b"
    r"|\b(?:apart from|other than|aside from)\b"
    r"|\b(?:all|every\w*|any\w*|tod[ao]s)\b[^,;.]{0,25}\bbut\b|\bbut (?:not|for)\b|\bmas nao (?:a|o|as|os|com|para|pra"
    r"|na|no|el[ae])\b|\bpero no (?:a|la|el|los|las|con)\b|,\s*(?:e )?nao (?:a|o|as|os|com|para|pra) \w+\s*[.!]*$"
    r"|,\s*not (?:the|with|to the) |,\s*no (?:la|el|a|con) \w+\s*[.!]*$"
)


def kind_of(text: str, also: str = "") -> Kind:
    """What a text is, as far as doing something goes: an order or a report, to be carried out; or what holds that
    back, the first of it. `also`: further verbs that are orders here (a pattern). What stands in quotes, the words of
    a note or of a reminder and the reason of a report are not read."""
    words = _words(text)
    told = _TELLS.search(words)
    if _LABELLED.match(words) or (told and _first(words[: told.start()])):
        return "order"
    if told:
        words = words[: told.end()]
    elif _TOLD.match(words) and not words.endswith("?"):
        return "order"
    for sentence in re.split(r"(?<=[.!?])\s+", words):
        kind = _kind(_REASON.sub("", sentence) if "?" not in sentence else sentence, also)
        if kind != "order":
            return kind
    return "order"


def denies(text: str) -> bool:
    """Whether a short answer says no, or not that one: "não é a segunda"."""
    words = _words(text)
    return bool(re.search(rf"\b{_NO}\b", words) or re.match(r"\W*(?:no|nope)\b", words))


def _kind(sentence: str, also: str) -> Kind:
    asks = "?" in sentence or "¿" in sentence
    sentence = sentence.lstrip("¿¡ ")
    if asks and _TAG_OF_ORDER.search(sentence):
        asks, sentence = False, _TAG_OF_ORDER.sub("", sentence)
    whether = _WHETHER.search(sentence) or _UNSURE.search(sentence)
    if whether or _ASKS.match(sentence) or (asks and not _ordered(sentence, also)):
        return "question"
    if asks and _ASKS_AT_END.search(sentence):
        return "question"
    if _IF.search(sentence):
        return "condition"
    clauses = re.split(r"[,;:]\s|\b(?:mas|but|pero)\b(?! nao\b| no\b| not\b)", sentence)
    if _NOT_DONE.search(sentence) or any(_negated(also).search(clause) for clause in clauses):
        return "negation"
    if re.search(r"(?<!\bdisse)(?<!\bfalou)\s+nao\s*[.!]*$", sentence):
        return "negation"  # "rejeita a segunda não"
    return "exception" if _BUT.search(sentence) else "order"


def _ordered(sentence: str, also: str) -> bool:
    """An order in spite of its question mark: "você pode rejeitar a segunda?", "junta as duas?"."""
    polite, ordered = _orders(also)
    if polite.match(sentence):
        return True
    found = ordered.match(sentence)
    return bool(found and not re.search(r"(?:[aei]r|ei|ou|[aei]mos|eu|iu|[aei]ram|ed|[ai]d[ao])$", found["verb"]))


def _first(before: str) -> bool:
    """Whether nothing stands before a verb but what one is polite with."""
    return bool(re.fullmatch(rf"\W*{_FILLER}(?:{_POLITE})?(?:me\s+)?\W*", before)) and not re.search(
        r"\b(?:nao|no|ja)\b(?!,)", before
    )


@cache
def _orders(also: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    acts = f"{_ACTS}|{also}" if also else _ACTS
    return (
        re.compile(rf"^\W*{_FILLER}{_POLITE}(?:{acts}|{_OUTCOMES})\b"),
        re.compile(rf"^\W*{_FILLER}(?P<verb>{acts})\b"),
    )


@cache
def _negated(also: str) -> re.Pattern[str]:
    acts = f"{_ACTS}|{_OUTCOMES}|{also}" if also else f"{_ACTS}|{_OUTCOMES}"
    return re.compile(
        rf"\b{_NO}\s+{_BETWEEN}(?:{acts})\b|\b{_SPANISH_NO}{_SPANISH_VERB}\b|\b{_SPANISH_NO}(?:{also or 'esto'})\b"
    )


def _words(text: str) -> str:
    unquoted = _QUOTED.sub(" nome ", text.replace("’", "'"))
    lines = _IN_A_NAME.sub("nome", re.sub(r"\s*\n\s*", ". ", unquoted.strip()))
    return _HELLO.sub("", squeezed(re.sub(r"\bsí\b", "yes", lines, flags=re.I)))
