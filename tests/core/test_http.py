"""Connections that the server has closed are not used again."""

import asyncio

import httpx

from core.http import QueuedClient, mend_idle_checks
from tests.conftest import until


async def test_a_connection_is_used_again_until_the_server_hangs_up() -> None:
    mend_idle_checks()
    mend_idle_checks()
    connections: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        while await reader.readline():
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        assert [(await http.get("/")).text for _ in range(3)] == ["ok"] * 3
        assert len(connections) == 1
        [idle] = http._transport._pool.connections  # type: ignore[attr-defined]
        assert not idle.has_expired()
        connections[0].close()
        await until(idle.has_expired)
        assert (await http.get("/")).text == "ok"
    assert len(connections) == 2
    server.close()


async def test_more_requests_than_places_wait_in_line_and_are_all_answered() -> None:
    open_now, most, answered = 0, 0, asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        while await reader.readline():
            await reader.readuntil(b"\r\n\r\n")
            await answered.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        open_now -= 1
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with QueuedClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
        asked = [asyncio.create_task(http.get("/")) for _ in range(250)]
        await until(lambda: open_now == 100)
        pool = http._transport._pool  # type: ignore[attr-defined]
        assert len(pool._requests) == 100, "httpcore compares every request that it holds with every connection"
        asked.pop().cancel()
        asked.pop(0).cancel()
        answered.set()
        replies = await asyncio.gather(*asked)
    assert [reply.text for reply in replies] == ["ok"] * 248
    assert most <= 101, "a connection whose request was cancelled makes room for a new one"
    server.close()
