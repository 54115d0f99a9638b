"""The web server: FastAPI with the chat at /chat, and a gate in front of everything.

The gate is the one place that decides what a browser may reach. It lets through the addresses of Chainlit that the
page uses and no other, refuses requests that another site makes, weighs uploads, finds out who is asking, and puts
the headers on. Chainlit's own checks stay behind it as a second door.
"""

import json
import os
import re
import secrets
import shutil
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import quote, urlsplit

import anyio
import structlog
from fastapi import FastAPI, Form, Request, UploadFile
from fastapi.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from channels import charts, inbox_pages, markdown, phone_page, view_pages
from channels.chat import UPLOADS, Chat, wire_chat
from channels.chat_data import CardOf, ChatData, visitor
from channels.crm_acts import CrmActs
from channels.crm_views import CrmViews
from channels.phone_page import PhonePage
from channels.services import Services
from core.errors import MutiraoError, Refused, Unavailable
from core.tenancy import Identity, Role

log = structlog.get_logger(__name__)

_ASSETS = Path(__file__).parent / "chat_assets"
_COOKIE = "mutirao_session"
_SESSION_SECONDS = 12 * 3600
_BODY_BYTES = 1_000_000  # any request but an upload
_ROOT = "/chat"
_PATIENCE = 4  # a file up to this many times too big is taken and refused in words; beyond it the line is cut

# What the page of Chainlit 2.12 asks for. What is not here does not exist: MCP connections, custom elements (file read
# and SSRF by CVE-2026-22218 and -22219; our views are view_pages.py), sharing, OAuth, header and token logins, the
# copilot widget, slack.
_OPEN = re.compile(r"/chat/(assets/.+|public/.+|favicon|logo|auth/config|project/translations)")
_PAGE = re.compile(r"/chat/?|/chat/(login|login/callback|thread/[^/]*|element/[^/]*|env)/?")
_VIEW = re.compile(view_pages.PAGE)
_INBOX = re.compile(inbox_pages.PAGE)
_PHONE = re.compile(phone_page.PAGE)
_KNOWN = {
    "/chat/user": {"GET"},
    view_pages.DATA: {"GET", "POST"},
    inbox_pages.DATA: {"GET", "POST"},
    inbox_pages.FILE: {"POST"},
    phone_page.DATA: {"GET", "POST"},
    phone_page.FILE: {"POST"},
    phone_page.MEDIA: {"GET"},
    "/chat/project/settings": {"GET"},
    "/chat/project/threads": {"POST"},
    "/chat/project/thread": {"PUT", "DELETE"},
    "/chat/project/action": {"POST"},
    "/chat/project/file": {"POST"},
    "/chat/feedback": {"PUT", "DELETE"},
}
_KNOWN_BELOW = re.compile(r"/chat/(project/thread/[^/]+|project/thread/[^/]+/element/.+|project/file/[^/]+|data/.+)")
_SOCKET = "/chat/ws/socket.io"
_UPLOAD = "/chat/project/file"
_UPLOADS = (_UPLOAD, inbox_pages.FILE, phone_page.FILE)
_SANDBOX = "/sandbox/"  # what is below it does not exist in live mode
# Answered here, before Chainlit: logging in and out, and a cookie for sticky sessions that nothing of ours needs.
_OURS = {"/", "/health", "/chat/login", "/chat/logout", "/chat/set-session-cookie"}

ReadIdentity = Callable[[str, str], Awaitable[Identity]]


def build_web_app(
    services: Services, *, card: CardOf, starters: Callable[[Role], list[str]], phone: PhonePage | None = None
) -> FastAPI:
    """The ASGI application over opened `services`. Once per process: Chainlit keeps its settings in modules.

    `card` is agents.approvals.proposal_card; `starters` gives a role's keys of texts that a newcomer may click first;
    `phone` is the lead's phone, for the sandbox alone.
    Everything Chainlit writes goes to `data_dir/web`. Must be called before anything else imports chainlit.
    """
    settings = services.settings
    prepare_chainlit(settings.data_dir.resolve() / "web", services.vault.named_secret("chat_cookie"))

    from chainlit.auth.jwt import create_jwt, decode_jwt
    from chainlit.config import config
    from chainlit.server import app as chainlit_app
    from chainlit.session import WebsocketSession
    from chainlit.user import User

    config.ui.language = settings.language
    config.project.user_session_timeout = _SESSION_SECONDS
    upload = config.features.spontaneous_file_upload
    assert upload is not None
    upload.max_size_mb = settings.upload_max_mb * _PATIENCE
    data = ChatData(services.db, services.texts, services.approvals, card)
    wire_chat(
        Chat(
            handle=services.handle,
            identity=services.people.identity,
            approvals=services.approvals,
            files=services.files,
            texts=services.texts,
            card=card,
            data=data,
            starters=starters,
            language=settings.language,
        )
    )

    def read_cookie(token: str) -> tuple[str, str] | None:
        """(tenant id, user id) of a session cookie that we signed and that is not over."""
        try:
            user = decode_jwt(token)
            return str(user.metadata["tenant"]), str(user.identifier)
        except Exception:  # pyjwt's errors, and whatever else a forged payload leads to
            return None

    app = FastAPI(title="Mutirão", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.closing = lambda: False  # whoever serves says when streams without an end have to end

    @app.get("/")
    async def root() -> RedirectResponse:
        return RedirectResponse(_ROOT)

    @app.get("/health")
    async def health() -> JSONResponse:
        """`live` says the process answers; `ready` that it can serve; `problems` why not, in words."""
        problems = []
        try:
            async with services.db.system() as conn:
                await conn.execute("select 1")
        except MutiraoError as error:
            problems.append(services.texts.error(settings.language, error))
        ready = not problems
        return JSONResponse({"live": True, "ready": ready, "problems": problems}, 200 if ready else 503)

    @app.post("/chat/login")
    async def login(request: Request, username: str = Form(""), password: str = Form("")) -> JSONResponse:
        address = request.client.host if request.client else ""
        try:
            who = await services.people.login(username, password, address)
        except Refused as refused:
            # The page words 401 and 429 itself, by its translations.
            return JSONResponse({"detail": refused.code}, 429 if refused.code == "login_too_many" else 401)
        except Unavailable as error:
            return JSONResponse({"detail": services.texts.error(settings.language, error)}, 503)
        token = create_jwt(User(identifier=who.user_id, display_name=who.name, metadata={"tenant": who.tenant_id}))
        response = JSONResponse({"success": True})
        secure = request.url.scheme == "https"
        response.set_cookie(
            _COOKIE, token, max_age=_SESSION_SECONDS, path="/", httponly=True, secure=secure, samesite="lax"
        )
        return response

    @app.post("/chat/logout")
    async def logout(request: Request) -> JSONResponse:
        response = JSONResponse({"success": True})
        response.delete_cookie(_COOKIE, path="/", httponly=True, secure=request.url.scheme == "https", samesite="lax")
        return response

    @app.post("/chat/set-session-cookie")
    async def sticky() -> JSONResponse:
        return JSONResponse({"message": "not needed"})

    @app.post(_UPLOAD)
    async def upload_file(session_id: str, file: UploadFile) -> JSONResponse:
        """In Chainlit's place: it would read the file into memory and refuse in English."""
        who, session = visitor.get(), WebsocketSession.get_by_id(session_id)
        if who is None or session is None or session.user is None or session.user.identifier != who.user_id:
            return JSONResponse({"detail": "not found"}, 404)
        name = file.filename or ""
        if Path(name).suffix.lower() not in UPLOADS:
            return JSONResponse({"detail": services.texts.say(who.language, "chat.upload_type")}, 400)
        if (file.size or 0) > settings.upload_max_mb * 1024 * 1024:
            text = services.texts.say(who.language, "chat.upload_too_big", max_mb=settings.upload_max_mb)
            return JSONResponse({"detail": text}, 413)
        file_id = str(uuid.uuid4())
        session.files_dir.mkdir(exist_ok=True)
        path = session.files_dir / file_id
        async with await anyio.open_file(path, "wb") as kept:
            while piece := await file.read(1024 * 1024):
                await kept.write(piece)
        mime = UPLOADS[Path(name).suffix.lower()]
        session.files[file_id] = {"id": file_id, "path": path, "name": name, "type": mime, "size": file.size or 0}
        return JSONResponse({"id": file_id})

    inbox_pages.add_inbox(app, services)  # its addresses are more exact than the next one

    @app.get("/chat/data/{conversation}/{message}/{name}")
    async def part(conversation: str, message: str, name: str) -> Response:
        who = visitor.get()
        found = await data.part(conversation, message, name)
        if who is None or found is None:
            return JSONResponse({"detail": "not found"}, 404)
        if found.chart is not None:
            return JSONResponse(charts.figure(found.chart, who.language))
        if found.table is not None:
            return Response(markdown.csv_file(found.table), headers=_download(found.element["name"], "text/csv"))
        return JSONResponse({"detail": "not found"}, 404)

    @app.get("/chat/data/files/{file_id}")
    async def file(file_id: str) -> Response:
        who = visitor.get()
        try:
            stored = await services.files.info(who.tenant_id, file_id) if who else None
        except Refused:
            stored = None
        if who is None or stored is None or stored.created_by != who.user_id:
            return JSONResponse({"detail": "not found"}, 404)
        chunks = services.files.stream(who.tenant_id, stored.id)
        return StreamingResponse(chunks, headers=_download(stored.name, "application/octet-stream"))

    talks = services.messaging.chats.of_contact
    crm_views = CrmViews(services.crm, services.people, services.texts, services.clock, talks)
    view_pages.add_views(app, crm_views, CrmActs(services.crm, services.texts), services.texts)
    app.mount(_ROOT, chainlit_app)
    theme = json.loads((_ASSETS / "public" / "theme.json").read_text(encoding="utf-8"))["variables"]
    pages = [
        (_PAGE, _page(settings.language)),
        (_VIEW, view_pages.page(settings.language, theme)),
        (_INBOX, inbox_pages.page(settings.language, theme)),
    ]
    if phone is not None and settings.sandbox:
        phone_page.add_phone(app, phone, services.texts)
        pages.append((_PHONE, phone_page.page(settings.language)))
    app.add_middleware(
        Gate,
        pages=pages,
        sandbox=phone is not None and settings.sandbox,
        read_cookie=read_cookie,
        read_identity=services.people.identity,
        allowed_origins=settings.allowed_origins,
        upload_bytes=settings.upload_max_mb * _PATIENCE * 1024 * 1024,
    )
    return app


class Gate:
    """ASGI middleware: what may be reached, from where, how much, by whom. Fails closed."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        pages: Sequence[tuple[re.Pattern[str], str]],
        read_cookie: Callable[[str], tuple[str, str] | None],
        read_identity: ReadIdentity,
        allowed_origins: list[str],
        upload_bytes: int,
        sandbox: bool = False,
    ) -> None:
        self._app = app
        self._pages = pages
        self._read_cookie = read_cookie
        self._read_identity = read_identity
        self._origins = {origin.rstrip("/").lower() for origin in allowed_origins}
        self._upload_bytes = upload_bytes
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers, path = Headers(scope=scope), str(scope["path"])
        method = scope.get("method", "WEBSOCKET")
        nonce = secrets.token_urlsafe(16)
        is_page = self._page_at(path) is not None
        out = _headed(send, path, nonce, headers.get("host", ""), page=is_page)
        if not self._same_site(headers, method):
            await _refuse(scope, out, 403, "origin")
        elif path.startswith(_SANDBOX) and not self._sandbox:
            await _refuse(scope, out, 404, "not found")
        elif method in ("GET", "HEAD") and (page := self._page_at(path)) is not None:
            await Response(page.replace("{{nonce}}", nonce), media_type="text/html")(scope, receive, out)
        elif path in _OURS or _OPEN.fullmatch(path):
            await self._app(scope, _weighed(receive, headers, _BODY_BYTES), out)
        elif path.startswith(_SOCKET) or method in _KNOWN.get(path, ()) or _reads_below(path, method):
            await self._inside(scope, receive, out, headers, path)
        else:
            await _refuse(scope, out, 404, "not found")

    def _page_at(self, path: str) -> str | None:
        return next((page for address, page in self._pages if address.fullmatch(path)), None)

    async def _inside(self, scope: Scope, receive: Receive, send: Send, headers: Headers, path: str) -> None:
        """Only for somebody who is logged in and, by the database, still a user."""
        try:
            who = await self._who(headers)
        except Refused:
            who = None
        except MutiraoError:
            await _refuse(scope, send, 503, "unavailable")
            return
        if who is None:
            await _refuse(scope, send, 401, "login")
            return
        limit = self._upload_bytes if path in _UPLOADS else _BODY_BYTES
        if int(headers.get("content-length") or 0) > limit:
            await _refuse(scope, send, 413, "too large")
            return
        token = visitor.set(who)
        try:
            await self._app(scope, _weighed(receive, headers, limit), send)
        except TooLarge:
            await _refuse(scope, send, 413, "too large")
        finally:
            visitor.reset(token)

    async def _who(self, headers: Headers) -> Identity | None:
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(_COOKIE)
        except CookieError:
            return None
        known = self._read_cookie(cookie.value) if cookie else None
        return await self._read_identity(*known) if known else None

    def _same_site(self, headers: Headers, method: str) -> bool:
        """Whether the request comes from our own page. A browser always says where a socket or a form comes from;
        what is no browser says nothing and carries no cookie of a person."""
        if method in ("GET", "HEAD", "OPTIONS"):
            return headers.get("upgrade", "").lower() != "websocket" or "origin" in headers
        origin = headers.get("origin")
        if origin is None:
            return method != "WEBSOCKET" and headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        if origin.rstrip("/").lower() in self._origins:
            return True
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != ""


def _reads_below(path: str, method: str) -> bool:
    return method in ("GET", "HEAD") and _KNOWN_BELOW.fullmatch(path) is not None


class TooLarge(Exception):
    """A body that did not declare its length, or declared it wrong, goes over its limit."""


def _weighed(receive: Receive, headers: Headers, limit: int) -> Receive:
    """`receive` that stops a body at `limit` bytes, also when it came without saying its length."""
    taken = 0

    async def counted() -> Message:
        nonlocal taken
        message = await receive()
        if message["type"] == "http.request":
            taken += len(message.get("body", b""))
            if taken > limit:
                raise TooLarge(f"more than {limit} bytes")
        return message

    return counted


def _headed(send: Send, path: str, nonce: str, host: str, *, page: bool) -> Send:
    """`send` that puts the security headers on every answer."""

    async def headed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Content-Security-Policy"] = _page_policy(nonce, host) if page else _DATA_POLICY
            headers["X-Content-Type-Options"] = "nosniff"
            headers["X-Frame-Options"] = "DENY"
            headers["Referrer-Policy"] = "no-referrer"
            headers["Cross-Origin-Opener-Policy"] = "same-origin"
            headers["Cross-Origin-Resource-Policy"] = "same-origin"
            microphone = "(self)" if _PHONE.fullmatch(path) else "()"
            headers["Permissions-Policy"] = f"camera=(), microphone={microphone}, geolocation=()"
            # Chainlit's assets carry a hash in their names; all else may be somebody's data.
            asset = path.startswith("/chat/assets/") and message["status"] == 200
            headers["Cache-Control"] = "public, max-age=31536000, immutable" if asset else "no-store"
        await send(message)

    return headed


_DATA_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"


def _page_policy(nonce: str, host: str) -> str:
    """No outside host at all. Inline styles are Plotly's and the toasts'; the socket is named for older Safari."""
    socket = f" ws://{host} wss://{host}" if re.fullmatch(r"[\w.\-\[\]:]+", host) else ""
    return (
        f"default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; "
        f"img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src 'self'{socket}; "
        "worker-src 'self' blob:; "
        "manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )


async def _refuse(scope: Scope, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    body = json.dumps({"detail": why}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _download(name: str, mime: str) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}", "Content-Type": mime}


# --- Chainlit's folder ---------------------------------------------------------------------------


def prepare_chainlit(folder: Path, secret: str) -> None:
    """Give Chainlit its folder and its environment, before its first import: it reads both while it is imported."""
    if folder.exists():
        for left in (folder / ".files").glob("*"):  # uploads of browser sessions whose process died
            if left.stat().st_mtime < time.time() - 24 * 3600:
                shutil.rmtree(left, ignore_errors=True)
    (folder / ".chainlit" / "translations").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_ASSETS / "config.toml", folder / ".chainlit" / "config.toml")
    for file in (_ASSETS / "translations").glob("*.json"):
        shutil.copyfile(file, folder / ".chainlit" / "translations" / file.name)
    for file in _ASSETS.glob("*.md"):
        shutil.copyfile(file, folder / file.name)
    shutil.copytree(_ASSETS / "public", folder / "public", dirs_exist_ok=True)
    for name in [name for name in os.environ if name.startswith("CHAINLIT_")]:
        del os.environ[name]
    os.environ |= {
        "CHAINLIT_APP_ROOT": str(folder),
        "CHAINLIT_ENV_FILE": str(folder / "no.env"),  # our .env is ours to read (core/settings.py)
        "CHAINLIT_AUTH_SECRET": secret,
        "CHAINLIT_AUTH_COOKIE_NAME": _COOKIE,
        "CHAINLIT_ROOT_PATH": _ROOT,
    }


def _page(language: str) -> str:
    """Chainlit's page without its two outside requests (Google's fonts, KaTeX from a CDN), ready for a nonce."""
    from chainlit import server

    page: str = server.get_html_template(_ROOT)  # type: ignore[no-untyped-call]
    page = re.sub(r"<link[^>]*https?://[^>]*>", "", page)
    page = re.sub(r'<meta property="og:(image|url)"[^>]*>', "", page)
    page = page.replace("</head>", '<script type="module" src="/chat/public/inbox_link.js"></script></head>', 1)
    page = page.replace("<script", '<script nonce="{{nonce}}"').replace('<html lang="en">', f'<html lang="{language}">')
    if re.search(r"""(src|href)=["']?(https?:)?//""", page):
        raise RuntimeError("Chainlit's page asks an outside host for something new: look at channels/web.py")
    return page
