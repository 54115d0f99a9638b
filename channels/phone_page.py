"""A phone in the browser, for a newcomer who plays the lead: only in the sandbox, only for who is logged in.

The page never speaks to the stand-in WhatsApp: it asks here, and only about the numbers of the visitor's own company.
What is done on the phone is put into WhatsApp's own words here, so that the page knows none of them.
"""

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol
from urllib.parse import quote

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from channels.chat_data import visitor
from channels.view_pages import read_act
from core.errors import ArgumentsWrong, MutiraoError, Refused, Unavailable
from core.permissions import Permissions, Scope
from core.tenancy import Identity
from integrations.whatsapp_cloud.limits import MEDIA_LIMITS
from prompts.texts import Texts

PAGE = r"/sandbox/phone/?"
"""The page's address, as a regular expression."""
DATA = "/sandbox/phone/data"
FILE = "/sandbox/phone/file"
MEDIA = "/sandbox/phone/media"
MOST_BYTES = max(limit.most_bytes for limit in MEDIA_LIMITS.values())
"""Of a file that is attached."""

_WORDS = "phone.word."
_PATIENCE = 10  # seconds that a question for news waits
_LOOK = 0.5  # seconds between looks whether somebody still waits for it
_CONTACT = re.compile(r"\+?[1-9][0-9]{6,14}")
_ID = re.compile(r"[\w+/=.:-]{1,512}")
_RANGE = re.compile(r"bytes=(\d{1,12})-(\d{0,12})")
_SHOWN = {"image/jpeg", "image/png", "image/webp", "image/gif", "video/mp4", "audio/ogg", "audio/mpeg", "audio/mp4"}
_SHOWN |= {"audio/aac", "audio/amr"}
_LONGEST = 4_096  # characters of a text, WhatsApp's own limit

Did = Mapping[str, Any]
"""What came from the page: {"do": name of the act, "number", "contact", …}. Nothing of it is trusted."""


@dataclass(frozen=True)
class PhoneNumber:
    """A number of the company that leads may write to in the sandbox."""

    number: str
    name: str
    phone: str
    provider: str = "whatsapp_cloud"
    """Or "evolution"."""


class Wire(Protocol):
    """A stand-in WhatsApp, as far as a phone needs it."""

    async def open(self) -> str:
        """Its address, started when it was not."""
        ...


NumbersOf = Callable[[str], Awaitable[Sequence[PhoneNumber]]]


class PhonePage:
    """`numbers_of` a tenant: its numbers at the stand-ins, which `wires` names by provider. `close` at the end."""

    def __init__(
        self, wires: Wire | Mapping[str, Wire], numbers_of: NumbersOf, permissions: Permissions, texts: Texts
    ) -> None:
        self._wires = wires if isinstance(wires, Mapping) else {"whatsapp_cloud": wires}
        self._numbers_of = numbers_of
        self._permissions = permissions
        self._texts = texts
        self._http: httpx.AsyncClient | None = None
        self._acts: dict[str, Callable[[PhoneNumber, str, Did], Awaitable[Any]]] = {
            "meet": self._meet,
            "text": self._text,
            "choose": self._choose,
            "react": self._react,
            "edit": self._edit,
            "take_back": self._take_back,
            "place": self._place,
            "card": self._card,
            "read": self._read,
            "marketing": self._marketing,
            "line": self._line,
            "move": self._move,
            "play": self._play,
        }

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    # --- what the page asks for ---------------------------------------------------------------

    async def view(self, who: Identity, number: str, contact: str, since: str) -> dict[str, Any]:
        """Everything the page shows, as soon as it is newer than `since` ("" for at once)."""
        numbers = await self._numbers(who)
        chosen = next((one for one in numbers if one.number == number), numbers[0])
        asked: dict[str, str] = {"number_id": chosen.number}
        if contact:
            asked["contact"] = _contact(contact)
        if since:
            asked |= {"since": since, "seconds": str(_PATIENCE)}
        seen = await self._ask(chosen, "GET", "/__phone/view", params=asked)
        if chosen.provider != "whatsapp_cloud" and since:  # this one does not wait by itself
            deadline = asyncio.get_running_loop().time() + _PATIENCE
            while str(seen["version"]) == since and asyncio.get_running_loop().time() < deadline:
                await asyncio.sleep(_LOOK)
                seen = await self._ask(chosen, "GET", "/__phone/view", params=asked)
        first: dict[str, Any] = {}
        if not since:
            first = {"words": self._words(who.language), "language": who.language, "time_zone": who.time_zone}
        return {
            **seen,
            **first,
            "number": asdict(chosen),
            "numbers": [asdict(one) for one in numbers],
            "leads": [self._lead(who.language, lead) for lead in seen["leads"]],
        }

    async def do(self, who: Identity, did: Did) -> dict[str, Any]:
        """Something that the person does on the phone. ArgumentsWrong("phone_act_wrong"), Refused as `view`."""
        act = self._acts.get(str(did.get("do")))
        if act is None:
            raise ArgumentsWrong("phone_act_wrong", "no such act")
        number = await self._owned(who, str(did.get("number")))
        contact = "" if did.get("do") == "play" else _contact(did.get("contact"))
        answer = await act(number, contact, did)
        return answer if isinstance(answer, dict) else {}

    async def attach(self, who: Identity, asked: Mapping[str, str], content: bytes) -> dict[str, Any]:
        """A file that the contact sends. `asked`: number, contact, kind, name, mime, caption, reply_to.

        ArgumentsWrong("whatsapp_media_too_big", kind, most, found) in MB, ("phone_act_wrong").
        """
        number, contact = await self._owned(who, asked.get("number", "")), _contact(asked.get("contact"))
        kind, mime = asked.get("kind", ""), asked.get("mime", "")[:100]
        limit = MEDIA_LIMITS.get(kind)
        if limit is None or not content:
            raise ArgumentsWrong("phone_act_wrong", "no such kind of file")
        if len(content) > limit.most_bytes:
            most, found = (round(size / 1_048_576, 1) for size in (limit.most_bytes, len(content)))
            raise ArgumentsWrong("whatsapp_media_too_big", "too big", kind=kind, most=most, found=found)
        media: dict[str, Any] = {"content": base64.b64encode(content).decode(), "mime_type": mime}
        if kind == "audio":
            media["voice"] = asked.get("voice") == "1"
        elif asked.get("caption") and kind != "sticker":
            media["caption"] = asked["caption"][:1_024]
        if kind == "document":
            media["filename"] = asked.get("name", "")[:240]
        return await self._write(number, contact, kind, media, asked.get("reply_to"))

    async def media(self, who: Identity, media_id: str, part: str) -> Response:
        """A file of a chat of this company, or the `part` of it that a player asks for (the header Range). Types that a
        browser may run are only downloaded."""
        for number in await self._numbers(who):
            url = await self._wires[number.provider].open()
            asked = {"id": media_id, "number_id": number.number}
            answer = await self._client().get(f"{url}/__phone/media", params=asked)
            if answer.status_code == 200:
                mime, content = answer.headers.get("content-type", "").partition(";")[0], answer.content
                headers = {} if mime in _SHOWN else {"Content-Disposition": f"attachment; filename={quote(media_id)}"}
                headers["Accept-Ranges"] = "bytes"
                status = 200
                if (wanted := _RANGE.fullmatch(part)) and int(wanted[1]) < len(content):
                    start, end = int(wanted[1]), min(int(wanted[2] or len(content)) + 1, len(content))
                    headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
                    status, content = 206, content[start:end]
                return Response(content, status, headers, mime if mime in _SHOWN else "application/octet-stream")
        return JSONResponse({"error": ""}, 404)

    # --- acts ---------------------------------------------------------------------------------

    async def _meet(self, number: PhoneNumber, contact: str, did: Did) -> Any:
        return await self._tell(number, "meet", contact=contact, name=_words_of(did, "name", 100))

    async def _text(self, number: PhoneNumber, contact: str, did: Did) -> Any:
        body = {"body": _words_of(did, "body", _LONGEST)}
        return await self._write(number, contact, "text", body, did.get("reply_to"), did.get("name"))

    async def _choose(self, number: PhoneNumber, contact: str, did: Did) -> Any:
        """A button, a row of a list, or a quick reply of a template."""
        of, title = _id(did, "of"), _words_of(did, "title", 256)
        if did.get("kind") == "template":
            button = {"payload": str(did.get("id", ""))[:256], "text": title}
            return await self._write(number, contact, "button", button, of)
        reply = {"id": str(did.get("id", ""))[:256], "title": title}
        if did.get("kind") == "row" and did.get("description"):
            reply["description"] = str(did["description"])[:72]
        name = "list_reply" if did.get("kind") == "row" else "button_reply"
        return await self._write(number, contact, "interactive", {"type": name, name: reply}, of)

    async def _react(self, number: PhoneNumber, contact: str, did: Did) -> Any:
        emoji = str(did.get("emoji") or "")[:30]
        reaction = {"message_id": _id(did, "of")} | ({"emoji": emoji} if emoji else {})
        return await self._write(number, contact, "reaction", reaction)

    async def _edit(self, number: PhoneNumber, contact: str, did: Did) -> Any:
        changed = {"type": "text", "text": {"body": _words_of(did, "body", _LONGEST)}}
        return await self._write(number, contact, "edit", {"original_message_id": _id(did, "of"), "message": changed})

    async def _take_back(self, number: PhoneNumber, contact: str, did: Did) -> Any:
        return await self._write(number, contact, "revoke", {"original_message_id": _id(did, "of")})

    async def _place(self, number: PhoneNumber, contact: str, did: Did) -> Any:
        try:
            place: dict[str, Any] = {name: float(did[name]) for name in ("latitude", "longitude")}
        except (KeyError, TypeError, ValueError):
            raise ArgumentsWrong("phone_act_wrong", "no place") from None
        return await self._write(number, contact, "location", place | {"name": str(did.get("name", ""))[:100]})

    async def _card(self, number: PhoneNumber, contact: str, did: Did) -> Any:
        """Somebody's contact details."""
        name, phone = _words_of(did, "name", 100), _contact(did.get("phone"))
        card = {"name": {"formatted_name": name}, "phones": [{"phone": f"+{phone}", "wa_id": phone, "type": "CELL"}]}
        return await self._write(number, contact, "contacts", [card])

    async def _read(self, number: PhoneNumber, contact: str, did: Did) -> Any:
        return await self._tell(number, "read", contact=contact)

    async def _marketing(self, number: PhoneNumber, contact: str, did: Did) -> Any:
        return await self._tell(number, "prefer", contact=contact, value=_one_of(did, ("stop", "resume")))

    async def _line(self, number: PhoneNumber, contact: str, did: Did) -> Any:
        return await self._tell(number, "switch", contact=contact, line=_one_of(did, ("on", "airplane", "off")))

    async def _move(self, number: PhoneNumber, contact: str, did: Did) -> Any:
        return await self._tell(number, "move", contact=contact, to=_contact(did.get("to")))

    async def _play(self, number: PhoneNumber, contact: str, did: Did) -> Any:
        return await self._tell(number, "play", lead=_id(did, "lead"), stop=did.get("stop") is True)

    # --- the stand-in -------------------------------------------------------------------------

    async def _write(
        self, number: PhoneNumber, contact: str, kind: str, body: Any, reply_to: Any = None, name: Any = None
    ) -> dict[str, Any]:
        asked = {"from": contact, "type": kind, kind: body}
        if isinstance(reply_to, str) and _ID.fullmatch(reply_to):
            asked["context"] = {"id": reply_to}
        if isinstance(name, str) and name:
            asked["name"] = name[:100]
        return await self._tell(number, "write", **asked)

    async def _tell(self, number: PhoneNumber, what: str, **asked: Any) -> dict[str, Any]:
        return await self._ask(number, "POST", f"/__phone/{what}", json={"number_id": number.number, **asked})

    async def _ask(self, number: PhoneNumber, method: str, path: str, **more: Any) -> dict[str, Any]:
        try:
            url = await self._wires[number.provider].open()
            answer = await self._client().request(method, url + path, **more)
            found = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable("phone_unreachable", type(error).__name__) from None
        if answer.status_code == 400:
            raise ArgumentsWrong("phone_act_wrong", str(found.get("error")))
        if answer.status_code != 200 or not isinstance(found, dict):
            raise Unavailable("phone_unreachable", f"HTTP {answer.status_code}")
        return found

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            self._http = httpx.AsyncClient(timeout=_PATIENCE + 20, trust_env=False)
        return self._http

    async def _numbers(self, who: Identity) -> Sequence[PhoneNumber]:
        """Refused("phone_not_allowed") for who may see no conversations, or whose company has no number here."""
        if self._permissions.read_scope(who.role, "messaging") is Scope.NONE:
            raise Refused("phone_not_allowed", f"{who.role} sees no conversations")
        numbers = [one for one in await self._numbers_of(who.tenant_id) if one.provider in self._wires]
        if not numbers:
            raise Refused("phone_without_number", "this company has no number in the sandbox")
        return numbers

    async def _owned(self, who: Identity, number: str) -> PhoneNumber:
        for one in await self._numbers(who):
            if one.number == number:
                return one
        raise Refused("phone_not_allowed", "another company's number")

    # --- words --------------------------------------------------------------------------------

    def _words(self, language: str) -> dict[str, str]:
        keys = [key for key in self._texts.sources["pt-BR"] if key.startswith(_WORDS)]
        return {key.removeprefix(_WORDS): self._texts.say(language, key) for key in keys}

    def _lead(self, language: str, lead: dict[str, Any]) -> dict[str, Any]:
        key = f"phone.lead.{lead['id']}"
        return lead | {"about": self._texts.say(language, key) if self._texts.has(key) else ""}


def add_phone(app: FastAPI, phone: PhonePage, texts: Texts) -> None:
    """Put the page's data at its addresses. Who asks is in `visitor`: the gate lets nobody else through."""

    async def answered(answer: Callable[[Identity], Awaitable[Any]]) -> Response:
        who = visitor.get()
        if who is None:
            return JSONResponse({"error": ""}, 401)
        try:
            found = await answer(who)
        except MutiraoError as error:
            status = 403 if isinstance(error, Refused) else 400 if isinstance(error, ArgumentsWrong) else 503
            return JSONResponse({"error": texts.error(who.language, error)}, status)
        return found if isinstance(found, Response) else JSONResponse(found)

    @app.get(DATA)
    async def phone_view(request: Request, number: str = "", contact: str = "", since: str = "") -> Response:
        """Ends early when the page has gone or the server wants to end: nobody waits for news then."""
        asking = asyncio.ensure_future(answered(lambda who: phone.view(who, number, contact, since)))
        try:
            while not (await asyncio.wait({asking}, timeout=_LOOK))[0]:
                if request.app.state.closing() or await request.is_disconnected():
                    return Response(status_code=503)
            return await asking
        finally:
            asking.cancel()

    @app.post(DATA)
    async def phone_act(request: Request) -> Response:
        did = read_act(await request.body())
        return await answered(lambda who: phone.do(who, did))

    @app.post(FILE)
    async def phone_file(request: Request) -> Response:
        content, asked = await request.body(), dict(request.query_params)
        return await answered(lambda who: phone.attach(who, asked, content))

    @app.get(MEDIA)
    async def phone_media(request: Request, id: str = "") -> Response:
        return await answered(lambda who: phone.media(who, id, request.headers.get("range", "")))


def page(language: str) -> str:
    """The page itself: nothing of it is anybody's, phone.js asks for the rest."""
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>Mutirão</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1, interactive-widget=resizes-content">'
        '<link rel="icon" href="/chat/public/favicon.svg"><link rel="stylesheet" href="/chat/public/phone.css">'
        '<script type="module" nonce="{{nonce}}" src="/chat/public/phone.js"></script></head>'
        "<body><main></main></body></html>"
    )


def _contact(told: Any) -> str:
    """The digits of a number with country code, however it was typed."""
    digits = re.sub(r"[\s().-]", "", told) if isinstance(told, str) else ""
    if not _CONTACT.fullmatch(digits):
        raise ArgumentsWrong("phone_number_wrong", "no telephone number")
    return digits.lstrip("+")


def _words_of(did: Did, name: str, most: int) -> str:
    told = did.get(name)
    if not isinstance(told, str) or not told.strip() or len(told) > most:
        raise ArgumentsWrong("phone_act_wrong", f"no {name}")
    return told


def _id(did: Did, name: str) -> str:
    told = did.get(name)
    if not isinstance(told, str) or not _ID.fullmatch(told):
        raise ArgumentsWrong("phone_act_wrong", f"no {name}")
    return told


def _one_of(did: Did, values: tuple[str, ...]) -> str:
    if did.get("value") not in values:
        raise ArgumentsWrong("phone_act_wrong", "no such value")
    return str(did["value"])
