"""Whose a number is, asked before it is known which tenant it concerns."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import structlog

from core.db import Database, fetch_all
from core.errors import Unavailable

log = structlog.get_logger(__name__)

_FRESH = 10.0  # seconds for which a list is taken as it is; older, it is read anew while it is still used
_SOON = 1.0  # seconds after which the list is read again for somebody who is not in it


@dataclass(frozen=True, slots=True)
class Line:
    """A channel, as the door needs it. `account`: the WhatsApp business account, "" elsewhere."""

    tenant_id: str
    channel_id: str
    provider: str
    number: str
    account: str


@dataclass(frozen=True)
class _List:
    by_number: Mapping[tuple[str, str], Line] = field(default_factory=dict)
    by_channel: Mapping[tuple[str, str], Line] = field(default_factory=dict)
    """Without ids that two tenants have."""
    by_account: Mapping[tuple[str, str], Line] = field(default_factory=dict)
    """The first number of each account that is one tenant's alone."""


class Numbers:
    """All channels of all tenants in memory. A new one is known at the first question about it, a change elsewhere
    within ten seconds. Unavailable("database_unreachable") only when somebody unknown is asked for."""

    def __init__(self, db: Database, *, fresh: float = _FRESH, soon: float = _SOON) -> None:
        self._db = db
        self._fresh = fresh
        self._soon = soon
        self._list = _List()
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def line(self, provider: str, number: str) -> Line | None:
        """Whose the number is; None: nobody has connected it."""
        return await self._find("by_number", (provider, number))

    async def channel(self, provider: str, channel_id: str) -> Line | None:
        return await self._find("by_channel", (provider, channel_id))

    async def account(self, provider: str, account: str) -> Line | None:
        return await self._find("by_account", (provider, account))

    async def _find(self, index: str, key: tuple[str, str]) -> Line | None:
        age = time.monotonic() - self._read_at
        found: Line | None = getattr(self._list, index).get(key)
        if found is None and age > self._soon:
            await self._read_again()
            found = getattr(self._list, index).get(key)
        elif age > self._fresh:
            self._start().add_done_callback(_tell)
        return found

    async def _read_again(self) -> None:
        await asyncio.shield(self._start())

    def _start(self) -> "asyncio.Task[None]":
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        return self._reading

    async def _read(self) -> None:
        async with self._db.system() as conn:
            rows = await fetch_all(conn, "SELECT * FROM list_channels()")
        lines = [
            Line(row["tenant_id"], row["channel_id"], row["provider"], row["number"], row["account"] or "")
            for row in sorted(rows, key=lambda row: (row["state"] != "active", row["channel_id"]))
        ]
        self._list = _List(
            {(line.provider, line.number): line for line in lines},
            _unshared((line.provider, line.channel_id, line) for line in lines),
            _unshared((line.provider, line.account, line) for line in lines if line.account),
        )
        self._read_at = time.monotonic()


def _unshared(named: Iterable[tuple[str, str, Line]]) -> dict[tuple[str, str], Line]:
    found: dict[tuple[str, str], Line] = {}
    shared = set()
    for provider, name, line in named:
        first = found.setdefault((provider, name), line)
        if first.tenant_id != line.tenant_id:
            shared.add((provider, name))
    return {key: line for key, line in found.items() if key not in shared}


def _tell(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and isinstance(error := task.exception(), Unavailable):
        log.warning("numbers_not_read", reason=error.code)
