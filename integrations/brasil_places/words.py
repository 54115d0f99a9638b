"""Words as they are compared: without accents and capitals, without endings of the plural, without the small ones."""

import re
import unicodedata

_SMALL = frozenset(
    """a o as os um uma uns umas de do da dos das em no na nos nas ao aos por para com sem e ou que se
    the an of in on at for with and or to
    el la los las un unos unas del al y con por para en""".split()
)


def fold(text: str) -> str:
    """ "Escritório d'Água" → "escritorio d agua"."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", " ", plain).strip()


def stems(text: str) -> list[str]:
    """The words that mean something, cut down to what singular and plural, masculine and feminine share."""
    return [stem(word) for word in fold(text).split() if word not in _SMALL]


def stem(word: str) -> str:
    """ "padarias" → "padar", "escritórios" → "escritori", "imobiliárias" → "imobiliari", "agencies" → "agenc"."""
    if len(word) <= 3:
        return word
    for ending, instead in (("oes", "ao"), ("aes", "ao"), ("ais", "al"), ("eis", "el"), ("ois", "ol"), ("ies", "y"),
                            ("ches", "ch"), ("shes", "sh"), ("sses", "ss"), ("res", "r"), ("zes", "z")):  # fmt: skip
        if word.endswith(ending) and len(word) - len(ending) >= 2:
            word = word[: -len(ending)] + instead
            break
    else:
        if word.endswith("s") and not word.endswith(("ss", "us", "is")):
            word = word[:-1]
    if len(word) > 4 and word[-1] in "aoey":
        word = word[:-1]
    if len(word) > 5 and word.endswith("i"):
        word = word[:-1]
    return word
