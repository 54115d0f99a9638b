"""What makes texts comparable by meaning: a vector of numbers for each, near to those of texts that say the same.

Without a key a hash of letters and words stands in (`HashEmbedding`): it finds the same words in other forms and little
more. With a key, and if MUTIRAO_EMBEDDING_MODEL asks for it, a provider's model does it over its official library. No
model is ever downloaded. The libraries are imported when the first text is embedded, in a thread.
"""

import asyncio
import zlib
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice
from math import copysign, sqrt
from typing import Any, Protocol

import httpx

from core.errors import SetupError, Unavailable
from core.settings import PREFIX, Settings
from core.words import folded

HASH = "hash"
"""The setting's word for no model at all."""

# Numbers that a vector of these models has when the settings do not say how many: what the model itself gives, but
# half of it for the large ones, which their makers say costs next to nothing ("Matryoshka" vectors: the first part of
# one is a vector too). Sources: the guides on embeddings of OpenAI and of the Gemini API.
_SIZES = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 1536,
    "gemini-embedding-001": 1536,
    "gemini-embedding-2": 1536,
}
_CONNECT = 1.5  # seconds, as for the models that talk (llm/providers.py)
_NO_KEY = "no-key-needed"


class Embedding(Protocol):
    """One way to turn texts into vectors. Two texts can be compared only when the same one made both vectors."""

    name: str
    """Letters, digits and dashes; part of the name of the index, so that another model has another index."""
    size: int
    """How many numbers a vector has."""
    local: bool
    """It needs nothing but this machine: it is always there, and costs nothing."""
    floor: float
    """The cosine below which two texts have nothing to do with each other, -1 when that is not known."""

    async def embed(self, texts: Sequence[str], *, question: bool = False) -> list[list[float]]:
        """A vector for each text, in order. `question`: the texts are what is searched for, not what is kept.

        Unavailable("embedding_away", model, reason) when there is none now, and trying again may help or may not. Keeps
        no deadline of its own beyond that of the connection: whoever waits sets one.
        """
        ...

    async def close(self) -> None: ...


def build_embedding(settings: Settings) -> Embedding:
    """What the settings ask for. SetupError: embedding_unknown (model), embedding_without_key (model, setting)."""
    asked = settings.embedding_model
    if asked == HASH:
        return HashEmbedding()
    provider, _, model = asked.partition("/")
    size = settings.embedding_size or _SIZES.get(model)
    if provider not in ("openai", "google", "compatible") or not model or size is None:
        raise SetupError("embedding_unknown", f"{asked} is no model of embeddings with a known size", model=asked)
    secret = getattr(settings, f"{provider}_api_key")
    base_url = getattr(settings, f"{provider}_base_url")
    if secret is None and base_url is None:
        if settings.ignore_provider_keys:
            return HashEmbedding()
        setting = PREFIX + (f"{provider}_base_url" if provider == "compatible" else f"{provider}_api_key").upper()
        raise SetupError("embedding_without_key", f"{asked} needs {setting}", model=asked, setting=setting)
    key = _NO_KEY if secret is None else secret.get_secret_value()
    if provider == "google":
        return GoogleEmbedding(model, size, key, base_url)
    shortens = provider == "openai" or settings.embedding_size is not None
    return OpenAIEmbedding(model, size, key, base_url or "https://api.openai.com/v1", shortens=shortens)


# --- without a model ----------------------------------------------------------------------------


class HashEmbedding:
    """Words, and the three to five letters next to each other in them, each counted at a place that a checksum names.

    "anúncio" and "anuncios" share most of their pieces, "carro" and "automóvel" none: this compares spelling, not
    meaning. It is the same on every machine: crc32 of UTF-8, square roots, and nothing that depends on an order of
    hashing. Accents and case go by Unicode's tables, which Python's versions extend and do not change.
    """

    size = 1024
    name = "hash-1"  # another way to count is another name
    local = True
    floor = 0.12  # measured: docs/decisions/0014

    async def embed(self, texts: Sequence[str], *, question: bool = False) -> list[list[float]]:
        """Vectors of length 1 (all zeros for a text without letters or digits), about 0.1 ms for each 60 letters."""
        if sum(map(len, texts)) < 2_000:
            return [hash_vector(text) for text in texts]
        return await asyncio.to_thread(lambda: [hash_vector(text) for text in texts])

    async def close(self) -> None:
        return None


def hash_vector(text: str, size: int = HashEmbedding.size) -> list[float]:
    """The vector of one text (see `HashEmbedding`)."""
    counts: dict[int, float] = {}
    for piece, weight in _pieces(text):
        checksum = zlib.crc32(piece.encode("utf-8", "replace"))
        place = (checksum & 0x7FFFFFFF) % size
        # The highest bit is the sign, so that pieces which meet at one place cancel out as often as they add up.
        counts[place] = counts.get(place, 0.0) + (weight if checksum >> 31 else -weight)
    # The root of each count: the fifth "de" says less than the first. The square of it is the count again.
    length = sqrt(sum(abs(count) for count in counts.values()))
    vector = [0.0] * size
    for place, count in counts.items():
        if count:
            vector[place] = round(copysign(sqrt(abs(count)), count) / length, 7)
    return vector


def _pieces(text: str) -> Iterator[tuple[str, float]]:
    for word in folded(text).split():
        if word in _EMPTY_WORDS:
            continue
        yield word, 2.0
        framed = f"<{word}>"
        for length in (3, 4, 5):
            for start in range(len(framed) - length + 1):
                yield framed[start : start + length], 1.0


# Words that say nothing by themselves in Portuguese; without accents, as `folded` leaves them.
_EMPTY_WORDS = frozenset(
    "a ao aos as com como da das de do dos e em essa esse esta este eu foi ha isso ja la mas me meu minha na nas no nos"
    " num numa o os ou para pela pelas pelo pelos por pra pro que se sem ser sua seu so tem um uma umas uns".split()
)


# --- providers ------------------------------------------------------------------------------------


class _Remote:
    """What those over a network share: one client, built once in a thread, batches, and one kind of failure."""

    local = False
    floor = -1.0
    _most_texts: int
    """In one request."""
    _most_letters: int
    """Of one text; what is beyond says nothing any more. Portuguese has 3 letters a token or more."""
    _letters_a_request: int

    def __init__(self, model: str, size: int) -> None:
        self.name = "".join(c if c.isalnum() else "-" for c in model.lower())
        self.size = size
        self._model = model
        self._built: Any = None
        self._building = asyncio.Lock()

    @abstractmethod
    def _build(self) -> Any: ...

    @abstractmethod
    async def _ask(self, client: Any, texts: list[str], question: bool) -> list[list[float]]: ...

    async def embed(self, texts: Sequence[str], *, question: bool = False) -> list[list[float]]:
        async with self._building:
            if self._built is None:
                self._built = await asyncio.to_thread(self._build)
        vectors: list[list[float]] = []
        try:
            for batch in self._batches(texts):
                answered = await self._ask(self._built, batch, question)
                if len(answered) != len(batch) or any(len(vector) != self.size for vector in answered):
                    sizes = sorted({len(vector) for vector in answered})
                    raise ValueError(f"{len(answered)} vectors of {sizes} numbers for {len(batch)} texts")
                vectors += answered
        except Exception as error:
            status = getattr(error, "status_code", None) or getattr(error, "code", None)
            told = f"{type(error).__name__} {status}" if isinstance(status, int) else type(error).__name__
            if isinstance(error, ValueError):
                told = str(error)[:200]
            raise Unavailable("embedding_away", told, model=self._model, reason=told) from None
        return vectors

    def _batches(self, texts: Sequence[str]) -> Iterator[list[str]]:
        """At most so many texts and letters a request; a text that is empty, which providers refuse, is a space."""
        cut = iter([text[: self._most_letters].encode("utf-8", "replace").decode() or " " for text in texts])
        while batch := list(islice(cut, self._most_texts)):
            while len(batch) > 1 and sum(map(len, batch)) > self._letters_a_request:
                half = len(batch) // 2
                cut = iter([*batch[half:], *cut])
                batch = batch[:half]
            yield batch


class OpenAIEmbedding(_Remote):
    """OpenAI's `embeddings`, and servers that speak its wire.

    Limits: 8,192 tokens a text, 300,000 a request, 2,048 texts (platform.openai.com/docs/api-reference/embeddings).
    `shortens`: the server is asked for `size` numbers; one that does not know how gives what its model has.
    """

    _most_texts = 256
    _most_letters = 16_000
    _letters_a_request = 400_000

    def __init__(self, model: str, size: int, key: str, base_url: str, *, shortens: bool = True) -> None:
        super().__init__(model, size)
        self._key = key
        self._base_url = base_url
        self._asked = {"dimensions": size} if shortens else {}

    def _build(self) -> Any:
        import openai

        return openai.AsyncOpenAI(
            api_key=self._key,
            base_url=self._base_url,
            max_retries=0,
            timeout=openai.Timeout(30.0, connect=_CONNECT),
            http_client=openai.DefaultAsyncHttpxClient(),
        )

    async def _ask(self, client: Any, texts: list[str], question: bool) -> list[list[float]]:
        answer = await client.embeddings.create(model=self._model, input=texts, encoding_format="float", **self._asked)
        return [entry.embedding for entry in sorted(answer.data, key=lambda entry: entry.index)]

    async def close(self) -> None:
        if self._built is not None:
            await self._built.close()


class GoogleEmbedding(_Remote):
    """Gemini's `batchEmbedContents`: 100 texts a request, 2,048 tokens a text (ai.google.dev, "Embeddings")."""

    _most_texts = 100
    _most_letters = 6_000
    _letters_a_request = 300_000

    def __init__(self, model: str, size: int, key: str, base_url: str | None = None) -> None:
        super().__init__(model, size)
        self._key = key
        self._base_url = base_url or "https://generativelanguage.googleapis.com"

    def _build(self) -> Any:
        from google import genai
        from google.genai import types

        async def connect_soon(request: httpx.Request) -> None:  # the library sets the timeout of every request
            request.extensions["timeout"]["connect"] = _CONNECT

        self._http = httpx.AsyncClient(timeout=30.0, event_hooks={"request": [connect_soon]})
        options = types.HttpOptions(
            base_url=self._base_url,
            api_version="v1beta",
            timeout=30_000,
            retry_options=types.HttpRetryOptions(attempts=1),
            httpx_async_client=self._http,
        )
        return genai.Client(api_key=self._key, vertexai=False, http_options=options)

    async def _ask(self, client: Any, texts: list[str], question: bool) -> list[list[float]]:
        from google.genai import types

        # Plain texts in a list become the parts of one content for gemini-embedding-2 (google-genai 3.3), which is one
        # vector for all of them; contents of their own do not.
        contents = [types.Content(parts=[types.Part(text=text)]) for text in texts]
        config = types.EmbedContentConfig(output_dimensionality=self.size)
        if "embedding-2" not in self._model:  # which has no kinds of task
            config.task_type = "RETRIEVAL_QUERY" if question else "RETRIEVAL_DOCUMENT"
        answer = await client.aio.models.embed_content(model=self._model, contents=contents, config=config)
        return [list(entry.values or []) for entry in answer.embeddings or []]

    async def close(self) -> None:
        if self._built is not None:
            await self._built.aio.aclose()
            self._built.close()
            await self._http.aclose()  # which the library leaves to whoever made it
