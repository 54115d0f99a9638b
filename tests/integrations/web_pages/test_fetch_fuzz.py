"""Answers that nobody foresaw on the wire: a page, or a failure with a name, and soon."""

import asyncio
import gzip
from collections.abc import Callable
from random import Random
from typing import Any

from core.errors import MutiraoError
from integrations.web_pages.client import Page, WebPages
from integrations.web_pages.resolver import Endpoint

SOUND = "<!DOCTYPE html><html lang=pt><head><title>Ipê</title></head><body><p>(19) 3232-4455 çã</p></body></html>"
HEADERS = [
    b"Content-Type: text/html", b"Content-Type: text/html; charset=utf-16",
    b"Content-Type: text/html;charset=zip",
    b"Content-Type: TEXT/HTML ; charset=\"UTF-8\"", b"Content-Type: text/plain; charset=punycode",
    b"Content-Encoding: gzip",
    b"Content-Encoding: deflate", b"Content-Encoding: gzip, gzip", b"Content-Encoding: \xff", b"Content-Length: 5",
    b"Content-Length: -5", b"Content-Length: 99999999999", b"Transfer-Encoding: chunked",
    b"Location: //", b"Location: \xff\xfe",
    b"Location: /a b\tc", b"Retry-After: \xb2", b"Retry-After: 99999999999999", b"Set-Cookie: a=b",
    b": x", b"X", b"Connection: upgrade",
]  # fmt: skip


def answer(rnd: Random) -> bytes:
    body = rnd.choice(
        [
            SOUND.encode(),
            SOUND.encode("latin-1"),
            SOUND.encode("utf-16"),
            gzip.compress(SOUND.encode()),
            b"",
            rnd.randbytes(300),
        ]
    )
    head = [
        b"HTTP/1.1 " + rnd.choice([b"200 OK", b"200", b"302 Found", b"404 x", b"999 y", b"100 Continue", b"204 No"])
    ]
    head += rnd.sample(HEADERS, rnd.randint(0, 4))
    if rnd.random() < 0.6:
        head.append(b"Content-Length: %d" % len(body))
    whole = bytearray(b"\r\n".join(head) + b"\r\n\r\n" + body)
    for _ in range(rnd.choice((0, 0, 1, 5))):
        whole[rnd.randrange(len(whole))] = rnd.randrange(256)
    return bytes(whole[: rnd.choice((len(whole), len(whole), rnd.randrange(len(whole))))])


class Here:
    """Every name leads to one port of loopback."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def resolve(self, host: str, port: int) -> tuple[Endpoint, ...]:
        return (Endpoint("127.0.0.1", self.port),)


async def test_whatever_a_server_sends_ends_as_a_page_or_a_named_failure(reader: Callable[..., WebPages]) -> None:
    rnd = Random(2026)

    async def serve(incoming: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await incoming.readuntil(b"\r\n\r\n")
        robots = head.startswith(b"GET /robots.txt")
        writer.write(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n" if robots else answer(rnd))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    pages = reader(Here(server.sockets[0].getsockname()[1]), total=5.0, silence=3.0)
    ends: dict[str, int] = {}

    async def one(number: int) -> None:
        try:
            page: Any = await pages.read(f"http://site{number}.example/")
        except MutiraoError as error:
            ends[error.code] = ends.get(error.code, 0) + 1
            return
        assert isinstance(page, Page) and "\x00" not in page.facts.text
        ends["page"] = ends.get("page", 0) + 1

    for start in range(0, 400, 20):
        await asyncio.gather(*(one(number) for number in range(start, start + 20)))
    server.close()
    await server.wait_closed()
    assert sum(ends.values()) == 400 and ends["page"] > 10 and ends["page_broken"] > 50
