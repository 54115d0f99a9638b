"""One trained classifier for all tests of this folder, and the messages it has never seen."""

from pathlib import Path

import pytest
import yaml

from agents.intents import Classifier, warm

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def classifier(learnt: Path) -> Classifier:
    return warm()


def messages(name: str) -> list[tuple[str, str, str]]:
    """(intent, language, message) of a file of the data folder."""
    raw = yaml.safe_load((DATA / name).read_text(encoding="utf-8"))
    return [
        (intent, language, message)
        for intent, languages in raw.items()
        for language, block in languages.items()
        for message in block.splitlines()
    ]
