"""Finding the account, campaign, ad set or ad that a person means: by id, name, part of a name, or a mistyped one.

It never guesses between two: an unclear mention comes back as the choices there are.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from core.words import folded

ALIKE = 0.82
"""Similarity (difflib, 0–1) from which a mistyped name is taken for the real one: one slip in six letters."""
CLEARLY_BETTER = 0.08
"""By how much the best of several similar names must lead to be taken without asking."""

# Words around a name that belong to the sentence.
_FILLERS = frozenset(
    re.findall(
        r"\w+",
        "a o as os um uma the el la los las de do da dos das del of e y and em no na para por com minha meu minhas meus"
        " my mi campanha campanhas campaign campaigns campana campanas anuncio anuncios ad ads conjunto conjuntos adset"
        " set conta account cuenta criativo creative creativo",
    )
)


@dataclass(frozen=True)
class Named:
    """Something with an id and a name, as the choices are shown."""

    id: str
    name: str
    level: str = ""
    detail: str = ""
    """What tells it from a namesake: its campaign, or its status."""


@dataclass(frozen=True)
class Match:
    """`found` when one is meant; else `candidates` to choose from, or the `closest` names when nothing fits."""

    found: Named | None
    candidates: tuple[Named, ...] = ()
    closest: tuple[Named, ...] = ()


def match(mention: str, things: Iterable[Named]) -> Match:
    """Which of `things` the mention names. Exact id, exact name, part of a name, all its words, then spelling."""
    things = list(things)
    said = mention.strip()[:300]
    bare = said.removeprefix("act_")
    by_id = [t for t in things if bare and bare == t.id.removeprefix("act_")]
    if by_id:
        return _decide(by_id)
    wanted = folded(said)
    if not wanted:
        return Match(None, closest=tuple(things[:5]))
    names = [(thing, folded(thing.name)) for thing in things]
    same = [t for t, name in names if name == wanted]
    if same:
        written_alike = [t for t in same if t.name.strip() == said]
        return _decide(written_alike if len(written_alike) == 1 else same)
    if len(wanted) >= 3:
        part = [t for t, name in names if re.search(rf"\b{re.escape(wanted)}\b", name)]
        part = part or [t for t, name in names if wanted in name]
        if part:
            return _decide(part)
        # the name inside a longer mention: "campanha Natal da Loja Aurora"
        inside = [(t, name) for t, name in names if len(name) >= 4 and re.search(rf"\b{re.escape(name)}\b", wanted)]
        if inside:
            longest = max(len(name) for _, name in inside)
            return _decide([t for t, name in inside if len(name) == longest])
    words = [w for w in wanted.split() if w not in _FILLERS]
    if words:
        having = [t for t, name in names if all(_has(word, name.split()) for word in words)]
        if having:
            return _decide(having)
    return _by_spelling(" ".join(words) or wanted, names)


def _has(word: str, words: Sequence[str]) -> bool:
    return word in words or (len(word) >= 4 and any(other.startswith(word) for other in words))


def _by_spelling(wanted: str, names: list[tuple[Named, str]]) -> Match:
    scored = sorted(((_alike(wanted, name), t) for t, name in names), key=lambda pair: -pair[0])
    closest = tuple(t for score, t in scored[:3] if score >= 0.4)
    if not scored or scored[0][0] < ALIKE:
        return Match(None, closest=closest)
    near = [t for score, t in scored if score >= scored[0][0] - CLEARLY_BETTER and score >= ALIKE]
    return _decide(near)


def _alike(wanted: str, name: str) -> float:
    """Of the whole name, or word by word: "remarketng carinho" is in "vendas remarketing carrinho abandonado"."""
    whole = SequenceMatcher(None, wanted, name).ratio()
    words = [w for w in wanted.split() if len(w) >= 3 or w.isdigit()]
    others = name.split()
    if not words or not others:
        return whole
    by_word = [
        float(word in others) if word.isdigit() else max(SequenceMatcher(None, word, other).ratio() for other in others)
        for word in words
    ]
    # every word must be there: one that is not pulls the whole down
    return max(whole, min(by_word) if len(words) > 1 or len(words[0]) >= 5 else 0.0)


def _decide(things: list[Named]) -> Match:
    return Match(things[0]) if len(things) == 1 else Match(None, candidates=tuple(things))
