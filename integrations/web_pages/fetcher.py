"""One page over HTTP, safely: to the address that was checked, within caps of size and time, one hop at a time.

The request goes to the IP address itself; the name travels in the Host header and, with TLS, in SNI, against which the
certificate is verified. No connection is kept: two names on one address must each show their own certificate. No
cookies, no proxies, no redirects that are not looked at first.
"""

import asyncio
import contextlib
import ssl
import time
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx

from integrations.reading import USER_AGENT
from integrations.web_pages.addresses import WebAddress
from integrations.web_pages.errors import broken, unreachable
from integrations.web_pages.resolver import Resolver

TYPES = ("text/html", "text/plain")
_HEADERS = {
    "user-agent": USER_AGENT,
    "accept": "text/html,text/plain;q=0.9",
    "accept-language": "pt-BR,pt;q=0.9,en;q=0.5,es;q=0.5",
    "accept-encoding": "gzip, deflate",
    "connection": "close",
}


@dataclass(frozen=True)
class Limits:
    """What one page may take."""

    total: float = 20.0
    """Seconds from the first connection to the last byte, over all hops."""
    silence: float = 5.0
    """Seconds without a byte."""
    body: int = 2_000_000
    """Bytes, sent as well as decoded; what comes after is not read."""
    hops: int = 5
    """Redirects followed."""
    pause: float = 1.0
    """Seconds between the end of a request to a host and the next one to it."""
    longest_pause: float = 10.0
    """What a host may wish for in robots.txt (Crawl-delay); more is not waited for."""


@dataclass(frozen=True)
class Response:
    """One answer, its body decoded up to the cap."""

    address: WebAddress
    status: int
    content_type: str
    """Small letters, without parameters; empty when none was told."""
    charset: str
    """As told in the header; empty when none was."""
    location: str
    retry_after: float | None
    body: bytes
    cut: bool
    """There was more than the cap."""


class Fetcher:
    """Requests to public sites. `trust` verifies certificates (None: those that this machine trusts)."""

    def __init__(
        self, resolver: Resolver, *, trust: ssl.SSLContext | None = None, limits: Limits | None = None
    ) -> None:
        self.limits = limits or Limits()
        self._resolver = resolver
        self._trust = trust
        self._transport: httpx.AsyncHTTPTransport | None = None

    async def aclose(self) -> None:
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None

    async def get(self, address: WebAddress, seconds: float, most: int | None = None) -> Response:
        """The answer at `address`, whatever its status and type; redirects are not followed.

        `seconds` is what is left of the page's time. `most`: another cap than the limits'. Refused("page_not_public" |
        "page_broken"), Unavailable("page_unreachable").
        """
        host = address.host
        try:
            async with asyncio.timeout(seconds):
                return await self._get(address, self.limits.body if most is None else most)
        except TimeoutError:
            raise unreachable(host, "too slow") from None
        except httpx.TimeoutException as error:
            why = f"no answer in time ({type(error).__name__})"
        except httpx.RemoteProtocolError as error:
            if "without sending a response" not in str(error):  # httpcore's words for a connection closed at once
                raise broken(host, "not HTTP as it should be") from None
            why = "it closed the connection"
        except (httpx.HTTPError, OSError, ValueError) as error:
            why = f"no connection ({type(error).__name__})"
        raise unreachable(host, why)

    async def _get(self, address: WebAddress, most: int) -> Response:
        endpoints = await self._resolver.resolve(address.host, address.port)
        for place, endpoint in enumerate(endpoints, 1):
            where = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
            request = httpx.Request(
                "GET",
                f"{address.scheme}://{where}:{endpoint.port}/",
                headers={"host": address.authority, **_HEADERS},
                extensions={
                    "timeout": {"connect": self.limits.silence, "read": self.limits.silence,
                                "write": self.limits.silence, "pool": self.limits.total},
                    "sni_hostname": address.host,
                    "target": address.target.encode("ascii"),
                },
            )  # fmt: skip
            try:
                response = await self._open().handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if place == len(endpoints):
                    raise
                continue
            try:
                return await self._read(address, response, most)
            finally:
                with contextlib.suppress(httpx.HTTPError, OSError):
                    await response.aclose()
        raise AssertionError("a resolver gives at least one endpoint")

    async def _read(self, address: WebAddress, response: httpx.Response, most: int) -> Response:
        headers = response.headers
        kind, _, rest = headers.get("content-type", "").partition(";")
        body, cut = bytearray(), False
        if response.status_code < 300 or response.status_code >= 400:  # a redirect's body says nothing
            stream = response.stream
            assert isinstance(stream, httpx.AsyncByteStream)
            coding = headers.get("content-encoding", "").strip().lower()
            async for piece in _decoded(stream, coding, most, address.host):
                body += piece
                if len(body) >= most:
                    cut = True
                    break
        wait = headers.get("retry-after", "")
        return Response(
            address=address,
            status=response.status_code,
            content_type=kind.strip().lower(),
            charset=rest.partition("charset=")[2].partition(";")[0].strip(" \"'").lower(),
            location=headers.get("location", ""),
            retry_after=float(wait) if wait.isascii() and wait.isdecimal() and len(wait) < 6 else None,
            body=bytes(body[:most]),
            cut=cut,
        )

    def _open(self) -> httpx.AsyncHTTPTransport:
        if self._transport is None:
            self._transport = httpx.AsyncHTTPTransport(
                verify=self._trust or ssl.create_default_context(),
                trust_env=False,
                limits=httpx.Limits(max_connections=20, max_keepalive_connections=0),
            )
        return self._transport


async def _decoded(stream: httpx.AsyncByteStream, coding: str, most: int, host: str) -> AsyncIterator[bytes]:
    """The body's bytes as they come, at most a little over `most` of them, however well they were packed."""
    if coding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise broken(host, f"packed as {coding[:20]!r}")
    packed = coding not in ("", "identity")
    unpack = zlib.decompressobj(wbits=47)  # gzip or zlib, whichever it is
    raw = made = 0
    async for piece in stream:
        raw += len(piece)
        if packed:
            try:
                piece = unpack.decompress(piece, max(1, most - made))
            except zlib.error:
                if made or raw > len(piece):
                    raise broken(host, "packed wrongly") from None
                unpack = zlib.decompressobj(wbits=-15)  # "deflate" without zlib's head, as some servers send it
                try:
                    piece = unpack.decompress(piece, most)
                except zlib.error:
                    raise broken(host, "packed wrongly") from None
        made += len(piece)
        if piece:
            yield piece
        if made >= most or raw >= most or unpack.eof:
            return


class Turns:
    """One request at a time to each host, with a pause between."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Turn] = {}

    @contextlib.asynccontextmanager
    async def of(self, host: str, pause: float) -> AsyncIterator[None]:
        """Wait for this host's turn; `pause` seconds pass from the end of the request before."""
        key = host.removeprefix("www.")
        if len(self._hosts) > 2_000:
            past = time.monotonic() - 60
            self._hosts = {name: one for name, one in self._hosts.items() if one.waiting or one.last > past}
        turn = self._hosts.setdefault(key, _Turn(asyncio.Lock()))
        turn.waiting += 1
        try:
            async with turn.lock:
                wait = turn.last + pause - time.monotonic()
                if wait > 0:
                    await asyncio.sleep(wait)
                try:
                    yield
                finally:
                    turn.last = time.monotonic()
        finally:
            turn.waiting -= 1


@dataclass
class _Turn:
    lock: asyncio.Lock
    last: float = float("-inf")
    waiting: int = 0
