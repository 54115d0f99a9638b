"""The WhatsApp Cloud API: send, mark as read, media up and down, templates, the number.

Works unchanged against https://graph.facebook.com and against the simulator beside it. Facts about the wire: facebook/
openapi business-messaging-api_v23.0.yaml (commit ecba623) and pywa 4.5 (commit 0bcf2f1). Never run against the real
Cloud API so far; the simulator is written after the same sources, not after recorded answers.

Reads are retried, a few times. A message is sent once: when its answer is lost nobody knows whether it left
(OutcomeUnknown), and only a status with our callback data can tell.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from core.errors import ArgumentsWrong, MutiraoError, Refused
from integrations.whatsapp_cloud import media, messages, templates
from integrations.whatsapp_cloud.errors import (
    answer_broken,
    from_graph,
    outcome_unknown,
    rule_of,
    unavailable,
)
from integrations.whatsapp_cloud.limits import malformed
from integrations.whatsapp_cloud.media import Fetched, MediaInfo
from integrations.whatsapp_cloud.messages import Content
from integrations.whatsapp_cloud.templates import Definition, Template

GRAPH_URL = "https://graph.facebook.com"
VERSION = "v26.0"
"""The version of Meta's own examples (typing indicators, 2026-06-17)."""
NUMBER_FIELDS = (
    "id,display_phone_number,verified_name,quality_rating,code_verification_status,name_status,platform_type,throughput,"
    "webhook_configuration"
)
LIMIT_FIELDS = "throughput,whatsapp_business_manager_messaging_limit"
TEMPLATE_FIELDS = "id,name,language,status,category,components,quality_score,rejected_reason"

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_MOST_PAGES = 200
_TIER = re.compile(r"TIER_(?:(\d{1,6})(K?)|UNLIMITED)")
"""TIER_250, TIER_2K, TIER_10K, TIER_100K, TIER_UNLIMITED (Meta, whatsapp/messaging-limits; the words from memory)."""


@dataclass(frozen=True)
class Sent:
    """Meta took a message. That is not delivery: statuses tell."""

    message_id: str
    wa_id: str | None
    user_id: str | None
    status: str | None
    """accepted, held_for_quality_assessment or paused (openapi:1967); None when not told."""


@dataclass(frozen=True)
class Number:
    """A business number as Meta has it. None: not told."""

    id: str
    display: str
    verified_name: str | None
    quality: str | None
    """GREEN, YELLOW, RED or UNKNOWN."""
    name_status: str | None
    throughput: str | None
    """STANDARD (80 messages a second) or HIGH (1,000)."""
    webhook_url: str | None
    """Where Meta posts for this number, or for its account or app."""


@dataclass(frozen=True)
class Limits:
    """What Meta allows a number now. `people`: different people in 24 hours outside their windows, of the whole
    portfolio, None for unlimited; `per_second`: messages."""

    people: int | None
    per_second: int


class WhatsAppCloud:
    """One token's view of the Cloud API.

    `http` is shared and closed by its owner; it follows no redirects here. The token travels in the Authorization
    header, and only to `base_url` and to Meta's media hosts. `timeout`: seconds without a byte. `retries` and `pause`
    (seconds before the first, doubled each time) are for reads; `patience` is the longest wait that they accept.
    Every failure is one of `errors.py`; `errors.rule_of` says what may be done about it.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        token: str,
        *,
        base_url: str = GRAPH_URL,
        version: str = VERSION,
        app_secret: str | None = None,
        retries: int = 2,
        pause: float = 0.5,
        patience: float = 5.0,
        timeout: float = 20.0,
    ) -> None:
        self.requests = 0
        self._http = http
        self._token = token
        parts = urlsplit(base_url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._url = f"{base_url.rstrip('/')}/{version}"
        self._proof = hmac.new(app_secret.encode(), token.encode(), hashlib.sha256).hexdigest() if app_secret else None
        self._retries = retries
        self._pause = pause
        self._patience = patience
        self._timeout = httpx.Timeout(timeout, connect=min(5.0, timeout))

    # --- messages -----------------------------------------------------------------------------

    async def send(
        self,
        number_id: str,
        to: str,
        content: Content,
        *,
        reply_to: str | None = None,
        callback_data: str | None = None,
    ) -> Sent:
        """Send one message, once. Arguments as for `messages.message`.

        ArgumentsWrong for what the table of limits refuses (nothing is sent). OutcomeUnknown
        ("whatsapp_outcome_unknown") when the answer is lost or does not say whether it was taken.
        """
        request = messages.message(to, content, reply_to=reply_to, callback_data=callback_data)
        answer = await self._write(f"{_id(number_id)}/messages", request, once=True)
        try:
            message_id = answer["messages"][0]["id"]
            status = answer["messages"][0].get("message_status")
            contact = (answer.get("contacts") or [{}])[0]
        except (KeyError, IndexError, TypeError, AttributeError):
            raise outcome_unknown("the answer names no message") from None
        if not isinstance(message_id, str) or not message_id:
            raise outcome_unknown("the answer names no message")
        return Sent(message_id, _text(contact, "wa_id"), _text(contact, "user_id"), status if status else None)

    async def mark_read(self, number_id: str, message_id: str, *, typing: bool = False) -> None:
        """Show the user's message as read and, with `typing`, that we write: until our answer or 25 seconds."""
        await self._write(f"{_id(number_id)}/messages", messages.read(message_id, typing=typing))

    # --- media --------------------------------------------------------------------------------

    async def upload(self, number_id: str, kind: str, content: bytes, mime: str, filename: str = "file") -> str:
        """Put a file at Meta, to send it as a `kind`; the id is good for 30 days. Refused as `media.check_upload`."""
        media.check_upload(kind, content, mime)
        name = "".join(sign for sign in filename if sign.isprintable() and sign not in '"\\/')[:240] or "file"
        answer = await self._write(
            f"{_id(number_id)}/media",
            {"messaging_product": "whatsapp", "type": mime},
            file=(name, content, mime),
        )
        media_id = _text(answer, "id")
        if media_id is None:
            raise answer_broken("the answer names no media")
        return media_id

    async def media_info(self, media_id: str, number_id: str | None = None) -> MediaInfo:
        """Where a media object is, for five minutes. With `number_id` only if it belongs to that number."""
        params = {"phone_number_id": _id(number_id)} if number_id is not None else {}
        raw = await self._read(_id(media_id), params)
        url, mime = _text(raw, "url"), _text(raw, "mime_type")
        if url is None or mime is None:
            raise answer_broken("media without an address or a type")
        size = str(raw.get("file_size") or "")
        return MediaInfo(media_id, url, mime, _text(raw, "sha256"), int(size) if size.isdecimal() else None)

    async def fetch(self, info: MediaInfo, *, most: int = media.MOST_BYTES) -> Fetched:
        """The media itself, checked by content.

        Refused("whatsapp_media_host") for an address that is not Meta's, ("whatsapp_media_lies", told, found) for
        content that is not what it says; ArgumentsWrong("whatsapp_media_too_big", kind, most, found) in MB above `most`
        bytes; Unavailable("whatsapp_answer_broken") when its hash is another one, ("whatsapp_unavailable").
        """
        media.check_url(info.url, self._origin)
        content = await self._download(info.url, most, info.size)
        if info.sha256 is not None and not _same_hash(info.sha256, content):
            raise answer_broken("the media's hash is another one")
        found = media.mime_of(content)
        if not media.honest(info.mime, found):
            raise Refused("whatsapp_media_lies", f"told {info.mime}, is {found}", told=info.mime[:100], found=found)
        return Fetched(content, found)

    async def _download(self, url: str, most: int, told: int | None) -> bytes:
        if told is not None and told > most:
            raise _too_big(most, told)
        headers = {"authorization": f"Bearer {self._token}"}
        content = bytearray()
        self.requests += 1
        try:
            async with self._http.stream(
                "GET", url, headers=headers, timeout=self._timeout, follow_redirects=False
            ) as response:
                if response.status_code != 200:
                    raise unavailable(f"media: HTTP {response.status_code}")
                async for piece in response.aiter_bytes():
                    content += piece
                    if len(content) > most:
                        raise _too_big(most, len(content))
        except httpx.HTTPError as error:
            raise unavailable(f"media: no answer ({type(error).__name__})") from None
        return bytes(content)

    # --- templates ----------------------------------------------------------------------------

    async def templates(self, waba_id: str) -> list[Template]:
        """All templates of the account, whatever their state."""
        asked = {"fields": TEMPLATE_FIELDS, "limit": "100"}
        return [templates.read(raw) async for raw in self._pages(f"{_id(waba_id)}/message_templates", asked)]

    async def create_template(self, waba_id: str, definition: Definition) -> tuple[str, str]:
        """Hand in a new template: (its id, its status, as a rule PENDING). Refused before as `Definition.check`."""
        answer = await self._write(f"{_id(waba_id)}/message_templates", definition.request(), once=True)
        template_id = _text(answer, "id")
        if template_id is None:
            raise outcome_unknown("the answer names no template")
        return template_id, _text(answer, "status") or "PENDING"

    # --- the number ---------------------------------------------------------------------------

    async def number(self, number_id: str) -> Number:
        """The number; the cheapest way to learn that token and number belong together."""
        raw = await self._read(_id(number_id), {"fields": NUMBER_FIELDS})
        throughput, hooks = raw.get("throughput"), raw.get("webhook_configuration")
        urls = hooks if isinstance(hooks, dict) else {}
        return Number(
            id=_text(raw, "id") or number_id,
            display=_text(raw, "display_phone_number") or "",
            verified_name=_text(raw, "verified_name"),
            quality=_text(raw, "quality_rating"),
            name_status=_text(raw, "name_status"),
            throughput=_text(throughput, "level") if isinstance(throughput, dict) else None,
            webhook_url=_text(urls, "phone_number")
            or _text(urls, "whatsapp_business_account")
            or _text(urls, "application"),
        )

    async def limits(self, number_id: str) -> Limits | None:
        """How much may leave by the number; None when Meta does not tell, or tells in words that we do not know."""
        raw = await self._read(_id(number_id), {"fields": LIMIT_FIELDS})
        tier = _TIER.fullmatch(_text(raw, "whatsapp_business_manager_messaging_limit") or "")
        if tier is None:
            return None
        throughput = raw.get("throughput")
        high = isinstance(throughput, dict) and throughput.get("level") == "HIGH"
        people = int(tier[1]) * (1_000 if tier[2] else 1) if tier[1] else None
        return Limits(people, 1_000 if high else 80)

    async def subscribe(self, waba_id: str) -> None:
        """Let the app receive the account's webhooks. Doing it again changes nothing."""
        await self._write(f"{_id(waba_id)}/subscribed_apps", {})

    # --- requests -----------------------------------------------------------------------------

    async def _write(
        self, path: str, body: dict[str, Any], *, file: tuple[str, bytes, str] | None = None, once: bool = False
    ) -> dict[str, Any]:
        """One request that changes something. `once`: what is not known to have failed must not be sent again."""
        try:
            response = await self._send("POST", path, body, file)
        except _NEVER_SENT as error:
            raise unavailable(f"no connection to Meta ({type(error).__name__})") from None
        except httpx.HTTPError as error:
            why = f"the answer was lost ({type(error).__name__})"
            raise (outcome_unknown(why) if once else unavailable(why)) from None
        try:
            return self._understand(response)
        except MutiraoError as error:
            found = rule_of(error)
            if once and (found is None or not found.sure):
                raise outcome_unknown(str(error)) from None
            raise

    async def _read(self, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        return await self._attempts("GET", path, params)

    async def _attempts(self, method: str, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        pause = self._pause
        for attempt in range(self._retries + 1):
            try:
                return self._understand(await self._send(method, path, params))
            except httpx.HTTPError as error:
                failure: MutiraoError = unavailable(f"no answer from Meta ({type(error).__name__})")
            except MutiraoError as error:
                failure = error
            again = failure.code in ("whatsapp_unavailable", "whatsapp_answer_broken", "whatsapp_throttled")
            # The table's waits are meant for messages; a read comes back sooner unless Meta itself names a time.
            wait = max(pause, failure.retry_after or 0.0) if failure.code == "whatsapp_throttled" else pause
            if attempt == self._retries or not again or wait > self._patience:
                raise failure from None
            await asyncio.sleep(wait)
            pause *= 2
        raise AssertionError("unreachable")

    async def _pages(self, path: str, params: dict[str, str]) -> AsyncIterator[Any]:
        asked = params
        for _ in range(_MOST_PAGES):
            answer = await self._read(path, asked)
            rows = answer.get("data")
            if not isinstance(rows, list):
                raise answer_broken("the answer has no list")
            for row in rows:
                yield row
            paging = answer.get("paging")
            if not isinstance(paging, dict) or not paging.get("next"):
                return
            cursors = paging.get("cursors")
            after = cursors.get("after") if isinstance(cursors, dict) else None
            if not isinstance(after, str) or after == asked.get("after"):
                raise answer_broken("there is a next page but no way to it")
            asked = asked | {"after": after}
        raise answer_broken("the pages do not end")

    async def _send(
        self, method: str, path: str, body: Mapping[str, Any], file: tuple[str, bytes, str] | None = None
    ) -> httpx.Response:
        self.requests += 1
        headers = {"authorization": f"Bearer {self._token}", "accept": "application/json"}
        proof = {"appsecret_proof": self._proof} if self._proof else {}
        url = f"{self._url}/{path}"
        query: dict[str, str] = proof if method == "POST" else {**body, **proof}
        if query:
            url += "?" + urlencode(query)
        if method != "POST":
            return await self._http.request(method, url, headers=headers, timeout=self._timeout, follow_redirects=False)
        if file is not None:
            return await self._http.post(
                url, data=dict(body), files={"file": file}, headers=headers, timeout=self._timeout
            )
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        headers["content-type"] = "application/json"
        return await self._http.post(url, content=content, headers=headers, timeout=self._timeout)

    def _understand(self, response: httpx.Response) -> dict[str, Any]:
        """The object of the answer; a Graph error as its named failure."""
        status = response.status_code
        try:
            answer = json.loads(response.content)
        except (ValueError, RecursionError):
            answer = None
        if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
            error = {
                name: value.replace(self._token, "[…]") if isinstance(value, str) else value
                for name, value in answer["error"].items()
            }
            raise from_graph(status, error, response.headers)
        if status == 429:  # of something before the API: nothing was taken
            raise from_graph(status, {"code": 4, "message": "HTTP 429"}, response.headers)
        if status >= 500:
            raise unavailable(f"HTTP {status} without a Graph answer")
        if status >= 300 or not isinstance(answer, dict):
            raise answer_broken(f"HTTP {status} without an answer that can be understood")
        return answer


def _id(raw: str) -> str:
    """An id of Meta's as a path may hold it: digits."""
    if not raw.isascii() or not raw.isdecimal() or len(raw) > 40:
        raise malformed("id", "id", "id")
    return raw


def _text(raw: Any, name: str) -> str | None:
    value = raw.get(name) if isinstance(raw, Mapping) else None
    return value if isinstance(value, str) and value else None


def _too_big(most: int, found: int) -> ArgumentsWrong:
    return ArgumentsWrong(
        "whatsapp_media_too_big",
        f"{found} bytes of at most {most}",
        kind="file",
        most=round(most / 1024 / 1024, 1),
        found=round(found / 1024 / 1024, 1),
    )


def _same_hash(told: str, content: bytes) -> bool:
    """Webhooks tell the SHA-256 in base64, GET /{media id} in hex."""
    digest = hashlib.sha256(content).digest()
    return told.lower() == digest.hex() or told == base64.b64encode(digest).decode()
