"""What a model says it has done and has not. Nothing that a model calls sends anything, and what it prepares is a
proposal with a card: "I sent it", and "I prepared it; it waits for your yes" without any proposal, are not true.

What contacts wrote may be repeated: quoted words are not the model's own.
"""

import re
from collections.abc import Sequence

_BY_US = (
    r"enviei|mandei|enviamos|mandamos|contatei|abordei|falei com|entrei em contato|envié|mandé|he enviado|contacté"
    r"|escribí a|(?:i|we|i've|we've|i have|we have) (?:just |already )?(?:sent|messaged|contacted|written to|wrote to"
    r"|reached out)"
)
_BY_ANYBODY = (
    r"(?:foi|foram|já) (?:enviad|mandad)[ao]s?|(?:fue|fueron|ya) (?:enviad|mandad)[ao]s?"
    r"|(?:have|has|been|was|were|already) (?:sent|messaged|contacted|written to|wrote to|reached out)"
)
_SENT_BY_US = re.compile(rf"\b(?:{_BY_US})\b", re.IGNORECASE)
_SENT = re.compile(rf"\b(?:{_BY_US}|{_BY_ANYBODY})\b", re.IGNORECASE)
_NOT = re.compile(
    r"\b(?:não|nada|nenhum\w*|nem|sem|ainda|quando|se|só|no|ni|ninguna?|ningún|todavía|cuando|si|sin|not"
    r"|nothing|none|never"
    r"|no one|nobody|yet|until|when|once|if|n't)\b",
    re.IGNORECASE,
)
_PREPARED = re.compile(
    r"\b(?:preparei|deixei (?:\w+ ){0,4}(?:pront|preparad)[ao]s?|(?:i|i've|i have|we) (?:just |already )?prepared"
    r"|preparé|he preparado|dejé (?:\w+ ){0,4}list[ao]s?)\b"
    r"(?P<what>(?: (?:a|as|o|os|uma?|sua|the|an?|your|la|las|el|un|una|tu|esta|this|el nuevo|a nova|the new)){0,2}"
    r" (?:mensage[mn]s?|respostas?|propostas?|messages?|repl(?:y|ies)|proposals?|mensajes?|respuestas?"
    r"|propuestas?)\b)?",
    re.IGNORECASE,
)
_WAITS = re.compile(
    r"\b(?:esper\w+|aguard\w+|falta|pendente d[eo]|queda pendiente de|waits?|waiting|awaits?|awaiting|needs?|pending)"
    r" (?:for |pel[oa] |por |d[oa] |de |o |a |só |solo )*(?:seu|sua|tua|teu|tu|su|your)"
    r" (?:sim|ok|aprovação|confirmação|sí|aprobación|confirmación|yes|approval|confirmation|go-ahead)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[^\s])")
_QUOTED = re.compile(r"“[^”]*”|\"[^\"]*\"|«[^»]*»|`[^`]*`")


def claims_of_sending(text: str, *, by_anybody: bool = True) -> list[str]:
    """The sentences that say that something was sent; without `by_anybody` only those in which the model did it."""
    pattern = _SENT if by_anybody else _SENT_BY_US
    untrue = []
    for one in _sentences(text):
        own = _own(one)
        said = pattern.search(own)
        if said and not _NOT.search(own[: said.start()]):
            untrue.append(one)
    return untrue


def claims_of_preparing(text: str, *, earlier: bool = False) -> list[str]:
    """The sentences that say that a message or a proposal was made and waits for a yes: untrue when none does. With
    `earlier` there were some before, which may be spoken of: then only that one waits is claimed."""
    sentences = _sentences(text)
    made = [(one, found) for one in sentences if (found := _PREPARED.search(_own(one)))]
    waits = [
        one
        for one in sentences
        if (found := _WAITS.search(_own(one))) and not _NOT.search(_own(one)[: found.start()]) and one[-1:] != "?"
    ]
    if made and waits:
        return [*(one for one, _ in made), *waits]
    return [] if earlier else [one for one, found in made if found["what"]]


def without(text: str, sentences: Sequence[str]) -> str:
    """The text without these sentences of it, and without the lines that they leave empty."""
    kept = []
    for line in text.split("\n"):
        parts = [one for one in _SENTENCE.split(line) if one not in sentences]
        if parts or not line.strip():
            kept.append(" ".join(parts))
    return "\n".join(kept).strip()


def _sentences(text: str) -> list[str]:
    return [one for line in text.split("\n") if not line.startswith(">") for one in _SENTENCE.split(line)]


def _own(sentence: str) -> str:
    return _QUOTED.sub(lambda quoted: " " * len(quoted[0]), sentence.replace("’", "'"))
