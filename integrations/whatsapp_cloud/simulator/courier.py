"""Webhooks on their way to us, as Meta sends them: signed, one POST each, again and again until they are taken.

Meta tries for seven days with growing gaps and keeps no order; here the gaps begin at 0.1 s and end at 10 s. What waits
is in memory: it is lost when this process ends.
"""

import asyncio
import contextlib
import json
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from integrations.sandbox_chats import Behaviour
from integrations.whatsapp_cloud.signature import HEADER, sign
from integrations.whatsapp_cloud.simulator.state import State

_FIRST_GAP = 0.1


@dataclass
class Config(Behaviour):
    """How this WhatsApp behaves; POST /__config sets any of it."""

    statuses: str = "delivered"
    """How far a message gets by itself: none, sent, delivered or read."""
    identity: str = "both"
    """How contacts are named: "phone" (2025), "both" (2026), or "user" (a username hides the phone)."""
    order: str = "straight"
    """Of waiting webhooks: straight, reverse or shuffle."""
    early: bool = False
    """Statuses arrive before the answer to the send."""
    window: bool = True
    """Free messages fail with 131047 when the contact has not written for 24 hours."""
    approve: bool = True
    """New templates are approved at once (else they stay PENDING until POST /__template)."""
    copies: int = 1
    """How often each webhook is posted."""
    parallel: int = 1
    """Posts under way at once; with more than one the order is nobody's."""
    longest_gap: float = 10.0
    """Seconds between two tries of a webhook that is not taken, at most."""
    batch: int = 1
    """Up to so many waiting webhooks in one body, as entries of it."""
    paused: bool = False
    """Nothing leaves; what happens meanwhile waits."""
    shift: float = 0.0
    """Seconds by which this WhatsApp's clock is ahead."""
    lead_pace: float = 1.0
    """Multiplies the waits of the leads that play themselves."""


@dataclass
class _Parcel:
    entry: dict[str, Any]
    due: float
    tries: int = 0


class Courier:
    """Takes entries and brings them to the callback of `state`."""

    def __init__(self, state: State, config: Config) -> None:
        self.taken = 0
        self.refused = 0
        self.last_status: int | None = None
        self._state = state
        self._config = config
        self._waiting: deque[_Parcel] = deque()
        self._later: list[_Parcel] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._random = random.Random(7)
        self._http: httpx.AsyncClient | None = None

    @property
    def pending(self) -> int:
        return len(self._waiting) + len(self._later) + len(self._under_way)

    def post(self, waba_id: str, field: str, value: dict[str, Any]) -> None:
        """One change, to be delivered soon."""
        entry = {"id": waba_id, "time": int(time.time()), "changes": [{"value": value, "field": field}]}
        self._waiting.append(_Parcel(entry, 0.0))
        self._wake.set()

    def wake(self) -> None:
        """Look again: the callback or the configuration changed."""
        for parcel in self._later:
            parcel.due = 0.0
        self._wake.set()

    async def settled(self, seconds: float) -> bool:
        """Wait until nothing is under way that can be delivered; False when it takes longer."""
        return await _until(lambda: self.pending == 0, seconds)

    async def run(self) -> None:
        """Deliver, until cancelled."""
        async with httpx.AsyncClient(trust_env=False, timeout=10.0) as self._http:
            while True:
                while len(self._under_way) < max(1, self._config.parallel) and (parcels := self._next()):
                    task = asyncio.create_task(self._bring(parcels))
                    self._under_way.add(task)
                    task.add_done_callback(self._brought)
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), 0.05 if self._later else None)

    async def _bring(self, parcels: list[_Parcel]) -> None:
        body, status = whole([parcel.entry for parcel in parcels]), None
        for _ in range(max(1, self._config.copies)):
            status = await self.deliver(body)
        if status is not None and 200 <= status < 300:
            self.taken += len(parcels)
            return
        self.refused += 1
        for parcel in parcels:
            gap = min(_FIRST_GAP * 2**parcel.tries, self._config.longest_gap)
            parcel.tries, parcel.due = parcel.tries + 1, time.monotonic() + gap
        self._later += parcels

    def _brought(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._wake.set()
        if self.pending == 0:
            self._state.touch()

    async def deliver(
        self, body: bytes, signature: str | None = "right", content_type: str = "application/json"
    ) -> int | None:
        """POST one body to the callback: the answer's status, None when there is none. `signature`: "right", None for
        no header, or the header's value."""
        url = self._state.callback
        if url is None or self._http is None:
            return None
        headers = {"content-type": content_type, "user-agent": "facebookexternalua"}
        if signature is not None:
            headers[HEADER] = sign(self._state.app_secret, body) if signature == "right" else signature
        try:
            answer = await self._http.post(url, content=body, headers=headers)
        except httpx.HTTPError:
            self.last_status = None
            return None
        self.last_status = answer.status_code
        return answer.status_code

    async def handshake(self, url: str, verify_token: str) -> str | None:
        """The GET by which Meta makes sure that an address is ours: None when it answers rightly, else why not."""
        challenge = str(self._random.randrange(10**9, 10**10))
        query = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": verify_token}
        assert self._http is not None
        try:
            answer = await self._http.get(url, params=query)
        except httpx.HTTPError as error:
            return f"no answer ({type(error).__name__})"
        return None if answer.status_code == 200 and answer.text == challenge else f"HTTP {answer.status_code}"

    def _next(self) -> list[_Parcel]:
        if self._config.paused or self._state.callback is None:
            return []
        now = time.monotonic()
        if any(parcel.due <= now for parcel in self._later):
            self._waiting += [parcel for parcel in self._later if parcel.due <= now]
            self._later = [parcel for parcel in self._later if parcel.due > now]
        chosen: list[_Parcel] = []
        while self._waiting and len(chosen) < max(1, self._config.batch):
            if self._config.order == "shuffle":
                self._waiting.rotate(self._random.randrange(len(self._waiting)))
            chosen.append(self._waiting.pop() if self._config.order == "reverse" else self._waiting.popleft())
        return chosen


def whole(entries: list[dict[str, Any]]) -> bytes:
    """A webhook's body as Meta writes it: JSON in ASCII, everything else escaped."""
    found = {"object": "whatsapp_business_account", "entry": entries}
    return json.dumps(found, ensure_ascii=True, separators=(",", ":")).encode()


async def _until(done: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.005)
    return True
