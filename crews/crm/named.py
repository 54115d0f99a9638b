"""Who is named in a sentence: what remains of it without the words of a request, what points at something shown before,
and the telephones, e-mails and documents in it. Portuguese, English and Spanish, with or without accents."""

import re

from core.words import plain
from tools.crm_targets import place_named

_POLITE = (
    "por favor please favor me voce vc you pode poderia podes can could would quero queria gostaria preciso need want i"
    " quiero necesito puedes podrias lets vamos agora now ahora ai aqui here entao ok oi ola hi hello bom dia hey ja"
    " hola boa tarde noite buenos buenas dias tardes noches good morning afternoon evening opa oie salve alo obrigado"
    " obrigada thanks gracias"
    " so tambem tambien also just"
)
_ASKING = (
    "qual quais que quem cual cuales quien what which who whose where onde donde como how o_que is are was esta estao"
    " foi tem temos tenho tinha ha hay tiene tenemos tengo sabe sabemos saber know have has does do did we e eh es"
    " são sao son"
    " tudo todo todos todas all everything algum alguma any"
)
_LOOKING = (
    "mostra mostrar mostre mostrame muestra muestrame muestre ver veja ve abre abrir abra open show see view display"
    " busca buscar busque buscame procura procurar procure ache acha achar encontra encontrar encontre find search look"
    " up for lookup consulta consultar consulte traz traga trae get give da diga dime diz tell lista listar list liste"
    " puxa puxar pega pegar localiza localizar"
)
_NOUNS = (
    "contato contatos contact contacts contacto contactos cliente clientes customer customers client clients lead leads"
    " empresa empresas company companies pessoa pessoas person people persona personas ficha fichas cadastro cadastros"
    " registro registros record records card cartao perfil profile dados data datos informacoes informacao information"
    " info informacion telefone telefones fone celular numero phone number telefono cell mobile zap whatsapp email"
    " e-mail"
    " mail correo cargo title endereco address direccion cidade city ciudad historico historial history timeline"
    " conversa crm base sistema system lista negocio negocios deal deals negocio oportunidade oportunidades opportunity"
    " opportunities oportunidad oportunidades venda venta sale cnpj cpf documento instagram linkedin site nome name"
    " nombre"
    " dono responsavel owner responsable page pagina"
)
_SMALL = (
    "o a os as um uma uns umas the an el la los las un una unos unas do da dos das de del di no na nos nas em en in"
    " on at"
    " ao aos com con with para pra pro to of from sobre about acerca por for e y and seu sua meu minha my mi nosso"
    " nossa"
    " our nuestro nuestra esse essa este esta s chamado chamada called llamado llamada"
)
_STOP = frozenset(f"{_POLITE} {_ASKING} {_LOOKING} {_NOUNS} {_SMALL}".split())
_LINKS = frozenset("do da dos das de del di e y la los las the of and and &".split())
_TOKEN = re.compile(r"[^\s,;:!?¿¡\"“”()]+")
_QUOTED = re.compile(r"[\"“«']([^\"”»']{2,120})[\"”»'](?!\w)")

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_LINKEDIN = re.compile(r"(?:https?://)?(?:\w+\.)?linkedin\.com/\S+", re.I)
_INSTAGRAM = re.compile(r"(?:https?://)?(?:www\.)?instagram\.com/\S+|(?<![\w.])@[a-z0-9._]{2,30}", re.I)
_DOCUMENT = re.compile(
    r"\b\d{2}\.?[\dA-Z]{3}\.?[\dA-Z]{3}/[\dA-Z]{4}-?\d{2}\b|\b\d{3}\.\d{3}\.\d{3}-\d{2}\b|\b\d{14}\b"
)
_PHONE = re.compile(r"(?<![\w/.,$-])(?:\+?\d{1,3}[\s.-]?)?(?:\(?\d{2,3}\)?[\s.-]?)?\d{4,5}[\s.-]?\d{4}(?![\w/])")
_SITE = re.compile(r"\b(?:https?://|www\.)\S+|\b[\w-]+\.(?:com|net|org)(?:\.br)?\b(?!@)", re.I)
_KEY_LABELS = re.compile(
    r"\b(?:telefone|tel|fone|celular|cel|whatsapp|whats|zap|phone|mobile|cell|number|telefono|movil|numero|número"
    r"|teléfono|e-?mail|mail|correo|cnpj|cpf|instagram|insta|linkedin|site|website|web)\b\s*(?:[:=]|é|eh|is|es)?\s*$",
    re.I,
)


def bare_name(text: str, *more: str) -> str:
    """What remains of a sentence without the words of a request: "me mostra a ficha da Padaria Sol" → "Padaria Sol".
    What stands in quotes is the name. `more`: further words of this request, plain."""
    if quoted := _QUOTED.search(text):
        return quoted[1].strip()
    stop = _STOP | set(more)
    kept: list[tuple[str, bool]] = []
    for token in _TOKEN.findall(re.sub(r"(?<=\w)['’]s\b", "", text)):
        word = plain(token).strip(".'’-")
        proper = (
            token[:1].isupper() and len(word) > 1 and bool(kept)
        )  # "Fone Fácil": a capital within the sentence is part of a name
        kept.append((token.strip(".'’"), word in stop and not (proper and word not in _LINKS)))
    while kept and kept[0][1]:
        kept.pop(0)
    while kept and kept[-1][1]:
        kept.pop()
    words = [
        (token, gone) for place, (token, gone) in enumerate(kept)
        if not gone or (plain(token) in _LINKS and 0 < place < len(kept) - 1 and not kept[place - 1][1])
    ]  # fmt: skip
    while words and words[-1][1]:
        words.pop()
    return " ".join(token for token, _ in words).strip()


def keys_in_text(text: str) -> tuple[list[str], str]:
    """(telephones, e-mails, documents and profiles as written; the text without them and their labels)."""
    found: list[tuple[int, str]] = []
    for pattern in (_EMAIL, _LINKEDIN, _INSTAGRAM, _DOCUMENT, _PHONE):
        while match := pattern.search(text):
            found.append((match.start(), match[0].strip()))
            before = _KEY_LABELS.sub("", text[: match.start()].rstrip()).rstrip(" ,;:-")
            text = f"{before},{' ' * max(1, match.end() - len(before) - 1)}{text[match.end() :].lstrip()}"
    return [one for _, one in sorted(found)], re.sub(r"\s+", " ", text).strip(" ,;")


_POINTED = re.compile(
    r"\b(?:el[ae]|del[ae]|dess[ae]|dest[ae]|ess[ae]|it|her|his|him|that one|this one|ella|es[ae])\b(?!\s+(?:semana"
    r"|mes|ano|etapa|week|month))"
)


def pointed_at(text: str, *, beside_names: bool = False) -> str | None:
    """ "a segunda", "o telefone dela": what was shown before."""
    words = plain(text)
    for found in re.finditer(r"\b(?:a|o|the|la|el|da|do|na|no)\s+(\w+)\b|#\d+|\b\d{1,2}[ªºa]\b", words):
        if (place := place_named(found[1] or found[0])) is not None and not (found[1] or "").isdigit():
            return str(place) if place > 0 else "última"
    if (place := place_named(words.strip(" .!?"))) is not None:
        return str(place) if place > 0 else "última"
    named = not beside_names and re.search(r"\s[A-Z]", text)
    return "ela" if _POINTED.search(words) and not named else None
