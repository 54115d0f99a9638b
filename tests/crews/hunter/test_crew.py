"""What a model is told by the hunter. No model, no database."""

from datetime import UTC, datetime
from typing import Any

import pytest

from core.tenancy import Identity, Role
from core.turn import Turn
from crews.ads.playbook import shown_objects
from crews.contract import CrewDeps, CrewTask
from crews.hunter.crew import _opening
from prompts.prompt import Prompts
from prompts.texts import Texts

NOTHING: Any = None
DEPS = CrewDeps(NOTHING, NOTHING, Prompts(), Texts.load())
COMPANY = {"n": 3, "id": "cand_3", "name": "Casa de Taipa", "score": 82, "verdict": "qualified", "kind": "candidate"}
CONTACT = {"n": 1, "id": "contact_1", "name": "Marina", "kind": "contact"}


def told(text: str, language: str, **session: Any) -> list[str]:
    who = Identity("ten_1", "user_1", Role.DIRETOR, "Diego", "diego@um.example")
    now = datetime(2026, 11, 20, 15, tzinfo=UTC)
    turn = Turn("turn_1", who, "conv_1", "chat", text, language, now, session=session)
    return [str(message["content"]) for message in _opening(turn, [CrewTask("hunter.explain", text)], DEPS)]


@pytest.mark.parametrize("language", ["pt-BR", "en", "es"])
def test_a_model_is_told_what_the_third_is_and_what_was_looked_for_and_its_part_is_the_same_in_every_turn(
    language: str,
) -> None:
    hunt = {"sentence": "20 padarias em Recife", "state": "done", "search": "search_1"}
    system, request = told("e a terceira?", language, entities=[COMPANY, CONTACT], hunt=hunt)
    assert "3. Casa de Taipa (82) [cand_3]" in request and "20 padarias em Recife" in request
    assert "Marina" not in request, "what the CRM showed is not a company of the search"
    assert told("quero clientes", language)[0] == system
    asked = told("em Recife", language, hunt=hunt | {"state": "asking"}, open={"text": "ache padarias"})[-1]
    assert "ache padarias" in asked


def test_ads_does_not_take_companies_for_campaigns() -> None:
    campaign = {"n": 1, "id": "1", "name": "Remarketing", "level": "campaign"}
    assert shown_objects({"entities": [COMPANY, campaign]}) == [campaign]
