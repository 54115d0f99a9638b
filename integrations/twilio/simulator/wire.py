"""Twilio's wire for the sandbox: takes messages of one account and keeps them; Twilio's own magic numbers fail.

GET /__messages (the sandbox's own): what was taken, oldest first. Magic numbers: twilio.com/docs/iam/test-credentials.
"""

import base64
import re
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

SID = "AC00000000000000000000000000000001"
TOKEN = "sandbox0123456789sandbox01234567"
NUMBER = "+15005550006"
_FAILS = {
    "+15005550001": (21211, "The 'To' number is not a valid phone number."),
    "+15005550002": (21612, "The 'To' phone number cannot be reached."),
    "+15005550003": (21408, "Permission to send an SMS has not been enabled for the region."),
    "+15005550004": (21610, "Attempt to send to unsubscribed recipient"),
    "+15005550009": (21614, "'To' number is not a valid mobile number"),
}


class TwilioWire:
    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def respond(self, request: Request) -> Response:
        if request.url.path == "/__messages":
            return JSONResponse({"messages": self.messages})
        asks = request.url.path == f"/2010-04-01/Accounts/{SID}.json" and request.method == "GET"
        sends = request.url.path == f"/2010-04-01/Accounts/{SID}/Messages.json" and request.method == "POST"
        if not (asks or sends):
            return _error(404, 20404, "The requested resource was not found")
        if request.headers.get("authorization") != "Basic " + base64.b64encode(f"{SID}:{TOKEN}".encode()).decode():
            return _error(401, 20003, "Authenticate")
        if asks:
            return JSONResponse({"sid": SID, "status": "active", "friendly_name": "Sandbox"})
        form = {name: values[0] for name, values in parse_qs(request.state.body.decode()).items()}
        to, sender, body = form.get("To", ""), form.get("From", ""), form.get("Body", "")
        if not re.fullmatch(r"\+[1-9]\d{6,14}", to):
            return _error(400, 21211, "The 'To' number is not a valid phone number.")
        if to in _FAILS:
            return _error(400, *_FAILS[to])
        if sender != NUMBER and not form.get("MessagingServiceSid", "").startswith("MG"):
            return _error(400, 21606, "The 'From' phone number provided is not a valid message-capable number.")
        if not body:
            return _error(400, 21602, "Message body is required.")
        if len(body) > 1_600:
            return _error(400, 21617, "The concatenated message body exceeds the 1600 character limit.")
        sid = f"SM{len(self.messages) + 1:032x}"
        self.messages.append({"sid": sid, "to": to, "from": sender, "body": body})
        return JSONResponse({"sid": sid, "status": "queued", "error_code": None}, 201)


def _error(status: int, code: int, message: str) -> Response:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return JSONResponse({"code": code, "message": message, "more_info": more, "status": status}, status)
