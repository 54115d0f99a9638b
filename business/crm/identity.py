"""Who is who: telephones, e-mails, documents and handles in the form that is compared, and whether two records are one
person or company.

Everything here is a pure function. A key that cannot be one (a telephone of nines, a CPF with wrong check digits) is no
key and proves nothing. `match` follows rules that a person would state, says which, and where strong evidence speaks
both ways it asks: a wrong join mixes two people's conversations, a missed one is only a second card.

Source of the rules on telephones: the numbering plan of Anatel (area code of 2 digits; mobiles 9 digits that begin with
9, the ninth of them put in front between 2012 and 2016; landlines 8 digits that begin with 2 to 5).
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import unquote

from business.crm.names import (
    Likeness,
    compare_companies,
    compare_people,
    is_common,
    same_letters,
    sole_trader,
    words_in_name,
)
from core.words import folded


class KeyKind(StrEnum):
    PHONE = "phone"
    EMAIL = "email"
    WA_ID = "wa_id"  # WhatsApp's number of an account, as WhatsApp writes it
    BSUID = "bsuid"  # WhatsApp's business-scoped user id
    LID = "lid"  # WhatsApp's id that hides the number
    CPF = "cpf"
    CNPJ = "cnpj"
    INSTAGRAM = "instagram"
    LINKEDIN = "linkedin"


@dataclass(frozen=True)
class Key:
    """`value` is what is compared, `given` what was written, which nobody rewrites."""

    kind: KeyKind
    value: str
    given: str


# --- telephones ---------------------------------------------------------------------------------

AREA_CODES = frozenset(
    "11 12 13 14 15 16 17 18 19 21 22 24 27 28 31 32 33 34 35 37 38 41 42 43 44 45 46 47 48 49 51 53 54 55 61 62 63 64"
    " 65 66 67 68 69 71 73 74 75 77 79 81 82 83 84 85 86 87 88 89 91 92 93 94 95 96 97 98 99".split()
)
_LINK = re.compile(r"(?:wa\.me/|phone=|tel:)\+?(\d{8,15})", re.I)
_SEVERAL = re.compile(r"\s*[/;|,]\s*|\s+(?:e|ou|y|or|and)\s+")
_EXTENSION = re.compile(r"[\s,;/(-]*(?:ramal|r\.|ext\.?|extension|x)\s*:?\s*\d{1,6}\)?\s*$", re.I)
_SERVICE = re.compile(r"(?:0?(?:800|300|500|900)\d{6,7}|(?:4004|4003|4020|3003)\d{4})")
_COUNT = "0123456789" * 2


def phone(given: str) -> str | None:
    """The number as +55 19 9 8765 4321 without spaces; None for what is no telephone of anybody.

    A mobile without its ninth digit gets it, a landline never does. A number without area code comes as "?" and its
    digits: it can be compared with the end of others, and proves little. Other countries' stay as they are.
    """
    text = unicodedata.normalize("NFKC", given).strip()
    if link := _LINK.search(text):
        text = f"+{link[1]}"
    text = _EXTENSION.sub("", re.sub(r"\.0$", "", text))  # a spreadsheet made a decimal of it
    text = re.sub(r"\s[-–(]?\s*[a-zà-ú][a-zà-ú .-]*\)?$", "", text, flags=re.I)  # a remark: the carrier, a first name
    text = re.sub(r"^(?:tel|whatsapp|fone|phone|cel|wa)\s*[:.]?\s*", "", text, flags=re.I)
    if len(re.sub(r"[\d\s()+./xX-]", "", text)) > 3:  # an address or a name, not a number
        return None
    abroad = text.lstrip("( ").startswith(("+", "00"))
    digits = re.sub(r"\D", "", text)
    if text.lstrip("( ").startswith("00"):
        digits = digits[2:]
    if abroad and not digits.startswith("55"):
        return f"+{digits}" if 8 <= len(digits) <= 15 and not _junk(digits[-8:]) else None
    if _SERVICE.fullmatch(digits):
        return None
    if digits.startswith("55") and len(digits) > 11:
        digits = digits[2:]
    if digits.startswith("0"):
        digits = digits.lstrip("0")
        if len(digits) in (12, 13) and digits[2:4] in AREA_CODES:  # a carrier's code in front: 0 15 19 …
            digits = digits[2:]
    number = digits[2:]
    if len(digits) in (8, 9):
        local = _local(digits)
        return f"?{local}" if local else None
    if len(digits) in (10, 11) and digits[:2] in AREA_CODES:
        local = _local(number)
        if local:
            return f"+55{digits[:2]}{local}"
    if 11 <= len(digits) <= 15 and not abroad and "(" not in text and not _junk(digits[-8:]):
        return f"+{digits}"  # of another country, written without its sign
    return None


def _local(number: str) -> str | None:
    """A number without area code: a mobile with its ninth digit, a landline without."""
    if _junk(number):
        return None
    if len(number) == 9:
        return number if number[0] == "9" else None
    if len(number) != 8:
        return None
    if number[0] in "6789":
        return f"9{number}"
    return number if number[0] in "2345" else None


def _junk(number: str) -> bool:
    """One digit over and over, or counted up or down."""
    return len(set(number[-8:])) == 1 or number[-8:] in _COUNT or number[-8:] in _COUNT[::-1]


def is_mobile(value: str) -> bool:
    """Whether a compared form is a Brazilian mobile, which one person carries; a landline belongs to a place."""
    return len(value) == 14 and value.startswith("+55") and value[5] == "9"


def is_landline(value: str) -> bool:
    return len(value) == 13 and value.startswith("+55")


# --- the other keys -----------------------------------------------------------------------------

_EMAIL = re.compile(r"[^@\s<>(),;:\"]{1,64}@[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_NOBODYS_MAILBOX = re.compile(
    r"(?:nao|sem|no|n)[._-]?(?:tem|possui|email|mail|informado|reply|consta)|no-?reply|donotreply|teste?\d*|test|email"
    r"|exemplo|example|xxx+|aaa+|asdf?|a|x|abc|123\d*|nome|seuemail|naotem"
)
_SHARED_MAILBOX = re.compile(
    r"(?:contatos?|contact|contacto|info|informacoes|comercial|vendas|sales|ventas|atendimento|sac|suporte|support|soporte"
    r"|financeiro|finance|finanzas|cobranca|fiscal|contabil|contabilidade|administracao|administrativo|adm|admin|rh|hr|dp"
    r"|recepcao|secretaria|diretoria|gerencia|compras|marketing|mkt|ola|oi|hello|hola|hi|office|escritorio|clinica|loja"
    r"|juridico|projetos?|orcamentos?|agendamento|agenda|reservas?|imprensa|press|faleconosco|team|equipe|equipo"
    r"|pedidos?|logistica|ti|nfe?|nota|xml|curriculos?|jobs|vagas|geral|empresa|site|web|webmaster|postmaster|obras?"
    r"|engenharia|arquitetura|producao|estudio|studio|consultorio"
    r"|sindic(?:o|a|ato)|condominio|clientes?|associacao|portaria|oficina|restaurante|pousada|hotel|escola|cozinha)[._-]?(?:\d{0,4}|[a-z]{2})"
)
_GMAIL = ("gmail.com", "googlemail.com")
_PLUS = re.compile(r"(?:gmail|outlook|hotmail|live|icloud|me|proton|protonmail|pm|fastmail)\.(?:com|com\.br|me|fm)")


def email(given: str) -> str | None:
    """Small letters; at Gmail without dots, and without what follows a plus where it goes to the same box."""
    text = unicodedata.normalize("NFKC", given).strip().casefold()
    if named := re.search(r"<([^<>]+)>", text):  # Ana Lima <ana@…>
        text = named[1]
    text = text.removeprefix("mailto:").strip(" <>.;,\"'")
    if not _EMAIL.fullmatch(text):
        return None
    local, _, domain = text.partition("@")
    name, _, rest = domain.partition(".")
    if (
        _NOBODYS_MAILBOX.fullmatch(local)
        or (local == name and rest == "com")
        or name in ("teste", "test", "email", "tem")
    ):
        return None
    if domain in _GMAIL:
        local, domain = local.replace(".", ""), "gmail.com"
    if _PLUS.fullmatch(domain):
        local = local.partition("+")[0]
    return f"{local}@{domain}" if local else None


def is_shared_mailbox(value: str) -> bool:
    """Whether a mailbox is a function's (contato@, vendas@), which says where somebody works and not who it is."""
    return bool(_SHARED_MAILBOX.fullmatch(value.partition("@")[0]))


def cpf(given: str) -> str | None:
    """11 digits; None with wrong check digits. Zeros that a spreadsheet took from the front come back."""
    digits = re.sub(r"[\s./-]", "", given)
    if not digits.isascii() or not digits.isdigit() or not 8 <= len(digits) <= 11:
        return None
    digits = digits.zfill(11)
    invented = len(set(digits)) == 1 or digits == "12345678909"  # all check digits fit, and nobody has them
    return digits if not invented and _checked(digits, 11) else None


def cnpj(given: str) -> str | None:
    """14 digits or, since July 2026, letters among the first 12; None with wrong check digits."""
    text = re.sub(r"[\s./-]", "", given).upper()
    if not re.fullmatch(r"[0-9A-Z]{9,12}[0-9]{2}", text, re.ASCII):
        return None
    text = text.zfill(14)
    return text if len(set(text)) > 1 and _checked(text, 10) else None


def _checked(text: str, turn: int) -> bool:
    """Modulo 11 with weights from 2, right to left; of a CNPJ (`turn` 10) they begin again after 9. A letter counts its
    ASCII code less 48."""
    for end in (len(text) - 2, len(text) - 1):
        total = 0
        for place in range(end):
            weight = end - place + 1
            total += (ord(text[place]) - 48) * ((weight - 2) % 8 + 2 if turn == 10 else weight)
        rest = total % 11
        if text[end] != str(0 if rest < 2 else 11 - rest):
            return False
    return True


_INSTAGRAM = re.compile(r"^(?:https?://)?(?:www\.|m\.)?(?:instagram\.com|instagr\.am)/", re.I)
_LINKEDIN = re.compile(r"^(?:https?://)?(?:[a-z]{1,3}\.)?linkedin\.com/", re.I)
_NOBODYS_HANDLE = frozenset(
    "p reel reels explore stories instagram linkedin naotem naotenho naopossui nao sem none na search feed jobs".split()
)


def instagram(given: str) -> str | None:
    """The handle in small letters, from "@nome", "nome" or an address."""
    text = _INSTAGRAM.sub("", given.strip()).lstrip("@")
    text = re.split(r"[/?#\s]", text, maxsplit=1)[0].casefold().rstrip(".")
    return text if re.fullmatch(r"[a-z0-9._]{2,30}", text) and text not in _NOBODYS_HANDLE else None


def linkedin(given: str) -> str | None:
    """ "in/name" of a person, "company/name" of a company, from an address or a bare name."""
    text = unquote(_LINKEDIN.sub("", given.strip())).lstrip("/@")
    parts = [part for part in re.split(r"[/?#]", text.casefold().partition("?")[0]) if part]
    if not parts or (len(parts) > 1 and parts[0] == "search"):
        return None
    kind, slug = (
        (parts[0], parts[1]) if len(parts) > 1 and parts[0] in ("in", "company", "school", "pub") else ("in", parts[0])
    )
    if not re.fullmatch(r"[\w.-]{2,100}", slug) or slug in _NOBODYS_HANDLE:
        return None
    return f"{'in' if kind == 'pub' else kind}/{slug}"


def wa_id(given: str) -> str | None:
    """The number of a WhatsApp account in the form of `phone`, so that it meets the telephone."""
    text = given.strip().partition("@")[0].partition(":")[0]
    return phone("+" + re.sub(r"\D", "", text)) if re.sub(r"\D", "", text) else None


def lid(given: str) -> str | None:
    digits = re.sub(r"\D", "", given.strip().removesuffix("@lid").partition(":")[0])
    return digits if 6 <= len(digits) <= 30 else None


def bsuid(given: str) -> str | None:
    text = given.strip()
    return text if re.fullmatch(r"[A-Za-z0-9._:-]{6,150}", text) else None


_FORMS = {
    KeyKind.PHONE: phone,
    KeyKind.EMAIL: email,
    KeyKind.WA_ID: wa_id,
    KeyKind.BSUID: bsuid,
    KeyKind.LID: lid,
    KeyKind.CPF: cpf,
    KeyKind.CNPJ: cnpj,
    KeyKind.INSTAGRAM: instagram,
    KeyKind.LINKEDIN: linkedin,
}


def key(kind: KeyKind, given: str) -> Key | None:
    """The key that `given` is, None when it cannot be one."""
    value = _FORMS[kind](given)
    return None if value is None else Key(kind, value, given)


def keys_in(kind: KeyKind, given: str) -> list[Key]:
    """The keys of one field, which may hold several telephones or e-mails: "98 98411-2260 / 98 3235-7781"."""
    whole = key(kind, given)
    if whole is not None or kind not in (KeyKind.PHONE, KeyKind.EMAIL):
        return [] if whole is None else [whole]
    found = (key(kind, part) for part in _SEVERAL.split(given)[:5] if part)
    return [one for one in found if one is not None]


# --- two records --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Record:
    """What is known of a person (`name`) or a company (`company` alone)."""

    name: str | None = None
    company: str | None = None
    city: str | None = None
    address: str | None = None
    keys: tuple[Key, ...] = ()


def record(
    name: str | None = None,
    company: str | None = None,
    city: str | None = None,
    address: str | None = None,
    keys: Iterable[tuple[KeyKind, str]] = (),
) -> Record:
    """A record from texts as given; keys that cannot be are left out."""
    return Record(name, company, city, address, tuple(one for kind, given in keys for one in keys_in(kind, given)))


class Verdict(StrEnum):
    SAME = "same"
    DIFFERENT = "different"
    ASK = "ask"


@dataclass(frozen=True)
class Evidence:
    """One thing that agrees or conflicts. `text` is the key of its sentence (crm.match.<text>) with `params`; `weight`
    is 3 for what belongs to one person, 2 for what mostly does, 1 for what people share; negative when it conflicts."""

    text: str
    weight: int
    params: dict[str, str] = field(default_factory=dict)

    @property
    def agrees(self) -> bool:
        return self.weight > 0


@dataclass(frozen=True)
class Match:
    verdict: Verdict
    evidence: tuple[Evidence, ...]
    rule: str
    """Key of the sentence that says why (crm.rule.<rule>)."""


def match(a: Record, b: Record) -> Match:
    """Whether two records are the same person or company, with everything that speaks for and against it."""
    found = _Findings(a, b)
    if _is_company(a) and _is_company(b):
        verdict, rule = _company_verdict(found)
    elif _is_company(a) or _is_company(b):
        verdict, rule = _mixed_verdict(found)
    else:
        verdict, rule = _person_verdict(found)
    return Match(verdict, tuple(found.evidence), rule)


def _is_company(of: Record) -> bool:
    """Without a person's name or document, and with a company's."""
    own = {KeyKind.CPF, KeyKind.BSUID, KeyKind.LID} & {one.kind for one in of.keys}
    return not of.name and not own and bool(of.company or _values(of, KeyKind.CNPJ))


class _Findings:
    """What agrees and conflicts between two records."""

    def __init__(self, a: Record, b: Record) -> None:
        self.a, self.b = a, b
        self.evidence: list[Evidence] = []
        self.names = compare_people(a.name, b.name)
        self.firms = compare_companies(a.company, b.company)
        self.own = self.mostly_own = self.shared = 0
        self.conflict_document = self.conflict_id = False
        self._keys()
        self._names()
        self._places()

    def _keys(self) -> None:
        for kind, one, other in _meeting(self.a, self.b):
            value = one.given
            if kind == "local":
                self._add("number_without_area", 1, value=value)
            elif kind in ("cpf", "bsuid", "lid"):
                self._add(f"{kind}_same", 3, value=value)
            elif kind == "phone":
                if is_landline(one.value):
                    self._add("landline_same", 1, value=value)
                else:
                    self._add(
                        "whatsapp_same" if KeyKind.WA_ID in (one.kind, other.kind) else "mobile_same", 2, value=value
                    )
            elif kind == "email":
                shared = is_shared_mailbox(one.value)
                self._add("mailbox_same" if shared else "email_same", 1 if shared else 2, value=value)
            elif kind == "linkedin":
                self._add("linkedin_same", 3 if one.value.startswith("in/") else 1, value=value)
            elif kind == "instagram":
                self._add("instagram_same", 2, value=value)
            else:
                self._add("cnpj_same", 1, value=value)
        for kind, name in (
            (KeyKind.CPF, "cpf"),
            (KeyKind.CNPJ, "cnpj"),
            (KeyKind.BSUID, "bsuid"),
            (KeyKind.LID, "lid"),
        ):
            ones, others = _values(self.a, kind), _values(self.b, kind)
            if ones and others and not ones & others:
                self._add(f"{name}_other", -3 if kind is not KeyKind.CNPJ else -1)
                self.conflict_document |= kind is KeyKind.CPF
                self.conflict_id |= kind in (KeyKind.BSUID, KeyKind.LID)
        self.documents = [_values(self.a, KeyKind.CNPJ), _values(self.b, KeyKind.CNPJ)]
        self.cnpj_same = bool(_values(self.a, KeyKind.CNPJ) & _values(self.b, KeyKind.CNPJ))
        self.cnpj_other = not self.cnpj_same and bool(_values(self.a, KeyKind.CNPJ) and _values(self.b, KeyKind.CNPJ))

    def _names(self) -> None:
        if self.names is not Likeness.UNKNOWN:
            weight = {Likeness.SAME: 2, Likeness.COMPATIBLE: 1}.get(self.names, -2)
            self._note(f"name_{self.names}", weight, one=self.a.name or "", other=self.b.name or "")
        if self.firms in (Likeness.SAME, Likeness.COMPATIBLE):
            self._add("company_same", 1, value=self.a.company or "")
        elif self.firms is Likeness.UNLIKE:
            self._note("company_other", -1, one=self.a.company or "", other=self.b.company or "")

    def _places(self) -> None:
        one, other = _door(self.a.address or ""), _door(self.b.address or "")
        self.address_same = one is not None and other is not None and one[:2] == other[:2]
        self.door_same = self.address_same and one == other and bool(one and one[2])
        if self.address_same:
            self._note("door_same" if self.door_same else "building_same", 1, value=self.a.address or "")
        one_city, other_city = _city(self.a.city), _city(self.b.city)
        self.city_same = bool(one_city) and one_city == other_city
        self.city_other = bool(one_city and other_city) and not self.city_same
        if self.city_other:
            self._note("city_other", -1, one=self.a.city or "", other=self.b.city or "")

    def _add(self, text: str, weight: int, **params: str) -> None:
        self._note(text, weight, **params)
        self.own += weight == 3
        self.mostly_own += weight == 2
        self.shared += weight == 1

    def _note(self, text: str, weight: int, **params: str) -> None:
        self.evidence.append(Evidence(text, weight, params))

    def has(self, *texts: str) -> bool:
        return any(evidence.text in texts for evidence in self.evidence)


def _person_verdict(f: _Findings) -> tuple[Verdict, str]:
    strong = f.own + f.mostly_own
    together = f.names in (Likeness.SAME, Likeness.COMPATIBLE)
    apart = not together and f.names is not Likeness.UNKNOWN
    if f.conflict_document:
        if strong and not apart:
            return Verdict.ASK, "documents_differ_but_the_rest_agrees"
        return Verdict.DIFFERENT, "documents_differ"
    if f.has("cpf_same"):
        if f.conflict_id or (apart and f.names is not Likeness.RENAMED):
            return Verdict.ASK, "document_agrees_but_name_does_not"
        return Verdict.SAME, "document_agrees"
    if strong and apart:
        return _names_apart(f, strong)
    if strong:
        if f.conflict_id and strong == 1:
            return Verdict.ASK, "ids_differ_but_the_rest_agrees"
        return Verdict.SAME, "own_key_agrees"
    if f.conflict_id:
        return Verdict.DIFFERENT, "nothing_of_ones_own_agrees"
    if f.names in (Likeness.GENERATION, Likeness.NEAR) and f.shared:
        return Verdict.ASK, "names_nearly_agree"
    if together:
        return _only_shared(f)
    if f.names is Likeness.UNKNOWN and f.shared and not f.has("company_other"):
        return Verdict.ASK, "something_shared_agrees"
    return Verdict.DIFFERENT, "nothing_of_ones_own_agrees"


def _names_apart(f: _Findings, strong: int) -> tuple[Verdict, str]:
    """Something that mostly is one person's agrees, and the names do not."""
    if f.names is Likeness.RENAMED and strong > 1:
        return Verdict.SAME, "own_keys_agree_after_a_new_surname"
    if f.names in (Likeness.RENAMED, Likeness.GENERATION, Likeness.NEAR) or f.own or strong > 1:
        return Verdict.ASK, "keys_agree_but_names_do_not"
    if f.conflict_id:
        return Verdict.DIFFERENT, "number_changed_hands"
    if f.names is Likeness.RELATED:
        return Verdict.DIFFERENT, "family_shares_a_key"
    if f.firms in (Likeness.SAME, Likeness.COMPATIBLE) or f.shared:
        return Verdict.DIFFERENT, "colleagues_share_a_key"
    return Verdict.ASK, "keys_agree_but_names_do_not"


def _only_shared(f: _Findings) -> tuple[Verdict, str]:
    """The names go together, and nothing agrees that is one person's own."""
    rare = f.names is Likeness.SAME and min(words_in_name(f.a.name), words_in_name(f.b.name)) > 1
    common = is_common(f.a.name) or is_common(f.b.name)
    if f.city_other and not f.shared - f.has("number_without_area"):
        return Verdict.DIFFERENT, "only_the_name_agrees"
    if f.cnpj_same and _sole_trader_is(f.a.company or f.b.company, f.a.name, f.documents[0] & f.documents[1]):
        return Verdict.SAME, "sole_trader"
    real = f.shared - f.has("number_without_area")
    local = f.has("number_without_area") and bool(f.a.city or f.b.city)  # in another city it would not be the same
    if rare and not common and same_letters(f.a.name, f.b.name) and (real or local or f.door_same):
        return Verdict.SAME, "rare_name_and_something_shared_agree"
    if f.names is Likeness.COMPATIBLE and real > 1 and min(words_in_name(f.a.name), words_in_name(f.b.name)) > 2:
        return Verdict.SAME, "rare_name_and_something_shared_agree"
    if f.shared or f.address_same or rare:
        return Verdict.ASK, "name_and_something_shared_agree" if f.shared or f.address_same else "only_the_name_agrees"
    return Verdict.DIFFERENT, "only_the_name_agrees"


def _company_verdict(f: _Findings) -> tuple[Verdict, str]:
    named_alike = f.firms in (Likeness.SAME, Likeness.COMPATIBLE)
    touching = f.own + f.mostly_own + f.shared - named_alike + f.address_same
    if f.cnpj_same:
        return Verdict.SAME, "registration_agrees"
    if f.cnpj_other:
        branch = {value[:8] for value in f.documents[0]} & {value[:8] for value in f.documents[1]}
        if f.firms is Likeness.SAME and touching > 0 and not branch and not f.city_other and not f.address_same:
            return Verdict.ASK, "registrations_differ_but_the_rest_agrees"
        return Verdict.DIFFERENT, "registrations_differ"
    if not named_alike:
        if f.firms is Likeness.UNKNOWN and touching:
            return Verdict.ASK, "something_shared_agrees"
        return Verdict.DIFFERENT, "nothing_of_ones_own_agrees"
    if f.city_other:
        return Verdict.DIFFERENT, "units_of_one_brand"
    own_profile = f.has("instagram_same", "linkedin_same")
    if touching and (f.firms is Likeness.SAME or own_profile or touching > 1):
        return Verdict.SAME, "company_name_and_key_agree"
    if touching or f.firms is Likeness.SAME:
        return Verdict.ASK, "only_the_name_agrees"
    return Verdict.DIFFERENT, "nothing_of_ones_own_agrees"


def _mixed_verdict(f: _Findings) -> tuple[Verdict, str]:
    """One is a company. A person is not the company they work for; a sole trader is theirs."""
    person, company = (f.b, f.a) if _is_company(f.a) else (f.a, f.b)
    documents = _values(person, KeyKind.CPF) | _values(person, KeyKind.CNPJ)
    touching = f.own + f.mostly_own
    if person.name and _sole_trader_is(company.company, person.name, documents, proven=bool(touching)):
        return Verdict.SAME, "sole_trader"
    if not _values(company, KeyKind.CNPJ) and touching and f.firms is not Likeness.UNLIKE:
        return Verdict.ASK, "person_and_company_share_a_key"
    if not person.name and touching + f.shared:
        return Verdict.ASK, "something_shared_agrees"
    return Verdict.DIFFERENT, "person_is_not_the_company"


def _sole_trader_is(company: str | None, name: str | None, documents: set[str], proven: bool = False) -> bool:
    """Whether a legal name such as "41.227.605 ANA REIS" is this person's: by the name, and one of the documents or
    something else that is mostly one's own (`proven`)."""
    found = sole_trader(company)
    if found is None or compare_people(found[0], name) not in (Likeness.SAME, Likeness.COMPATIBLE):
        return False
    return proven or any(document == found[1] or document[:8] == found[1] for document in documents)


def _values(of: Record, kind: KeyKind) -> set[str]:
    return {found.value for found in of.keys if found.kind is kind}


def _meeting(a: Record, b: Record) -> list[tuple[str, Key, Key]]:
    """Pairs of keys that are the same thing: (kind, one, other); each thing once, telephones and WhatsApp ids alike."""
    found: dict[tuple[str, str], tuple[str, Key, Key]] = {}
    for one in a.keys:
        for other in b.keys:
            kinds = {one.kind, other.kind}
            if kinds <= {KeyKind.PHONE, KeyKind.WA_ID}:
                if one.value == other.value and not one.value.startswith("?"):
                    kind = "phone"
                elif "?" in (one.value[0], other.value[0]) and _ends_alike(one.value, other.value):
                    kind = "local"
                else:
                    continue
            elif one.kind is other.kind and one.value == other.value:
                kind = str(one.kind)
            else:
                continue
            found.setdefault((kind, one.value.lstrip("?")), (kind, one, other))
    return list(found.values())


def _ends_alike(one: str, other: str) -> bool:
    local, whole = sorted((one.lstrip("?"), other.lstrip("?")), key=len)
    return whole.endswith(local) and (whole == local or whole[5:] == local)


_OF_STREETS = frozenset(
    "rua r avenida av alameda al travessa tv praca pca rodovia rod estrada de da do das dos dr doutor cel coronel"
    " numero n gen general pres presidente prof professor eng engenheiro".split()
)


def _door(address: str) -> tuple[frozenset[str], str, tuple[str, ...]] | None:
    """Street, number and what tells one door of the building from another: flat, suite, floor."""
    found = re.match(r"\s*([^\d]+?)[\s,]*(?:n[o.º°]*\s*)?(\d+)(.*)", address)
    if not found:
        return None
    words = frozenset(word for word in folded(found[1]).split() if word not in _OF_STREETS)
    inside = re.findall(
        r"(?:ap(?:to|t)?|apartamento|sala|sl|conj(?:unto)?|cj|loja|bloco|bl|casa|andar|suite|unit)\W*(\d+|[a-z]\b)",
        found[3],
        re.I,
    )
    return (words, found[2], tuple(inside)) if words else None


def _city(city: str | None) -> str:
    """Without its state: "Campinas/SP" is Campinas."""
    return folded(re.split(r"[/,(]| - ", city or "")[0])
