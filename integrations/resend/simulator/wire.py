"""Resend's wire for the sandbox: takes mails with the right key, knows a mail by its Idempotency-Key, keeps them.

GET /__mails (the sandbox's own): what was taken, oldest first. A domain "*.refused.example" is nobody's to send from.
"""

import hashlib
import json
import re
from email.utils import parseaddr
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

KEY = "re_sandbox_0123456789"
"""The sandbox's own key."""
_ADDRESS = re.compile(r"[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+")


class ResendWire:
    def __init__(self) -> None:
        self.mails: list[dict[str, Any]] = []
        self._by_key: dict[str, tuple[str, str]] = {}  # key → (hash of the body, id)

    def respond(self, request: Request) -> Response:
        if request.url.path == "/__mails":
            return JSONResponse({"mails": self.mails})
        asks = request.url.path == "/domains" and request.method == "GET"
        if not asks and (request.url.path != "/emails" or request.method != "POST"):
            return _error(404, "not_found", "The requested endpoint does not exist")
        given = request.headers.get("authorization", "")
        if not given:
            return _error(401, "missing_api_key", "Missing API key in the authorization header")
        if given != f"Bearer {KEY}":
            return _error(403, "invalid_api_key", "API key is invalid")
        if asks:
            return JSONResponse({"object": "list", "data": [{"name": "aurora.example", "status": "verified"}]})
        try:
            body = json.loads(request.state.body)
        except ValueError:
            return _error(400, "validation_error", "The body is not JSON")
        for field in ("from", "to", "subject"):
            if not body.get(field):
                return _error(422, "missing_required_field", f"Missing `{field}` field")
        address = parseaddr(body["from"])[1]
        if not _ADDRESS.fullmatch(address):
            return _error(422, "invalid_from_address", "Invalid `from` field")
        if address.endswith(".refused.example"):
            return _error(403, "validation_error", "The domain is not verified")
        to = body["to"] if isinstance(body["to"], list) else [body["to"]]
        if not all(_ADDRESS.fullmatch(parseaddr(one)[1]) for one in to):
            return _error(422, "validation_error", "Invalid `to` field")
        key = request.headers.get("idempotency-key", "")
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        if key and key in self._by_key:
            same, mail_id = self._by_key[key]
            if same != digest:
                return _error(409, "invalid_idempotent_request", "Same idempotency key, another body")
            return JSONResponse({"id": mail_id})
        mail_id = f"49a3999c-0ce1-4ea6-ab68-{len(self.mails) + 1:012d}"
        self.mails.append({"id": mail_id, "key": key, **body})
        if key:
            self._by_key[key] = (digest, mail_id)
        return JSONResponse({"id": mail_id})


def _error(status: int, name: str, message: str) -> Response:
    return JSONResponse({"statusCode": status, "name": name, "message": message}, status)
