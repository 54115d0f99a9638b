"""Finds the items of a catalogue in what people write, who seldom write a name as it stands: "the growth plan",
"ESSENCIAL". Portuguese, English, Spanish.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from typing import Any

from core.words import folded

_GENERIC = frozenset(
    "plano planos plan plans planes pacote pacotes package packages paquete paquetes servico service servicio produto"
    " product producto consultoria pagina page projeto project curso course cursos courses aula aulas class classes"
    " clase clases lesson lessons pase passe pass sessao session sesion consulta taxa".split()
)
"""Words of names that say only what kind of thing it is."""
_KIND = "|".join(sorted(_GENERIC))
_BESIDE = re.compile(
    rf"\b(?=(?P<kind>{_KIND}) (?:d[aeo]s? |of |del? |para [ao] )?(?P<a>\w{{3,}})|(?P<b>\w{{3,}}) (?:{_KIND})\b)"
)
"""A word beside one of these is written as a name, whatever its letters: "the growth plan", "plano essencial"."""
_WRITTEN = re.compile(r"(?<=[\w,] )[A-Z]\w{4,}")
_ARTICLE = re.compile(r"\b(?:the|el|la|o|a|no|do|del|al|ao) (\w{5,})", re.IGNORECASE)
_SAME = [
    frozenset(words.split())
    for words in (
        "crescimento growth crecimiento", "escala scale", "mensal mensual monthly", "anual annual yearly",
        "diario diaria daily day", "semanal weekly", "trimestral quarterly", "basico basic", "inicial starter start",
        "completo complete full", "avancado avanzado advanced", "avulsa avulso single suelta",
        "familia familiar family",
        "ouro oro gold", "prata plata silver", "bronze bronce", "crianca infantil kids", "profissional professional",
    )
]  # fmt: skip
"""How names of plans are said in another language, where it is not nearly the same word."""


class ItemNames:
    """Finds the items of a catalogue in a text. By their whole name; by a word that only this one has, written as a
    name is ("o Essencial"; "é essencial" names nothing), or any way where the name is no plan's ("o clareamento"); by
    the same word of another language where it is written as a name, beside its kind ("the growth plan") or with a
    price; else by what the company says that people call it (`called`: item → words)."""

    def __init__(self, items: Iterable[dict[str, Any]] = (), called: Mapping[str, Iterable[str]] | None = None) -> None:
        listed = list(items)
        whole = {item["name"]: folded(item["name"]) for item in listed}
        self._patterns: list[tuple[re.Pattern[str], str]] = []
        self._called: list[tuple[re.Pattern[str], str]] = []
        self._own: dict[str, set[str]] = {}
        for item in listed:
            name = item["name"]
            others = [one for one in listed if one["name"] != name]
            told = " ".join(folded(one.get("description") or "") for one in others)
            if item["price"] is None and f" {whole[name]} " in f" {told} ":
                continue  # part of another item as well: naming it decides nothing
            taken = {word for one in others for word in whole[one["name"]].split()} | _GENERIC
            words = [word for word in re.findall(r"[^\W_]+", bare(name)) if word[0].isupper()]
            words += [str(item.get("code") or "").capitalize()]
            short = [word for word in words if len(word) > 2 and word.isalpha() and folded(word) not in taken]
            kind = _GENERIC & set(whole[name].split())
            for word in map(bare, short):
                any_way = re.IGNORECASE if not kind and len(word) > 4 else 0
                self._patterns.append((re.compile(rf"\b(?:{word}|{word.upper()})s?\b", any_way), name))
            if whole[name]:
                self._patterns.append((re.compile(rf"\b{re.escape(bare(name))}\b", re.IGNORECASE), name))
            if kind:
                self._own[name] = {word for word in whole[name].split() if word not in taken and len(word) > 2}
            for word in (called or {}).get(name, ()):
                if len(word) > 3 and f" {folded(word)} " not in f" {told} ":
                    self._called.append((re.compile(rf"\b{re.escape(bare(word))}\b", re.IGNORECASE), name))
        self._patterns.sort(key=lambda one: -len(one[0].pattern))
        self._called.sort(key=lambda one: -len(one[0].pattern))

    def find(self, clause: str, *, priced: bool = False) -> list[tuple[int, int, str]]:
        """(start, end, name) of each item that the clause names, in order; the longest name wins.
        `priced`: whether it names an amount of money, with which a name may have an article alone."""
        said = bare(clause)
        found = _hits(self._patterns, said, [])
        beside = [hit.span("a" if hit["a"] else "b") for hit in _BESIDE.finditer(said.lower())]
        with_price = [hit.span(1) for hit in _ARTICLE.finditer(said)] if priced else []
        for at, to in [*beside, *(hit.span() for hit in _WRITTEN.finditer(said)), *with_price]:
            meant = [name for name, own in self._own.items() if any(_alike(said[at:to].lower(), one) for one in own)]
            if len(meant) == 1 and all(to <= start or at >= end for start, end, _ in found):
                found.append((at, to, meant[0]))
        return sorted(found or _hits(self._called, said, []))


def _hits(
    patterns: list[tuple[re.Pattern[str], str]], text: str, found: list[tuple[int, int, str]]
) -> list[tuple[int, int, str]]:
    for pattern, name in patterns:
        for hit in pattern.finditer(text):
            if all(hit.end() <= start or hit.start() >= end for start, end, _ in found):
                found.append((*hit.span(), name))
    return found


def _alike(word: str, own: str) -> bool:
    """Whether two words are one, in this language or another: essential, essencial; growth, crescimento."""
    if word == own or any({word, own} <= same for same in _SAME):
        return True
    return min(len(word), len(own)) > 3 and SequenceMatcher(None, word, own).ratio() > _ALIKE


_ALIKE = 0.8


def bare(text: str) -> str:
    """Without accents; capitals stay."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
