"""Views in the browser: the addresses at which a page reads a view and acts in it, and a page of a view's own.

The chat shows a view as a link, which chat_assets/public/views.js turns into the view itself. Chainlit's own way, its
CustomElement, compiles code in the page and would need 'unsafe-eval' (docs/decisions/0016). Reading and acting go
through the gate of channels/web.py: the session's cookie says who it is, and only our own page may act.
"""

import html
import json
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import Field, StringConstraints

from channels.chat_data import NAME, visitor
from channels.crm_acts import CrmActs
from channels.crm_views import CrmViews
from core.errors import ArgumentsWrong, MutiraoError, Refused
from core.messages import storable
from prompts.texts import Texts

DATA = "/chat/data/view"
PAGE = r"/chat/view/[a-z_]+(/[\w-]+)?"
"""The addresses of pages of a view's own, as a regular expression."""
# Lengths apart from the pattern: counted within it, each of the two dozen that name these takes 20 ms to compile.
Id = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[\w.:-]+$")]
MaybeId = Annotated[str, StringConstraints(max_length=100, pattern=r"^[\w.:-]*$")]
Count = Annotated[int, Field(ge=0, le=2**62)]


def add_views(app: FastAPI, views: CrmViews, acts: CrmActs, texts: Texts) -> None:
    """Put the reading and the acting at DATA. Who asks is in `visitor`: the gate lets nobody else through."""

    @app.get(DATA)
    async def look(kind: str, subject: str = "", each: int = 20) -> JSONResponse:
        return await _answered(texts, kind, storable(subject), each, None)

    @app.post(DATA)
    async def act(request: Request, kind: str, subject: str = "", each: int = 20) -> JSONResponse:
        return await _answered(texts, kind, storable(subject), each, read_act(await request.body()))

    async def _answered(texts: Texts, kind: str, subject: str, each: int, did: dict[str, Any] | None) -> JSONResponse:
        """The view, drawn after what was done in it, or why not, in a sentence."""
        who = visitor.get()
        if who is None:
            return JSONResponse({"error": ""}, 401)
        try:
            said = await acts.do(who, subject, did) if did is not None else ""
            return JSONResponse({**await views.draw(who, kind, subject, each=each), "said": said})
        except MutiraoError as error:
            status = (
                404 if error.code in ("crm_unknown", "view_unknown") else 403 if isinstance(error, Refused) else 400
            )
            if not isinstance(error, (Refused, ArgumentsWrong)):
                status = 503
            return JSONResponse({"error": texts.error(who.language, error)}, status)


def read_act(body: bytes) -> dict[str, Any]:
    """What was done on a page: an object whose texts can be stored; {} for a body that is none."""
    try:
        did = _storable(json.loads(body))
    except (ValueError, RecursionError):
        return {}
    return did if isinstance(did, dict) else {}


def _storable(value: Any) -> Any:
    match value:
        case str():
            return storable(value)
        case list():
            return [_storable(one) for one in value]
        case dict():
            return {storable(name): _storable(one) for name, one in value.items()}
        case _:
            return value


def page(language: str, theme: dict[str, dict[str, str]]) -> str:
    """The page of a view's own, the same for every view: views.js reads from the address which one it is.

    `theme` is chat_assets/public/theme.json's variables: {"light": {name: value}, "dark": {…}}.
    """

    def rule(selector: str, name: str) -> str:
        return f"{selector}{{{';'.join(f'{key}:{value}' for key, value in theme[name].items())}}}"

    return (
        f'<!doctype html><html lang="{html.escape(language)}"><head><meta charset="utf-8">'
        f"<title>{html.escape(NAME)}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="/chat/public/favicon.svg"><link rel="stylesheet" href="/chat/public/views.css">'
        f"<style>{rule(':root', 'light')}{rule('.dark', 'dark')}</style>"
        '<script type="module" nonce="{{nonce}}" src="/chat/public/views.js"></script></head>'
        '<body class="view-alone"><main></main></body></html>'
    )
