"""The contacts' phones: what they write, read and switch off, as the changes that Meta posts about it."""

import base64
import binascii
import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from integrations.whatsapp_cloud.simulator.courier import Config, Courier
from integrations.whatsapp_cloud.simulator.state import ACCOUNTS, Account, Chat, Contact, State, new_wamid
from integrations.whatsapp_cloud.simulator.voice import voice_note

MEDIA = ("image", "video", "audio", "document", "sticker")
LINES = ("on", "airplane", "off")
_STATUSES = ("sent", "delivered", "read")
_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
TITLES = {
    131047: "Re-engagement message",
    131026: "Message undeliverable",
    131049: "This message was not delivered to maintain healthy ecosystem engagement.",
    131050: "User has stopped marketing messages from your business.",
    131053: "Media upload error",
    131000: "Something went wrong",
    130472: "User's number is part of an experiment",
}


class Phones:
    """All contacts of a simulated WhatsApp."""

    def __init__(self, state: State, courier: Courier, config: Config) -> None:
        self._state = state
        self._courier = courier
        self._config = config

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._config.shift)

    # --- from the contact ---------------------------------------------------------------------

    def write(self, asked: dict[str, Any]) -> Chat:
        """A contact writes: {"from", "name"?, "number_id"?, "type", <type>: {…}, "context"?, "referral"?}.

        Media may carry {"content": base64, "mime_type", …}. A phone without a connection keeps it until it has one.
        ValueError when that cannot be a message, or the phone is off.
        """
        account = account_of(str(asked.get("number_id") or ACCOUNTS[0].number_id))
        kind = asked.get("type")
        if not isinstance(kind, str) or not isinstance(asked.get("from"), str):
            raise ValueError("from and type are needed")
        contact = self._state.contact(asked["from"], str(asked.get("name") or ""))
        if contact.line == "off":
            raise ValueError("the phone is off")
        body: dict[str, Any] = {"type": kind}
        if kind in asked:
            body[kind] = self._with_media(asked[kind], account) if kind in MEDIA else asked[kind]
        body |= {name: asked[name] for name in ("referral", "errors") if name in asked}
        context = asked.get("context")
        if isinstance(context, dict):
            body["context"] = {"from": account.display, **context}
        chat = Chat(
            str(asked.get("id") or new_wamid()), account.number_id, contact.wa_id, "in", self.now().timestamp(), body
        )
        if isinstance(context, dict):
            chat.reply_to = context.get("id")
        chat.held = contact.line != "on"
        self._state.note("chat", chat=asdict(chat))
        if not chat.held:
            self._courier.post(account.waba_id, "messages", self.incoming(account, contact, [chat]))
        return self._state.chats[chat.id]

    def meet(self, told: str, name: str) -> Contact:
        """A contact that shall be there, called so."""
        return self._state.contact(told, name)

    def switch(self, wa_id: str, line: str) -> None:
        """The phone is switched off or on, or loses its connection. ValueError for another `line` than LINES.

        What we sent meanwhile is delivered when it is back, and what it wrote meanwhile leaves, both in their order.
        """
        if line not in LINES:
            raise ValueError(f"a phone is {', '.join(LINES)}")
        contact = self._state.contacts[wa_id]
        self._state.note("contact", contact=asdict(contact) | {"line": line})
        if line != "on":
            return
        contact = self._state.contacts[wa_id]
        for account in ACCOUNTS:
            for chat in list(self._state.thread(account.number_id, wa_id)):
                if chat.held:
                    self._state.note("left", id=chat.id)
                    self._courier.post(account.waba_id, "messages", self.incoming(account, contact, [chat]))
                elif self._waits_for(chat) and self._config.statuses != "sent":
                    self.status(chat, "delivered")

    @staticmethod
    def _waits_for(chat: Chat) -> bool:
        """Whether a message of ours is on its way to a phone."""
        return chat.direction == "out" and chat.status == "sent" and chat.body["type"] != "reaction"

    def move(self, number_id: str, wa_id: str, to: str) -> Contact:
        """The contact goes on with another number; WhatsApp tells by a system message of the old one."""
        account, old = account_of(number_id), self._state.contacts[wa_id]
        digits = to.lstrip("+")
        if not re.fullmatch(r"[1-9][0-9]{6,14}", digits) or self._state.find(digits) is not None:
            raise ValueError("the new number must be one with country code that nobody has")
        fresh = self._state.contact(digits, old.name)
        told = f"{old.name} changed from {old.phone} to {fresh.phone}"
        system = {"body": told, "type": "user_changed_number", "wa_id": fresh.wa_id, "user_id": fresh.user_id}
        self.write({"from": old.phone, "number_id": account.number_id, "type": "system", "system": system})
        return fresh

    def incoming(self, account: Account, contact: Contact, chats: list[Chat]) -> dict[str, Any]:
        """The value of a change with messages of one contact."""
        named = self._config.identity
        who = {} if named == "user" else {"from": contact.phone}
        if named != "phone":
            who["from_user_id"] = contact.user_id
        written = [who | {"id": one.id, "timestamp": str(int(one.at)), **one.body} for one in chats]
        return self._value(account) | {"contacts": [self._named(contact)], "messages": written}

    def read(self, number_id: str, wa_id: str) -> int:
        """The contact opens the chat: everything delivered becomes read. How many did; none without a connection."""
        if self._state.contacts[wa_id].line != "on":
            return 0
        opened = [
            one
            for one in self._state.thread(number_id, wa_id)
            if one.direction == "out" and one.status in ("sent", "delivered") and one.body["type"] != "reaction"
        ]
        for one in opened:
            for status in ("delivered", "read"):
                if status not in [told[0] for told in one.statuses]:
                    self.status(one, status)
        return len(opened)

    def unread(self, number_id: str, wa_id: str) -> int:
        """How many messages of ours lie on the phone and were not looked at."""
        thread = self._state.thread(number_id, wa_id)
        return sum(one.status == "delivered" and one.direction == "out" for one in thread)

    def prefer(self, number_id: str, wa_id: str, value: str) -> None:
        """The contact stops or resumes our marketing messages inside WhatsApp."""
        account, contact = account_of(number_id), self._state.contacts[wa_id]
        self._state.note("contact", contact=asdict(contact) | {"stopped": value == "stop"})
        wish = {
            "wa_id": contact.wa_id,
            "category": "marketing_messages",
            "value": value,
            "detail": f"User requested to {value} marketing messages",
            "timestamp": int(self.now().timestamp()),
        }
        if self._config.identity != "phone":
            wish["user_id"] = contact.user_id
        value_of = self._value(account) | {"contacts": [self._named(contact)], "user_preferences": [wish]}
        self._courier.post(account.waba_id, "user_preferences", value_of)

    def echo(self, number_id: str, wa_id: str, words: str) -> Chat:
        """A person of ours writes from the WhatsApp app on the number's own phone (coexistence)."""
        account, contact = account_of(number_id), self._state.contacts[wa_id]
        body = {"type": "text", "text": {"body": words}}
        chat = Chat(new_wamid(), number_id, wa_id, "out", self.now().timestamp(), body)
        self._state.note("chat", chat=asdict(chat))
        echo = {"from": account.display, "to": contact.phone, "id": chat.id, "timestamp": str(int(chat.at)), **body}
        value = self._value(account) | {"contacts": [self._named(contact)], "message_echoes": [echo]}
        self._courier.post(account.waba_id, "smb_message_echoes", value)
        return chat

    # --- statuses -----------------------------------------------------------------------------

    def arrived(self, chat: Chat, code: int | None) -> None:
        """A message of ours was taken; tell how far it gets by itself, or that it failed with `code`."""
        if code is not None:
            self.status(chat, "failed", code)
        elif self._config.statuses != "none":
            away = self._state.contacts[chat.contact].line != "on"
            last = "sent" if away or chat.body["type"] == "reaction" else self._config.statuses
            for status in _STATUSES[: _STATUSES.index(last) + 1]:
                self.status(chat, status)

    def status(self, chat: Chat, status: str, code: int | None = None) -> None:
        """One status of a message of ours, kept and posted."""
        at = self.now().timestamp()
        self._state.note("status", id=chat.id, status=status, at=at, code=code)
        account, contact = account_of(chat.number_id), self._state.contacts[chat.contact]
        told: dict[str, Any] = {"id": chat.id, "status": status, "timestamp": str(int(at))}
        if self._config.identity != "user":
            told["recipient_id"] = contact.wa_id
        if self._config.identity != "phone":
            told["recipient_user_id"] = contact.user_id
        if chat.callback_data is not None:
            told["biz_opaque_callback_data"] = chat.callback_data
        if code is not None:
            title = TITLES.get(code, f"Error {code}")
            told["errors"] = [{"code": code, "title": title, "message": title, "error_data": {"details": title}}]
        else:
            category = self._category(account, chat)
            told["pricing"] = {"billable": category != "service", "pricing_model": "PMP", "category": category}
        value = self._value(account) | {"statuses": [told]}
        if self._config.identity != "phone":
            value["contacts"] = [self._named(contact)]
        self._courier.post(account.waba_id, "messages", value)

    def seen(self, chat: Chat) -> dict[str, Any] | None:
        """A template as the phone shows it: {"header", "media", "body", "footer", "buttons"}; None for all else."""
        if chat.body["type"] != "template":
            return None
        asked = chat.body["template"]
        found = self._state.template(account_of(chat.number_id).waba_id, asked["name"], asked["language"]["code"])
        parts = {str(one["type"]).upper(): one for one in (found or {}).get("components", ())}
        given = {str(one["type"]).upper(): one for one in asked.get("components", ()) if "index" not in one}
        values = {kind: given.get(kind, {}).get("parameters", []) for kind in ("HEADER", "BODY")}
        media = next((one for one in values["HEADER"] if one["type"] != "text"), None)
        return {
            "header": _filled(parts.get("HEADER", {}), values["HEADER"]),
            "media": {"kind": media["type"], **media[media["type"]]} if media else None,
            "body": _filled(parts.get("BODY", {}), values["BODY"]),
            "footer": str(parts.get("FOOTER", {}).get("text", "")),
            "buttons": [
                {"kind": str(one["type"]).lower(), "text": one["text"], "url": one.get("url"), "payload": payload}
                for place, one in enumerate(parts.get("BUTTONS", {}).get("buttons", ()))
                for payload in [_payload(asked, place) or one["text"]]
            ],
        }

    def _category(self, account: Account, chat: Chat) -> str:
        if chat.body["type"] != "template":
            return "service"
        asked = chat.body["template"]
        found = self._state.template(account.waba_id, asked["name"], asked["language"]["code"])
        return str(found["category"]).lower() if found else "utility"

    # --- words of the wire --------------------------------------------------------------------

    def _value(self, account: Account) -> dict[str, Any]:
        metadata = {"display_phone_number": account.display, "phone_number_id": account.number_id}
        return {"messaging_product": "whatsapp", "metadata": metadata}

    def _named(self, contact: Contact) -> dict[str, Any]:
        found: dict[str, Any] = {"profile": {"name": contact.name}}
        if self._config.identity != "user":
            found["wa_id"] = contact.wa_id
        else:
            found["profile"]["username"] = "lead." + contact.wa_id[-4:]
        if self._config.identity != "phone":
            found["user_id"] = contact.user_id
        return found

    def _with_media(self, asked: Any, account: Account) -> dict[str, Any]:
        if not isinstance(asked, dict) or "content" not in asked:
            return dict(asked) if isinstance(asked, dict) else {}
        try:
            content = base64.b64decode(asked["content"], validate=True)
        except (binascii.Error, TypeError):
            raise ValueError("content must be base64") from None
        mime = str(asked.get("mime_type") or "application/octet-stream")
        if mime.startswith(("audio/webm", "video/webm")):
            content, mime = voice_note(content), "audio/ogg; codecs=opus"
        record = self._state.keep_media(content, mime, account.number_id)
        more = {name: value for name, value in asked.items() if name != "content"}
        sha256 = base64.b64encode(bytes.fromhex(record["sha256"])).decode()  # webhooks say it in base64
        return more | {"id": record["id"], "mime_type": mime, "sha256": sha256}


def _filled(part: dict[str, Any], values: list[dict[str, Any]]) -> str:
    """The text of a template's part with its variables, by position or by name."""
    named = {str(one.get("parameter_name") or place): str(one.get("text", "")) for place, one in enumerate(values, 1)}
    return _VARIABLE.sub(lambda match: named.get(match[1], match[0]), str(part.get("text") or ""))


def _payload(asked: dict[str, Any], place: int) -> str:
    """What a quick reply of a template brings back, when the sender chose it."""
    for one in asked.get("components", ()):
        if str(one["type"]).upper() == "BUTTON" and str(one.get("index")) == str(place):
            return str(one["parameters"][0].get("payload", ""))
    return ""


def account_of(number_id: str) -> Account:
    """ValueError for a number that there is not."""
    for account in ACCOUNTS:
        if account.number_id == number_id:
            return account
    raise ValueError(f"no such number: {number_id}")
