"""The door of the webhooks: signature, every item of the body written down, then the 200.

It stands in front of the web server's own doors, which log people in; nobody logs in here. Meta signs the bytes of a
body with the app's secret; other gateways bring a key (business/messaging/gateway_doors.py). What cannot be written
is answered with 503, and WhatsApp tries again, for up to seven days.

    GET  /webhooks/whatsapp              Meta's handshake of a new address
    POST /webhooks/whatsapp              signed with the app secret of this installation
    POST /webhooks/whatsapp/<channel>    signed with the app secret of that channel: a number under an app of its own
    POST /webhooks/<provider>/<channel>  of another gateway; what it appends to its address is left out
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import structlog

from business.messaging.gateway_doors import GatewayDoor, SecretsOf
from business.messaging.inbox import Inbox, Received
from channels.whatsapp.numbers import Line, Numbers
from core.clock import Clock
from core.errors import ArgumentsWrong, Refused, SetupError, Unavailable
from integrations.whatsapp_cloud import signature
from integrations.whatsapp_cloud.webhooks import Found, walk

log = structlog.get_logger(__name__)

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Any, Receive, Send], Awaitable[None]]

ROOT = "/webhooks/"
CLOUD = "whatsapp_cloud"
_MOST_BYTES = 4_000_000  # of one body; Meta's have up to 3 MB
_MOST_HELD = 64_000_000  # of all bodies that are being read
_PATIENCE = 20.0  # seconds for a body to come in
_LARGE = 100_000  # bytes from which reading it would keep everybody else waiting: another thread does
_PLAIN = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
_QUIET = 10.0  # seconds between two lines of the log about the same thing
_SIGNATURE = signature.HEADER.lower().encode()

Answer = tuple[int, str]
_TAKEN: Answer = (200, "")  # without a body: it leaves in one piece


class _No(Exception):
    """This POST is answered with a status other than 200."""

    def __init__(self, status: int, text: str) -> None:
        self.answer = (status, text)
        super().__init__(text)


class WhatsAppDoor:
    """An ASGI application for everything below /webhooks/.

    `app_secret` signs what Meta posts, `verify_token` is what a handshake brings; while the first is empty, the route
    is not there (404), and the doctor says so. `gateways`: by the provider's name in the path. `secrets_of`: where a
    channel of WhatsApp's with an app of its own has that app's secret ("app_secret").
    """

    def __init__(
        self,
        inbox: Inbox,
        numbers: Numbers,
        clock: Clock,
        *,
        app_secret: str,
        verify_token: str,
        gateways: Mapping[str, GatewayDoor] | None = None,
        secrets_of: SecretsOf | None = None,
        patience: float = _PATIENCE,
    ) -> None:
        self._inbox = inbox
        self._numbers = numbers
        self._clock = clock
        self._app_secret = app_secret
        self._verify_token = verify_token
        self._gateways = gateways or {}
        self._secrets_of = secrets_of
        self._patience = _Patience(patience)
        self._held = 0
        self._told: dict[str, tuple[float, int]] = {}
        if not app_secret:
            log.warning("whatsapp_route_closed", reason="no app secret is set")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        more: list[tuple[bytes, bytes]] = []
        try:
            status, text = await self._answer(scope, receive)
        except _No as no:
            status, text = no.answer
            if status in (408, 413):
                more = [(b"connection", b"close")]  # the rest of it is not waited for
            elif status == 405:
                more = [(b"allow", b"GET, POST")]
        except Unavailable as error:
            status, text, more = 503, "try again", [(b"retry-after", b"2")]
            self._say("whatsapp_not_kept", reason=error.code)
        except SetupError as error:
            status, text = 404, "not found"
            self._say("whatsapp_route_closed", reason=error.code)
        except Refused as error:
            status, text = 403 if error.code == "whatsapp_handshake_wrong" else 401, "refused"
            self._say("whatsapp_refused", reason=error.code)
        except ArgumentsWrong as error:
            status, text = 400, f"{error.code} {error.params.get('reason', '')}".strip()
            self._say("whatsapp_broken", reason=text)
        except Exception:  # a bug, or a database that is not as it should be: nothing is acknowledged
            log.exception("whatsapp_door_failed")
            status, text = 503, "try again"
        body = text.encode()
        head = [*_PLAIN, (b"content-length", str(len(body)).encode()), *more]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        parts = scope["path"].split("/")  # "", "webhooks", provider, channel, and what a gateway appends
        provider = parts[2] if len(parts) > 2 else ""
        channel_id = parts[3] if len(parts) > 3 else ""
        if provider == "whatsapp":
            if scope["method"] == "GET":
                return 200, self._handshake(scope)
            return await self._cloud(channel_id, scope, receive)
        gateway = self._gateways.get(provider)
        if gateway is None or not channel_id:
            raise _No(404, "not found")
        return await self._gateway(gateway, provider, channel_id, scope, receive)

    # --- WhatsApp itself ------------------------------------------------------------------------

    def _handshake(self, scope: Scope) -> str:
        if not self._app_secret and self._secrets_of is None:
            raise SetupError("whatsapp_secret_missing", "no app secret is set")
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=20))
        return signature.challenge(self._verify_token, query)

    async def _cloud(self, channel_id: str, scope: Scope, receive: Receive) -> Answer:
        if scope["method"] != "POST":
            raise _No(405, "GET or POST")
        owner, secret = None, self._app_secret
        if channel_id:
            owner, secret = await self._own_app(channel_id)
        if not secret:
            raise SetupError("whatsapp_secret_missing", "no app secret is set")
        body = await self._body(scope, receive)
        given = [value.decode("latin-1") for name, value in scope["headers"] if name == _SIGNATURE]
        signature.verify(secret, body, given)
        try:
            found = walk(body) if len(body) < _LARGE else await asyncio.to_thread(walk, body)
        except ArgumentsWrong:
            raise
        except Exception:
            # Meta would bring it again for a week. It is signed, so it is kept whole, for a person to look at.
            log.exception("whatsapp_body_unread", size=len(body))
            key = "body:" + hashlib.sha256(body).hexdigest()
            found = [Found(None, None, "unread", key, {"body": body.decode("utf-8", "replace").replace("\0", "")})]
        await self._inbox.keep(await self._received(found, owner))
        return _TAKEN

    async def _own_app(self, channel_id: str) -> tuple[Line, str]:
        line = await self._numbers.channel(CLOUD, channel_id)
        if line is None or self._secrets_of is None:
            raise _No(404, "not found")
        return line, (await self._secrets_of(line.tenant_id, line.channel_id)).get("app_secret", "")

    async def _received(self, found: list[Found], owner: Line | None) -> list[Received]:
        """Rows for the inbox, each with its tenant. What an app of one tenant (`owner`) says about numbers of others is
        kept apart: it can neither be read as theirs nor stand in their way."""
        whose: dict[tuple[str | None, str | None], tuple[str, str | None]] = {}
        rows = []
        for item in found:
            at = (item.number_id, item.waba_id)
            if at not in whose:
                whose[at] = await self._whose(*at, owner)
            number, tenant_id = whose[at]
            rows.append(Received(number, item.key, tenant_id, item.kind, item.stored))
        return rows

    async def _whose(self, number_id: str | None, waba_id: str | None, owner: Line | None) -> tuple[str, str | None]:
        """(number as the inbox names it, tenant or None)."""
        line: Line | None = None
        if number_id is not None:
            number, line = f"{CLOUD}:{number_id}", await self._numbers.line(CLOUD, number_id)
        elif waba_id is not None:
            number, line = f"{CLOUD}:account:{waba_id}", await self._numbers.account(CLOUD, waba_id)
        else:
            number = f"{CLOUD}:nobody"
        if owner is not None and (line is None or line.tenant_id != owner.tenant_id):
            self._say("whatsapp_foreign_number", channel=owner.channel_id)
            return f"{CLOUD}:foreign:{owner.tenant_id}:{number}", None
        if line is None:
            self._say("whatsapp_unknown_number", number=number[:80])
            return number, None
        return number, line.tenant_id

    # --- other gateways -------------------------------------------------------------------------

    async def _gateway(
        self, gateway: GatewayDoor, provider: str, channel_id: str, scope: Scope, receive: Receive
    ) -> Answer:
        if scope["method"] != "POST":
            raise _No(405, "POST")
        line = await self._numbers.channel(provider, channel_id)
        if line is None:
            raise _No(404, "not found")
        body = await self._body(scope, receive)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), max_num_fields=20))
        if not await gateway.admits(line.tenant_id, line.channel_id, headers, query, body):
            raise Refused("gateway_refused", "the webhook does not bring the channel's key")
        now = self._clock.now()
        items = (
            gateway.items(line.number, body, now)
            if len(body) < _LARGE
            else await asyncio.to_thread(gateway.items, line.number, body, now)
        )
        number = f"{provider}:{line.number}"
        await self._inbox.keep([Received(number, item.key, line.tenant_id, item.kind, item.item) for item in items])
        return _TAKEN

    # --- bodies ---------------------------------------------------------------------------------

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        kind = b""
        for name, value in scope["headers"]:
            if name == b"content-type":
                kind = value
            elif name == b"content-length":
                if not value.isdigit() or int(value[:12]) > _MOST_BYTES:
                    raise _No(413, "too large")
            elif name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
                raise _No(415, "no encodings")
        if kind.partition(b";")[0].strip().lower() != b"application/json":
            raise _No(415, "application/json")
        began = time.monotonic()
        message = await self._patience.lasts(receive, began)
        if message["type"] == "http.request" and not message.get("more_body"):
            body: bytes = message.get("body", b"")  # nearly always: all of it is there at once
            if len(body) > _MOST_BYTES:
                raise _No(413, "too large")
            return body
        chunks: list[bytes] = []
        size = 0
        try:
            while True:
                if message["type"] != "http.request":
                    raise _No(400, "cut short")
                chunk = message.get("body", b"")
                size += len(chunk)
                self._held += len(chunk)
                if size > _MOST_BYTES:
                    raise _No(413, "too large")
                if self._held > _MOST_HELD:
                    raise Unavailable("inbox_full", "too many bodies at once")
                chunks.append(chunk)
                if not message.get("more_body"):
                    return b"".join(chunks)
                message = await self._patience.lasts(receive, began)
        finally:
            self._held -= size

    # --- the log --------------------------------------------------------------------------------

    def _say(self, event: str, **more: str) -> None:
        """A line of the log, but not one for each of a flood."""
        now = time.monotonic()
        last, missed = self._told.get(event, (float("-inf"), 0))
        if now - last < _QUIET:
            self._told[event] = (last, missed + 1)
            return
        self._told[event] = (now, 0)
        log.warning(event, **more, not_told=missed)


class _Patience:
    """Ends who waits too long for a body. One timer for all: asyncio.timeout for each would cost as
    much as half of what the door does for a webhook."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[asyncio.Task[Any], float] = {}
        self._slow: set[asyncio.Task[Any]] = set()
        self._armed = False

    async def lasts(self, receive: Receive, since: float) -> Any:
        """The next piece of what is waited for since then. _No(408) when it does not come."""
        task = asyncio.current_task()
        assert task is not None
        self._since[task] = since
        if not self._armed:
            self._armed = True
            asyncio.get_running_loop().call_later(self._seconds / 4, self._look)
        try:
            return await receive()
        except asyncio.CancelledError:
            if task not in self._slow:
                raise
            task.uncancel()
            raise _No(408, "too slow") from None
        finally:
            del self._since[task]
            self._slow.discard(task)

    def _look(self) -> None:
        self._armed = bool(self._since)
        if self._armed:
            asyncio.get_running_loop().call_later(self._seconds / 4, self._look)
        late = time.monotonic() - self._seconds
        for task, since in self._since.items():
            if since < late and task not in self._slow:
                self._slow.add(task)
                task.cancel()


def in_front(app: App, door: App, root: str = ROOT) -> App:
    """`app` with a door before it: requests below `root` never reach `app`."""

    async def serve(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(root):
            await door(scope, receive, send)
        else:
            await app(scope, receive, send)

    return serve
