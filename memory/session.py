"""The short-term memory of a conversation: what "it" and "the second one" refer to.

PostgreSQL always has it (`conversations.session`). Redis holds a copy of exactly one version of the row, for 24 hours;
a Redis that is away, empty, stale or slow changes nothing but a read. A turn never fails because of it.
"""

import json
import time
from typing import Any

import redis.asyncio
import structlog
from psycopg.types.json import Jsonb
from redis.exceptions import RedisError

from core.db import Connection, Database, fetch_one
from core.errors import Refused

KEPT = 24 * 3_600  # seconds that a copy lives in Redis
_PATIENCE = 0.2  # seconds that Redis gets to answer
_REST = 5.0  # seconds that a Redis which failed is left alone, so that not every turn waits for it

log = structlog.get_logger(__name__)


class SessionStore:
    """Loads and saves sessions. `redis_url` None keeps them in PostgreSQL alone, the same way as when Redis is away."""

    def __init__(self, db: Database, redis_url: str | None = None) -> None:
        self._db = db
        self._redis = None
        self._resting_until = 0.0  # of the monotonic clock
        if redis_url is not None:
            self._redis = redis.asyncio.Redis.from_url(
                redis_url,
                socket_timeout=_PATIENCE,
                socket_connect_timeout=_PATIENCE,
                retry=None,
                decode_responses=True,
                health_check_interval=0,
            )

    async def close(self) -> None:
        if self._redis is not None:
            await self._redis.aclose()

    async def load(self, tenant_id: str, conversation_id: str, conn: Connection | None = None) -> dict[str, Any]:
        """The session as last saved; {} of a conversation that has none yet. Refused("conversation_gone").

        `conn`: the caller's transaction, when it reads more of the conversation.
        """
        async with self._db.tenant(tenant_id, conn) as conn:
            # xmin names the transaction that wrote the row: a copy made by one that was rolled back never matches.
            query = "SELECT session_version, xmin::text AS writer FROM conversations WHERE id = %s"
            row = await fetch_one(conn, query, [conversation_id])
            if row is None:
                raise Refused("conversation_gone", f"no conversation {conversation_id}")
            if row["session_version"] == 0:
                return {}
            stamp = f"{row['session_version']}.{row['writer']}"
            copied = await self._copy(tenant_id, conversation_id, stamp)
            if copied is not None:
                return copied
            query = "SELECT session, session_version, xmin::text AS writer FROM conversations WHERE id = %s"
            row = await fetch_one(conn, query, [conversation_id])
        if row is None:
            raise Refused("conversation_gone", f"no conversation {conversation_id}")
        session: dict[str, Any] = row["session"]
        await self._keep(tenant_id, conversation_id, f"{row['session_version']}.{row['writer']}", session)
        return session

    async def save(self, conn: Connection, tenant_id: str, conversation_id: str, session: dict[str, Any]) -> int:
        """Write the session in the caller's transaction and return its new version. `session` is plain JSON data.

        The copy in Redis is written at once and counts only if the transaction commits. Refused("conversation_gone").
        """
        query = (
            "UPDATE conversations SET session = %s, session_version = session_version + 1, updated_at = now()"
            " WHERE id = %s RETURNING session_version, xmin::text AS writer"
        )
        row = await fetch_one(conn, query, [Jsonb(session), conversation_id])
        if row is None:
            raise Refused("conversation_gone", f"no conversation {conversation_id}")
        version: int = row["session_version"]
        await self._keep(tenant_id, conversation_id, f"{version}.{row['writer']}", session)
        return version

    # --- the copy -----------------------------------------------------------------------------

    async def _copy(self, tenant_id: str, conversation_id: str, stamp: str) -> dict[str, Any] | None:
        text = await self._ask("get", _key(tenant_id, conversation_id))
        if text is None:
            return None
        try:
            found = json.loads(text)
            session = found["session"] if found["stamp"] == stamp else None
        except (ValueError, KeyError, TypeError):
            return None
        return session if isinstance(session, dict) else None

    async def _keep(self, tenant_id: str, conversation_id: str, stamp: str, session: dict[str, Any]) -> None:
        await self._ask("set", _key(tenant_id, conversation_id), json.dumps({"stamp": stamp, "session": session}), KEPT)

    async def _ask(self, command: str, *arguments: Any) -> Any:
        """One command to Redis; None when it does not answer in time, and for a while after that."""
        if self._redis is None or time.monotonic() < self._resting_until:
            return None
        try:
            return await getattr(self._redis, command)(*arguments)
        except (RedisError, OSError, TimeoutError) as error:
            self._resting_until = time.monotonic() + _REST
            log.warning("redis_away", reason=type(error).__name__)
            return None


def _key(tenant_id: str, conversation_id: str) -> str:
    return f"mutirao:session:{tenant_id}:{conversation_id}"
