"""The contacts' phones: what they write, read and switch off, as the changes that Meta posts about it."""

import base64
import binascii
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from integrations.whatsapp_cloud.simulator.courier import Config, Courier
from integrations.whatsapp_cloud.simulator.state import ACCOUNTS, Account, Chat, Contact, State, new_wamid

MEDIA = ("image", "video", "audio", "document", "sticker")
_STATUSES = ("sent", "delivered", "read")
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

        Media may carry {"content": base64, "mime_type", …}. ValueError when that cannot be a message.
        """
        account = account_of(str(asked.get("number_id") or ACCOUNTS[0].number_id))
        kind = asked.get("type")
        if not isinstance(kind, str) or not isinstance(asked.get("from"), str):
            raise ValueError("from and type are needed")
        contact = self._state.contact(asked["from"], str(asked.get("name") or ""))
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
        self._state.note("chat", chat=asdict(chat))
        self._courier.post(account.waba_id, "messages", self.incoming(account, contact, [chat]))
        return chat

    def incoming(self, account: Account, contact: Contact, chats: list[Chat]) -> dict[str, Any]:
        """The value of a change with messages of one contact."""
        named = self._config.identity
        who = {} if named == "user" else {"from": contact.phone}
        if named != "phone":
            who["from_user_id"] = contact.user_id
        written = [who | {"id": one.id, "timestamp": str(int(one.at)), **one.body} for one in chats]
        return self._value(account) | {"contacts": [self._named(contact)], "messages": written}

    def read(self, number_id: str, wa_id: str) -> int:
        """The contact opens the chat: everything delivered becomes read. How many did."""
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
            last = "sent" if chat.body["type"] == "reaction" else self._config.statuses
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
        record = self._state.keep_media(content, mime, account.number_id)
        more = {name: value for name, value in asked.items() if name != "content"}
        sha256 = base64.b64encode(bytes.fromhex(record["sha256"])).decode()  # webhooks say it in base64
        return more | {"id": record["id"], "mime_type": mime, "sha256": sha256}


def account_of(number_id: str) -> Account:
    """ValueError for a number that there is not."""
    for account in ACCOUNTS:
        if account.number_id == number_id:
            return account
    raise ValueError(f"no such number: {number_id}")
