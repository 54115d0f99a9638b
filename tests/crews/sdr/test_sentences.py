"""Replies that honest salespeople would write, and replies that may not leave, on what four companies really wrote."""

from itertools import count
from pathlib import Path
from typing import Any

import yaml

from agents.guards import untraceable_numbers
from business.sales.files import SAMPLE_SLUG
from crews.sdr.crew import grounds_of, tidy
from crews.sdr.guard import check, worked_out
from crews.sdr.playbook import SdrPlaybook
from crews.sdr.words import Words
from tests.crews.sdr.talks import House

_NUMBERS = count(1000)
COMPANIES = yaml.safe_load(Path(__file__).with_name("sentences.yaml").read_text())


async def judged(house: House, talked: dict[str, Any]) -> tuple[list[str], list[str]]:
    """(what is fine and does not leave, what should not leave and does), after the tools that the talk tells."""
    talk = await house.talk("Marina", talked["language"], f"55{talked.get('code', 19)}98811{next(_NUMBERS)}")
    turn = talk.turn_of("\n".join(talked["says"]))
    brief = (await house.runner.call(turn, "sdr_brief", {})).data
    for name, arguments in talked["calls"]:
        assert (await house.runner.call(turn, name, arguments)).ok
    playbook = SdrPlaybook(turn, brief, Words(house.texts, talked["language"]))
    on = grounds_of(turn, brief, playbook)
    facts = [record.result for record in turn.results if record.result is not None]

    def leaves(text: str) -> bool:
        reply = tidy(text)
        traced = [*facts, turn.text, *worked_out(reply, on)]
        return check(reply, on) == [] and untraceable_numbers(reply, traced, talked["language"]) == []

    return [one for one in talked["fine"] if not leaves(one)], [one for one in talked["refused"] if leaves(one)]


async def test_honest_replies_leave_and_others_do_not(house: House, tmp_path: Path) -> None:
    held, let = [], []
    for company in COMPANIES.values():
        folder = house.files.folder(SAMPLE_SLUG)
        for name, text in company["files"].items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        await house.library.sync(house.tenant_id, SAMPLE_SLUG)
        await house.memory.catch_up(house.tenant_id)
        for talked in company["talks"]:
            wrong = await judged(house, talked)
            held += wrong[0]
            let += wrong[1]
        for name in company["files"]:
            (folder / name).unlink()
    assert (held, let) == ([], [])
