"""What people may want, learnt from the example utterances in `prompts/routing/*.yaml`.

A small linear model over three views of a message: its letters (typos, inflections), its words, and its concepts
(the word classes of `prompts/routing/words.yaml`, one set for the three languages). Trained at start: nothing
that runs is read from disk, so there is no pickle to trust.
"""

import re
import unicodedata
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

import prompts

FOLDER = Path(prompts.__path__[0]) / "routing"

UNCLEAR = "unclear"
FOLLOWUP = "followup"
SMALLTALK = "smalltalk"

_NAME = "nomeproprio"  # stands for a proper name or a quoted one, whose letters would only mislead
_QUOTED = re.compile(r'["“”«»][^"“”«»\n]{1,80}["“”«»]')
_NUMBER = re.compile(r"\d+(?:[.,/:]\d+)*")
_REPEATED = re.compile(r"(.)\1{2,}")
_NAMES = re.compile(rf"(?:{_NAME}\W*)+")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Intent:
    """One thing a message may want. `crew` serves it; None: the supervisor answers it itself."""

    name: str
    crew: str | None
    description: str
    """One English line, for the router's prompt."""
    examples: Mapping[str, tuple[str, ...]]
    """Language → utterances."""


def plain(text: str) -> str:
    """Lower case, without accents."""
    decomposed = unicodedata.normalize("NFKD", text.lower())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def load_intents(folder: Path = FOLDER) -> dict[str, Intent]:
    """Every intent of the folder by name. ValueError names the file that is not well-formed."""
    intents: dict[str, Intent] = {}
    for path in sorted(folder.glob("*.yaml")):
        if path.name == "words.yaml":
            continue
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        try:
            examples = {
                language: tuple(line.strip() for line in block.splitlines() if line.strip())
                for language, block in raw["examples"].items()
            }
            intents[raw["intent"]] = Intent(raw["intent"], raw["crew"], raw["description"], examples)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path.name}: {error!r}; see another file of the folder for the form") from error
    return intents


class Lexicon:
    """The word lists of `words.yaml`: concepts for the classifier, and the words that cut and bind requests."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._exact: dict[str, list[str]] = {}
        self._stems: dict[str, list[str]] = {}
        self._phrases: list[tuple[str, str]] = []
        for concept, line in raw["concepts"].items():
            for entry in line.split():
                word = plain(entry).replace("_", " ")
                if " " in word:
                    self._phrases.append((f" {word} ", concept))
                elif word.endswith("*"):
                    self._stems.setdefault(word[:-1], []).append(concept)
                else:
                    self._exact.setdefault(word, []).append(concept)
        self.request_starts = frozenset(plain(w).replace("_", " ") for w in raw["request_starts"].split())
        self.periods = frozenset(plain(w) for w in raw["periods"].split())
        self.back_references = frozenset(plain(w) for w in raw["back_references"].split())
        self.joints = frozenset(plain(w) for w in raw["joints"].split())
        self.before_periods = frozenset(plain(w) for w in raw["before_periods"].split())
        self.conditions = frozenset(plain(w) for w in raw["conditions"].split())

    @classmethod
    def load(cls, folder: Path = FOLDER) -> "Lexicon":
        return cls(yaml.load((folder / "words.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader))

    def concepts_of(self, word: str) -> list[str]:
        """The concepts of one plain word, none when it is unknown."""
        found = list(self._exact.get(word, ()))
        for end in range(3, len(word) + 1):
            found.extend(self._stems.get(word[:end], ()))
        return list(dict.fromkeys(found))

    def points_back(self, text: str) -> bool:
        """Whether a word points at an earlier answer: "pausa ela", "a segunda"; not "essa semana", "desde segunda"."""
        words = _WORD.findall(plain(text))
        for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
            if word in self.back_references and after not in self.periods and before not in self.before_periods:
                return True
        return False

    def normalise(self, text: str) -> str:
        """Plain text with names and numbers replaced by a stand-in, so that the request remains."""
        text = _QUOTED.sub(f" {_NAME} ", text)
        if not text.isupper():
            words = text.split()
            for i, word in enumerate(words[1:], start=1):
                bare = re.sub(r"\W", "", word)
                if len(bare) > 1 and bare[0].isupper() and not self.concepts_of(plain(bare)):
                    words[i] = _NAME
            text = " ".join(words)
        text = _NUMBER.sub("0", plain(text))
        text = _REPEATED.sub(r"\1\1", text).replace("¿", "").replace("¡", "")
        return _NAMES.sub(f"{_NAME} ", text)

    def concepts(self, normalised: str) -> list[str]:
        """Features of the word classes: single ones, neighbours, pairs anywhere, the first word, the length."""
        words = _WORD.findall(normalised)
        order: list[str] = ["^"]
        extra: list[str] = []
        for word in words:
            known = self.concepts_of(word)
            order.append(known[0] if known else "NAME" if word == _NAME else "NUM" if word == "0" else "_")
            extra.extend(known[1:])
        order.append("$")
        padded = f" {' '.join(words)} "
        for phrase, concept in self._phrases:
            if phrase in padded:
                extra.extend((concept, f"P{concept}"))
        known_ones = [c for c in order[1:-1] if c != "_"] + extra
        features = [f"#{c}" for c in known_ones]
        features += [f"{a}|{b}" for a, b in pairwise(order)]
        features += [f"{a}|{b}|{c}" for a, b, c in zip(order, order[1:], order[2:], strict=False)]
        distinct = sorted(set(known_ones))
        features += [f"{a}&{b}" for i, a in enumerate(distinct) for b in distinct[i + 1 :]]
        features.append(f"length{min(len(words), 2) if len(words) < 3 else 3 + (len(words) > 4) + (len(words) > 7)}")
        features.append(f"unknown{round(4 * order.count('_') / max(1, len(words)))}")
        if "?" in normalised:
            features.append("?")
        if words:
            features.append(f"^{words[0]}")
        return features


# How the three views weigh against each other, and the strength of the regularisation: chosen by 5-fold
# cross-validation on the training examples only (tests/agents/test_intents.py prints the figures).
_WEIGHTS = (1.0, 0.7, 1.5)
_INVERSE_REGULARISATION = 20.0
_ITERATIONS = 25


def _same(features: list[str]) -> list[str]:
    return features


class Classifier:
    """Intent of a message. `train` takes about a second of one core; `classify` about a millisecond."""

    def __init__(self, intents: dict[str, Intent], lexicon: Lexicon, views: list[Any], model: Any) -> None:
        self.intents = intents
        self.lexicon = lexicon
        self._views = views
        self._model = model
        self._names: list[str] = [str(name) for name in model.classes_]

    @classmethod
    def load(cls, folder: Path = FOLDER) -> "Classifier":
        """Train on the examples of the folder."""
        intents = load_intents(folder)
        pairs = [(u, i.name) for i in intents.values() for language in i.examples.values() for u in language]
        return cls.train(pairs, intents=intents, lexicon=Lexicon.load(folder))

    @classmethod
    def train(
        cls, examples: Sequence[tuple[str, str]], *, intents: dict[str, Intent], lexicon: Lexicon
    ) -> "Classifier":
        """Learn from (utterance, intent name) pairs. Deterministic and single-threaded."""
        import numpy as np
        from scipy.sparse import hstack
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        common: dict[str, Any] = {"sublinear_tf": True, "min_df": 3, "dtype": np.float32}
        views = [
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), **common),
            TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"[^\s,.;!?]+", lowercase=False, **common),
            TfidfVectorizer(analyzer=_same, **common),
        ]
        texts = [lexicon.normalise(utterance) for utterance, _ in examples]
        inputs: list[list[Any]] = [texts, texts, [lexicon.concepts(text) for text in texts]]
        with threadpool_limits(1):
            matrix = hstack(
                [view.fit_transform(data) * weight for view, data, weight in zip(views, inputs, _WEIGHTS, strict=True)],
                format="csr",
                dtype=np.float32,
            )
            model = LogisticRegression(C=_INVERSE_REGULARISATION, max_iter=_ITERATIONS)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # stopping early is meant: it regularises, and start-up waits for it
                model.fit(matrix, [name for _, name in examples])
        return cls(intents, lexicon, views, model)

    def classify(self, text: str) -> list[tuple[str, float]]:
        """(intent, probability) of every intent, the likeliest first."""
        return self.classify_all([text])[0]

    def classify_all(self, texts: Sequence[str]) -> list[list[tuple[str, float]]]:
        """As `classify`, for several texts at once."""
        from scipy.sparse import hstack

        normalised = [self.lexicon.normalise(text) for text in texts]
        inputs: list[list[Any]] = [normalised, normalised, [self.lexicon.concepts(text) for text in normalised]]
        matrix = hstack(
            [view.transform(data) * weight for view, data, weight in zip(self._views, inputs, _WEIGHTS, strict=True)],
            format="csr",
        )
        rows = self._model.predict_proba(matrix)
        return [
            sorted(zip(self._names, (float(p) for p in row), strict=True), key=lambda pair: -pair[1]) for row in rows
        ]


@lru_cache(maxsize=1)
def shipped_intents() -> dict[str, Intent]:
    """The intents that ship, read once."""
    return load_intents()


@lru_cache(maxsize=1)
def warm() -> Classifier:
    """The classifier of the shipped examples, trained once per process. May be called early, from any thread."""
    return Classifier.load()
