"""Records of conversations with a model: kept, played again, and what changed since is told."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evals import records
from evals.scenario import load_all
from evals.stand_in import Answer, Seen, StandIn
from tests.conftest import Dsns

QUESTION = "ads/de-3-a-9"
ANSWERS: list[dict[str, Any]] = [
    {"tool_calls": [{"name": "ads_report", "arguments": {"period": "de 3 a 9", "account": "Loja Aurora"}}]},
    {"content": "De 03/11/2026 a 09/11/2026 a **Loja Aurora** gastou R$ 5.010,02 e teve 109 compras."},
]


def by_hand(folder: Path) -> StandIn:
    """A model played by hand: each request and its answer become files of the folder."""
    count = 0

    def script(seen: Seen) -> Answer:
        nonlocal count
        answer = ANSWERS[count]
        count += 1
        (folder / f"{count:04d}.request.json").write_text(json.dumps(seen.body, ensure_ascii=False))
        (folder / f"{count:04d}.answer.json").write_text(json.dumps(answer, ensure_ascii=False))
        calls = [(call["name"], call["arguments"]) for call in answer.get("tool_calls", [])]
        return Answer(answer.get("content", ""), calls)

    return StandIn(script)


async def test_a_recording_that_breaks_off_keeps_nothing_and_says_so(tmp_path: Path, dsns: Dsns) -> None:
    hand, folder, servers = tmp_path / "hand", tmp_path / "record", (dsns.owner, dsns.app)
    hand.mkdir()
    (found,) = load_all(pattern=f"^{QUESTION}$")

    def nobody(seen: Seen) -> Answer:
        (hand / f"{len(list(hand.iterdir())) + 1:04d}.request.json").write_text(json.dumps(seen.body))
        return Answer(status=500, body="{}")

    with StandIn(nobody) as model, pytest.raises(records.RecordBroken, match=r"0001\.answer\.json"):
        await records.record(folder, found, url=model.openai_url, hand=hand, model="hand", about="", dsns=servers)
    assert not folder.exists(), "the next try is not barred"


async def test_a_conversation_is_kept_and_played_again_without_its_model(tmp_path: Path, dsns: Dsns) -> None:
    hand, folder, servers = tmp_path / "hand", tmp_path / "record", (dsns.owner, dsns.app)
    hand.mkdir()
    (found,) = load_all(pattern=f"^{QUESTION}$")
    with by_hand(hand) as model:
        await records.record(folder, found, url=model.openai_url, hand=hand, model="hand", about="", dsns=servers)

    replies = json.loads((folder / "replies.json").read_text())
    assert "R$ 5.010,02" in replies[0]["reply"] and replies[0]["tools"][0]["name"] == "ads_report"
    assert len(list(folder.glob("*.request.json"))) == 2
    assert await records.replay(folder, servers) == []

    # A prompt that has changed since, and an answer that leads elsewhere.
    request = folder / "0001.request.json"
    request.write_text(request.read_text().replace("de 3 a 9", "de 3 a 8"))
    answer = folder / "0002.answer.json"
    answer.write_text(answer.read_text().replace("109 compras", "951 visitas"))
    again = await records.play_again(folder, servers)
    told = records.differences(again)
    assert any(one.startswith("request 1: messages[") and "de 3 a 9" in one for one in told)
    assert any(one.startswith("replies: [0].reply") and "951 visitas" in one for one in told)

    # The prompt was changed on purpose: only what the answers lead to counts.
    again = replace(again, record=again.record.model_copy(update={"compare": "replies"}))
    told = records.differences(again)
    assert told and all(one.startswith("replies: ") for one in told)


async def test_every_record_plays_as_it_was_kept(dsns: Dsns) -> None:
    changed = await records.replay_all(records.folders(), (dsns.owner, dsns.app))
    assert {folder.name: told for folder, told in changed.items() if told} == {}
