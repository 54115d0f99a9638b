"""The addresses of the attendants' inbox: its page, what it reads and does, files of conversations, and what changed.

Everything goes through the gate of channels/web.py: the session's cookie says who it is, read from the database at
each call, and only our own page may act. What changed is told as server-sent events without any content: a page that
hears of a change asks for what its reader may see.
"""

import asyncio
import contextlib
import html
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from business.messaging.chats import Chats
from business.messaging.consent import Standing
from business.messaging.conversation import Chat
from business.messaging.ledger import standing_of
from business.messaging.templates_store import templates_of
from business.sales.calendar import Appointment
from channels.chat_data import NAME, visitor
from channels.inbox_acts import InboxActs
from channels.inbox_files import FILMS, PICTURES
from channels.inbox_known import known_of_leads
from channels.inbox_views import InboxViews
from channels.services import Services
from channels.view_pages import Count, Id, MaybeId, read_act
from core.errors import ArgumentsWrong, MutiraoError, Refused
from core.files import Files
from core.messages import storable
from core.tenancy import Identity
from prompts.texts import Texts
from tools.do_not_contact import DoNotContact

DATA = "/chat/data/inbox"
FILE = "/chat/data/inbox/file"
PAGE = r"/chat/inbox(/[\w-]{1,100})?/?"
"""The addresses of the page, as a regular expression: the inbox, and one conversation in it."""

_NOT_THERE = frozenset({"chat_unknown", "file_gone"})
_BEAT = 15.0  # seconds of silence after which a word of no meaning shows that the line is alive
_LOOK = 1.0  # seconds between looks at whether the server closes
_LIFE = 300.0  # seconds of one stream: the next one is let in, or not, by who the person is then
_MOST_MB = 16  # of an attachment: more than WhatsApp takes of sound and film (integrations/whatsapp_cloud/limits.py)
_BURST = 0.15  # seconds for which changes are gathered before they are told
_SOUNDS = re.compile(r"audio/(ogg|mpeg|mp4|aac|amr|webm|wav|x-wav)")


@dataclass
class InboxPages:
    """`most_bytes`: of an attachment."""

    views: InboxViews
    acts: InboxActs
    chats: Chats
    files: Files
    texts: Texts
    most_bytes: int

    def add(self, app: FastAPI) -> None:
        """Put everything below DATA. Who asks is in `visitor`: the gate lets nobody else through."""
        views = self.views

        @app.get(f"{DATA}/start")
        async def start() -> Response:
            return await self._answered(views.start)

        @app.get(f"{DATA}/counts")
        async def counts() -> Response:
            return await self._answered(views.link)

        @app.get(DATA)
        async def lines(show: str = "open", search: str = "", channel: MaybeId = "", limit: Count = 40) -> Response:
            looked_for = storable(search)
            return await self._answered(
                lambda who: views.list(who, show, search=looked_for, channel=channel, limit=limit)
            )

        @app.get(f"{DATA}/chat")
        async def chat(id: Id) -> Response:
            return await self._answered(lambda who: views.chat(who, id))

        @app.get(f"{DATA}/messages")
        async def messages(id: Id, before: Count) -> Response:
            return await self._answered(lambda who: views.messages(who, id, before))

        @app.get(f"{DATA}/templates")
        async def templates(id: Id) -> Response:
            return await self._answered(lambda who: views.templates(who, id))

        @app.post(DATA)
        async def act(request: Request, id: Id) -> Response:
            did = read_act(await request.body())

            async def done(who: Identity) -> dict[str, Any]:
                said = await self.acts.do(who, id, did)
                try:
                    return {**await views.chat(who, id), "said": said}
                except Refused:  # they gave it away, and see it no more
                    return {"gone": True, "said": said}

            return await self._answered(done)

        @app.post(FILE)
        async def file(request: Request, id: Id, name: str = "") -> Response:
            content = bytearray()
            async for piece in request.stream():
                content += piece
                if len(content) > self.most_bytes:
                    error = ArgumentsWrong("file_too_large", name=name[:80], limit_mb=self.most_bytes // 1_048_576)
                    return self._refused(visitor.get(), error)

            async def kept(who: Identity) -> dict[str, Any]:
                return {"file": await self.acts.keep_file(who, id, bytes(content), name)}

            return await self._answered(kept)

        @app.get(DATA + "/media/{media_id}")
        async def media(request: Request, media_id: Id, chat: MaybeId = "") -> Response:
            who = visitor.get()
            if who is None:
                return JSONResponse({"error": ""}, 401)
            try:
                return await self._media(who, media_id, chat, request.headers.get("range", ""))
            except MutiraoError as error:
                return self._refused(who, error)

        @app.get(f"{DATA}/events")
        async def events(request: Request) -> Response:
            who = visitor.get()
            try:
                if who is None:
                    return JSONResponse({"error": ""}, 401)
                await self.chats.counts(who)
            except MutiraoError as error:
                return self._refused(who, error)
            headers = {"X-Accel-Buffering": "no"}
            told = self.events(who, closing=lambda: request.app.state.closing())
            return StreamingResponse(told, media_type="text/event-stream", headers=headers)

    # --- what changed -------------------------------------------------------------------------

    async def events(
        self, who: Identity, *, life: float = _LIFE, closing: Callable[[], bool] = lambda: False
    ) -> AsyncIterator[str]:
        """Server-sent events for `life` seconds: "changed" with the ids of conversations that changed and that `who`
        may see; [] when others did, or when anything may have. `closing`: whether the server wants to end, which would
        else wait for us."""
        changed: set[str] = set()
        news = asyncio.Event()

        async def hear() -> None:
            async for chat_id in self.chats.watch(who):
                changed.add(chat_id)
                news.set()

        hearing = asyncio.create_task(hear(), name="inbox events")
        now = asyncio.get_running_loop().time
        ends, spoken = now() + life, now()
        try:
            yield "retry: 2000\n\n"
            while (left := ends - now()) > 0 and not hearing.done() and not closing():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(_LOOK, left)):
                        await news.wait()
                if not news.is_set():
                    if now() - spoken > _BEAT:
                        spoken = now()
                        yield ": here\n\n"
                    continue
                await asyncio.sleep(_BURST)
                news.clear()
                told, found = sorted(changed), []
                changed.clear()
                for chat_id in told[:20] if "" not in told else ():
                    with contextlib.suppress(Refused):
                        await self.chats.get(who, chat_id)
                        found.append(chat_id)
                whole = len(found) == len(told)
                spoken = now()
                yield f"event: changed\ndata: {json.dumps({'chats': found if whole else []})}\n\n"
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)

    # --- files --------------------------------------------------------------------------------

    async def _media(self, who: Identity, media_id: str, chat_id: str, wanted: str) -> Response:
        """The file, or the part of it that a player asks for. What is not surely a picture, a film or a sound is only
        to be downloaded, under a type that no browser opens."""
        row = await self.views.media(who, media_id, chat_id)
        if row["state"] != "kept" or not row["file_id"]:
            raise Refused("file_gone", f"{media_id} is not kept")
        stored = await self.files.info(who.tenant_id, row["file_id"])
        mime = (row["mime"] or stored.mime).partition(";")[0].strip().lower()
        shown = mime in PICTURES or mime in FILMS or _SOUNDS.fullmatch(mime) is not None
        name = row["name"] or stored.name
        headers = {
            "Content-Type": mime if shown else "application/octet-stream",
            "Content-Disposition": f"{'inline' if shown else 'attachment'}; filename*=UTF-8''{quote(name)}",
            "Accept-Ranges": "bytes",
        }
        part = _range(wanted, stored.size)
        if part is None:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{stored.size}"})
        start, stop = part
        headers["Content-Length"] = str(stop - start)
        whole = not wanted or (start, stop) == (0, stored.size)
        if wanted:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{stored.size}"
        chunks = self.files.stream(who.tenant_id, stored.id, start, stop)
        return StreamingResponse(chunks, 200 if whole and not wanted else 206, headers=headers)

    # --- answers ------------------------------------------------------------------------------

    async def _answered(self, ask: Callable[[Identity], Awaitable[dict[str, Any]]]) -> Response:
        who = visitor.get()
        if who is None:
            return JSONResponse({"error": ""}, 401)
        try:
            return JSONResponse(await ask(who))
        except MutiraoError as error:
            return self._refused(who, error)

    def _refused(self, who: Identity | None, error: MutiraoError) -> JSONResponse:
        """Why not, in a sentence."""
        if isinstance(error, Refused):
            status = 404 if error.code in _NOT_THERE else 403
        else:
            status = 400 if isinstance(error, ArgumentsWrong) else 503
        return JSONResponse({"error": self.texts.error(who.language if who else "pt-BR", error)}, status)


def add_inbox(app: FastAPI, services: Services) -> None:
    """The inbox over opened `services`."""
    messaging = services.messaging
    most_bytes = min(services.settings.upload_max_mb, _MOST_MB) * 1_048_576

    crms_list = DoNotContact(services.db, services.crm, services.people, messaging.chats.ledger)

    async def stands(tenant_id: str, chat: Chat) -> Standing:
        """As the policy sees it (business/messaging/known.py): our ledger, and the CRM's list."""
        async with services.db.tenant(tenant_id) as conn:
            theirs = await crms_list.blocked(conn, asdict(chat))
            return await standing_of(
                conn, address=chat.address, contact_id=chat.contact_id, user_id=chat.user_id, more=theirs
            )

    async def coming(tenant_id: str, chat_id: str) -> Sequence[Appointment]:
        calendar = messaging.desk.calendar
        return await calendar.coming(tenant_id, chat_id=chat_id) if calendar is not None else ()

    knows = known_of_leads(messaging.desk.of_chat, coming, services.texts)
    views = InboxViews(
        messaging.chats, messaging.channels, services.db, services.people, services.crm, services.permissions,
        services.texts, services.clock, knows, stands, most_bytes,
    )  # fmt: skip
    acts = InboxActs(
        messaging.chats, messaging.outbox, services.db, services.files, services.texts, templates_of,
        messaging.call_off,
    )  # fmt: skip
    InboxPages(views, acts, messaging.chats, services.files, services.texts, most_bytes).add(app)


def _range(wanted: str, size: int) -> tuple[int, int] | None:
    """(first byte, byte after the last) of a Range header; the whole for none or one that we do not read (several
    parts); None for a part that is not there."""
    found = re.fullmatch(r"bytes=(\d{0,15})-(\d{0,15})", wanted.strip())
    if not wanted or found is None or not (found[1] or found[2]):
        return 0, size
    if not found[1]:
        start, stop = max(0, size - int(found[2])), size
    else:
        start, stop = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
    return (start, stop) if start < stop else None


def page(language: str, theme: dict[str, dict[str, str]]) -> str:
    """The page, the same for every conversation: inbox.js reads from the address which one is open.

    `theme` is chat_assets/public/theme.json's variables: {"light": {name: value}, "dark": {…}}.
    """

    def rule(selector: str, name: str) -> str:
        return f"{selector}{{{';'.join(f'{key}:{value}' for key, value in theme[name].items())}}}"

    return (
        f'<!doctype html><html lang="{html.escape(language)}"><head><meta charset="utf-8">'
        f"<title>{html.escape(NAME)}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1, interactive-widget=resizes-content">'
        '<link rel="icon" href="/chat/public/favicon.svg"><link rel="stylesheet" href="/chat/public/inbox.css">'
        f"<style>{rule(':root', 'light')}{rule('.dark', 'dark')}</style>"
        '<script type="module" nonce="{{nonce}}" src="/chat/public/inbox.js"></script></head>'
        '<body><main class="inbox" data-at="list"></main></body></html>'
    )
