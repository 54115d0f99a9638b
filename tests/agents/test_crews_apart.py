"""Messages for the CRM, the hunter and the ads go to the right one: "quantos leads tive ontem?" is asked of the ads,
"mostra meus leads" of the CRM, "ache leads" of the hunter.

The messages were written from the issue's text before the examples were, by somebody who had not read them. What is
measured is the crew: within a crew the request itself is read.
"""

import pytest
import yaml

from agents.intents import Classifier
from agents.routing import route
from tests.agents.conftest import DATA

AFTER = {"hunter": "hunter.search", "crm": "crm.board", "ads": "ads.overview"}
FLOORS = {"hunter": 0.94, "crm": 0.92, "ads": 0.94}
"""Of each crew's messages. First measured 0.96, 0.93, 1.0; after examples of "leads that we have": 0.95, 0.98, 0.94."""
SURE_AND_RIGHT = 0.96
"""Of those for which no model is asked; measured 0.98."""


def _messages(crew: str) -> list[tuple[str, str]]:
    raw = yaml.safe_load((DATA / "heldout_crews.yaml").read_text(encoding="utf-8"))[crew]
    return [
        (wanted, message)
        for wanted, languages in raw.items()
        for block in languages.values()
        for message in block.splitlines()
    ]


@pytest.mark.parametrize("crew", FLOORS)
def test_messages_go_to_the_crew_that_is_meant(crew: str, classifier: Classifier) -> None:
    rows = _messages(crew)
    plans = []
    for wanted, message in rows:
        cold = crew != "hunter" or wanted == "search"  # the others are said after a search
        session = {} if cold else {"last_intent": AFTER[crew], "last_crew": crew}
        plans.append(route(message, session, classifier))
    right = [{part.crew for part in plan.parts} == {crew} for plan in plans]
    sure = [ok for ok, plan in zip(right, plans, strict=True) if plan.sure]
    wrong = [message for ok, (_, message) in zip(right, rows, strict=True) if not ok]
    print(f"{crew}: {sum(right)} of {len(rows)} right; sure {len(sure)}, of which right {sum(sure)}; wrong: {wrong}")
    assert sum(right) / len(right) >= FLOORS[crew], wrong
    assert sum(sure) / len(sure) >= SURE_AND_RIGHT, wrong


@pytest.mark.parametrize(
    ("text", "crew"),
    [
        ("quantos leads tive ontem?", "ads"),
        ("mostra meus leads", "crm"),
        ("ache leads de dentistas em Sorocaba", "hunter"),
        ("how many leads did I get yesterday?", "ads"),
        ("show me my leads", "crm"),
        ("find leads: dentists in Sorocaba", "hunter"),
        ("¿cuántos leads tuve ayer?", "ads"),
        ("muéstrame mis leads", "crm"),
        ("encuentra leads: dentistas en Sorocaba", "hunter"),
    ],
)
def test_leads_are_three_things(text: str, crew: str, classifier: Classifier) -> None:
    assert {part.crew for part in route(text, {}, classifier).parts} == {crew}
