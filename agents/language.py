"""Which language a message is in: pt-BR, en or es.

Naive Bayes over the letters of its words (n-grams of 1 to 5), learnt from the same example utterances as the
classifier, written with and without accents. The conversation's language weighs as a prior, so that "ok", a name
or a number does not change it.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from agents.intents import Intent, shipped_intents
from core.turn import LANGUAGES

_LONGEST = 5  # letters of an n-gram
_LOOKED_AT = 600  # characters of a message
_WORD = re.compile(r"[^\W\d_]+|[¿¡]")
_APART = re.compile(  # quoted names, addresses, ids, and names inside a sentence: they have no language
    r"[\"“«][^\"”»\n]{1,80}[\"”»]|https?://\S+|\S+@\S+|\w*[\d_]\w*|(?<=\w )[A-ZÀ-Ý]\w+"
)
_NEUTRAL_WORDS = "ok ads ad roas cpa cpc cpm cpl ctr budget lead leads whatsapp instagram facebook meta"
_NEUTRAL = frozenset(_NEUTRAL_WORDS.split())

# In nats of the damped score, chosen by cross-validation on the examples (see tests/agents/test_language.py).
_DAMPING = 0.15  # overlapping n-grams say the same thing several times
_FROM_CONVERSATION = 1.5
_FROM_DEFAULT = 1.0


class LanguageModel:
    """Letter statistics of each language."""

    def __init__(self, examples: Iterable[tuple[str, str]]) -> None:
        """From (utterance, language) pairs."""
        counts: dict[str, Counter[str]] = {language: Counter() for language in LANGUAGES}
        for text, language in examples:
            for variant in {text.lower(), _bare(text.lower())}:
                counts[language].update(_ngrams(variant))
        known = set().union(*counts.values())
        totals = {language: sum(c.values()) + 0.1 * len(known) for language, c in counts.items()}
        self._scores: dict[str, tuple[float, ...]] = {
            gram: tuple(math.log((counts[language][gram] + 0.1) / totals[language]) for language in LANGUAGES)
            for gram in known
        }

    @classmethod
    def of(cls, intents: Mapping[str, Intent]) -> "LanguageModel":
        return cls((u, language) for i in intents.values() for language, many in i.examples.items() for u in many)

    def scores(self, text: str) -> dict[str, float]:
        """Language → damped log-likelihood; equal for all when nothing in the text tells."""
        sums = [0.0] * len(LANGUAGES)
        for gram in _ngrams(_APART.sub(" ", text[:_LOOKED_AT]).lower()):
            for i, score in enumerate(self._scores.get(gram, ())):
                sums[i] += score
        return {language: s * _DAMPING for language, s in zip(LANGUAGES, sums, strict=True)}


def detect_language(text: str, previous: str | None = None, default: str = "pt-BR") -> str:
    """ "pt-BR", "en" or "es". `previous` is the conversation's language so far, `default` the person's own."""
    return best_language(_shipped(), text, previous, default)


def best_language(model: LanguageModel, text: str, previous: str | None, default: str) -> str:
    """As `detect_language`, with a given model."""
    scores = model.scores(text)
    favourite, weight = (previous, _FROM_CONVERSATION) if previous in LANGUAGES else (default, _FROM_DEFAULT)
    if favourite in scores:
        scores[favourite] += weight
    return max(scores, key=lambda language: (scores[language], -LANGUAGES.index(language)))


@lru_cache(maxsize=1)
def _shipped() -> LanguageModel:
    return LanguageModel.of(shipped_intents())


def _bare(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def _ngrams(text: str) -> Iterator[str]:
    for word in _WORD.findall(text):
        if word in _NEUTRAL:
            continue
        padded = f" {word} "
        for size in range(1, _LONGEST + 1):
            for start in range(len(padded) - size + 1):
                yield padded[start : start + size]
        if len(padded) > _LONGEST:
            yield padded
