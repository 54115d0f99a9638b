"""One question to a search vendor over HTTP. Sent once: whether and whom to ask again is decided in `client.py`.

A key that a vendor wants in the address (SerpAPI) goes into httpx's `target` extension, the request line as it is
sent. So the address that httpx shows, in its log lines and in the request that its exceptions hold, is without it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from core.errors import MutiraoError
from integrations.reading import USER_AGENT
from integrations.web_search.errors import broken, key_wrong, unavailable

MOST_BYTES = 5_000_000
_LONGEST_DETAIL = 200


@dataclass(frozen=True)
class Reply:
    status: int
    body: dict[str, Any]
    """Empty when the answer is no 200 and no JSON object."""
    headers: Mapping[str, str]

    @property
    def retry_after(self) -> float | None:
        """Seconds; a date, and more than a day, is not understood."""
        told = self.headers.get("retry-after", "")
        return float(told) if told.isdecimal() and int(told) <= 86_400 else None


class Wire:
    """The way to one vendor. `http` is shared and closed by its owner; `key` is told nowhere.

    `timeout` is in seconds without a byte; a search takes a vendor a few seconds (SerpAPI's may take 20).
    """

    def __init__(self, http: httpx.AsyncClient, source: str, base_url: str, key: str, timeout: float) -> None:
        if not key.isascii() or not key.isprintable():
            raise key_wrong(source, "the key has characters that no key has")
        self.source = source
        self.requests = 0
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._key = key
        self._timeout = httpx.Timeout(timeout, connect=min(5.0, timeout))

    async def get(
        self, path: str, params: Mapping[str, str], *, key_param: str | None = None, key_header: str | None = None
    ) -> Reply:
        """GET with the key as the parameter or the header of that name."""
        url = f"{self._base_url}{path}?{urlencode(params)}"
        extensions: dict[str, Any] = {}
        if key_param:
            parts = urlsplit(url)
            joined = "&" if parts.query else ""
            target = f"{parts.path}?{parts.query}{joined}{urlencode({key_param: self._key})}"
            extensions["target"] = target.encode("ascii")
        return await self._ask("GET", url, key_header, extensions=extensions)

    async def post(self, path: str, question: Mapping[str, Any], *, key_header: str) -> Reply:
        """POST of a JSON object with the key in the header of that name. It only reads."""
        body = json.dumps(question, ensure_ascii=False).encode()
        return await self._ask("POST", f"{self._base_url}{path}", key_header, content=body)

    async def _ask(self, method: str, url: str, key_header: str | None, **more: Any) -> Reply:
        self.requests += 1
        headers = {"user-agent": USER_AGENT, "accept": "application/json"}
        if "content" in more:
            headers["content-type"] = "application/json"
        if key_header:
            headers[key_header] = self._key
        failure: MutiraoError
        content = bytearray()
        try:
            asked = self._http.stream(
                method, url, headers=headers, timeout=self._timeout, follow_redirects=False, **more
            )
            async with asked as response:
                async for piece in response.aiter_bytes():
                    content += piece
                    if len(content) > MOST_BYTES:
                        raise broken(self.source, f"more than {MOST_BYTES // 1_000_000} MB")
            return self._understand(response, bytes(content))
        except httpx.HTTPError as error:
            failure = unavailable(self.source, f"no answer ({type(error).__name__})")
        # Outside the handler: httpx's error holds the request, and with it the key, and must not hang on ours.
        raise failure

    def _understand(self, response: httpx.Response, content: bytes) -> Reply:
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            if response.status_code == 200:
                raise broken(self.source, "HTTP 200, no JSON object")
            body = {}
        return Reply(response.status_code, body, response.headers)

    def clean(self, told: Any) -> str:
        """The vendor's words, short and without the key, should it repeat it."""
        return str(told or "").replace(self._key, "[…]")[:_LONGEST_DETAIL]
