"""Webhooks on their way, as Evolution posts them: not signed, the API key in every body, tried again ten times at most.

What is refused with 400, 401, 403, 404 or 422 is not tried again (webhook.controller.ts:217). Gaps are shorter here.
"""

import asyncio
import contextlib
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import httpx

from integrations.evolution.simulator.state import INSTANCE, OWNER, State
from integrations.sandbox_chats import Behaviour

_FINAL = (400, 401, 403, 404, 422)
_MOST_TRIES = 10
_PATIENCE = 10.0  # seconds for a webhook that is waited for


@dataclass
class Config(Behaviour):
    """How this server behaves; POST /__config sets any of it."""

    statuses: str = "delivered"
    """How far a message of ours gets by itself: none, sent, delivered or read."""
    echo: str = "after"
    """When `send.message` tells of what was sent by the API: none, after (the answer to it is on its way, as 2.x) or
    before (1.x waits for its webhook first, and answers then)."""
    expose_key: bool = True
    """The API key stands in every body (AUTHENTICATION_EXPOSE_IN_FETCH_INSTANCES)."""
    addressing: str = "pn"
    """pn: contacts are named by their telephone; lid: by their linked id, the telephone beside it; hidden: the linked
    id alone."""
    copies: int = 1
    paused: bool = False
    order: str = "straight"
    """straight or reverse, of waiting webhooks."""
    gap: float = 0.1
    """Seconds before the second try; doubled each time, up to 5."""


@dataclass
class _Parcel:
    body: dict[str, Any]
    due: float = 0.0
    tries: int = 0


class Courier:
    def __init__(self, state: State, config: Config) -> None:
        self.taken = self.refused = self.given_up = 0
        self.last_status: int | None = None
        self._state = state
        self._config = config
        self._waiting: deque[_Parcel] = deque()
        self._wake = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    @property
    def pending(self) -> int:
        return len(self._waiting)

    def post(self, event: str, data: Any) -> None:
        """One event, to be delivered soon if the webhook wants it. Needs a running event loop."""
        hook = self._state.webhook or {}
        if not hook.get("enabled") or event.replace(".", "_").replace("-", "_").upper() not in hook.get("events", []):
            return
        body = {
            "event": event,
            "instance": INSTANCE,
            "data": data,
            "destination": hook["url"],
            "date_time": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.localtime()),  # as the real one: local, with a Z
            "sender": f"{OWNER}@s.whatsapp.net",
            "server_url": "http://127.0.0.1",
            "apikey": self._state.api_key if self._config.expose_key else None,
        }
        self._waiting.append(_Parcel(body))
        self.wake()

    async def through(self) -> None:
        """Until nothing is on its way, for 10 seconds at most."""
        end = time.monotonic() + _PATIENCE
        while self._waiting and time.monotonic() < end:
            await asyncio.sleep(0.005)

    def wake(self) -> None:
        self._wake.set()
        if self._running is None or self._running.done():
            self._running = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=10.0) as http:
            while True:
                parcel = self._next()
                if parcel is None:
                    self._wake.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), 0.05 if self._waiting else None)
                    continue
                for _ in range(max(1, self._config.copies)):
                    status = await self._deliver(http, parcel.body)
                if status is not None and 200 <= status < 300:
                    self.taken += 1
                    self._waiting.remove(parcel)
                    continue
                self.refused += 1
                parcel.tries += 1
                if status in _FINAL or parcel.tries >= _MOST_TRIES:
                    self.given_up += 1
                    self._waiting.remove(parcel)
                    continue
                parcel.due = time.monotonic() + min(self._config.gap * 2**parcel.tries, 5.0)

    async def _deliver(self, http: httpx.AsyncClient, body: dict[str, Any]) -> int | None:
        hook = self._state.webhook or {}
        try:
            answer = await http.post(str(hook.get("url")), json=body, headers=hook.get("headers") or {})
            self.last_status = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL):
            self.last_status = None
        return self.last_status

    def _next(self) -> _Parcel | None:
        """The first that is due: Evolution's own queue keeps no order either when one is tried again."""
        if self._config.paused:
            return None
        now = time.monotonic()
        due = [parcel for parcel in self._waiting if parcel.due <= now]
        if not due:
            return None
        return due[-1] if self._config.order == "reverse" else due[0]
