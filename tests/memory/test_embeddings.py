"""Texts become vectors: by spelling without a key, by a provider's model with one."""

import hashlib
import struct
from collections.abc import AsyncIterator
from math import sqrt

import pytest

from core.errors import SetupError, Unavailable
from core.settings import Settings
from memory.embeddings import (
    Embedding,
    GoogleEmbedding,
    HashEmbedding,
    OpenAIEmbedding,
    build_embedding,
    hash_vector,
)
from tests.conftest import free_port
from tests.memory.conftest import EmbeddingStandIn


def likeness(one: str, other: str) -> float:
    return sum(x * y for x, y in zip(hash_vector(one), hash_vector(other), strict=True))


# --- by spelling ----------------------------------------------------------------------------------


def test_the_hash_of_a_text_is_the_same_on_every_machine() -> None:
    texts = ["Escritório de arquitetura em Campinas", "ÀÉÎõü ß ½ 𝕬 中文 🎉", "", "x" * 5_000]
    numbers = b"".join(struct.pack("<1024f", *hash_vector(text)) for text in texts)
    assert hashlib.sha256(numbers).hexdigest() == "dc9340be9884b1982b2649b1e52e30b945cba796d0ea26a8b02538185126a60f"


@pytest.mark.parametrize("text", ["padaria", "Escritório de arquitetura em Campinas", "\ud800 meia", "a b c"])
def test_a_hash_has_length_one(text: str) -> None:
    vector = hash_vector(text)
    assert len(vector) == 1024
    assert sqrt(sum(value * value for value in vector)) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("text", ["", "  ", "!!! ...", "de a o para"])
def test_a_text_that_says_nothing_is_near_nothing(text: str) -> None:
    assert not any(hash_vector(text))


def test_other_forms_of_the_same_words_are_near_and_other_words_are_not() -> None:
    assert likeness("anúncios de imóveis", "ANUNCIO DE IMOVEL") > 0.5
    assert likeness("clínica odontológica", "clinicas odontologicas") > 0.6
    assert abs(likeness("carro usado", "automóvel seminovo")) < HashEmbedding.floor


# --- by a model -----------------------------------------------------------------------------------


def openai(server: EmbeddingStandIn, size: int = 64) -> OpenAIEmbedding:
    return OpenAIEmbedding("text-embedding-3-small", size, "key", f"{server.url}/v1")


def google(server: EmbeddingStandIn, model: str = "gemini-embedding-2", size: int = 64) -> GoogleEmbedding:
    return GoogleEmbedding(model, size, "key", server.url)


@pytest.fixture(params=["openai", "google"])
async def provider(request: pytest.FixtureRequest, embeddings: EmbeddingStandIn) -> AsyncIterator[Embedding]:
    made: Embedding = openai(embeddings) if request.param == "openai" else google(embeddings)
    yield made
    await made.close()


async def test_every_text_gets_its_own_vector_in_order(provider: Embedding, embeddings: EmbeddingStandIn) -> None:
    texts = [f"texto número {n}" for n in range(300)]
    vectors = await provider.embed(texts)
    assert len(vectors) == 300
    assert vectors[0] == pytest.approx(hash_vector(texts[0], 64)) and vectors[299] == pytest.approx(
        hash_vector(texts[299], 64)
    )
    assert len(embeddings.asked) in (2, 3)  # 256 texts a request, or 100


async def test_no_request_is_longer_than_its_provider_takes(provider: Embedding, embeddings: EmbeddingStandIn) -> None:
    await provider.embed(["palavra " * 10_000, "", "\ud800", *["frase longa " * 500] * 90])
    for asked in embeddings.asked:
        texts = asked.get("input") or [one["content"]["parts"][0]["text"] for one in asked["requests"]]
        assert sum(map(len, texts)) <= 400_000
        assert all(0 < len(text) <= 16_000 for text in texts)


@pytest.mark.parametrize("kind", ["answer", "drop", "html", "cut", "garble"])
async def test_whatever_a_provider_does_wrong_is_one_kind_of_failure(
    provider: Embedding, embeddings: EmbeddingStandIn, kind: str
) -> None:
    embeddings.fail(kind, 5, status=429 if kind == "answer" else 200, body='{"error": {"message": "sk-secret"}}')
    with pytest.raises(Unavailable) as told:
        await provider.embed(["texto"])
    assert told.value.code == "embedding_away" and "secret" not in str(told.value.params)
    embeddings.heal()
    assert len(await provider.embed(["texto"])) == 1


async def test_vectors_of_another_size_are_not_taken(embeddings: EmbeddingStandIn) -> None:
    # A server that does not know how to shorten gives what its model has.
    stubborn = OpenAIEmbedding("bge-m3", 512, "key", f"{embeddings.url}/v1", shortens=False)
    with pytest.raises(Unavailable) as told:
        await stubborn.embed(["texto"])
    assert "1024" in told.value.params["reason"]
    assert "dimensions" not in embeddings.asked[0]
    await stubborn.close()


async def test_a_provider_that_nobody_reaches_is_away(embeddings: EmbeddingStandIn) -> None:
    nowhere = OpenAIEmbedding("text-embedding-3-small", 64, "key", f"http://127.0.0.1:{free_port()}/v1")
    with pytest.raises(Unavailable):
        await nowhere.embed(["texto"])
    await nowhere.close()


async def test_gemini_is_told_what_a_text_is_for_where_it_can_be(embeddings: EmbeddingStandIn) -> None:
    for model in ("gemini-embedding-001", "gemini-embedding-2"):
        made = google(embeddings, model)
        await made.embed(["texto"])
        await made.embed(["pergunta"], question=True)
        await made.close()
    kinds = [asked["requests"][0].get("taskType") for asked in embeddings.asked]
    assert kinds == ["RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY", None, None]


async def test_several_texts_never_become_one_vector_of_gemini(embeddings: EmbeddingStandIn) -> None:
    made = google(embeddings)
    assert len(await made.embed(["um", "dois", "três"])) == 3
    assert len(embeddings.asked[0]["requests"]) == 3
    await made.close()


# --- as the settings say --------------------------------------------------------------------------


def test_without_a_word_in_the_settings_a_key_buys_nothing() -> None:
    assert isinstance(build_embedding(Settings(openai_api_key="key")), HashEmbedding)


@pytest.mark.parametrize(
    ("asked", "more", "name", "size"),
    [
        ("openai/text-embedding-3-small", {"openai_api_key": "k"}, "text-embedding-3-small", 1536),
        (
            "openai/text-embedding-3-large",
            {"openai_api_key": "k", "embedding_size": 256},
            "text-embedding-3-large",
            256,
        ),
        ("google/gemini-embedding-2", {"google_api_key": "k"}, "gemini-embedding-2", 1536),
        (
            "compatible/BAAI/bge-m3",
            {"compatible_base_url": "http://127.0.0.1:1/v1", "embedding_size": 1024},
            "baai-bge-m3",
            1024,
        ),
    ],
)
def test_the_settings_choose_model_and_size(asked: str, more: dict[str, object], name: str, size: int) -> None:
    made = build_embedding(Settings(embedding_model=asked, **more))  # type: ignore[arg-type]
    assert (made.name, made.size, made.local) == (name, size, False)


@pytest.mark.parametrize("asked", ["gpt", "openai/", "openai/unheard-of", "anthropic/x", "compatible/nomic"])
def test_a_model_that_is_not_known_is_refused_at_the_start(asked: str) -> None:
    with pytest.raises(SetupError) as told:
        build_embedding(Settings(embedding_model=asked, openai_api_key="k"))
    assert told.value.code == "embedding_unknown"


def test_a_model_without_its_key_is_refused_unless_keys_are_to_be_ignored() -> None:
    asked = "openai/text-embedding-3-small"
    with pytest.raises(SetupError) as told:
        build_embedding(Settings(embedding_model=asked))
    assert told.value.params["setting"] == "MUTIRAO_OPENAI_API_KEY"
    assert isinstance(build_embedding(Settings(embedding_model=asked, ignore_provider_keys=True)), HashEmbedding)
