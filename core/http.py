"""What all HTTP clients of ours have under them: httpx over httpcore, with two things mended."""

import asyncio
import ssl
from functools import cache
from typing import Any

import httpx

_PLACES = 100  # connections of one client, as many as httpx opens by itself


@cache
def trusted() -> ssl.SSLContext:
    """The authorities whose certificates we take, as httpx chooses them. Read once: 150 of them take 20 ms."""
    return httpx.create_ssl_context()


class QueuedClient(httpx.AsyncClient):
    """An HTTP client whose requests wait in line before httpcore sees them.

    Whenever a request begins or ends httpcore compares every waiting request with every connection (1.0.9): 50 people
    who ask at once, a dozen requests each, cost it a second of CPU. A wait here is no failure after a while, as it is
    there; each request before it has a limit of its own. Responses are read whole: `stream` does not wait in line.
    """

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("verify", trusted())
        super().__init__(limits=httpx.Limits(max_connections=_PLACES, max_keepalive_connections=20), **settings)
        self._line = asyncio.Semaphore(_PLACES)

    async def send(self, request: httpx.Request, *, stream: bool = False, **how: Any) -> httpx.Response:
        if stream:
            return await super().send(request, stream=True, **how)
        async with self._line:
            return await super().send(request, **how)


def mend_idle_checks() -> None:
    """Let httpcore see cheaply whether the server of an idle connection has hung up. For the process; again is nothing.

    It asks that of every idle connection, twice at every request, and anyio works out eleven attributes of the socket
    to find the socket, two of them by asking the system: 60 µs each time, with a dozen connections to Meta's Graph a
    tenth of the CPU of a turn (httpcore 1.0.9, anyio 4.14). Here the stream remembers its socket.
    """
    from httpcore._backends.anyio import AnyIOStream
    from httpcore._utils import is_socket_readable

    stream: Any = AnyIOStream
    if getattr(stream, "_mended", False):
        return
    original = stream.get_extra_info

    def get_extra_info(self: Any, info: str) -> Any:
        if info != "is_readable":
            return original(self, info)
        if "_socket" not in self.__dict__:
            self._socket = original(self, "socket")
        return is_socket_readable(self._socket)

    stream.get_extra_info, stream._mended = get_extra_info, True
