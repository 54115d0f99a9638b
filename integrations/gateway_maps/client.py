"""A gateway whose format is read by a map: what can be said there is what the map's `send` names.

Nothing here was ever run against a real server. What is not certain to have come before the send is an unknown outcome.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from core.errors import MutiraoError
from integrations import gateways
from integrations.gateway_maps.mapping import GatewayMap, filled, text
from integrations.gateways import Sent
from integrations.whatsapp_cloud import media
from integrations.whatsapp_cloud.media import Fetched

_SURE = {401, 403, 404, 405, 413, 415, 422}
"""Answers by which a server of any make says that it has done nothing."""


class MappedClient:
    """One number at one gateway. The map's texts may name token, account and number besides the message's values."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        gateway: GatewayMap,
        token: str,
        *,
        base_url: str = "",
        account: str = "",
        number: str = "",
        timeout: float = 30.0,
    ) -> None:
        self._http = http
        self._map = gateway
        self._token = token
        self._url = (base_url or gateway.base_url).rstrip("/")
        self._values = {"token": token, "account": account, "number": number}
        self._timeout = httpx.Timeout(timeout, connect=min(5.0, timeout))

    def __repr__(self) -> str:
        return f"MappedClient({self._map.provider!r}, {self._url!r})"  # never the token

    def can(self, what: str) -> bool:
        """Whether the map names how to do `what`: text, media, location, contact, reaction."""
        return bool(self._map.part("send", what))

    async def say(self, what: str, to: str, said: Mapping[str, Any]) -> Sent:
        """Send one message, once. `said`: the values that the map's body may name: text, kind, file, mime, name,
        latitude, longitude, address, phones, message_id, emoji, reply_to, callback.

        Errors as `EvolutionClient`'s; ArgumentsWrong("gateway_cannot", what).
        """
        shape = self._map.part("send", what)
        if not shape:
            raise gateways.cannot(what)
        whole = self._values | {"to": to.lstrip("+")} | dict(said)
        if whole.get("kind") == "voice":
            whole["kind"] = self._map.part("send").get("voice_kind") or "audio"
        try:
            response = await self._send(shape, whole)
        except gateways.NEVER_SENT as error:
            raise gateways.unavailable(f"no connection ({type(error).__name__})") from None
        except httpx.HTTPError as error:
            raise gateways.outcome_unknown(f"the answer was lost ({type(error).__name__})") from None
        if not 200 <= response.status_code < 300:
            raise self._failure(response, write=True)
        message_id = text(gateways.parsed(response.content), self._map.part("send").get("id"))
        if not message_id:
            raise gateways.outcome_unknown("the answer names no message")
        return Sent(message_id[:200])

    async def mark_read(self, message_id: str) -> None:
        """Blue ticks; nothing when the map does not say how."""
        if shape := self._map.part("read"):
            await self._ask(shape, {"message_id": message_id})

    async def fetch(self, message_id: str, *, most: int = media.MOST_BYTES) -> Fetched:
        """The file of a message, by the gateway's own answer, never from an address that somebody else named.

        ArgumentsWrong("gateway_cannot"); else as gateways.file_of.
        """
        shape = self._map.part("media")
        if not shape:
            raise gateways.cannot("file")
        answer = await self._ask(shape, {"message_id": message_id}, most=most * 4 // 3 + 100_000)
        content = text(answer, shape.get("content"))
        if not content:
            raise gateways.answer_broken("no file in the answer")
        return gateways.file_of(content, text(answer, shape.get("mime")), most)

    async def state(self) -> tuple[str, bool | None]:
        """(the gateway's word, whether it is connected; None when the map does not know). Asks with our token."""
        shape = self._map.part("state")
        if not shape:
            return "", None
        answer = await self._ask(shape, {})
        told = text(answer, shape.get("value")).lower()
        up = [str(one).lower() for one in shape.get("up") or []]
        return told, (told in up) if up else None

    async def _ask(self, shape: Mapping[str, Any], values: Mapping[str, Any], most: int = gateways.MOST_ANSWER) -> Any:
        request = self._request(shape, self._values | dict(values))
        try:
            async with self._http.stream(**request) as response:
                content = await gateways.read_at_most(response, most)
        except httpx.HTTPError as error:
            raise gateways.unavailable(f"no answer ({type(error).__name__})") from None
        if not 200 <= response.status_code < 300:
            raise self._failure(response, write=False)
        return gateways.parsed(content)

    async def _send(self, shape: Mapping[str, Any], values: Mapping[str, Any]) -> httpx.Response:
        return await self._http.request(**self._request(shape, values))

    def _request(self, shape: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
        method, auth = str(shape.get("method") or "POST"), self._map.part("auth")
        in_path = {name: quote(str(value), safe="") for name, value in values.items() if value is not None}
        headers = {"accept": "application/json", "content-type": "application/json"}
        headers[str(auth.get("name") or "authorization")] = filled(auth.get("value") or "Bearer {token}", self._values)
        body = filled(shape["body"], values) if "body" in shape else None
        return {
            "method": method,
            "url": self._url + str(filled(str(shape["path"]) + " ", in_path)).strip(),
            "content": None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"),
            "headers": headers,
            "timeout": self._timeout,
            "follow_redirects": False,
        }

    def _failure(self, response: httpx.Response, *, write: bool) -> MutiraoError:
        status = response.status_code
        if status in (401, 403):
            return gateways.token_refused(f"HTTP {status}")
        if status == 404:
            return gateways.number_missing("HTTP 404")
        if status == 429:
            after = response.headers.get("retry-after", "")
            return gateways.throttled("HTTP 429", float(after) if after.isdecimal() else None)
        if status in _SURE:
            return gateways.bad_request(f"HTTP {status}", f"HTTP {status}")
        return gateways.outcome_unknown(f"HTTP {status}") if write else gateways.unavailable(f"HTTP {status}")


def in_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
