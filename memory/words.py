"""The words of a text as numbers (BM25): Portuguese stems, no accents, no empty words. The same for every engine."""

import asyncio
import functools
from typing import Any

from memory.shelf import Words

MAKE = "words-pt-1"
"""Part of the name of the index: other stems, or another way to count, are another name."""

_USUAL_LENGTH = 40.0  # words that count in a usual item; those of longer texts weigh less


async def ready() -> None:
    """Load the library, in a thread, unless it is loaded."""
    if not _bm25.cache_info().currsize:
        await asyncio.to_thread(_bm25)


def of_item(text: str) -> Words:
    """Each word of a text that is kept, weighed by how often it is there. Words() of a text without any that count."""
    vector = _bm25().embed_document(text)
    return Words(list(vector.indices), list(vector.values))


def of_question(text: str) -> Words:
    """Each different word of a text that is searched for."""
    vector = _bm25().embed_query(text)
    return Words(list(vector.indices), list(vector.values))


@functools.cache
def _bm25() -> Any:
    from qdrant_edge import Bm25, Bm25Config

    return Bm25(Bm25Config(language="portuguese", ascii_folding=True, avg_len=_USUAL_LENGTH))
