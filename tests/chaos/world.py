"""A house that is killed, the WhatsApp it talks with, and what both remember."""

import contextlib
import json
import os
import random
import signal
import string
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from integrations.whatsapp_cloud.simulator import launch
from integrations.whatsapp_cloud.simulator.state import ACCOUNTS

ROOT = Path(__file__).parents[2]
NUMBER = ACCOUNTS[0].number_id
PATHS: dict[str, tuple[str, ...]] = {
    "intake": ("door.before_commit", "door.after_commit", "sort.before_commit", "sort.after_commit"),
    "turn": ("turn.begun", "turn.answered", "turn.before_commit", "turn.after_commit"),
    "send": ("send.claimed", "send.before_request", "send.after_request", "send.after_commit"),
    "approval": ("approve.decided", "approve.applied"),
}
"""Where a path may be cut; at random moments besides."""


def word(number: int) -> str:
    """A word of its own for each number, without digits: numbers in answers are checked for where they come from."""
    letters = ""
    while True:
        number, rest = divmod(number, 26)
        letters = string.ascii_lowercase[rest] + letters
        if number == 0:
            return f"q{letters}z"


def tuesday_noon(now: datetime) -> timedelta:
    """From now to the next Tuesday at 15:00 UTC, noon in São Paulo: office hours, whenever this runs."""
    days = (1 - now.weekday()) % 7 or 7
    then = (now + timedelta(days=days)).replace(hour=14, minute=0, second=0, microsecond=0)
    return then - now


@dataclass
class World:
    """`plain`: a crew that answers by repeating, instead of the SDR crew; `hasty`: a dead worker is noticed at once."""

    folder: Path
    owner_dsn: str
    app_dsn: str
    plain: bool = True
    hasty: bool = False
    seed: int = 1
    written: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """contact → ids of what it wrote, in order"""
    words: dict[str, str] = field(default_factory=dict)
    """id → its word"""
    kills: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """place, or "random" → how often the process was killed there"""
    pid: int = 0
    proposals: list[str] = field(default_factory=list)

    def __enter__(self) -> "World":
        self.random = random.Random(self.seed)
        self.var = self.folder / "var"
        self.var.mkdir(parents=True, exist_ok=True)
        self.shift = tuesday_noon(datetime.now(UTC)).total_seconds()
        self._simulator = launch.shared((self.var / "simulators" / "whatsapp").resolve())
        self.whatsapp = httpx.Client(base_url=self._simulator.acquire()["url"], trust_env=False, timeout=30)
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "tests.chaos.nursery", str(self.var), *(["--plain"] if self.plain else [])]
        self._log = (self.folder / "nursery.log").open("ab")
        self._nursery = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        self._told()
        self.ask("/__config", statuses="delivered", shift=self.shift, longest_gap=0.5, parallel=4)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.alive():  # the last one leaves in peace, and takes the servers along that it shares
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            self.gone(15)
        self.kill()
        self._nursery.terminate()
        self._nursery.wait(10)
        for pipe in (self._nursery.stdin, self._nursery.stdout):
            if pipe is not None:
                pipe.close()
        self._log.close()
        self.whatsapp.close()
        self._simulator.release()

    def _told(self) -> Any:
        assert self._nursery.stdout is not None
        line = self._nursery.stdout.readline()
        if not line:
            raise RuntimeError((self.folder / "nursery.log").read_text()[-3_000:])
        return json.loads(line)

    # --- lives ----------------------------------------------------------------------------------

    def born(self, failpoint: str = "") -> None:
        """A new process, which answers when this returns, or has died at its failpoint already."""
        wish = {
            "folder": str(self.var), "owner_dsn": self.owner_dsn, "app_dsn": self.app_dsn, "port": self.port,
            "plain": self.plain, "hasty": self.hasty, "shift": self.shift, "failpoint": failpoint,
        }  # fmt: skip
        assert self._nursery.stdin is not None
        self._nursery.stdin.write(json.dumps(wish) + "\n")
        self._nursery.stdin.flush()
        self.pid = int(self._told()["pid"])
        deadline = time.monotonic() + 60
        while self.alive() and not self.answers():
            if time.monotonic() > deadline:
                raise RuntimeError(f"a life does not come up: {self.last_words()}")
            time.sleep(0.02)

    def alive(self) -> bool:
        if not self.pid:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def answers(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/webhooks/whatsapp", trust_env=False, timeout=2).status_code == 403
        return False

    def kill(self) -> bool:
        """SIGKILL, and wait for its end. Whether it had to be done."""
        killed = self.alive()
        if killed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self.gone(10)
        return killed

    def gone(self, seconds: float) -> bool:
        """Wait for the end of the process; whether it came."""
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def last_words(self) -> str:
        log = self.var / "lives.log"
        return log.read_text(errors="replace")[-3_000:] if log.exists() else ""

    # --- WhatsApp -------------------------------------------------------------------------------

    def ask(self, path: str, **asked: Any) -> Any:
        answer = self.whatsapp.post(path, json=asked)
        if answer.status_code != 200:
            raise RuntimeError(answer.text)
        return answer.json()

    def point(self) -> None:
        """Tell WhatsApp where we are."""
        self.ask("/__webhook", url=f"{self.url}/webhooks/whatsapp")

    def write(self, contact: str) -> None:
        said = word(len(self.words))
        told = self.ask("/__phone/write", **{"from": contact, "type": "text", "text": {"body": said}})
        self.written[contact].append(told["id"])
        self.words[told["id"]] = said

    def witness(self) -> list[dict[str, Any]]:
        """Every message that we asked WhatsApp to send, in the order of its coming, as the disk has it."""
        found = []
        with (self.var / "simulators" / "whatsapp" / "witness.jsonl").open() as lines:
            for line in lines:
                if not line.endswith("\n"):  # it is being written
                    break
                one = json.loads(line)
                body = one.get("body")
                sends = one["method"] == "POST" and one["path"].endswith("/messages") and isinstance(body, dict)
                if sends and "status" not in body:  # else it is mark-read and typing
                    found.append(body)
        return found

    # --- the database ---------------------------------------------------------------------------

    @contextlib.contextmanager
    def behind(self) -> Iterator["psycopg.Connection[dict[str, Any]]"]:
        """The database behind row-level security."""
        with psycopg.connect(self.owner_dsn, row_factory=dict_row, autocommit=True) as conn:
            yield conn

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        with self.behind() as conn:
            return conn.execute(query.encode(), values).fetchall()

    def until(self, query: str, seconds: float = 30) -> None:
        """Wait until it gives a row."""
        deadline = time.monotonic() + seconds
        while not self.rows(query):
            assert time.monotonic() < deadline, f"not within {seconds} s: {query}"
            time.sleep(0.05)

    def prepare(self) -> None:
        """After the first life: answers without waiting for more, and every change of a status written down."""
        with self.behind() as conn:
            from business.messaging.settings import default_text

            text = default_text().replace("quiet_seconds: 4", "quiet_seconds: 0")
            conn.execute(
                "UPDATE tenants SET settings = settings || jsonb_build_object('message_rules', %s::text)", [text]
            )
            conn.execute(
                """CREATE TABLE chaos_statuses (id text, before text, after text);
                   GRANT INSERT ON chaos_statuses TO PUBLIC;
                   CREATE FUNCTION chaos_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                     INSERT INTO chaos_statuses VALUES (NEW.id, OLD.status, NEW.status); RETURN NEW; END $$;
                   CREATE TRIGGER chaos AFTER UPDATE OF status ON chat_messages FOR EACH ROW
                     WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION chaos_note()"""
            )

    def unsettled(self) -> list[str]:
        """What is still to be done, in words; [] when all has come to rest."""
        open_ = []
        with self.behind() as conn:
            for what, query in _OPEN.items():
                row = conn.execute(query.encode()).fetchone()
                if row and row["n"]:
                    open_.append(f"{row['n']} {what}")
        pending = self.whatsapp.get("/__hooks").json()["pending"]
        return [*open_, *([f"{pending} webhooks on their way"] if pending else [])]

    def stuck(self) -> str:
        """What is still open, row by row, for whoever looks why."""
        found = self.rows(
            """SELECT o.id, o.state, o.purpose, o.key, o.attempts, o.not_before, o.claimed_at, o.created_at, o.reason,
                   o.decision, c.held FROM outbox o JOIN chats c ON c.tenant_id = o.tenant_id AND c.id = o.chat_id
               WHERE o.state IN ('waiting', 'claimed') LIMIT 5"""
        )
        jobs = self.rows("SELECT * FROM procrastinate_jobs WHERE status IN ('todo', 'doing') LIMIT 30")
        return "\n".join(map(str, [*found, *jobs]))

    def settle(self, seconds: float) -> float:
        """Wait until nothing is to be done; how long that took. AssertionError when it takes longer."""
        began = time.monotonic()
        quiet = 0
        while quiet < 2:  # what arrived between the look at the database and that at WhatsApp is seen by the second
            open_ = self.unsettled()
            quiet = 0 if open_ else quiet + 1
            assert self.alive(), f"the process ended: {self.last_words()}"
            if time.monotonic() - began > seconds:
                raise AssertionError(f"after {seconds} s: {open_}\n{self.stuck()}")
            time.sleep(0.1)
        return time.monotonic() - began


_OPEN = {
    "items not sorted": "SELECT count(*) AS n FROM inbox WHERE sorted_at IS NULL AND tenant_id IS NOT NULL",
    "chats not answered": "SELECT count(*) AS n FROM chats WHERE waiting_since IS NOT NULL AND held <> 'person'",
    "messages not sent": "SELECT count(*) AS n FROM outbox WHERE state IN ('waiting', 'claimed')",
    "proposals not done": "SELECT count(*) AS n FROM proposals WHERE state IN ('approved', 'executing', 'unknown')",
}


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
