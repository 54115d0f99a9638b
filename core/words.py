"""Words as they are compared: what people type for the same name differs in case, accents and spaces."""

import re
import unicodedata

_WORD = re.compile(r"[^\W_]+")


def plain(text: str) -> str:
    """Small letters without accents; spaces and punctuation stay: "Anúncio 02" → "anuncio 02"."""
    if text.isascii():
        return text.lower()
    # Decomposed before and after: some letters (𝕬) have a small form only then.
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def squeezed(text: str) -> str:
    """`plain`, with single spaces and none at the ends."""
    return " ".join(plain(text).split())


def folded(text: str) -> str:
    """`plain` letters and digits alone, one space between words: "[VENDAS] Ação" → "vendas acao"."""
    return " ".join(_WORD.findall(plain(text)))
