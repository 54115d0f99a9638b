"""Reading public sources over HTTP: JSON answers, politely, within limits, every failure one of three named ones.

The clients of the registry, of places and of searches ask through a `Reader`. It never writes, so a read may be tried
again; it keeps a pause between requests, since most of these services are free and run by volunteers, and says who
asks. What does something outside is asked once, by `sent`, and its answer is read there.

Errors of a `Reader`, all `Unavailable`, with the params `source`, `detail` and `wait` (minutes, 0 when not told):
source_unavailable (no answer, or a 5xx), source_throttled (429), source_answer_broken (an answer that cannot be read).
"""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import httpx

from core.clock import Clock
from core.errors import MutiraoError, Unavailable

USER_AGENT = "mutirao/0.1 (open-source CRM for small businesses; reads public company data on a person's request)"
"""Who asks. A service that minds can stop us by this name."""
MOST_BYTES = 20_000_000
"""Of one answer; a thousand companies take about four million."""

NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
"""Failures after which it is certain that no byte of the request has left."""

Params = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """An answer below 500 that is not a throttle."""

    status: int
    body: Any
    """The JSON; None when it is none and the status is not 200."""
    url: str
    """What was asked, to be shown as the source; without secrets."""
    fetched_at: datetime


class Reader:
    """One source behind `base_url`. `http` is shared and closed by its owner.

    `retries` are further attempts where waiting can help; `pause` the seconds before the first, doubled each time;
    `patience` the longest wait in seconds that a throttle may ask before it is given back to the caller; `timeout`
    seconds without a byte, and twice that for a whole answer; `gap` the seconds from one request to the next, over all
    users of this object.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        source: str,
        base_url: str,
        clock: Clock,
        *,
        headers: Mapping[str, str] | None = None,
        retries: int = 2,
        pause: float = 1.0,
        patience: float = 10.0,
        timeout: float = 30.0,
        gap: float = 0.0,
    ) -> None:
        self.source = source
        self.base_url = base_url.rstrip("/")
        self.requests = 0
        self._http = http
        self._clock = clock
        self._headers = {"user-agent": USER_AGENT, "accept": "application/json", **(headers or {})}
        self._retries = retries
        self._pause = pause
        self._patience = patience
        self._timeout = httpx.Timeout(timeout, connect=min(5.0, timeout))
        self._longest = 2 * timeout
        self._gap = gap
        self._turn = asyncio.Lock()
        self._next = 0.0

    async def get(self, path: str, params: Params = (), *, secret: Params = ()) -> Answer:
        """The JSON at `path`. Answers of 300 to 499 come back too (but 429), for the client to understand.

        `secret` parameters (a key that the source wants in the address) are sent, and told nowhere.
        """
        shown = f"{self.base_url}{path}" + (f"?{urlencode(params, safe=',')}" if params else "")
        url = shown + (("&" if params else "?") + urlencode(secret) if secret else "")
        pause = self._pause
        for attempt in range(self._retries + 1):
            try:
                return await self._once(url, shown)
            except (httpx.HTTPError, TimeoutError) as error:
                failure: MutiraoError = self.unavailable(f"no answer ({type(error).__name__})")
            except Unavailable as error:
                failure = error
            wait = max(pause, failure.retry_after or 0.0)
            if attempt == self._retries or wait > self._patience:
                raise failure from None
            await asyncio.sleep(wait)
            pause *= 2
        raise AssertionError("unreachable")

    async def _once(self, url: str, shown: str) -> Answer:
        await self._my_turn()
        self.requests += 1
        content = bytearray()
        asked = self._http.stream("GET", url, headers=self._headers, timeout=self._timeout, follow_redirects=False)
        async with asyncio.timeout(self._longest), asked as response:
            async for piece in response.aiter_bytes():
                content += piece
                if len(content) > MOST_BYTES:
                    raise self.broken(f"more than {MOST_BYTES // 1_000_000} MB")
        status = response.status_code
        if status == 429:
            raise self._throttled(response.headers.get("retry-after", ""))
        if status >= 500:
            raise self.unavailable(f"HTTP {status}")
        try:
            body = json.loads(bytes(content))
        except (ValueError, RecursionError):
            if status == 200:
                raise self.broken("HTTP 200, not JSON") from None
            body = None
        return Answer(status, body, shown, self._clock.now())

    async def _my_turn(self) -> None:
        """Wait until `gap` seconds have passed since the request before; whoever came first goes first."""
        if not self._gap:
            return
        async with self._turn:
            now = asyncio.get_running_loop().time()
            if self._next > now:
                await asyncio.sleep(self._next - now)
            self._next = max(now, self._next) + self._gap

    # --- failures -----------------------------------------------------------------------------

    def unavailable(self, detail: str) -> Unavailable:
        """The source does not answer, or answers that it cannot just now."""
        return Unavailable("source_unavailable", f"{self.source}: {detail}", source=self.source, detail=detail, wait=0)

    def broken(self, detail: str) -> Unavailable:
        """An answer came, but not one that can be understood."""
        return Unavailable(
            "source_answer_broken", f"{self.source}: {detail}", source=self.source, detail=detail, wait=0
        )

    def _throttled(self, after: str) -> Unavailable:
        # Seconds as a rule; a date, or no header, leaves it to our own pause. More than a day is nobody's wish.
        seconds = float(after) if after.isdigit() and int(after) <= 86_400 else None
        failure = Unavailable(
            "source_throttled",
            f"{self.source} asks for a break",
            source=self.source,
            detail="HTTP 429",
            wait=math.ceil(seconds / 60) if seconds else 0,
        )
        failure.retry_after = seconds
        return failure


async def sent(
    request: Awaitable[httpx.Response],
    service: str,
    unavailable: Callable[[str], MutiraoError],
    unknown: Callable[[str], MutiraoError],
) -> tuple[httpx.Response, dict[str, Any]]:
    """The answer to a request that does something outside, with its JSON object; {} where it is none.

    `unavailable(why)` is raised where nothing left, `unknown(why)` where the answer was lost.
    """
    try:
        response = await request
    except NEVER_SENT as error:
        raise unavailable(f"no connection to {service} ({type(error).__name__})") from None
    except httpx.HTTPError as error:
        raise unknown(f"the answer was lost ({type(error).__name__})") from None
    try:
        found = json.loads(response.content)
    except (ValueError, RecursionError):
        found = None
    return response, found if isinstance(found, dict) else {}


def text(value: Any) -> str | None:
    """A text of the wire: stripped, None when it is empty or no text."""
    return value.strip() or None if isinstance(value, str) else None
