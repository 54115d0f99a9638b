"""Cadences asked for in words: begun with companies of the list, seen, stopped by name; never by a question or a no."""

from datetime import date

import pytest

from crews.hunter.request import understand

LIST = {
    "entities": [
        {"kind": "candidate", "n": 1, "id": "cand_1", "name": "Ipê Paisagismo"},
        {"kind": "candidate", "n": 2, "id": "cand_2", "name": "Jatobá Jardins"},
    ]
}


@pytest.mark.parametrize(
    ("text", "asked", "companies", "best", "lead"),
    [
        ("começa a cadência com as 3 primeiras", "cadence", (), 3, ""),
        ("start the cadence with the best ones", "cadence", (), 5, ""),
        ("empieza la cadencia con la primera", "cadence", ("cand_1",), None, ""),
        ("quem está em cadência?", "cadences", (), None, ""),
        ("e as cadências, como estão?", "cadences", (), None, ""),
        ("posso começar a cadência com a primeira?", "cadences", (), None, ""),
        ("pare a cadência da Ipê Paisagismo", "cadence_stop", (), None, "Ipê Paisagismo"),
        ("stop the cadence of Jatobá.", "cadence_stop", (), None, "Jatobá"),
        ("pare a cadência da segunda", "cadence_stop", (), None, "Jatobá Jardins"),
        ("encerra a sequência de mensagens com a Jatobá", "cadence_stop", (), None, "Jatobá"),
    ],
)
def test_what_is_asked_of_cadences(
    text: str, asked: str, companies: tuple[str, ...], best: int | None, lead: str
) -> None:
    found = understand("hunter.contact", text, LIST, date(2026, 11, 20))
    assert (found.asked, found.companies, found.best, found.lead) == (asked, companies, best, lead)
