"""What people did to the ads, kept on disk: the world's epoch, the token, and the ledger of writes.

The ledger (`writes.jsonl`) is append-only and synced to disk before a write is answered; the objects' present state is
the world's beginning plus the ledger, rebuilt at each start. A line torn by a kill is a write that never happened.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import IO, Any
from zoneinfo import ZoneInfo

from integrations.meta_ads.simulator import world
from integrations.meta_ads.simulator.world import World

ZONE = ZoneInfo(world.TIME_ZONE)
TOKEN_PREFIX = "EAASANDBOX"
"""How every token of the simulator begins, so that neither it nor a real one is ever sent to the wrong address."""


@dataclass
class Thing:
    """A campaign, ad set or ad as it is set now, with the moments at which its settings changed."""

    id: str
    kind: str
    """campaign, adset or ad"""
    name: str
    status: str
    daily_budget: int | None
    lifetime_budget: int | None
    parent: "Thing | None"
    spec: world.Campaign | world.Adset | world.Ad
    account_id: str
    updated: datetime
    children: list["Thing"] = field(default_factory=list)
    changes: list[tuple[datetime, str, Any]] = field(default_factory=list)
    """(when, setting, its value before)"""

    @property
    def campaign(self) -> "Thing":
        return self.parent.campaign if self.parent else self

    def above(self) -> Iterator["Thing"]:
        """Itself and everything it hangs on."""
        thing: Thing | None = self
        while thing is not None:
            yield thing
            thing = thing.parent

    def at(self, setting: str, moment: datetime) -> Any:
        """The setting's value as it was at the moment (a change counts from its own moment on)."""
        for when, changed, before in self.changes:
            if changed == setting and when > moment:
                return before
        return getattr(self, setting)

    @property
    def effective_status(self) -> str:
        """What Meta calls effective_status: its own status unless something above it stands in the way."""
        if self.status != "ACTIVE":
            return self.status
        for thing in list(self.above())[1:][::-1]:
            if thing.status in ("DELETED", "ARCHIVED"):
                return thing.status
            if thing.status == "PAUSED":
                return "CAMPAIGN_PAUSED" if thing.kind == "campaign" else "ADSET_PAUSED"
        return "ACTIVE"


@dataclass(frozen=True)
class Write:
    """One line of the ledger: an executed change."""

    number: int
    at: datetime
    object_id: str
    body: dict[str, Any]
    """The parameters as they came, without the token."""
    changed: dict[str, Any]
    before: dict[str, Any]
    trace: str

    @property
    def key(self) -> str:
        """The same for two writes of the same body to the same object."""
        canonical = json.dumps([self.object_id, self.body], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def as_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "at": self.at.isoformat(),
            "object_id": self.object_id,
            "key": self.key,
            "body": self.body,
            "changed": self.changed,
            "before": self.before,
            "trace": self.trace,
        }


class State:
    """A folder and everything in it. `today` (in the accounts' zone) becomes the epoch at the first start."""

    def __init__(self, folder: Path, today: date) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.token = _secret(folder / "token", lambda: TOKEN_PREFIX + secrets.token_hex(40))
        self.app_secret = _secret(folder / "app_secret", lambda: secrets.token_hex(16))
        self.app_id = "330000000000001"
        self.world = _world(folder / "world.json", today)
        self.things: dict[str, Thing] = {}
        self.writes: list[Write] = []
        self._begin()
        self._ledger = self._replay(folder / "writes.jsonl")

    def of_account(self, account_id: str, kind: str) -> list[Thing]:
        return [thing for thing in self.things.values() if thing.account_id == account_id and thing.kind == kind]

    def write(self, object_id: str, body: dict[str, Any], changed: dict[str, Any], at: datetime, trace: str) -> Write:
        """Execute a change: on disk first, then in force. `changed` holds the settings' new values."""
        thing = self.things[object_id]
        before = {setting: getattr(thing, setting) for setting in changed}
        write = Write(len(self.writes) + 1, at, object_id, body, changed, before, trace)
        self._ledger.write(json.dumps(write.as_json(), ensure_ascii=False) + "\n")
        self._ledger.flush()
        os.fsync(self._ledger.fileno())
        self._apply(write)
        return write

    def close(self) -> None:
        self._ledger.close()

    def _begin(self) -> None:
        first = datetime.combine(self.world.first_day - timedelta(days=30), time(9, 30), ZONE)

        def add(spec: Any, kind: str, parent: Thing | None, account_id: str) -> Thing:
            thing = Thing(
                id=spec.id,
                kind=kind,
                name=spec.name,
                status="ACTIVE",
                daily_budget=getattr(spec, "daily_budget", None),
                lifetime_budget=getattr(spec, "lifetime_budget", None),
                parent=parent,
                spec=spec,
                account_id=account_id,
                updated=first,
            )
            self.things[thing.id] = thing
            if parent is not None:
                parent.children.append(thing)
            return thing

        for campaign in self.world.campaigns:
            top = add(campaign, "campaign", None, campaign.account_id)
            if campaign.paused_since is not None:
                day = self.world.epoch - timedelta(days=campaign.paused_since)
                top.updated = datetime.combine(day, time(0), ZONE)
                top.changes.append((top.updated, "status", "ACTIVE"))
                top.status = "PAUSED"
            for adset in campaign.adsets:
                middle = add(adset, "adset", top, campaign.account_id)
                for ad in adset.ads:
                    add(ad, "ad", middle, campaign.account_id)

    def _replay(self, path: Path) -> IO[str]:
        path.touch()
        whole = path.read_bytes()
        sound = whole[: whole.rfind(b"\n") + 1]
        if sound != whole:
            os.truncate(path, len(sound))
        for line in sound.decode().splitlines():
            raw = json.loads(line)
            self._apply(
                Write(
                    raw["number"],
                    datetime.fromisoformat(raw["at"]),
                    raw["object_id"],
                    raw["body"],
                    raw["changed"],
                    raw["before"],
                    raw["trace"],
                )
            )
        return path.open("a", encoding="utf-8")

    def _apply(self, write: Write) -> None:
        thing = self.things[write.object_id]
        for setting, value in write.changed.items():
            thing.changes.append((write.at, setting, getattr(thing, setting)))
            setattr(thing, setting, value)
        thing.updated = write.at
        self.writes.append(write)


def _secret(path: Path, make: Any) -> str:
    """A generated secret, kept in a file of its own that only this user reads (0600)."""
    if not path.exists():
        fresh = path.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(make())
        fresh.replace(path)
    return path.read_text().strip()


def _world(path: Path, today: date) -> World:
    if not path.exists():
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps({"version": 1, "seed": "mutirao-1", "epoch": today.isoformat()}))
        fresh.replace(path)
    raw = json.loads(path.read_text())
    return World(raw["seed"], date.fromisoformat(raw["epoch"]))
