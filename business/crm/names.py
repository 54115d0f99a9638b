"""Names of people and companies, compared as a person would: titles, accents, short forms and a slip of the pen do not
make somebody else; another first name, or "Filho" behind the same name, does."""

import re
from enum import StrEnum
from functools import lru_cache

from core.words import folded

_TITLES = frozenset(
    "d sr sra srta dr dra doutor doutora eng enga engenheiro engenheira arq arquiteto arquiteta prof profa professor"
    " professora adv advogado advogada mr mrs ms miss don dona seu tia tio".split()
)
_LINKS = frozenset("de da do das dos e del la las los y di van von".split())
_GENERATIONS = {"junior": "junior", "jr": "junior", "filho": "filho", "filha": "filho", "neto": "neto", "neta": "neto",
                "sobrinho": "sobrinho", "segundo": "segundo", "ii": "segundo", "iii": "terceiro"}  # fmt: skip
_SHORT_FORMS = (
    "ze jose", "zeca jose", "juca jose", "pepe jose", "chico francisco", "paco francisco", "kiko francisco",
    "bia beatriz", "duda eduarda eduardo", "dudu eduardo", "nando fernando", "nanda fernanda", "beto roberto alberto",
    "bete elisabete", "beth elisabete elizabeth", "guto augusto gustavo", "tonho antonio", "toninho antonio",
    "toni antonio", "tony antonio", "tom antonio", "quinho marcos", "nena helena", "lena helena", "gui guilherme",
    "guiga guilherme", "cadu carlos", "kadu carlos", "caca carlos", "malu maria", "mariazinha maria", "luiza luisa",
    "lulu lucia luciana luiza luisa", "lu lucia luciana luciano luiz luis luiza luisa lucas", "fe fernanda fernando",
    "fafa fatima", "tati tatiana tatiane", "dinho claudio", "cida aparecida", "cidinha aparecida", "nina marina",
    "nico nicolas", "vini vinicius", "xande alexandre", "xanda alexandra", "sandra alexandra", "alex alexandre",
    "mano emanuel", "neto", "pedrinho pedro", "joca joao", "jojo joao joana", "joaozinho joao", "paulinho paulo",
    "carlinhos carlos", "marquinhos marcos", "ricardinho ricardo", "aninha ana", "didi diego", "drica adriana",
    "dri adriana adriano", "kaka carlos ricardo", "rafa rafael rafaela", "gabi gabriela", "biel gabriel",
    "lipe felipe", "nato renato", "rê renata", "re renata renato", "si simone silvia", "su susana", "vivi viviane",
    "cris cristina cristiane cristiano", "bruninho bruno", "teo teodoro", "bob robert", "bill william", "liz elizabeth",
    "ma maria", "m maria", "fco francisco", "fca francisca", "ant antonio", "seb sebastiao", "jse jose",
    "tiao sebastiao", "ceica conceicao", "tonha antonia", "quim joaquim", "quinzinho joaquim", "nonato raimundo",
    "mike michael", "kate katherine", "tina cristina", "pati patricia", "pat patricia", "bel isabel isabela",
    "isa isabel isabela", "mila camila", "cami camila", "nanci nancy",
)  # fmt: skip
_WHOLE_NAMES = frozenset(
    "maria jose joao ana luis luiz marco carlo julia julio daniel gabriel rafael miguel manuel samuel marcel michel"
    " emanuel joel abel ismael paul carla paula lucia cristian fabia fabio flavia flavio elia juli maura".split()
)
"""First names that other names begin with: Maria is not short for Mariana."""
_COMPOUND = frozenset("joao jose maria ana luiz luis pedro marco marcos paulo antonio carlos francisco vitor".split())
"""First names that are often half of one: João Pedro and João Paulo are two."""
_NO_NAMES = frozenset(
    "nao informado|sem nome|teste|test|cliente|contato|desconhecido|nome|lead|novo lead|unknown|no name|sin nombre"
    "|prueba|usuario|user|anonimo|n a|na|null|none|nan|x|xx|xxx|a definir|consumidor|consumidor final".split("|")
)
_COMMON = frozenset(
    "maria jose ana joao antonio francisco carlos paulo pedro lucas luiz luis marcos gabriel rafael daniel "
    "marcelo bruno eduardo felipe rodrigo fernando fabio andre adriana juliana marcia fernanda patricia aline "
    "sandra camila amanda bruna jessica leticia julia luciana vanessa mariana gabriela beatriz lucia aparecida "
    "ricardo alexandre roberto sergio jorge claudia silvia regina alberto clara paula gonzaga graca gracas silva "
    "santos oliveira souza sousa rodrigues ferreira alves pereira lima gomes costa ribeiro martins carvalho "
    "almeida lopes soares fernandes vieira barbosa rocha dias nascimento andrade moreira nunes marques machado "
    "mendes freitas cardoso ramos goncalves santana teixeira araujo pinto reis moura cruz correia melo cavalcanti "
    "garcia".split()
)
"""The commonest first names and surnames of Brazil (IBGE, Censo 2010 and 2022): alone they prove little."""
_FIRMS = frozenset(
    "ltda me epp eireli sa s a mei cia companhia associados associadas assoc inc llc ss slu sociedade limitada ltd"
    " unipessoal".split()
)

_SOUNDS = (("ph", "f"), ("th", "t"), ("sch", "x"), ("ch", "x"), ("sh", "x"), ("ck", "c"), ("qu", "k"), ("ss", "s"),
           ("w", "v"), ("y", "i"), ("z", "s"), ("k", "c"))  # fmt: skip
_DOUBLE = re.compile(r"(.)\1+")


class Likeness(StrEnum):
    SAME = "same"  # the whole name, perhaps without a middle one, or written a little otherwise
    COMPATIBLE = "compatible"  # one may be short for the other
    RENAMED = "renamed"  # the same first name, another surname: a marriage, or two people
    NEAR = "near"  # first names one letter apart that are two names (Daniel, Daniela), a surname in common
    RELATED = "related"  # other first names, a surname in common: a family
    GENERATION = "generation"  # the same name, one of them with Filho, Neto or Júnior
    UNLIKE = "unlike"
    UNKNOWN = "unknown"  # one of them has none


def compare_people(one: str | None, other: str | None) -> Likeness:
    """How two people's names go together."""
    a, a_generation = _person(one or "")
    b, b_generation = _person(other or "")
    if not a or not b:
        return Likeness.UNKNOWN
    likeness = _compare(a, b)
    if likeness is Likeness.SAME and a_generation != b_generation:
        if a_generation and b_generation:
            return Likeness.RELATED
        # Who leaves out all but the first name leaves out Filho too.
        return Likeness.GENERATION if min(len(a), len(b)) > 1 else Likeness.COMPATIBLE
    return likeness


def words_in_name(name: str | None) -> int:
    """How many words a person's name has, without titles and links."""
    return len(_person(name or "")[0])


def same_letters(one: str | None, other: str | None) -> bool:
    """Whether every word of the shorter name is in the longer, letter by letter: no slip and no other spelling."""
    a, b = set(_person(one or "")[0]), set(_person(other or "")[0])
    return a <= b or b <= a


def is_common(name: str | None) -> bool:
    """Whether many people bear this name: nothing in it is rare."""
    return all(word in _COMMON for word in _person(name or "")[0])


def sole_trader(company: str | None) -> tuple[str, str] | None:
    """Name and number of a sole trader's legal name: the beginning of the CNPJ and the name ("41.227.605 ANA REIS"), in
    the old style the name and the CPF ("ANA REIS 15386074253"), or with MEI behind it and no number."""
    text = re.split(r"\s[-–]\s", (company or "").strip())[-1]
    found = re.fullmatch(r"(?=\S*\d)([0-9A-Z]{2}\.?[0-9A-Z]{3}\.?[0-9A-Z]{3})\s+(\D+)", text)
    if found:
        return found[2], re.sub(r"\W", "", found[1])
    if found := re.fullmatch(r"(\D+?)\s+(\d{11})", text):
        return found[1], found[2]
    found = re.fullmatch(r"([^\d.]+?)\s+MEI", text, re.I)
    return (found[1], "") if found else None


def compare_companies(one: str | None, other: str | None) -> Likeness:
    """SAME for the same words but for legal forms, COMPATIBLE when one name is within the other."""
    a, b = _company(one or ""), _company(other or "")
    if not a or not b:
        return Likeness.UNKNOWN
    if a == b or "".join(a) == "".join(b) or sorted(map(_sound, a)) == sorted(map(_sound, b)):
        return Likeness.SAME
    short, long = sorted((set(a), set(b)), key=len)
    if short <= long and (len(short) > 1 or len(next(iter(short))) > 3):
        return Likeness.COMPATIBLE
    if len(a) == len(b) and all(_written_alike(x, y) for x, y in zip(a, b, strict=True)):
        return Likeness.SAME
    return Likeness.UNLIKE


@lru_cache(maxsize=4096)
def _person(name: str) -> tuple[tuple[str, ...], str]:
    # What stands in brackets or behind a dash is a remark of the phone book's.
    name = re.split(r"\s[-–|]\s", re.sub(r"\([^)]*\)", " ", _mended(name)), maxsplit=1)[0]
    words = [word for word in folded(name).split() if word not in _LINKS]
    if " ".join(words) in _NO_NAMES or not any(len(word) > 1 for word in words):
        return (), ""
    while len(words) > 1 and words[0] in _TITLES:
        words = words[1:]
    generation = ""
    if len(words) > 1 and words[-1] in _GENERATIONS:
        generation = _GENERATIONS[words.pop()]
    return tuple(words), generation


@lru_cache(maxsize=4096)
def _company(name: str) -> tuple[str, ...]:
    words = [word for word in folded(name).split() if word not in _LINKS]
    while len(words) > 1 and words[-1] in _FIRMS:
        words.pop()
    return tuple(words)


def _mended(name: str) -> str:
    """ "JosÃ©" is José, read in the wrong encoding."""
    if "Ã" not in name and "Â" not in name:
        return name
    words = name.split(" ")
    for n, word in enumerate(words):
        try:
            words[n] = word.encode("cp1252").decode("utf-8")
        except UnicodeError:
            continue
    return " ".join(words)


def _compare(a: tuple[str, ...], b: tuple[str, ...]) -> Likeness:
    if a == b or "".join(a) == "".join(b):
        return Likeness.SAME
    if len(a) > 1 and len(b) > 1 and sorted(map(_sound, a)) == sorted(map(_sound, b)):
        return Likeness.SAME  # "Souza, Maria"
    if not _first_names_meet(a[0], b[0]):
        short, long = sorted((a, b), key=len)
        if len(short) == 1 and any(_first_names_meet(short[0], word) for word in long[1:-1]):
            return Likeness.COMPATIBLE  # Lourdes, of Maria de Lourdes Coelho
        if not _surnames(a) & _surnames(b):
            return Likeness.UNLIKE
        return Likeness.NEAR if _one_slip(_sound(a[0]), _sound(b[0])) else Likeness.RELATED
    if len(a) == 1 or len(b) == 1:
        return Likeness.SAME if len(a) == len(b) and _written_alike(a[0], b[0]) else Likeness.COMPATIBLE
    if a[0] in _COMPOUND and min(len(a), len(b)) > 2 and not any(_surname_meets(a[1], word) for word in b[1:]):
        return Likeness.RELATED if _surnames(a) & _surnames(b) else Likeness.UNLIKE
    short, long = sorted((a[1:], b[1:]), key=len)
    if all(any(_surname_meets(word, other) for other in long) for word in short):
        whole = all(len(word) > 1 for word in short) and _written_alike(a[0], b[0])
        return Likeness.SAME if whole else Likeness.COMPATIBLE
    if _surnames(a) & _surnames(b) or _written_alike(a[-1], b[-1]):
        return Likeness.COMPATIBLE  # a middle name more or less on both sides
    return Likeness.RENAMED


def _first_names_meet(one: str, other: str) -> bool:
    if _written_alike(one, other) or ((len(one) == 1 or len(other) == 1) and one[0] == other[0]):
        return True
    for forms in _SHORT_FORMS:
        short, *wholes = forms.split()
        if (one == short and other in wholes) or (other == short and one in wholes):
            return True
    short, long = sorted((one, other), key=len)
    return 2 <= len(short) <= len(long) - 2 and long.startswith(short) and short not in _WHOLE_NAMES


def _surname_meets(word: str, other: str) -> bool:
    return _written_alike(word, other) or ((len(word) == 1 or len(other) == 1) and word[0] == other[0])


def _surnames(words: tuple[str, ...]) -> set[str]:
    return {_sound(word) for word in words[1:] if len(word) > 2}


@lru_cache(maxsize=4096)
def _sound(word: str) -> str:
    """Souza and Sousa, Thiago and Tiago, Luiz and Luis are one name in two spellings."""
    for written, heard in _SOUNDS:
        word = word.replace(written, heard)
    return _DOUBLE.sub(r"\1", word.removeprefix("h"))


def _written_alike(one: str, other: str) -> bool:
    """The same word, a spelling of it, or one slip in it. The last letter makes Paula of Paulo: that is no slip."""
    one, other = _sound(one), _sound(other)
    if one == other:
        return True
    if min(len(one), len(other)) < 4 or one[0] != other[0]:
        return False
    stem = min(len(one), len(other)) - 1
    return one[:stem] != other[:stem] and _one_slip(one, other)


def _one_slip(one: str, other: str) -> bool:
    """One letter other, too much, missing, or two that changed places."""
    if len(one) > len(other):
        one, other = other, one
    if len(other) - len(one) > 1:
        return False
    at = next((n for n, (x, y) in enumerate(zip(one, other, strict=False)) if x != y), len(one))
    if len(one) < len(other):
        return one[at:] == other[at + 1 :]
    return one[at + 1 :] == other[at + 1 :] or (
        one[at : at + 2] == other[at : at + 2][::-1] and one[at + 2 :] == other[at + 2 :]
    )
