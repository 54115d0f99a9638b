"""The simulated WhatsApp over HTTP on loopback, with control endpoints for tests, chaos and the sandbox's phone.

Control (under `/__…`, no token, never from a page of another origin):

GET  /__health     {"ready", "pid", "token_file", "app_secret_file", "verify_token_file", "accounts"}
GET  /__witness    ?since=N: every request to the API, each synced to disk before anything was done about it
GET|POST|DELETE /__faults   what goes wrong next; see `Fault`
GET|POST /__config how this WhatsApp behaves; see `courier.Config`
POST /__webhook    {"url", "verify_token"?}: our address, after Meta's handshake; {"url": null} forgets it
GET  /__hooks      {"pending", "taken", "refused", "last_status"}: webhooks waiting and gone
POST /__settle     {"seconds"?}: wait until no webhook waits
POST /__deliver    {"body" (text) or "entries", "signature"?, "content_type"?, "copies"?, "at_once"?}: post this, now;
                   answers {"statuses"}. "signature": "right", null for none, or the header's value
POST /__phone/write | read | prefer | echo | meet | switch | move | play   what a contact does; see `phone.Phones`
                   and `leads.Leads`
POST /__status     {"id", "status", "code"?}: one more status of a message, in any order
GET  /__phone/thread   ?number_id=&contact=: both sides of a chat, with statuses and until when we are typing
GET  /__phone/threads  ?number_id=: the chats of a number
GET  /__phone/view     ?number_id=&contact=&since=V&seconds=S: both of the above and the courier's state, as soon as
                   something is newer than V, or after S seconds
GET  /__phone/media    ?id=&number_id=: a media object (of that number), for the phone in the browser
POST /__template   {"waba_id", "name", "language", "event", "reason"?}: Meta decides about a template
"""

import asyncio
import contextlib
import json
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from integrations.sandbox_chats import shown_file
from integrations.sandbox_http import Cut, Lost, faults_wanted
from integrations.whatsapp_cloud.simulator.courier import Config, Courier, whole
from integrations.whatsapp_cloud.simulator.graph import Answer, Call, Graph, error, form
from integrations.whatsapp_cloud.simulator.leads import Leads
from integrations.whatsapp_cloud.simulator.phone import Phones, account_of
from integrations.whatsapp_cloud.simulator.state import ACCOUNTS, Chat, Contact, State

KINDS = ("error", "html", "cut", "hang", "drop", "slow", "lost", "hang_after", "status")


@dataclass
class Fault:
    """Something that goes wrong with the next `times` requests that match.

    kind: "error" (a Graph error with `code` and `status`, nothing done), "html" (a page, with `status`), "cut" (done,
    half an answer), "hang" (nothing done, no answer for `seconds`), "drop" (nothing done, connection lost), "slow"
    (done and answered after `seconds`), "lost" (done, connection lost), "hang_after" (done, no answer for `seconds`),
    "status" (a message is taken, and fails with `code`).
    """

    kind: str
    times: int = 1
    path: str = ""
    """A regular expression searched in the path; empty matches all."""
    body: str = ""
    """The same for the request's body as JSON."""
    method: str = ""
    status: int = 0
    code: int = 131000
    message: str = "Something went wrong"
    details: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 60.0

    def meets(self, method: str, path: str, body: str) -> bool:
        return (
            (not self.method or self.method.upper() == method)
            and re.search(self.path, path) is not None
            and (not self.body or re.search(self.body, body) is not None)
        )


class Simulator:
    """One WhatsApp behind HTTP."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.config = Config()
        self.courier = Courier(state, self.config)
        self.phones = Phones(state, self.courier, self.config)
        self.leads = Leads(state, self.phones, self.config)
        self.graph = Graph(state, self.courier, self.phones, self.config)
        self.faults: list[Fault] = []
        self.app = Starlette(
            routes=[
                Route("/__health", self._health),
                Route("/__witness", self._witness),
                Route("/__faults", self._faults, methods=["GET", "POST", "DELETE"]),
                Route("/__config", _control(self._configure), methods=["GET", "POST"]),
                Route("/__webhook", _control(self._webhook), methods=["POST"]),
                Route("/__hooks", self._hooks),
                Route("/__settle", _control(self._settle), methods=["POST"]),
                Route("/__deliver", _control(self._deliver), methods=["POST"]),
                Route("/__status", _control(self._status), methods=["POST"]),
                Route("/__template", _control(self._template), methods=["POST"]),
                Route("/__phone/thread", self._thread),
                Route("/__phone/threads", self._threads),
                Route("/__phone/view", self._view),
                Route("/__phone/media", self._media),
                Route("/__phone/{what}", _control(self._phone), methods=["POST"]),
                Route("/{path:path}", self._graph, methods=["GET", "POST", "DELETE"]),
            ],
            lifespan=self._life,
        )

    @contextlib.asynccontextmanager
    async def _life(self, app: Starlette) -> AsyncIterator[None]:
        running = asyncio.create_task(self.courier.run())
        try:
            yield
        finally:
            await self.leads.close()
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            self.state.close()

    # --- the API ------------------------------------------------------------------------------

    async def _graph(self, request: Request) -> Response:
        raw = await request.body()
        path = re.sub(r"^/v\d+\.\d+", "", request.url.path) or "/"
        kind = request.headers.get("content-type", "")
        body: Any = None
        shown: Any = None
        if "multipart" in kind:
            body = form(kind, raw)
            shown = {**body[0], "file": {"mime": body[2], "size": len(body[1] or b"")}}
        elif raw:
            try:
                body = shown = json.loads(raw)
            except (ValueError, RecursionError):
                shown = raw[:2_000].decode(errors="replace")
        header = request.headers.get("authorization", "")
        token = header[7:] if header.lower().startswith("bearer ") else None
        self.state.witness(request.method, path, shown, token == self.state.token)
        fault = self._next_fault(request.method, path, json.dumps(shown))
        if fault is not None and fault.kind in ("error", "html", "hang", "drop"):
            return await _fail(fault)
        if raw and body is None:
            return _response(error(100, "Invalid parameter", "The body is not JSON"))
        base = f"{request.url.scheme}://{request.url.netloc}"
        call = Call(request.method, path, dict(request.query_params), body, base)
        fails_with = fault.code if fault is not None and fault.kind == "status" else None
        try:
            answer = self.graph.answer(call, token, fails_with)
        except (ValueError, TypeError) as wrong:  # a list where a text should be, no number where one should be
            answer = error(100, "Invalid parameter", str(wrong))
        if self.config.early:
            await self.courier.settled(5.0)
        if fault is not None and fault.kind in ("slow", "hang_after"):
            await asyncio.sleep(fault.seconds)
        if fault is not None and fault.kind in ("lost", "hang_after"):
            return Lost()
        response = _response(answer)
        return Cut(bytes(response.body)) if fault is not None and fault.kind == "cut" else response

    def _next_fault(self, method: str, path: str, body: str) -> Fault | None:
        fault = next((one for one in self.faults if one.meets(method, path, body)), None)
        if fault is not None:
            fault.times -= 1
            if fault.times <= 0:
                self.faults.remove(fault)
        return fault

    # --- control ------------------------------------------------------------------------------

    async def _health(self, request: Request) -> Response:
        files = {f"{name}_file": str(self.state.folder / name) for name in ("token", "app_secret", "verify_token")}
        accounts = [asdict(one) for one in ACCOUNTS]
        return _json({"ready": True, "pid": os.getpid(), "accounts": accounts} | files)

    async def _witness(self, request: Request) -> Response:
        return _json(self.state.journal.since(request))

    async def _faults(self, request: Request) -> Response:
        return await faults_wanted(request, self.faults, Fault, KINDS)

    async def _configure(self, asked: dict[str, Any]) -> Any:
        self.config.change(asked)
        self.courier.wake()
        return asdict(self.config)

    async def _webhook(self, asked: dict[str, Any]) -> Any:
        url = asked.get("url")
        if url is not None:
            if urlsplit(str(url)).hostname not in ("127.0.0.1", "localhost", "::1"):
                raise ValueError("only addresses of this machine")
            token = str(asked.get("verify_token") or self.state.verify_token)
            wrong = await self.courier.handshake(str(url), token)
            if wrong is not None:
                raise ValueError(f"the address does not answer the handshake: {wrong}")
        self.state.note("callback", url=url)
        self.courier.wake()
        return {"url": url}

    async def _hooks(self, request: Request) -> Response:
        found = self.courier
        told = {"taken": found.taken, "refused": found.refused, "last_status": found.last_status}
        return _json({"pending": found.pending} | told)

    async def _settle(self, asked: dict[str, Any]) -> Any:
        return {"settled": await self.courier.settled(float(asked.get("seconds", 5.0)))}

    async def _deliver(self, asked: dict[str, Any]) -> Any:
        body = asked["body"].encode("utf-8", "surrogatepass") if "body" in asked else whole(asked["entries"])
        copies, signature = int(asked.get("copies", 1)), asked.get("signature", "right")
        kind = str(asked.get("content_type", "application/json"))
        if asked.get("at_once"):
            calls = [self.courier.deliver(body, signature, kind) for _ in range(copies)]
            return {"statuses": list(await asyncio.gather(*calls))}
        return {"statuses": [await self.courier.deliver(body, signature, kind) for _ in range(copies)]}

    async def _status(self, asked: dict[str, Any]) -> Any:
        self.phones.status(self.state.chats[asked["id"]], str(asked["status"]), asked.get("code"))
        return {"ok": True}

    async def _template(self, asked: dict[str, Any]) -> Any:
        found = self.state.template(asked["waba_id"], asked["name"], asked["language"])
        if found is None:
            raise ValueError("no such template")
        self.graph.decide(asked["waba_id"], found["id"], str(asked["event"]), str(asked.get("reason", "NONE")))
        return {"id": found["id"]}

    async def _phone(self, asked: dict[str, Any]) -> Any:
        what = asked.pop("what")
        if what == "write":
            return self._shown(self.phones.write(asked))
        if what == "meet":
            return asdict(self.phones.meet(str(asked["contact"]), str(asked.get("name") or "")))
        number_id = str(asked.get("number_id") or ACCOUNTS[0].number_id)
        account_of(number_id)
        if what == "play":
            if asked.get("stop"):
                self.leads.stop(str(asked["lead"]))
            else:
                self.leads.play(str(asked["lead"]), number_id)
            return {"ok": True}
        contact = self.state.contact(str(asked["contact"])).wa_id
        if what == "read":
            return {"read": self.phones.read(number_id, contact)}
        if what == "prefer":
            self.phones.prefer(number_id, contact, str(asked["value"]))
            return {"ok": True}
        if what == "switch":
            self.phones.switch(contact, str(asked["line"]))
            return {"ok": True}
        if what == "move":
            return asdict(self.phones.move(number_id, contact, str(asked["to"])))
        if what == "echo":
            return self._shown(self.phones.echo(number_id, contact, str(asked["text"])))
        raise ValueError(f"a phone cannot {what}")

    async def _thread(self, request: Request) -> Response:
        number_id = request.query_params.get("number_id", ACCOUNTS[0].number_id)
        contact = self.state.find(request.query_params.get("contact", ""))
        if contact is None:
            return _json({"error": "nobody has written from there or been written to"}, 404)
        return _json(self._both_sides(number_id, contact))

    def _both_sides(self, number_id: str, contact: Contact) -> dict[str, Any]:
        shown = [self._shown(one) for one in self.state.thread(number_id, contact.wa_id)]
        until = self.state.typing.get((number_id, contact.wa_id), 0.0) - self.phones.now().timestamp()
        return {"contact": asdict(contact), "typing": until > 0, "typing_for": max(until, 0.0), "messages": shown}

    async def _threads(self, request: Request) -> Response:
        number_id = request.query_params.get("number_id", ACCOUNTS[0].number_id)
        return _json({"threads": self._rows(number_id)})

    def _rows(self, number_id: str) -> list[dict[str, Any]]:
        """The contacts of a number, whoever wrote last first; `last` is what they have of it on their phone."""
        last: dict[str, Chat] = {}
        newest: dict[str, float] = {}
        for one in self.state.chats.values():
            if one.number_id == number_id:
                newest[one.contact] = one.at
                if one.lies_on_the_phone:
                    last[one.contact] = one
        rows = [
            asdict(self.state.contacts[wa_id])
            | {"last": self._shown(last[wa_id]) if wa_id in last else None, "at": at}
            | {"unread": self.phones.unread(number_id, wa_id)}
            for wa_id, at in newest.items()
        ]
        return sorted(rows, key=lambda row: -row["at"])

    async def _view(self, request: Request) -> Response:
        asked = request.query_params
        since, seconds = _whole_number(asked.get("since", "")), _whole_number(asked.get("seconds", ""))
        await self.state.newer(since, min(seconds, 25))
        number_id = asked.get("number_id", ACCOUNTS[0].number_id)
        contact = self.state.find(asked["contact"]) if asked.get("contact") else None
        hooks = {"pending": self.courier.pending, "refused": self.courier.refused, "callback": self.state.callback}
        return _json(
            {
                "version": self.state.version,
                "threads": self._rows(number_id),
                "thread": self._both_sides(number_id, contact) if contact else None,
                "hooks": hooks,
                "leads": self.leads.shown(),
            }
        )

    async def _media(self, request: Request) -> Response:
        found = self.state.media.get(request.query_params.get("id", ""))
        number_id = request.query_params.get("number_id")
        if found is None or number_id not in (None, found["number_id"]):
            return shown_file(None, None)
        return shown_file(self.state.media_content(found["id"]), found["mime_type"])

    def _shown(self, chat: Chat) -> dict[str, Any]:
        return asdict(chat) | {"status": chat.status, "seen": self.phones.seen(chat)}


def _whole_number(told: str) -> int:
    return int(told) if told.isdecimal() and len(told) < 16 else 0


def _control(act: Callable[[dict[str, Any]], Awaitable[Any]]) -> Callable[[Request], Awaitable[Response]]:
    """A control endpoint: an object in, an object out; 400 with the reason for what cannot be."""

    async def endpoint(request: Request) -> Response:
        if "origin" in request.headers:  # a page in the browser has no business here
            return _json({"error": "not from a page"}, 403)
        try:
            asked = await request.json() if request.method == "POST" else {}
            return _json(await act({**dict(asked), **request.path_params}))
        except (ValueError, KeyError, TypeError) as wrong:
            return _json({"error": str(wrong)}, 400)

    return endpoint


def _json(content: Any, status: int = 200) -> Response:
    """JSON in ASCII: even half an emoji that somebody sent can be told."""
    return Response(json.dumps(content), status, media_type="application/json")


def _response(answer: Answer) -> Response:
    if isinstance(answer.body, bytes):
        return Response(answer.body, answer.status, answer.headers)
    content = json.dumps(answer.body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    headers = {"facebook-api-version": "v26.0"} | answer.headers
    return Response(content, answer.status, headers, media_type="application/json; charset=UTF-8")


async def _fail(fault: Fault) -> Response:
    if fault.kind == "hang":
        await asyncio.sleep(fault.seconds)
    if fault.kind in ("hang", "drop"):
        return Lost()
    if fault.kind == "html":
        page = "<!DOCTYPE html><html><body><h1>Sorry, something went wrong.</h1></body></html>"
        return Response(page, fault.status or 502, media_type="text/html")
    found = error(fault.code, fault.message, fault.details)
    return _response(Answer(fault.status or found.status, found.body, fault.headers))
