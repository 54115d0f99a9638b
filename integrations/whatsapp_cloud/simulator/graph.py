"""The Cloud API's answers: messages, media, templates, the number.

Errors and statuses of HTTP as Meta's page "Error codes" words them (repeated by pywa/errors.py and 360dialog's page of
error messages). A free message outside the window is taken and fails later with 131047, as at Meta.
"""

import re
import secrets
from dataclasses import asdict, dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from integrations.whatsapp_cloud.limits import MEDIA_LIMITS
from integrations.whatsapp_cloud.simulator.courier import Config, Courier
from integrations.whatsapp_cloud.simulator.phone import Phones
from integrations.whatsapp_cloud.simulator.state import ACCOUNTS, Account, Chat, State, new_wamid
from integrations.whatsapp_cloud.simulator.validate import complaint

_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_STATUS_OF = {0: 401, 190: 401, 3: 500, 10: 403, 368: 403, 130497: 403, 131031: 403, 1: 500, 2: 503, 131000: 500}
_STATUS_OF |= {131016: 500, 131057: 500, 133004: 500, 131005: 403, 4: 400, 132001: 404}
TYPING_SECONDS = 25.0


@dataclass
class Answer:
    status: int
    body: Any
    """JSON, or bytes of a media object."""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Call:
    """One request to the API. `path` without its version."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    """JSON for JSON; (fields, file's bytes, its type) for a form; else None."""
    base: str


class Graph:
    """One simulated WhatsApp behind its API."""

    def __init__(self, state: State, courier: Courier, phones: Phones, config: Config) -> None:
        self._state = state
        self._courier = courier
        self._phones = phones
        self._config = config

    def answer(self, call: Call, token: str | None, fails_with: int | None = None) -> Answer:
        """What the API says. `fails_with`: the code of the status by which a taken message fails."""
        if token != self._state.token:
            return error(190, "Error validating access token: Session has expired.", kind="OAuthException")
        parts = [part for part in call.path.split("/") if part]
        if call.path.startswith("/whatsapp_business/attachments"):
            return self._attachment(call)
        if not parts:
            return error(100, "Unsupported request")
        account = next((one for one in ACCOUNTS if parts[0] in (one.waba_id, one.number_id)), None)
        what = parts[1] if len(parts) > 1 else ""
        if account is None:
            return self._media(call, parts[0]) if not what else _unknown(parts[0])
        if parts[0] == account.number_id:
            if what == "messages" and call.method == "POST":
                return self._messages(account, call.body, fails_with)
            if what == "media" and call.method == "POST":
                return self._upload(account, call.body)
            if not what and call.method == "GET":
                return Answer(200, self._number(account, call.query.get("fields", "")))
        else:
            if what == "message_templates":
                return self._templates(account, call)
            if what == "phone_numbers" and call.method == "GET":
                return Answer(200, {"data": [self._number(account, "")]})
            if what == "subscribed_apps":
                return Answer(200, {"success": True} if call.method == "POST" else {"data": []})
            if not what and call.method == "GET":
                return Answer(200, {"id": account.waba_id, "name": account.name, "timezone_id": "25"})
        return error(100, f"Unsupported {call.method} request")

    # --- messages -----------------------------------------------------------------------------

    def _messages(self, account: Account, body: Any, fails_with: int | None) -> Answer:
        wrong = complaint(body)
        if wrong is not None:
            return error(131008 if "required" in wrong else 131009, "Parameter value is not valid", wrong)
        if "status" in body:
            return self._read(account, body)
        told = body.get("to") or body["recipient"]
        contact = self._state.contact(told)
        if contact.wa_id == account.display:
            return error(131021, "Recipient cannot be sender")
        marketing = False
        if body["type"] == "template":
            found = self._state.template(
                account.waba_id, body["template"]["name"], body["template"]["language"]["code"]
            )
            if found is None or found["status"] != "APPROVED":
                paused = found is not None and found["status"] in ("PAUSED", "DISABLED")
                return error(132015 if paused else 132001, "Template name does not exist in the translation")
            if (lacking := _variables_wrong(found, body["template"])) is not None:
                return error(132000, "Number of parameters does not match the expected number of params", lacking)
            marketing = found["category"] == "MARKETING"
        chat = Chat(
            new_wamid(),
            account.number_id,
            contact.wa_id,
            "out",
            self._phones.now().timestamp(),
            {"type": body["type"], body["type"]: body[body["type"]]},
            body.get("biz_opaque_callback_data"),
            [],
            (body.get("context") or {}).get("message_id"),
        )
        self._state.note("chat", chat=asdict(chat))
        self._state.typing.pop((account.number_id, contact.wa_id), None)
        code = fails_with
        if code is None and self._config.window and body["type"] != "template":
            now = self._phones.now()
            code = None if self._state.window_open(account.number_id, contact.wa_id, now) else 131047
        if code is None and marketing and contact.stopped:
            code = 131050
        self._phones.arrived(self._state.chats[chat.id], code)
        named = {"input": told, "wa_id": contact.wa_id} if "to" in body else {"input": told, "user_id": contact.user_id}
        sent: dict[str, Any] = {"id": chat.id}
        if body["type"] == "template":
            sent["message_status"] = "accepted"
        return Answer(200, {"messaging_product": "whatsapp", "contacts": [named], "messages": [sent]})

    def _read(self, account: Account, body: dict[str, Any]) -> Answer:
        chat = self._state.chats.get(body["message_id"])
        if chat is None or chat.direction != "in" or chat.number_id != account.number_id:
            return error(131009, "Parameter value is not valid", "Invalid message_id")
        for one in self._state.thread(account.number_id, chat.contact):
            if one.direction == "in" and one.at <= chat.at and one.status != "read":
                self._state.note("status", id=one.id, status="read", at=self._phones.now().timestamp(), code=None)
        if "typing_indicator" in body:
            self._state.typing[account.number_id, chat.contact] = self._phones.now().timestamp() + TYPING_SECONDS
            self._state.touch()
        return Answer(200, {"success": True})

    # --- media --------------------------------------------------------------------------------

    def _upload(self, account: Account, form: Any) -> Answer:
        fields, content, mime = form if isinstance(form, tuple) else ({}, None, "")
        if content is None or fields.get("messaging_product") != "whatsapp":
            return error(131008, "Required parameter is missing", "file and messaging_product are required")
        told = str(fields.get("type") or mime).partition(";")[0]
        limit = next((one for one in MEDIA_LIMITS.values() if told in one.types), None)
        if limit is None:
            return error(
                131053, "Media upload error", f"Param file must be a file with one of the known types, not {told}"
            )
        if len(content) > limit.most_bytes:
            return error(131053, "Media upload error", "Media file size too big")
        return Answer(200, {"id": self._state.keep_media(content, told, account.number_id)["id"]})

    def _media(self, call: Call, media_id: str) -> Answer:
        found = self._state.media.get(media_id)
        asked = call.query.get("phone_number_id")
        if found is None or (asked is not None and asked != found["number_id"]):
            return _unknown(media_id)
        if call.method == "DELETE":
            self._state.note("media_gone", id=media_id)
            return Answer(200, {"success": True})
        url = f"{call.base}/whatsapp_business/attachments/?mid={media_id}&ext=1&hash={secrets.token_hex(8)}"
        told = {name: found[name] for name in ("id", "mime_type", "sha256", "file_size")}
        return Answer(200, told | {"messaging_product": "whatsapp", "url": url})

    def _attachment(self, call: Call) -> Answer:
        found = self._state.media.get(call.query.get("mid", ""))
        if found is None:
            return Answer(404, b"", {})
        return Answer(200, self._state.media_content(found["id"]), {"content-type": found["mime_type"]})

    # --- templates and the number -------------------------------------------------------------

    def _templates(self, account: Account, call: Call) -> Answer:
        if call.method == "GET":
            rows = [one for one in self._state.templates[account.waba_id].values()]
            name = call.query.get("name")
            rows = [one for one in rows if name is None or one["name"] == name]
            page = _page(rows, call)
            if "summary" in call.query:
                told = {"total_count": len(rows), "message_template_count": len(rows), "message_template_limit": 6_000}
                page.body["summary"] = told | {"are_translations_complete": True}
            return page
        if call.method != "POST" or not isinstance(call.body, dict):
            return error(100, "Unsupported request")
        lacking = [name for name in ("name", "language", "category", "components") if not call.body.get(name)]
        if lacking:
            return error(100, f"The parameter {lacking[0]} is required.")
        name, language = str(call.body["name"]), str(call.body["language"])
        if self._state.template(account.waba_id, name, language) is not None:
            return error(100, "Invalid parameter", "There is already a template of this name and language", 2388024)
        row = {
            "id": str(secrets.randbelow(9 * 10**15) + 10**15),
            **{key: call.body[key] for key in ("name", "language", "category", "components")},
            "status": "PENDING",
            "rejected_reason": "NONE",
            "quality_score": {"score": "UNKNOWN", "date": int(self._phones.now().timestamp())},
            "parameter_format": call.body.get("parameter_format", "POSITIONAL"),
        }
        self._state.note("template", waba_id=account.waba_id, template=row)
        if self._config.approve:
            self.decide(account.waba_id, row["id"], "APPROVED", "NONE")
        return Answer(200, {"id": row["id"], "status": "PENDING", "category": row["category"]})

    def decide(self, waba_id: str, template_id: str, event: str, reason: str) -> None:
        """Meta decides about a template, and tells. KeyError when there is none."""
        row = self._state.templates[waba_id][template_id]
        changed = row | {"status": event, "rejected_reason": reason}
        self._state.note("template", waba_id=waba_id, template=changed)
        value = {
            "event": event,
            "message_template_id": int(template_id),
            "message_template_name": row["name"],
            "message_template_language": row["language"],
            "reason": reason,
            "message_template_category": row["category"],
        }
        self._courier.post(waba_id, "message_template_status_update", value)

    def _number(self, account: Account, fields: str) -> dict[str, Any]:
        whole: dict[str, Any] = {
            "id": account.number_id,
            "display_phone_number": "+" + account.display,
            "verified_name": account.name,
            "quality_rating": "GREEN",
            "code_verification_status": "VERIFIED",
            "name_status": "APPROVED",
            "platform_type": "CLOUD_API",
            "throughput": {"level": "STANDARD"},
            "webhook_configuration": {"application": self._state.callback} if self._state.callback else {},
        }
        wanted = [name for name in fields.split(",") if name]
        if "whatsapp_business_manager_messaging_limit" in wanted:
            whole["whatsapp_business_manager_messaging_limit"] = "TIER_2K"
        return {name: value for name, value in whole.items() if not wanted or name in wanted or name == "id"}


def error(
    code: int, message: str, details: str = "", subcode: int | None = None, kind: str = "OAuthException"
) -> Answer:
    """A Graph error as the Cloud API words it."""
    told: dict[str, Any] = {"message": f"(#{code}) {message}", "type": kind, "code": code}
    if details:
        told["error_data"] = {"messaging_product": "whatsapp", "details": details}
    if subcode is not None:
        told["error_subcode"] = subcode
    return Answer(_STATUS_OF.get(code, 400), {"error": told | {"fbtrace_id": "A" + secrets.token_urlsafe(12)}})


def form(content_type: str, raw: bytes) -> tuple[dict[str, str], bytes | None, str]:
    """A multipart form: its fields, the bytes of its file and their type."""
    message = BytesParser(policy=HTTP).parsebytes(b"content-type: " + content_type.encode() + b"\r\n\r\n" + raw)
    fields: dict[str, str] = {}
    content, mime = None, ""
    for part in message.iter_parts() if message.is_multipart() else ():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        payload = payload if isinstance(payload, bytes) else b""
        if part.get_filename() is not None:
            content, mime = payload, part.get_content_type()
        elif isinstance(name, str):
            fields[name] = payload.decode(errors="replace")
    return fields, content, mime


def _unknown(what: str) -> Answer:
    return error(
        100, f"Unsupported get request. Object with ID '{what}' does not exist or cannot be loaded", subcode=33
    )


def _page(rows: list[dict[str, Any]], call: Call) -> Answer:
    limit = int(call.query.get("limit", "25"))
    start = int(call.query.get("after", "0") or "0")
    page = rows[start : start + limit]
    paging: dict[str, Any] = {"cursors": {"before": str(start), "after": str(start + limit)}}
    if start + limit < len(rows):
        paging["next"] = f"{call.base}{call.path}?after={start + limit}"
    return Answer(200, {"data": page, "paging": paging})


def _variables_wrong(row: dict[str, Any], asked: dict[str, Any]) -> str | None:
    """Meta counts the variables of header and body against the template's."""
    for kind in ("HEADER", "BODY"):
        parts = [one for one in row["components"] if str(one.get("type")).upper() == kind]
        part: dict[str, Any] = parts[0] if parts else {}
        wanted = len(set(_VARIABLE.findall(str(part.get("text") or ""))))
        given = next((one for one in asked.get("components", ()) if one["type"].upper() == kind), None)
        found = len(given["parameters"]) if given is not None else 0
        media = str(part.get("format") or "").upper() in ("IMAGE", "VIDEO", "DOCUMENT")
        if found != (1 if media else wanted):
            return f"{kind.lower()}: number of localizable_params ({found}) does not match the expected ({wanted})"
    return None
