"""What people may want, learnt from the example utterances in `prompts/routing/*.yaml`.

A small linear model over three views of a message: its letters (typos, inflections), its words, and its concepts
(the word classes of `prompts/routing/words.yaml`, one set for the three languages). Trained with scikit-learn; what was
learnt is numbers, kept in a cache that holds no code (no pickle), and read without scikit-learn.
"""

import hashlib
import json
import math
import os
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import Any

import yaml

import prompts
from core.words import plain

FOLDER = Path(prompts.__path__[0]) / "routing"

UNCLEAR = "unclear"
FOLLOWUP = "followup"
SMALLTALK = "smalltalk"

_NAME = "nomeproprio"  # stands for a proper name or a quoted one, whose letters would only mislead
_QUOTED = re.compile(r'["“”«»][^"“”«»\n]{1,80}["“”«»]')
_MASKED = re.compile(r"\[secret\]?")  # what stands for a token in a record: a replay must read it as the turn did
_NUMBER = re.compile(r"\d+(?:[.,/:]\d+)*")
_REPEATED = re.compile(r"(.)\1{2,}")
_NAMES = re.compile(rf"(?:{_NAME}\W*)+")
_WORD = re.compile(r"\w+")
_TOKEN = re.compile(r"[^\s,.;!?]+")


@dataclass(frozen=True)
class Intent:
    """One thing a message may want. `crew` serves it; None: the supervisor answers it itself."""

    name: str
    crew: str | None
    description: str
    """One English line, for the router's prompt."""
    examples: Mapping[str, tuple[str, ...]]
    """Language → utterances."""


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
        text = _QUOTED.sub(f" {_NAME} ", _MASKED.sub(_NAME, text))
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


# How the three views weigh against each other, how many examples must share a feature, and the strength of the
# regularisation: chosen by 5-fold cross-validation on the training examples only (accuracy 0.89).
_LETTERS, _WORDS, _CONCEPTS = 1.0, 0.7, 1.5
_SHARED_BY = 3
_INVERSE_REGULARISATION = 30.0
_ITERATIONS = 40  # stopping early regularises too, and start-up waits for it
_CACHE_FORM = 1  # raised when what is learnt from the same files changes


class Features:
    """A message as weighted features (TF-IDF, each view of length one): letters, words and concepts."""

    def __init__(self, lexicon: Lexicon, vocabulary: Sequence[str], rarity: Any) -> None:
        """`vocabulary`: feature names in the order of their numbers; `rarity`: their inverse document frequencies."""
        self._lexicon = lexicon
        self.vocabulary = list(vocabulary)
        self._number = {name: i for i, name in enumerate(self.vocabulary)}
        self.rarity = rarity
        self._rarities: list[float] = [float(r) for r in rarity]

    @classmethod
    def learn(cls, lexicon: Lexicon, texts: Sequence[str]) -> "Features":
        """Keep what at least `_SHARED_BY` texts have."""
        import numpy as np

        counts: Counter[str] = Counter()
        for text in texts:
            for view, _ in _views(lexicon, text):
                counts.update(view.keys())
        kept = sorted(name for name, count in counts.items() if count >= _SHARED_BY)
        rarity = np.log((1 + len(texts)) / (1 + np.array([counts[name] for name in kept]))) + 1
        return cls(lexicon, kept, rarity)

    def of(self, text: str) -> tuple[list[int], list[float]]:
        """(feature numbers, values) of a text."""
        numbers: list[int] = []
        values: list[float] = []
        for view, weight in _views(self._lexicon, text):
            found = [(self._number[name], count) for name, count in view.items() if name in self._number]
            own = [(1 + math.log(count)) * self._rarities[number] for number, count in found]
            length = math.sqrt(sum(v * v for v in own)) or 1.0
            numbers += [number for number, _ in found]
            values += [weight * v / length for v in own]
        return numbers, values


def _views(lexicon: Lexicon, text: str) -> list[tuple[Counter[str], float]]:
    normalised = lexicon.normalise(text)
    letters: Counter[str] = Counter()
    for word in normalised.split():
        padded = f" {word} "
        for size in range(2, min(5, len(padded)) + 1):
            letters.update([f"l:{padded[i : i + size]}" for i in range(len(padded) - size + 1)])
    words = _TOKEN.findall(normalised)
    pairs = [f"w:{a} {b}" for a, b in pairwise(words)]
    return [
        (letters, _LETTERS),
        (Counter([f"w:{word}" for word in words] + pairs), _WORDS),
        (Counter([f"c:{concept}" for concept in lexicon.concepts(normalised)]), _CONCEPTS),
    ]


class Classifier:
    """Intent of a message: multinomial logistic regression. `classify` takes about half a millisecond."""

    def __init__(
        self,
        intents: dict[str, Intent],
        lexicon: Lexicon,
        features: Features,
        names: list[str],
        weights: Any,
        bias: Any,
    ) -> None:
        """`weights`: one row of floats per feature, one column per intent of `names`; `bias`: one per intent."""
        self.intents = intents
        self.lexicon = lexicon
        self._features = features
        self._names = names
        self._weights = weights
        self._bias = bias

    @classmethod
    def load(cls, folder: Path = FOLDER, cache: Path | None = None) -> "Classifier":
        """Learnt from the examples of the folder: about two seconds (one of them imports scikit-learn).

        With a `cache` folder, what was learnt is kept there as plain numbers and read back, in a tenth of that, until
        a file of the folder changes. A cache that cannot be read or written is no failure.
        """
        intents, lexicon = load_intents(folder), Lexicon.load(folder)
        digest = hashlib.sha256(str(_CACHE_FORM).encode())
        for path in sorted(folder.glob("*.yaml")):
            digest.update(path.name.encode() + path.read_bytes())
        file = cache / f"intents-{digest.hexdigest()[:16]}.npz" if cache else None
        if file and (kept := cls._read(file, intents, lexicon)):
            return kept
        pairs = [(u, i.name) for i in intents.values() for language in i.examples.values() for u in language]
        classifier = cls.train(pairs, intents=intents, lexicon=lexicon)
        if file:
            classifier._write(file)
        return classifier

    @classmethod
    def train(
        cls, examples: Sequence[tuple[str, str]], *, intents: dict[str, Intent], lexicon: Lexicon
    ) -> "Classifier":
        """Learn from (utterance, intent name) pairs. Deterministic and single-threaded."""
        import numpy as np
        from scipy.sparse import csr_matrix
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        features = Features.learn(lexicon, [utterance for utterance, _ in examples])
        rows = [features.of(utterance) for utterance, _ in examples]
        starts = np.cumsum([0, *(len(numbers) for numbers, _ in rows)])
        numbers = np.concatenate([np.array(n, dtype=np.int32) for n, _ in rows])
        values = np.concatenate([np.array(v, dtype=np.float32) for _, v in rows])
        matrix = csr_matrix((values, numbers, starts), shape=(len(rows), len(features.vocabulary)))
        model = LogisticRegression(C=_INVERSE_REGULARISATION, max_iter=_ITERATIONS)
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged is meant
            model.fit(matrix, [name for _, name in examples])
        names = [str(name) for name in model.classes_]
        weights = np.ascontiguousarray(model.coef_.T, dtype=np.float32)
        return cls(intents, lexicon, features, names, weights, model.intercept_.astype(np.float32))

    @classmethod
    def _read(cls, file: Path, intents: dict[str, Intent], lexicon: Lexicon) -> "Classifier | None":
        import numpy as np

        try:
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as kept:
                words = json.loads(kept["words"].tobytes())
                features = Features(lexicon, words["vocabulary"], kept["rarity"])
                return cls(intents, lexicon, features, words["names"], kept["weights"], kept["bias"])
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            return None

    def _write(self, file: Path) -> None:
        import numpy as np

        words = json.dumps({"vocabulary": self._features.vocabulary, "names": self._names}).encode()
        part = file.with_name(f"{file.name}.{os.getpid()}.part")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as stream:
                np.savez(
                    stream,
                    words=np.frombuffer(words, dtype=np.uint8),
                    rarity=self._features.rarity,
                    weights=self._weights,
                    bias=self._bias,
                )
            part.replace(file)
            for old in file.parent.glob("intents-*.npz"):
                if old != file:
                    old.unlink(missing_ok=True)
        except OSError:
            with suppress(OSError):
                part.unlink()

    def serving(self, crews: Mapping[str, Sequence[str]]) -> "Classifier":
        """The same for these crews (name → intents it serves beside those that name it): the intents of a crew that is
        not there are the supervisor's. KeyError for an intent that there is none of."""
        taken = {name: crew for crew, served in crews.items() for name in served}
        kept = {name: intent.crew if intent.crew in crews else None for name, intent in self.intents.items()}
        if unknown := taken.keys() - kept.keys():
            raise KeyError(f"no such intents: {sorted(unknown)}")
        intents = {name: replace(self.intents[name], crew=crew) for name, crew in {**kept, **taken}.items()}
        return Classifier(intents, self.lexicon, self._features, self._names, self._weights, self._bias)

    def classify(self, text: str) -> list[tuple[str, float]]:
        """(intent, probability) of every intent, the likeliest first."""
        import numpy as np

        numbers, values = self._features.of(text)
        scores = np.array(values, dtype=np.float32) @ self._weights[numbers] + self._bias
        odds = np.exp(scores - scores.max())
        return sorted(zip(self._names, (odds / odds.sum()).tolist(), strict=True), key=lambda pair: -pair[1])

    def classify_all(self, texts: Sequence[str]) -> list[list[tuple[str, float]]]:
        """As `classify`, for several texts."""
        return [self.classify(text) for text in texts]


@lru_cache(maxsize=1)
def shipped_intents() -> dict[str, Intent]:
    """The intents that ship, read once."""
    return load_intents()


_warm: list[Classifier] = []
_warming = Lock()


def warm(cache: Path | None = None) -> Classifier:
    """The classifier of the shipped examples, one per process: whoever asks first says where what was learnt is kept.
    May be called early, from any thread."""
    with _warming:  # two that come at once would each learn for seconds
        if not _warm:
            _warm.append(Classifier.load(cache=cache))
    return _warm[0]
