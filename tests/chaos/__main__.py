"""`make chaos` = `python -m tests.chaos`: kills the product, stops its PostgreSQL, and writes what came of it.

Everything lies in a folder of its own, the database is written to disk as in production. Takes about an hour.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path

import psutil

from core.migrate import migrate
from core.postgres import Postgres
from tests.chaos.findings import Findings, examine
from tests.chaos.killing import contact, finish, kill_often, recovery
from tests.chaos.world import PATHS, World

_REPORT = Path(__file__).parents[2] / "docs" / "chaos.md"


_STOPPING = 900.0  # seconds during which PostgreSQL is stopped, if not all is done before


@dataclass
class Story:
    """One part of the report."""

    name: str
    findings: Findings
    kills: dict[str, int] = field(default_factory=dict)
    minutes: float = 0.0
    last: float = 0.0
    """Seconds until all was done after the last death."""
    note: str = ""
    seed: int = 0
    at: str = field(default_factory=lambda: f"{datetime.now(UTC):%d %B %Y, %H:%M} UTC")


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    arguments.add_argument("--kills", type=int, default=200, help="of each path (200)")
    arguments.add_argument("--paths", default=",".join(PATHS), help="which of them")
    arguments.add_argument(
        "--conversations", type=int, default=2_000, help="while PostgreSQL is stopped (2000; 0: none)"
    )
    arguments.add_argument("--real", type=int, default=20, help="deaths with the SDR crew itself in turns (20)")
    arguments.add_argument("--seed", type=int, default=random.randrange(10**6))
    arguments.add_argument("--report", type=Path, default=_REPORT)
    arguments.add_argument("--parts", type=Path, help="a folder that keeps each part: others are taken from there")
    arguments.add_argument("--no-recovery", action="store_true")
    chosen = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mutirao-chaos-"))
    folder.chmod(0o755)
    kept = chosen.parts or folder / "parts"
    kept.mkdir(parents=True, exist_ok=True)
    try:
        for path in [one for one in chosen.paths.split(",") if one]:
            _keep(kept, _killed(folder / path, path, chosen.kills, chosen.seed, plain=True))
        if chosen.real:
            _keep(kept, _killed(folder / "real", "turn", chosen.real, chosen.seed, plain=False))
        if not chosen.no_recovery:
            recovered = _recoveries(folder / "recovery", chosen.seed)
            (kept / "recovery.json").write_text(json.dumps(recovered))
        if chosen.conversations:
            _keep(kept, _stopped(folder / "stopped", chosen.conversations, chosen.seed))
        stories, recovered = _parts(kept)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text = report(stories, recovered)
    chosen.report.write_text(text, encoding="utf-8")
    print(text)
    if any(story.findings.wrong() for story in stories):
        sys.exit(1)


def _keep(folder: Path, story: Story) -> None:
    _tell(f"{story}")
    (folder / f"{story.name.replace(' ', '_')}.json").write_text(json.dumps(asdict(story)))


def _parts(folder: Path) -> tuple[list[Story], dict[str, list[float]]]:
    stories = []
    for file in folder.glob("*.json"):
        if file.name != "recovery.json":
            told = json.loads(file.read_text())
            if uncounted := {one.name for one in fields(Findings)} - told["findings"].keys():
                raise SystemExit(f"{file}: of an older count, without {sorted(uncounted)}: run it again")
            stories.append(Story(**{**told, "findings": Findings(**told["findings"])}))
    known = list(PATHS)
    stories.sort(key=lambda one: (known.index(one.name) if one.name in known else len(known), one.name))
    recovery_file = folder / "recovery.json"
    return stories, json.loads(recovery_file.read_text()) if recovery_file.exists() else {}


def _killed(folder: Path, path: str, kills: int, seed: int, *, plain: bool) -> Story:
    with Postgres.start(folder / "pg") as postgres:
        migrate(postgres.owner_dsn, app_dsn=postgres.app_dsn)
        with World(folder / "w", postgres.owner_dsn, postgres.app_dsn, plain=plain, seed=seed) as world:
            try:
                _begin(world)
                _tell(f"{path}: {kills} deaths" + ("" if plain else " with the SDR crew"))
                began = time.monotonic()
                kill_often(world, path, kills, patience=6.0 if plain else 12.0)
                last = finish(world, 300)
                minutes = (time.monotonic() - began) / 60
                name = path if plain else f"{path}, the SDR crew itself"
                story = Story(name, examine(world), dict(world.kills), minutes, last, seed=seed)
            except BaseException:
                print(world.last_words(), file=sys.stderr)
                raise
    return story


def _recoveries(folder: Path, seed: int) -> dict[str, list[float]]:
    """place → seconds from its death until all was done, with all else at rest."""
    found: dict[str, list[float]] = {}
    with Postgres.start(folder / "pg") as postgres:
        migrate(postgres.owner_dsn, app_dsn=postgres.app_dsn)
        with World(folder / "w", postgres.owner_dsn, postgres.app_dsn, seed=seed) as world:
            _begin(world)
            for place in [one for places in PATHS.values() for one in places]:
                for _ in range(2):
                    seconds = recovery(world, place)
                    if seconds is not None:
                        found.setdefault(place, []).append(seconds)
                    world.kill()
                _tell(f"{place}: {found.get(place)}")
            if wrong := examine(world).wrong():
                raise AssertionError(wrong)
    return found


def _stopped(folder: Path, conversations: int, seed: int) -> Story:
    """PostgreSQL is stopped every 5 to 40 seconds, gently and not, while so many people write."""
    postgres = Postgres.start(folder / "pg")
    migrate(postgres.owner_dsn, app_dsn=postgres.app_dsn)
    over, stops = threading.Event(), {"fast": 0, "immediate": 0}
    draw = random.Random(seed)

    def stop_often() -> None:
        while not over.wait(draw.uniform(5, 40)):
            kind = draw.choice(list(stops))
            pid = postgres.pid()
            assert pid is not None
            process = psutil.Process(pid)
            os.kill(pid, signal.SIGINT if kind == "fast" else signal.SIGQUIT)
            process.wait(30)
            stops[kind] += 1
            time.sleep(draw.uniform(0.2, 3.0))
            Postgres.start(folder / "pg")

    try:
        with World(folder / "w", postgres.owner_dsn, postgres.app_dsn, seed=seed) as world:
            try:
                _begin(world)
                world.born()
                began = time.monotonic()
                stopping = threading.Thread(target=stop_often)
                stopping.start()
                order = [number for number in range(conversations) for _ in range(2)]
                draw_order = random.Random(seed)
                draw_order.shuffle(order)
                for number in order:
                    world.write(contact(number))
                    time.sleep(0.02)
                while not over.is_set() and time.monotonic() - began < _STOPPING:
                    try:
                        if not world.unsettled():
                            break
                    except Exception:  # it is just stopped
                        pass
                    time.sleep(1)
                over.set()
                stopping.join()
                last = world.settle(1_800)
                note = f"PostgreSQL stopped {sum(stops.values())} times: {stops}"
                minutes = (time.monotonic() - began) / 60
                name = f"{conversations:,} conversations"
                story = Story(name, examine(world), {}, minutes, last, note, seed)
            except BaseException:
                print(world.last_words(), file=sys.stderr)
                raise
            finally:
                over.set()
    finally:
        postgres.stop()
    return story


def _begin(world: World) -> None:
    world.born()
    world.prepare()
    world.point()
    world.kill()


def report(stories: list[Story], recovered: dict[str, list[float]]) -> str:
    """What is written to docs/chaos.md."""
    lines = [
        *_INTRODUCTION.splitlines(),
        "",
        f"{os.cpu_count()} cores, others busy on them. Seeds and ends: "
        + ", ".join(f"{story.name} {story.seed} ({story.at})" for story in stories)
        + ".",
        "",
        "| | " + " | ".join(story.name for story in stories) + " |",
        "|---|" + "---|" * len(stories),
        "| deaths | " + " | ".join(str(sum(story.kills.values()) or "–") for story in stories) + " |",
    ]  # fmt: skip
    for name in asdict(stories[0].findings):
        values = " | ".join(f"{asdict(story.findings)[name]:,}" for story in stories)
        lines.append(f"| {_WORDS[name]} | {values} |")
    lines.append("| minutes | " + " | ".join(f"{story.minutes:.1f}" for story in stories) + " |")
    lines.append("| s until all was done at the end | " + " | ".join(f"{story.last:.0f}" for story in stories) + " |")
    lines += ["", "Deaths by place: " + "; ".join(_places(story) for story in stories if story.kills) + "."]
    lines += [f"{story.note}." for story in stories if story.note]
    if recovered:
        lines += [
            "",
            "## Recovery",
            "",
            "Seconds from a death until all was done, nothing else going on (a worker's death is noticed after 20 s):",
            "",
            "| place | seconds |",
            "|---|---|",
            *(f"| {place} | {', '.join(f'{one:.1f}' for one in seconds)} |" for place, seconds in recovered.items()),
        ]
    return "\n".join([*lines, ""])


_INTRODUCTION = """\
# Chaos

Written by `make chaos`; how, and what it has found, is in [tests/chaos](../tests/chaos/__init__.py). The product's own
composition runs behind a real web server, on a PostgreSQL that writes to disk, and talks with the simulated WhatsApp,
whose witness syncs every request to disk before it answers. The process is killed with SIGKILL at a named place after
one to three passes, or at any moment ("random"), and started again at once. What was not acknowledged comes again.
Everything below is counted from the witness and the database; what is in bold must be 0. Where the SDR crew is not
named, a crew answers that repeats what it was told, so that it can be seen what was answered."""
_WORDS = {
    "written": "messages that contacts wrote",
    "sent": "messages that WhatsApp was asked to send",
    "approved": "first messages approved",
    "lost": "**written and in no conversation**",
    "doubled": "**written once, there twice**",
    "set_aside": "**items of webhooks that could not be sorted**",
    "shuffled": "**in a conversation, in another order than received**",
    "overtaken": "not acknowledged at first, and seen after later ones",
    "unanswered": "**neither answered nor handed to a person**",
    "answered_twice": "**answered twice**",
    "misdirected": "**in somebody else's conversation or answer**",
    "attempts_twice": "**rows of the outbox sent twice**",
    "unrecorded": "**sent without a row that says so**",
    "phantom": "**said to be sent, and were not**",
    "failed": "**rows refused for good**",
    "out_of_order": "**replies out of order**",
    "statuses_back": "**statuses that went back**",
    "statuses_lost": "**delivered, and not known to be**",
    "approvals_wrong": "**approved and not sent exactly once**",
    "untold": "**outcome unknown, and nobody told**",
    "handed_over": "messages handed to a person, because the turn had died five times",
    "unknown_answers": "messages whose one answer is of unknown outcome, and did not leave",
    "unknown_left": "**outcome unknown, though it left and WhatsApp said so**",
    "unknown_not_left": "outcome unknown: one attempt at most, and it did not leave",
}


def _places(story: Story) -> str:
    return f"{story.name}: " + ", ".join(f"{place} {count}" for place, count in sorted(story.kills.items()))


def _tell(what: str) -> None:
    print(f"… {datetime.now(UTC):%H:%M:%S} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
