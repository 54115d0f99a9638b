"""CrewAI, fenced; and turns, playbooks and stand-ins as in tests/llm."""

from typing import Any

import pytest

from crews.fence import import_crewai, prepare
from tests.llm.conftest import MakeRouter, Serve, SpendPlaybook, make_router, new_turn, question, serve, turn


@pytest.fixture(scope="session")
def crewai(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """CrewAI, imported once for the run of the tests."""
    prepare(tmp_path_factory.mktemp("crewai"))
    return import_crewai()


__all__ = [
    "MakeRouter",
    "Serve",
    "SpendPlaybook",
    "make_router",
    "new_turn",
    "question",
    "serve",
    "turn",
]
