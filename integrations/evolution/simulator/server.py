"""The simulated Evolution API 2.3 on loopback: one instance, its messages, its webhook, and the telephones of contacts.

Written after the source (EvolutionAPI/evolution-api 2.3.6, commit 3454bec), not after recorded traffic.

Control, besides /__health, /__requests and /__faults of integrations/sandbox_http.py:

GET  /__witness    ?since=N: every request to the API, each synced to disk before anything was done about it
GET|POST /__config how this server behaves; see `courier.Config`
GET  /__hooks      {"pending", "taken", "refused", "given_up", "last_status"}
POST /__state      {"state": open | connecting | close}: the telephone's connection, told as connection.update
POST /__event      {"event", "data"}: any event, posted to the webhook as it is
POST /__phone/write   {"contact", "text"?, "name"?, "group"?, "reply_to"?, "message"? (WhatsApp's own shape), "at"?,
                      "media"?: {"kind", "content" (base64), "mime", "voice"?, "caption"?, "file_name"?}}
POST /__phone/echo    {"contact", "text"}: somebody writes in the app on the instance's own telephone
POST /__phone/edit    {"id", "text"};  /__phone/delete {"id"};  /__phone/react {"id", "emoji"}
POST /__phone/read    {"contact"}: everything of ours
GET  /__phone/view    ?contact=; POST /__phone/meet {"contact", "name"}; /__phone/write {"from", "type", …};
GET  /__phone/media   ?id=: for the phone in the browser, in the form of the Cloud API's simulator (view.py)
POST /__phone/absent  {"contact"}: this telephone is not on WhatsApp
POST /__status     {"id", "status"}: one more status of a message, in any order
GET  /__thread     ?contact=: both sides of a chat
"""

import base64
import binascii
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from integrations.evolution.simulator import view
from integrations.evolution.simulator.courier import Config, Courier
from integrations.evolution.simulator.state import INSTANCE, OWNER, STATUSES, Message, State, new_id
from integrations.sandbox_chats import shown_file, wa_id_of

_NEEDED = {
    "sendText": ("number", "text"),
    "sendMedia": ("number", "mediatype", "media"),
    "sendWhatsAppAudio": ("number", "audio"),
    "sendSticker": ("number", "sticker"),
    "sendLocation": ("number", "latitude", "longitude", "name", "address"),
    "sendContact": ("number", "contact"),
    "sendReaction": ("key", "reaction"),
}
_TYPES = {
    "image": "imageMessage",
    "video": "videoMessage",
    "audio": "audioMessage",
    "document": "documentMessage",
    "sticker": "stickerMessage",
}
_FAR = {"none": 0, "sent": 1, "delivered": 2, "read": 3}


class _Wrong(Exception):
    def __init__(self, status: int, error: str, message: Any) -> None:
        self.status, self.error, self.message = status, error, message
        super().__init__(error)


class Evolution:
    """`respond` is what SandboxHttp asks."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.config = Config()
        self.courier = Courier(state, self.config)

    def respond(self, request: Request) -> Response:
        path, raw = request.url.path, request.state.body
        try:
            body = json.loads(raw) if raw else {}
        except (ValueError, RecursionError):
            body = None
        if path.startswith("/__"):
            return self._control(request, path, body)
        key = request.headers.get("apikey")
        self.state.witness(request.method, path, body, key == self.state.api_key)
        try:
            answer = self._answer(request.method, path, request, key, body)
            if self.config.echo == "before" and path.startswith("/message/"):
                return _Behind(self.courier, *answer)
            return JSONResponse(*answer)
        except _Wrong as wrong:
            told = {"status": wrong.status, "error": wrong.error, "response": {"message": wrong.message}}
            return JSONResponse(told, wrong.status)

    # --- the API ------------------------------------------------------------------------------

    def _answer(self, method: str, path: str, request: Request, key: str | None, body: Any) -> tuple[Any, int]:
        if path == "/":
            return {"status": 200, "message": "Welcome to the Evolution API, it is working!", "version": "2.3.6"}, 200
        if key != self.state.api_key:
            raise _Wrong(401, "Unauthorized", "Unauthorized")
        if path == "/instance/fetchInstances":
            asked = request.query_params.get("instanceName", INSTANCE)
            state = self.state.instance_state
            found = {"name": INSTANCE, "ownerJid": f"{OWNER}@s.whatsapp.net", "connectionStatus": state}
            return ([found], 200) if asked == INSTANCE else ([], 404)
        area, _, rest = path.strip("/").partition("/")
        what, _, instance = rest.partition("/")
        if unquote(instance) != INSTANCE:
            raise _Wrong(404, "Not Found", [f'The "{unquote(instance)}" instance does not exist'])
        if body is None:
            raise _Wrong(400, "Bad Request", ["Unexpected token in JSON"])
        match (method, area, what):
            case ("GET", "instance", "connectionState"):
                return {"instance": {"instanceName": INSTANCE, "state": self.state.instance_state}}, 200
            case ("POST", "webhook", "set"):
                hook = body.get("webhook") if isinstance(body, dict) else None
                if not isinstance(hook, dict) or not isinstance(hook.get("url"), str):
                    raise _Wrong(400, "Bad Request", [['requires property "webhook"']])
                self.state.note("webhook", webhook=hook)
                self.courier.wake()
                return {"id": "hook", **hook}, 201
            case ("GET", "webhook", "find"):
                return self.state.webhook, 200
            case ("POST", "message", _) if what in _NEEDED:
                return self._send(what, body), 201
            case ("POST", "chat", "markMessageAsRead"):
                marked = body.get("readMessages") or [] if isinstance(body, dict) else []
                self.state.note("read_by_us", ids=[str(key.get("id")) for key in marked if isinstance(key, dict)])
                return {"message": "Read messages", "read": "success"}, 201
            case ("POST", "chat", "sendPresence"):
                self.state.presences.append(body)
                self.state.presences_at.append(time.time())
                return {"presence": body.get("presence")}, 201
            case ("POST", "chat", "findMessages"):
                one = self.state.messages.get(str(((body.get("where") or {}).get("key") or {}).get("id")))
                records = [one.raw] if one else []
                return {"messages": {"total": len(records), "pages": 1, "currentPage": 1, "records": records}}, 200
            case ("POST", "chat", "getBase64FromMediaMessage"):
                return self._file(((body.get("message") or {}).get("key") or {}).get("id")), 201
        raise _Wrong(404, "Not Found", [f"Cannot {method} {path}"])

    def _send(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
        missing = [name for name in _NEEDED[what] if body.get(name) in (None, [], {})]
        if missing:
            raise _Wrong(400, "Bad Request", [[f'requires property "{name}"' for name in missing]])
        if self.state.instance_state != "open":
            raise _Wrong(500, "Internal Server Error", ["Error: Connection Closed"])
        contact = self._contact(str(body["key"]["remoteJid"] if what == "sendReaction" else body["number"]))
        message, content, mime = self._said(what, body)
        raw = self._raw(new_id(), contact, True, message, time.time(), name="Você", reply_to=_quoted(body))
        kept = self.state.keep(
            Message(raw["key"]["id"], contact, True, time.time(), raw, source="api", mime=mime), content
        )
        if self.config.echo != "none":
            self.courier.post("send.message", raw)
        for status in STATUSES[1 : 1 + _FAR.get(self.config.statuses, 2)]:
            self._status(kept, status)
        return {**raw, "status": "PENDING"}

    def _contact(self, number: str) -> str:
        """The telephone behind an address. As the real one, it finds who is registered without the ninth digit."""
        if number.endswith("@lid"):
            if number not in self.state.lids:
                raise _Wrong(400, "Bad Request", [{"exists": False, "jid": number, "number": number}])
            return self.state.lids[number]
        digits = "".join(sign for sign in number.partition("@")[0] if sign.isdecimal())
        contact = wa_id_of(digits)
        if not 7 <= len(digits) <= 15 or contact in self.state.absent:
            raise _Wrong(400, "Bad Request", [{"exists": False, "jid": f"{digits}@s.whatsapp.net", "number": digits}])
        return contact

    def _said(self, what: str, body: dict[str, Any]) -> tuple[dict[str, Any], bytes | None, str]:
        """(WhatsApp's message, the file, its type)."""
        if what == "sendText":
            return {"conversation": body["text"]}, None, ""
        if what == "sendLocation":
            where = {"degreesLatitude": body["latitude"], "degreesLongitude": body["longitude"]}
            return {"locationMessage": where | {"name": body.get("name"), "address": body.get("address")}}, None, ""
        if what == "sendContact":
            one = body["contact"][0]
            card = f"BEGIN:VCARD\nVERSION:3.0\nFN:{one['fullName']}\nTEL:{one['phoneNumber']}\nEND:VCARD"
            return {"contactMessage": {"displayName": one["fullName"], "vcard": card}}, None, ""
        if what == "sendReaction":
            return {"reactionMessage": {"key": body["key"], "text": body["reaction"]}}, None, ""
        kind = {"sendWhatsAppAudio": "audio", "sendSticker": "sticker"}.get(what) or str(body["mediatype"])
        if kind not in _TYPES:
            raise _Wrong(400, "Bad Request", [["mediatype is not one of enum values"]])
        file = str(body.get("media") or body.get("audio") or body.get("sticker"))
        content = None
        if not file.startswith(("http://", "https://")):
            try:
                content = base64.b64decode(file, validate=True)
            except (binascii.Error, ValueError):
                raise _Wrong(400, "Bad Request", ["Owned media must be a url or base64"]) from None
            if kind == "document" and not body.get("fileName"):
                raise _Wrong(400, "Bad Request", ["For base64 the file name must be informed."])
        mime = str(body.get("mimetype") or {"audio": "audio/ogg", "sticker": "image/webp"}.get(kind, ""))
        part = {"mimetype": mime, "caption": body.get("caption"), "fileName": body.get("fileName")}
        if what == "sendWhatsAppAudio":
            part["ptt"] = True
        return {_TYPES[kind]: {name: value for name, value in part.items() if value is not None}}, content, mime

    def _file(self, message_id: Any) -> dict[str, Any]:
        found = self.state.messages.get(str(message_id))
        content = self.state.file(found) if found else None
        if found is None or content is None:
            raise _Wrong(400, "Bad Request", ["The message is not of the media type" if found else "Message not found"])
        told = {"mediaType": found.raw["messageType"], "fileName": f"{found.id}.bin", "mimetype": found.mime}
        return told | {"base64": base64.b64encode(content).decode(), "buffer": None}

    # --- what happens on telephones -----------------------------------------------------------

    def _raw(
        self,
        message_id: str,
        contact: str,
        from_me: bool,
        message: dict[str, Any],
        at: float,
        *,
        name: str,
        reply_to: str | None = None,
        group: bool = False,
    ) -> dict[str, Any]:
        """A message as prepareMessage words it."""
        key: dict[str, Any] = {"id": message_id, "fromMe": from_me}
        phone, lid = f"{contact}@s.whatsapp.net", self.state.lid(contact)
        if group:
            key |= {"remoteJid": "120363000000000001@g.us", "participant": phone}
        elif self.config.addressing == "lid":
            key |= {"remoteJid": lid, "remoteJidAlt": phone, "addressingMode": "lid"}
        elif self.config.addressing == "hidden":
            key |= {"remoteJid": lid, "addressingMode": "lid"}
        else:
            key |= {"remoteJid": phone, "remoteJidAlt": lid, "addressingMode": "pn"}
        context = {"stanzaId": reply_to, "participant": phone} if reply_to else {}
        return {
            "key": key,
            "pushName": name,
            "status": "PENDING" if from_me else "DELIVERY_ACK",
            "message": message,
            "contextInfo": context or None,
            "messageType": next(iter(message), "unknown"),
            "messageTimestamp": int(at),
            "instanceId": "0f1e2d3c-0000-4000-8000-000000000001",
            "source": "android",
        }

    def _write(self, asked: dict[str, Any]) -> dict[str, Any]:
        contact = wa_id_of(str(asked["contact"]))
        at, content, mime = float(asked.get("at") or time.time()), None, ""
        message = asked.get("message") or {"conversation": str(asked.get("text", ""))}
        if media := asked.get("media"):
            content, mime = base64.b64decode(media["content"]), str(media.get("mime", ""))
            part = {"mimetype": mime, "caption": media.get("caption"), "fileName": media.get("file_name")}
            part |= {"ptt": True} if media.get("voice") else {}
            part["mediaKey"] = {"0": 1, "1": 2}
            message = {_TYPES[media["kind"]]: {name: value for name, value in part.items() if value is not None}}
        name, group = str(asked.get("name") or contact), bool(asked.get("group"))
        message_id = str(asked.get("id") or new_id())
        raw = self._raw(message_id, contact, False, message, at, name=name, reply_to=asked.get("reply_to"), group=group)
        self.state.keep(Message(message_id, contact, False, at, raw, "DELIVERY_ACK", mime=mime), content)
        self.courier.post("messages.upsert", raw)
        return raw

    def _phone(self, what: str, asked: dict[str, Any]) -> Any:
        state = self.state
        if what == "write" and "from" in asked:  # from the phone in the browser
            return self._from_browser(asked)
        if what == "write":
            return self._write(asked)
        if what == "meet":
            contact = wa_id_of(str(asked["contact"]))
            state.note("met", contact=contact, name=str(asked.get("name") or f"Contato {contact[-4:]}"))
            return {"wa_id": contact}
        if what == "echo":
            contact = wa_id_of(str(asked["contact"]))
            said = {"conversation": str(asked["text"])}
            raw = self._raw(new_id(), contact, True, said, time.time(), name="Você")
            state.keep(Message(raw["key"]["id"], contact, True, time.time(), raw))
            self.courier.post("messages.upsert", raw)
            return raw
        if what == "absent":
            state.note("absent", contact=wa_id_of(str(asked["contact"])))
            return {"ok": True}
        if what == "read":
            shown = [one for one in state.thread(wa_id_of(str(asked["contact"]))) if one.from_me]
            for one in shown:
                self._status(one, "READ")
            return {"read": len(shown)}
        one = state.messages[asked["id"]]
        if what == "edit":
            key = {"remoteJid": f"{OWNER}@s.whatsapp.net", "fromMe": True, "id": one.id}
            new = {"conversation": str(asked["text"])}
            self.courier.post(
                "messages.edited",
                {"key": key, "type": "MESSAGE_EDIT", "editedMessage": new, "timestampMs": str(int(time.time() * 1000))},
            )
        elif what == "delete":
            self.courier.post("messages.delete", one.raw["key"])
        elif what == "react":
            reaction = {"reactionMessage": {"key": one.raw["key"], "text": str(asked["emoji"])}}
            self._write({"contact": one.contact, "message": reaction})
        else:
            raise KeyError(what)
        return {"ok": True}

    def _from_browser(self, asked: dict[str, Any]) -> Any:
        kind = asked.get("type")
        if kind in ("edit", "revoke"):
            body = asked[str(kind)]
            one = self.state.messages[str(body["original_message_id"])]
            text = body["message"]["text"]["body"] if kind == "edit" else None
            view.note_change(self.state, one, text)
            return self._phone("delete" if text is None else "edit", {"id": one.id, "text": text})
        return view.write(self.state, asked, self._write)

    def _status(self, one: Message, status: str) -> None:
        self.state.note("status", id=one.id, status=status)
        key = one.raw["key"]
        told = {"keyId": one.id, "remoteJid": key["remoteJid"], "fromMe": one.from_me, "status": status}
        self.courier.post("messages.update", told | {"instanceId": "sandbox", "messageId": "cm0000000000"})

    # --- control ------------------------------------------------------------------------------

    def _control(self, request: Request, path: str, body: Any) -> Response:
        if "origin" in request.headers:  # a page in the browser has no business here
            return JSONResponse({"error": "not from a page"}, 403)
        asked = body if isinstance(body, dict) else {}
        if path == "/__phone/media":
            found = self.state.messages.get(request.query_params.get("id", ""))
            content = self.state.file(found) if found else None
            return shown_file(content, found.mime if found else None)
        ways: dict[str, Callable[[], Any]] = {
            "/__witness": lambda: self.state.journal.since(request),
            "/__config": lambda: self._configure(asked),
            "/__hooks": self._hooks,
            "/__state": lambda: self._state(str(asked["state"])),
            "/__event": lambda: self.courier.post(str(asked["event"]), asked.get("data")),
            "/__status": lambda: self._status(self.state.messages[asked["id"]], str(asked["status"])),
            "/__thread": lambda: [asdict(one) for one in self.state.thread(request.query_params.get("contact", ""))],
            "/__presences": lambda: self.state.presences,
            "/__phone/view": lambda: view.view(self.state, self._hooks(), request.query_params.get("contact", "")),
        }
        try:
            if path.startswith("/__phone/") and path not in ways:
                return JSONResponse(self._phone(path.removeprefix("/__phone/"), asked))
            if path not in ways:
                return JSONResponse({"error": "no such control"}, 404)
            return JSONResponse(ways[path]())
        except (KeyError, ValueError, TypeError) as wrong:
            return JSONResponse({"error": f"{type(wrong).__name__}: {wrong}"}, 400)

    def _configure(self, asked: dict[str, Any]) -> Any:
        self.config.change(asked)
        self.courier.wake()
        return asdict(self.config)

    def _hooks(self) -> Any:
        found = self.courier
        told = {"taken": found.taken, "refused": found.refused, "given_up": found.given_up}
        return {"pending": found.pending, "last_status": found.last_status} | told

    def _state(self, state: str) -> Any:
        self.state.note("state", state=state)
        reason = {"open": 200, "close": 401}.get(state, 0)
        self.courier.post("connection.update", {"instance": INSTANCE, "state": state, "statusReason": reason})
        return {"state": state}


class _Behind(JSONResponse):
    """An answer that comes when everything that was posted to the webhook has arrived."""

    def __init__(self, courier: Courier, content: Any, status: int) -> None:
        super().__init__(content, status)
        self._courier = courier

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._courier.through()
        await super().__call__(scope, receive, send)


def _quoted(body: dict[str, Any]) -> str | None:
    found = ((body.get("quoted") or {}).get("key") or {}).get("id")
    return found if isinstance(found, str) else None
