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


ORDINALS = {
    word: number
    for number, words in enumerate(
        (
            "primeira primeiro first primera primero primer",
            "segunda segundo second",
            "terceira terceiro third tercera tercero tercer",
            "quarta quarto fourth cuarta cuarto",
            "quinta quinto fifth",
            "sexta sexto sixth",
            "setima setimo seventh septima septimo",
            "oitava oitavo eighth octava octavo",
            "nona nono ninth novena noveno",
            "decima decimo tenth",
        ),
        start=1,
    )
    for word in words.split()
}
"""Plain words for a place in a list, in Portuguese, English and Spanish, and which place: 1 to 10."""
