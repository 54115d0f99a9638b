"""What all HTTP clients of ours have under them: httpx over httpcore, with one thing mended."""

from typing import Any


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
