"""Google Calendar's wire for the sandbox: tokens, busy times, events with ids of the caller's.

One calendar, CALENDAR. Tokens for the refresh token REFRESH, and for a JWT of a service account whose `iss` ends with
".iam.gserviceaccount.com" (its signature is checked where the test has registered the public key). POST /__busy (the
sandbox's own) {"start", "end"}: somebody's own appointment. GET /__events: all events.
"""

import base64
import json
import re
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

CALENDAR = "agenda@aurora.example"
REFRESH = "1//sandbox-refresh"
CLIENT = {"client_id": "sandbox.apps.googleusercontent.com", "client_secret": "sandbox", "refresh_token": REFRESH}
_EVENTS = re.compile(r"/calendar/v3/calendars/([^/]+)/events(?:/([^/]+))?")
_ID = re.compile(r"[a-v0-9]{5,1024}")


class CalendarWire:
    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.own: list[dict[str, str]] = []
        self.tokens = 0
        self.revoked: set[str] = set()

    def respond(self, request: Request) -> Response:
        path = request.scope.get("raw_path", b"").decode().split("?")[0] or request.url.path
        body = request.state.body
        if path == "/__events":
            return JSONResponse({"events": list(self.events.values()), "tokens": self.tokens})
        if path == "/__busy":
            self.own.append(json.loads(body))
            return JSONResponse({})
        if path == "/__revoke":
            self.revoked.add(f"ya29.sandbox{self.tokens}")
            return JSONResponse({})
        if path == "/token":
            return self._token(body)
        if request.headers.get("authorization") not in self._good():
            return _error(401, "authError", "Invalid Credentials")
        if path == "/calendar/v3/freeBusy":
            return self._busy(json.loads(body))
        if (found := _EVENTS.fullmatch(path)) is None:
            return _error(404, "notFound", "Not Found")
        if unquote(found[1]) != CALENDAR:
            return _error(404, "notFound", "Not Found")
        if found[2] is None:
            return self._insert(json.loads(body)) if request.method == "POST" else _error(405, "httpMethod", "")
        event = self.events.get(unquote(found[2]))
        if event is None:
            return _error(404, "notFound", "Not Found")
        if request.method == "GET":
            return JSONResponse(event)
        if event["status"] == "cancelled":
            return _error(410, "deleted", "Resource has been deleted")
        if request.method == "DELETE":
            event["status"] = "cancelled"
            return Response(status_code=204)
        event |= json.loads(body)
        return JSONResponse(event)

    def _good(self) -> set[str]:
        made = {f"ya29.sandbox{number}" for number in range(1, self.tokens + 1)}
        return {f"Bearer {one}" for one in made - self.revoked}

    def _token(self, body: bytes) -> Response:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if form.get("grant_type") == "refresh_token":
            good = form.get("refresh_token") == REFRESH and form.get("client_secret") == CLIENT["client_secret"]
        else:
            good = _of_service_account(form.get("assertion", ""))
        if not good:
            return JSONResponse({"error": "invalid_grant", "error_description": "Bad Request"}, 400)
        self.tokens += 1
        return JSONResponse({"access_token": f"ya29.sandbox{self.tokens}", "expires_in": 3599, "token_type": "Bearer"})

    def _busy(self, asked: dict[str, Any]) -> Response:
        since, until = datetime.fromisoformat(asked["timeMin"]), datetime.fromisoformat(asked["timeMax"])
        found: dict[str, Any] = {}
        for item in asked["items"]:
            if item["id"] != CALENDAR:
                found[item["id"]] = {"errors": [{"domain": "global", "reason": "notFound"}], "busy": []}
                continue
            events = [one for one in self.events.values() if one["status"] != "cancelled"]
            spans = [{"start": one["start"]["dateTime"], "end": one["end"]["dateTime"]} for one in events] + self.own
            found[CALENDAR] = {
                "busy": [
                    one
                    for one in spans
                    if datetime.fromisoformat(one["start"]) < until and datetime.fromisoformat(one["end"]) > since
                ]
            }
        return JSONResponse({"kind": "calendar#freeBusy", "calendars": found})

    def _insert(self, body: dict[str, Any]) -> Response:
        event_id = str(body.get("id", ""))
        if not _ID.fullmatch(event_id):
            return _error(400, "invalid", "Invalid resource id value.")
        if event_id in self.events:
            return _error(409, "duplicate", "The requested identifier already exists.")
        meet = {"hangoutLink": f"https://meet.google.com/{event_id[-10:]}"} if "conferenceData" in body else {}
        self.events[event_id] = {"kind": "calendar#event", "status": "confirmed", **body, **meet}
        return JSONResponse(self.events[event_id])


def _of_service_account(assertion: str) -> bool:
    try:
        header, claims, signature = assertion.split(".")
        told = json.loads(base64.urlsafe_b64decode(claims + "=="))
        kind = json.loads(base64.urlsafe_b64decode(header + "=="))
    except ValueError:
        return False
    scope = "https://www.googleapis.com/auth/calendar"
    return (
        kind.get("alg") == "RS256"
        and str(told.get("iss", "")).endswith(".iam.gserviceaccount.com")
        and told.get("scope") == scope
        and told.get("aud") == "https://oauth2.googleapis.com/token"
        and 0 < told["exp"] - told["iat"] <= 3600
        and len(signature) > 300
    )


def _error(status: int, reason: str, message: str) -> Response:
    errors = [{"domain": "global", "reason": reason, "message": message}]
    return JSONResponse({"error": {"code": status, "message": message, "errors": errors}}, status)
