"""What WhatsApp or a gateway says of our numbers and templates, as notices to the heads of the house.

Each says what happened and what follows of it. Whether sending has stopped is said by the outbox alone, which stops it
(notices of the kind number_stopped).
"""

import structlog

from business.messaging.arrivals import TemplateTold, Told
from business.messaging.channels import Channel
from business.messaging.model import Why
from core.clock import Clock
from core.db import Connection, fetch_one
from prompts.texts import Texts
from tools.notify import Notify

log = structlog.get_logger(__name__)

_OFF = ("logout", "remove", "delete", ".connection.")
"""In what a gateway says when its telephone is not connected to WhatsApp any more."""


class NumberNews:
    def __init__(self, notify: Notify, texts: Texts, clock: Clock) -> None:
        self._notify = notify
        self._texts = texts
        self._clock = clock

    async def number(self, conn: Connection, tenant_id: str, channel: Channel, told: Told) -> None:
        """A number is in trouble: each kind of trouble once a day."""
        log.error("channel_in_trouble", tenant=tenant_id, channel=channel.id, what=told.what)
        about = {"name": channel.name, "detail": self._what(told)}
        key = f"channel:{channel.id}:{told.what}:{self._clock.now():%Y-%m-%d}"
        await self._notify.tell(tenant_id, None, "number_trouble", about, key=key, within=conn)

    async def template(self, conn: Connection, tenant_id: str, channel_id: str, told: TemplateTold) -> None:
        """A template was stopped: each state of it once a day, however many numbers its account has."""
        query = "SELECT coalesce(account, id) AS account FROM channels WHERE id = %s"
        row = await fetch_one(conn, query, [channel_id])
        about = {
            "name": told.name,
            "language": told.language or "",
            "detail": Why(f"notice.template.{told.value}"),
            "reason": self._reason(told.reason),
        }
        of = row["account"] if row else channel_id
        key = f"template:{of}:{told.name}:{told.language}:{told.value}:{self._clock.now():%Y-%m-%d}"
        await self._notify.tell(tenant_id, None, "template_stopped", about, key=key, within=conn)

    def _what(self, told: Told) -> Why:
        event = told.what.rpartition(":")[2].upper()
        if told.what.startswith("error:"):
            return Why("notice.number.error", {"code": event, "detail": told.detail})
        if any(part in told.what for part in _OFF):
            return Why("notice.number.disconnected", {"detail": told.detail})
        key = f"notice.number.{event}"
        if not self._texts.has(key):
            return Why("notice.number.other", {"what": told.what, "detail": told.detail})
        return Why(key, {"detail": told.detail})

    def _reason(self, reason: str) -> Why | str:
        if not reason or reason == "NONE":
            return ""
        key = f"outbox.reason.{reason}"
        return Why(key) if self._texts.has(key) else reason
