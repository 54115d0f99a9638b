"""Google Calendar, REST v3: busy times, one event for each meeting, moved and deleted.

developers.google.com/workspace/calendar/api/v3/reference (freebusy/query, events/insert, patch, delete), read 2026-11.
An event carries an id of ours (events/insert: "id", characters a-v and 0-9), so that inserting it twice is one event
(409, then it is read). Never run against the real service; the simulator is written after the same pages.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx

from core.errors import ArgumentsWrong, MutiraoError, OutcomeUnknown, Refused, Unavailable
from integrations.google_calendar.tokens import Tokens

API_URL = "https://www.googleapis.com/calendar/v3"
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_LIMITS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"})


@dataclass(frozen=True)
class Event:
    """`link`: where to meet online ("" for none). `cancelled`: deleted by somebody."""

    id: str
    starts_at: datetime
    ends_at: datetime
    link: str = ""
    cancelled: bool = False


@dataclass(frozen=True)
class NewEvent:
    """`id`: ours, 5 to 1,024 of a-v and 0-9. `zone`: an IANA name; `guest`: an e-mail address that is invited."""

    id: str
    title: str
    starts_at: datetime
    ends_at: datetime
    zone: str
    description: str = ""
    location: str = ""
    guest: str | None = None
    meet: bool = True
    """Ask for a Google Meet."""


class GoogleCalendar:
    """One account's view. `http` is shared and closed by its owner. Everything is tried again after a lost answer, for
    with our ids twice is once.

    Errors: Refused: calendar_key_refused, calendar_refused (no right, no such calendar); Unavailable: calendar_busy,
    calendar_unavailable; ArgumentsWrong("calendar_malformed"); OutcomeUnknown("calendar_outcome_unknown") for a write.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        tokens: Tokens,
        *,
        base_url: str = API_URL,
        retries: int = 2,
        pause: float = 0.5,
        timeout: float = 15.0,
    ) -> None:
        self._http = http
        self._tokens = tokens
        self._url = base_url.rstrip("/")
        self._retries = retries
        self._pause = pause
        self._timeout = httpx.Timeout(timeout, connect=min(5.0, timeout))

    async def busy(self, calendar: str, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
        """The spans in which the calendar has something, in UTC, by time."""
        asked = {"timeMin": _stamp(since), "timeMax": _stamp(until), "items": [{"id": calendar}]}
        answer = await self._ask("POST", "/freeBusy", asked, write=False)
        found = (answer.get("calendars") or {}).get(calendar)
        if not isinstance(found, dict):
            raise Unavailable("calendar_unavailable", "the answer does not tell of this calendar")
        if found.get("errors"):
            reason = str((found["errors"][0] or {}).get("reason"))
            raise Refused("calendar_refused", f"{calendar}: {reason}", detail=reason[:100])
        try:
            return sorted((_moment(one["start"]), _moment(one["end"])) for one in found.get("busy", []))
        except (KeyError, TypeError, ValueError):
            raise Unavailable("calendar_unavailable", "busy times that cannot be read") from None

    async def insert(self, calendar: str, event: NewEvent) -> Event:
        """Make the event, once by its id; its guest, where it has one, gets an invitation by mail. An event that is
        there already is given as it is there, which may be another time."""
        body: dict[str, Any] = {
            "id": event.id,
            "summary": event.title[:1000],
            "description": event.description[:4000],
            **_times(event.starts_at, event.ends_at, event.zone),
        }
        if event.location:
            body["location"] = event.location[:1000]
        if event.guest:
            body["attendees"] = [{"email": event.guest}]
        if event.meet:
            kind = {"type": "hangoutsMeet"}
            body["conferenceData"] = {"createRequest": {"requestId": event.id, "conferenceSolutionKey": kind}}
        path = f"/calendars/{quote(calendar, safe='')}/events?sendUpdates=all&conferenceDataVersion=1"
        try:
            return _event(await self._ask("POST", path, body, write=True))
        except _Exists:
            found = await self.get(calendar, event.id)
            if found is None or found.cancelled:
                raise Refused("calendar_refused", "deleted there", detail="deleted") from None
            return found

    async def get(self, calendar: str, event_id: str) -> Event | None:
        """The event; None when there never was one."""
        try:
            return _event(await self._ask("GET", _path(calendar, event_id), None, write=False))
        except _Gone:
            return None

    async def move(self, calendar: str, event_id: str, starts_at: datetime, ends_at: datetime, zone: str) -> Event:
        """To another time; the guest is told. Refused("calendar_refused") when it is gone."""
        path = f"{_path(calendar, event_id)}?sendUpdates=all"
        try:
            return _event(await self._ask("PATCH", path, _times(starts_at, ends_at, zone), write=True))
        except _Gone:
            raise Refused("calendar_refused", "deleted there", detail="deleted") from None

    async def delete(self, calendar: str, event_id: str) -> None:
        """Take it out; the guest is told. One that is gone is gone."""
        try:
            await self._ask("DELETE", f"{_path(calendar, event_id)}?sendUpdates=all", None, write=True)
        except _Gone:
            return

    # --- requests -----------------------------------------------------------------------------

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None, *, write: bool) -> dict[str, Any]:
        failure: MutiraoError | None = None
        lost = False
        for attempt in range(self._retries + 1):
            if attempt:
                await asyncio.sleep(self._pause * 2 ** (attempt - 1))
            try:
                return await self._once(method, path, body)
            except OutcomeUnknown as error:
                failure, lost = error, True
            except Unavailable as error:
                failure = error
                if error.code == "calendar_busy" and attempt == self._retries:
                    break
        assert failure is not None
        if lost and write:
            raise OutcomeUnknown("calendar_outcome_unknown", str(failure))
        raise failure if isinstance(failure, Unavailable) else Unavailable("calendar_unavailable", str(failure))

    async def _once(self, method: str, path: str, body: Mapping[str, Any] | None, again: bool = True) -> dict[str, Any]:
        token = await self._tokens.token()
        headers = {"authorization": f"Bearer {token}"}
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        if content is not None:
            headers["content-type"] = "application/json"
        try:
            response = await self._http.request(
                method, f"{self._url}{path}", content=content, headers=headers, timeout=self._timeout,
                follow_redirects=False,
            )  # fmt: skip
        except _NEVER_SENT as error:
            raise Unavailable("calendar_unavailable", f"no connection to Google ({type(error).__name__})") from None
        except httpx.HTTPError as error:
            raise OutcomeUnknown("calendar_outcome_unknown", f"the answer was lost ({type(error).__name__})") from None
        status = response.status_code
        try:
            answer = json.loads(response.content) if response.content else {}
        except (ValueError, RecursionError):
            answer = None
        if 200 <= status < 300:
            if isinstance(answer, dict):
                return answer
            raise OutcomeUnknown("calendar_outcome_unknown", "an answer that cannot be understood")
        if status == 401 and again:
            self._tokens.forget()
            return await self._once(method, path, body, again=False)
        raise _failure(status, answer if isinstance(answer, dict) else {})


class _Exists(MutiraoError):
    pass


class _Gone(MutiraoError):
    pass


def _failure(status: int, answer: Mapping[str, Any]) -> MutiraoError:
    told = answer.get("error")
    error = told if isinstance(told, dict) else {}
    reasons = {str(one.get("reason")) for one in error.get("errors", []) if isinstance(one, dict)}
    detail = f"{status} {', '.join(sorted(reasons))}: {str(error.get('message') or '')[:200]}"
    if status == 401:
        return Refused("calendar_key_refused", detail)
    if status == 429 or (status == 403 and reasons & _LIMITS):
        return Unavailable("calendar_busy", detail)
    if status == 409:
        return _Exists("calendar_exists", detail)
    if status in (404, 410):
        return _Gone("calendar_gone", detail)
    if status == 403:
        return Refused("calendar_refused", detail, detail=", ".join(sorted(reasons))[:100])
    if status >= 500:
        return OutcomeUnknown("calendar_outcome_unknown", detail)
    return ArgumentsWrong("calendar_malformed", detail, detail=detail[:200])


def _event(raw: Mapping[str, Any]) -> Event:
    try:
        starts, ends = _moment(raw["start"]["dateTime"]), _moment(raw["end"]["dateTime"])
        link = raw.get("hangoutLink") or ""
        return Event(str(raw["id"]), starts, ends, str(link), raw.get("status") == "cancelled")
    except (KeyError, TypeError, ValueError):
        raise OutcomeUnknown("calendar_outcome_unknown", "an event that cannot be read") from None


def _times(starts_at: datetime, ends_at: datetime, zone: str) -> dict[str, Any]:
    return {
        "start": {"dateTime": _stamp(starts_at), "timeZone": zone},
        "end": {"dateTime": _stamp(ends_at), "timeZone": zone},
    }


def _path(calendar: str, event_id: str) -> str:
    return f"/calendars/{quote(calendar, safe='')}/events/{quote(event_id, safe='')}"


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("no zone")
    return found.astimezone(UTC)
