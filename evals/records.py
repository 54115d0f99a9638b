"""Conversations with a real model, kept so that they can be played again without one.

A folder of evals/records/ holds one conversation: what it was for (record.yaml), the messages and clicks
(scenario.yaml), every request to the model with its answer, in order (NNNN.request.json, NNNN.answer.json), and what
the person was told (replies.json). Playing it again gives the recorded answers to the product through a local server
and compares what the product then asks and says with what it asked and said. See records/README.md.
"""

import json
import re
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict

from core.settings import Settings
from evals.players import Product
from evals.runner import Played, play_once
from evals.scenario import FOLDER as SCENARIOS
from evals.scenario import Found, load
from evals.stand_in import Answer, Seen, StandIn
from evals.world import open_stage

FOLDER = Path(__file__).parent / "records"

_IDS = re.compile(
    r"\b(call)_(?:[0-9a-f]{12}|\d{1,3})(?![0-9a-z_])"  # a model server's own may be shorter than ours, as a stand-in's
    r"|\b(prop|turn|conv|step|msg|file|user|tenant|call|toolu|import|conn|bug|search|cand|con|com|deal|act|task|stage|merge"
    r"|crmimp|chat)_[0-9a-z]{20,}(?![0-9a-z_])"
)
_PORTS = re.compile(r"(127\.0\.0\.1):\d+")
_MOST = 12  # differences told of one record
_SCOUTS = ("google", "linkedin", "social")


class RecordBroken(Exception):
    """A conversation that was not kept; its words say what to do."""


class Record(BaseModel):
    """record.yaml"""

    model_config = ConfigDict(extra="forbid")

    about: str
    """What the conversation was to show, and which change came of it."""
    model: str
    """Who answered: a model's name, or "hand" for a person who played the model."""
    compare: Literal["requests", "replies"] = "requests"
    """`requests`: the product must ask and say the same. `replies`: prompts or tools have changed since; the recorded
    answers must still lead to the same tool calls and replies."""
    scouts: bool = False
    """Whether the hunters that read on in the background (crews/hunter/scouts.py) asked the model, too. They ask for
    many companies at once; without them code alone looks, as where no model serves their roles."""


def folders() -> list[Path]:
    """Every recorded conversation."""
    return sorted(path.parent for path in FOLDER.glob("*/record.yaml"))


# --- recording ----------------------------------------------------------------------------------------


async def record(
    folder: Path,
    found: Found,
    *,
    url: str,
    hand: Path,
    model: str,
    about: str,
    dsns: Sequence[str] | None = None,
    scenario: Path | None = None,
    scouts: bool = False,
) -> None:
    """Play a scenario with the model behind `url`, whose folder `hand` collects requests and answers, and keep it.

    The deadlines are a person's, not a model's. Requests that were written since the start belong to it; answers may
    lie there before. `scenario` is its file, if it is none of evals/scenarios/. RecordBroken where the record exists
    or an answer lacks; nothing is kept then.
    """
    if folder.exists():
        raise RecordBroken(f"{folder} já existe: dê outro nome, ou apague a pasta e grave de novo")
    began = time.time() - 1
    async with open_stage(_settings(url, model), dsns, catalog=_catalog(scouts)) as stage:
        played = await play_once(stage, found, Product())
    requests = [path for path in sorted(hand.glob("*.request.json")) if path.stat().st_mtime >= began]
    answers = [path.with_name(path.name.replace("request", "answer")) for path in requests]
    if lacking := [path.name for path in answers if not path.exists()]:
        raise RecordBroken(f"a conversa acabou sem {', '.join(lacking)}: nada foi guardado, grave de novo")
    folder.mkdir(parents=True)
    for number, (request, answer) in enumerate(zip(requests, answers, strict=True), 1):
        shutil.copyfile(request, folder / f"{number:04d}.request.json")
        shutil.copyfile(answer, folder / f"{number:04d}.answer.json")
    shutil.copyfile(scenario or SCENARIOS / found.group / f"{found.scenario.id}.yaml", folder / "scenario.yaml")
    _write(folder / "replies.json", _replies(played))
    told = Record(about=about or found.scenario.title, model=model, scouts=scouts)
    (folder / "record.yaml").write_text(yaml.safe_dump(told.model_dump(), allow_unicode=True, sort_keys=False))


def _settings(url: str, model: str) -> Settings:
    return Settings(
        compatible_base_url=url,
        compatible_api_key="not-a-key",
        compatible_model=model,
        ignore_provider_keys=True,
        model_first_byte_seconds=3_600,
        model_deadline_seconds=7_200,
        model_background_seconds=7_200,
        turn_max_seconds=7_200,
        log_level="ERROR",
    )


def _catalog(scouts: bool) -> str:
    """What is laid over the catalog of models. Without scouts no model that is there serves their roles."""
    if scouts:
        return ""
    return "".join(f'[roles.hunter_{name}]\nchain = ["openai/gpt-6-luna"]\n' for name in _SCOUTS)


def _record(folder: Path) -> Record:
    return Record(**yaml.safe_load((folder / "record.yaml").read_text(encoding="utf-8")))


def _write(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, ensure_ascii=False, indent=1, default=str) + "\n", encoding="utf-8")


# --- playing again --------------------------------------------------------------------------------------


async def replay_all(which: Sequence[Path], dsns: Sequence[str] | None = None) -> dict[Path, list[str]]:
    """Folder → what has changed since; an empty list where nothing has. Records of one make share a stage."""
    changed: dict[Path, list[str]] = {}
    kept = {folder: _record(folder) for folder in which}
    for make in dict.fromkeys((one.model, one.scouts) for one in kept.values()):
        async with _open_player(*make, dsns) as play_on:
            for folder, one in kept.items():
                if (one.model, one.scouts) == make:
                    changed[folder] = differences(await play_on(folder))
    return {folder: changed[folder] for folder in which}


async def replay(folder: Path, dsns: Sequence[str] | None = None) -> list[str]:
    """Play one record again and tell what differs: requests, answers left over, replies."""
    return differences(await play_again(folder, dsns))


@dataclass(frozen=True)
class Again:
    """A record and its replay: requests to the model and replies to the person, as they were and as they are now."""

    record: Record
    asked_then: list[dict[str, Any]]
    asked_now: list[dict[str, Any]]
    said_then: list[dict[str, Any]]
    said_now: list[dict[str, Any]]


async def play_again(folder: Path, dsns: Sequence[str] | None = None) -> Again:
    """Give the recorded answers to the product, in order, and note what it asks and says."""
    kept = _record(folder)
    async with _open_player(kept.model, kept.scouts, dsns) as play_on:
        return await play_on(folder)


@asynccontextmanager
async def _open_player(
    model: str, scouts: bool, dsns: Sequence[str] | None
) -> AsyncIterator[Callable[[Path], Awaitable[Again]]]:
    """A stage whose model gives the answers of whatever record is played on it."""
    asked: list[dict[str, Any]] = []
    answers: list[dict[str, Any]] = []

    def script(seen: Seen) -> Answer:
        asked.append(seen.body)
        if len(asked) > len(answers):
            return Answer(status=500, body='{"error": {"message": "the record is over"}}')
        return _answer(answers[len(asked) - 1])

    with StandIn(script) as server:
        async with open_stage(_settings(server.openai_url, model), dsns, catalog=_catalog(scouts)) as stage:

            async def play_on(folder: Path) -> Again:
                asked.clear()
                answers[:] = _all(folder, "answer")
                played = await play_once(stage, Found(folder.name, load(folder / "scenario.yaml")), Product())
                said_then = json.loads((folder / "replies.json").read_text(encoding="utf-8"))
                said_now = [
                    {name: told for name, told in now.items() if name in then}
                    for then, now in zip(said_then, _replies(played), strict=False)
                ]
                return Again(_record(folder), _all(folder, "request"), list(asked), said_then, said_now)

            yield play_on


def differences(again: Again) -> list[str]:
    """What has changed, as far as the record's `compare` asks; at most a dozen."""
    found = []
    then, now = again.asked_then, again.asked_now
    if len(now) != len(then):
        found.append(f"{len(now)} requests to the model instead of {len(then)}")
    if again.record.compare == "requests":
        for number, (was, asked) in enumerate(zip(then, now, strict=False), 1):
            found += [f"request {number}: {told}" for told in _differing(_bare(was), _bare(asked))]
    found += [f"replies: {told}" for told in _differing(_bare(again.said_then), _bare(again.said_now))]
    return found[:_MOST]


async def accept(folder: Path, dsns: Sequence[str] | None = None) -> list[str]:
    """Keep what the recorded answers lead to now, after a change that was meant. Returns what had changed.

    The requests stay as they were asked then; the record is compared by its replies from now on.
    """
    again = await play_again(folder, dsns)
    told = differences(again)
    if told:
        _write(folder / "replies.json", again.said_now)
        kept = again.record.model_copy(update={"compare": "replies"})
        (folder / "record.yaml").write_text(yaml.safe_dump(kept.model_dump(), allow_unicode=True, sort_keys=False))
    return told


def _all(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob(f"*.{kind}.json"))]


def _answer(kept: dict[str, Any]) -> Answer:
    """An answer as written by hand (or taken from a model), for the local server."""
    if "status" in kept:
        return Answer(status=kept["status"], body=json.dumps({"error": {"message": kept.get("error", "error")}}))
    calls = [(call["name"], call.get("arguments", {})) for call in kept.get("tool_calls") or []]
    return Answer(kept.get("content") or "", calls, finish=kept.get("finish_reason"))


def _replies(played: Played) -> list[dict[str, Any]]:
    """What the person was told, and what was done for it."""
    return [
        {
            "say": heard.step.say,
            "language": heard.answer.language,
            "route": heard.answer.route,
            "tools": heard.answer.tools,
            "reply": heard.answer.text,
            "tables": heard.answer.tables,
            "views": heard.answer.views,
            "proposals": [{**asdict(card), "id": ""} for card in heard.answer.cards],
            "ended": heard.answer.ended,
        }
        for heard in played.heard
    ]


def _bare(data: Any) -> Any:
    """The data with every made-up id replaced by its kind, and without the ports of this machine's simulators."""
    text = _PORTS.sub(r"\1", json.dumps(data, ensure_ascii=False, default=str))
    return json.loads(_IDS.sub(lambda found: found[1] or found[2], text))


def _differing(was: Any, now: Any, place: str = "") -> Iterator[str]:
    """Where two pieces of data differ, deepest places first named."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in [*was, *(key for key in now if key not in was)]:
            yield from _differing(was.get(key), now.get(key), f"{place}.{key}" if place else str(key))
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for number, (one, other) in enumerate(zip(was, now, strict=True)):
            yield from _differing(one, other, f"{place}[{number}]")
    elif was != now:
        yield f"{place}: {_around(now, was)} instead of {_around(was, now)}"


def _around(value: Any, other: Any) -> str:
    """The value from a little before the first character in which it differs from the other."""
    text, against = (json.dumps(one, ensure_ascii=False, default=str) for one in (value, other))
    same = next(
        (n for n, (a, b) in enumerate(zip(text, against, strict=False)) if a != b), min(len(text), len(against))
    )
    start = max(0, same - 30)
    return ("…" if start else "") + text[start : same + 90] + ("…" if len(text) > same + 90 else "")
