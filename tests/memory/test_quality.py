"""How well the memory finds without a model, on labelled questions in Portuguese: what it can, and what it cannot."""

from pathlib import Path

import pytest
import yaml

from memory.long_term import Item
from tests.memory.conftest import Kept

PAIRS = yaml.safe_load((Path(__file__).parent / "data" / "paraphrases.yaml").read_text(encoding="utf-8"))
NOTES = [pair["note"] for part in ("dev", "test") for pair in PAIRS[part]] + PAIRS["others"]


def test_there_are_enough_questions_and_no_note_twice() -> None:
    assert len(PAIRS["test"]) >= 60
    assert len(set(NOTES)) == len(NOTES) >= 100


async def test_other_forms_mistyped_words_and_halves_are_found_and_synonyms_are_not(by_folder: Kept) -> None:
    """The synonyms are here so that nobody takes the hash for a model that understands: docs/decisions/0014."""
    await by_folder.put(*(Item(note, note, "user") for note in NOTES), collection="knowledge")
    first: dict[str, list[bool]] = {}
    three: dict[str, list[bool]] = {}
    for pair in PAIRS["test"]:
        found = await by_folder.ids(pair["ask"], "knowledge", limit=3)
        first.setdefault(pair["kind"], []).append(found[:1] == [pair["note"]])
        three.setdefault(pair["kind"], []).append(pair["note"] in found)
    share = {kind: sum(hits) / len(hits) for kind, hits in three.items()}
    assert sum(first["forms"]) / len(first["forms"]) == 1.0
    assert share["part"] >= 0.95 and share["typos"] >= 0.9
    assert share["synonyms"] == pytest.approx(0.0, abs=0.2)
