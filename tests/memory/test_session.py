"""The session is always right, with Redis, without it, and while it goes away."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis

from core.db import Database
from core.errors import Refused
from core.ids import new_id
from core.tenancy import Role
from memory.session import SessionStore
from tests.conftest import RedisServer, Tenants, free_port


@pytest.fixture
async def conversation(database: Database, tenants: Tenants) -> tuple[str, str]:
    """(tenant id, conversation id) of a conversation that has no session yet."""
    conversation_id = new_id("conv")
    async with database.tenant(tenants.one.id) as conn:
        await conn.execute(
            "INSERT INTO conversations (id, tenant_id, user_id, door) VALUES (%s, %s, %s, 'chat')",
            [conversation_id, tenants.one.id, tenants.one[Role.ADMIN].user_id],
        )
    return tenants.one.id, conversation_id


@pytest.fixture(params=["with Redis", "without Redis"])
async def store(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[SessionStore]:
    url = request.getfixturevalue("redis_url") if request.param == "with Redis" else None
    made = SessionStore(database, url)
    yield made
    await made.close()


async def save(store: SessionStore, database: Database, where: tuple[str, str], session: dict[str, Any]) -> int:
    async with database.tenant(where[0]) as conn:
        return await store.save(conn, *where, session)


async def test_what_is_saved_is_loaded_and_the_version_grows(
    store: SessionStore, database: Database, conversation: tuple[str, str]
) -> None:
    assert await store.load(*conversation) == {}
    for n in range(1, 4):
        session = {"last": n, "words": ["é", None, {"deep": 1.5}]}
        assert await save(store, database, conversation, session) == n
        assert await store.load(*conversation) == session


async def test_a_rolled_back_session_is_never_seen(
    store: SessionStore, database: Database, conversation: tuple[str, str]
) -> None:
    await save(store, database, conversation, {"n": 1})

    async def fail() -> None:
        async with database.tenant(conversation[0]) as conn:
            await store.save(conn, *conversation, {"n": "rolled back"})
            raise RuntimeError("the turn failed")

    with pytest.raises(RuntimeError):
        await fail()
    assert await store.load(*conversation) == {"n": 1}
    # The next version has the number that the lost one had.
    async with database.tenant(conversation[0]) as conn:
        await SessionStore(database).save(conn, *conversation, {"n": 2})
    assert await store.load(*conversation) == {"n": 2}


async def test_no_conversation_of_another_tenant_is_found(
    store: SessionStore, database: Database, conversation: tuple[str, str], tenants: Tenants
) -> None:
    await save(store, database, conversation, {"n": 1})
    foreign = (tenants.other.id, conversation[1])
    with pytest.raises(Refused) as told:
        await store.load(*foreign)
    assert told.value.code == "conversation_gone"
    with pytest.raises(Refused):
        await save(store, database, foreign, {"n": 2})
    assert await store.load(*conversation) == {"n": 1}


async def test_a_copy_in_redis_lives_a_day_under_tenant_and_conversation(
    database: Database, conversation: tuple[str, str], redis_url: str
) -> None:
    store = SessionStore(database, redis_url)
    await save(store, database, conversation, {"n": 1})
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    key = f"mutirao:session:{conversation[0]}:{conversation[1]}"
    assert json.loads(str(client.get(key)))["session"] == {"n": 1}
    assert 23 * 3_600 < int(str(client.ttl(key))) <= 24 * 3_600
    client.close()
    await store.close()


@pytest.mark.parametrize("copy", ["not json", "[]", '{"stamp": "1.1", "session": {"n": "stale"}}', '{"session": {}}'])
async def test_a_stale_or_broken_copy_is_not_believed_and_mended(
    database: Database, conversation: tuple[str, str], redis_url: str, copy: str
) -> None:
    store = SessionStore(database, redis_url)
    await save(store, database, conversation, {"n": 1})
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    key = f"mutirao:session:{conversation[0]}:{conversation[1]}"
    client.set(key, copy)
    assert await store.load(*conversation) == {"n": 1}
    assert json.loads(str(client.get(key)))["session"] == {"n": 1}
    client.close()
    await store.close()


async def test_a_redis_killed_in_the_middle_costs_one_short_wait_and_loses_nothing(
    database: Database, conversation: tuple[str, str], redis_server: RedisServer
) -> None:
    store = SessionStore(database, redis_server.url)
    await save(store, database, conversation, {"n": 1})
    redis_server.kill()
    assert await store.load(*conversation) == {"n": 1}
    began = time.monotonic()
    for n in range(2, 30):
        await save(store, database, conversation, {"n": n})
        assert await store.load(*conversation) == {"n": n}
    assert time.monotonic() - began < 5
    await store.close()


async def test_a_redis_that_hangs_is_left_alone_after_one_wait(
    database: Database, conversation: tuple[str, str]
) -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    port = free_port()
    server = await asyncio.start_server(swallow, "127.0.0.1", port)
    store = SessionStore(database, f"redis://127.0.0.1:{port}/0")
    began = time.monotonic()
    for n in range(1, 20):
        await save(store, database, conversation, {"n": n})
        assert await store.load(*conversation) == {"n": n}
    assert time.monotonic() - began < 5
    await store.close()
    server.close()
