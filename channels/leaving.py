"""The page behind an e-mail's List-Unsubscribe: in front of the web server's own doors, nobody logs in here.

GET  /leave/<tenant>/<conversation>/<signature>    asks, with one button: programs open links by themselves
POST the same                                      takes them off, from that button or from a mail program at once
"""

import html

import structlog

from business.messaging.leaving import LeaveLinks, Leaver, Leaving
from channels.whatsapp.door import Receive, Scope, Send
from core.errors import Unavailable
from prompts.texts import Texts

log = structlog.get_logger(__name__)

_MOST_BYTES = 10_000
_HEADERS = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", b"default-src 'none'; form-action 'self'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]


class LeaveDoor:
    """An ASGI application for everything below /leave/."""

    def __init__(self, links: LeaveLinks, leaving: Leaving, texts: Texts, language: str) -> None:
        """`language`: of what is said to nobody known."""
        self._links = links
        self._leaving = leaving
        self._texts = texts
        self._language = language

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            status, page = await self._answer(scope, receive)
        except Unavailable as error:
            log.warning("leave_not_kept", reason=error.code)
            status, page = 503, self._page(self._language, "later")
        body = page.encode()
        head = [*_HEADERS, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, str]:
        who = self._links.read(scope["path"])
        language = await self._leaving.language(who) if who is not None else None
        if who is None or language is None:
            return 404, self._page(self._language, "unknown")
        if scope["method"] in ("GET", "HEAD"):
            return 200, self._page(language, "ask", self._links.path(who))
        if scope["method"] != "POST":
            return 405, self._page(language, "unknown")
        if not await _read(receive):
            return 413, self._page(language, "unknown")
        return await self._left(who, language)

    async def _left(self, who: Leaver, language: str) -> tuple[int, str]:
        if not await self._leaving.leave(who):
            return 404, self._page(language, "unknown")
        return 200, self._page(language, "done")

    def _page(self, language: str, what: str, action: str = "") -> str:
        said = html.escape(self._texts.say(language, f"leave.{what}"))
        button = html.escape(self._texts.say(language, "leave.button"))
        form = f'<form method="post" action="{html.escape(action)}"><button>{button}</button></form>' if action else ""
        return (
            f'<!doctype html><html lang="{html.escape(language)}"><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width"><title>{said}</title><p>{said}</p>{form}</html>'
        )


async def _read(receive: Receive) -> bool:
    """The body says nothing that we need; False for one that is too large."""
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if size > _MOST_BYTES:
            return False
        if message["type"] != "http.request" or not message.get("more_body"):
            return True
