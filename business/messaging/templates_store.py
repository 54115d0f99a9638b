"""An account's templates as we keep them: brought from WhatsApp, told what they are for, handed in, filled.

WhatsApp's variables have numbers ({{1}}); here every one has the name of what fills it ({{name}}), so that one set of
values fits all templates. `holes` says which is which.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import structlog
import yaml
from psycopg.types.json import Jsonb

from business.messaging.arrivals import TemplateTold
from business.messaging.channels import Channel, Channels
from business.messaging.sender_cloud import CloudClients
from business.messaging.templates import STOPPED, Category, Filled, Purpose, Template
from core.audit import audit
from core.clock import Clock
from core.db import Connection, Database, fetch_all, fetch_one
from core.errors import ArgumentsWrong, MutiraoError, Refused
from core.jobs import Jobs
from core.permissions import Permissions, Rights
from core.tenancy import Identity
from integrations.whatsapp_cloud import templates as cloud
from integrations.whatsapp_cloud.client import WhatsAppCloud
from integrations.whatsapp_cloud.limits import malformed
from integrations.whatsapp_cloud.messages import Content

log = structlog.get_logger(__name__)

SYNC_TEMPLATES = "sync_templates"
"""The job that brings a channel's templates: (tenant_id, channel_id)."""
VALUES = ("name", "sender", "house", "opening", "source", "topic", "when")
"""Names by which variables are usually filled: of the person, of who writes, of our company; the free sentence; where
the contact is from; what the conversation is about; the moment of a meeting, in words."""
GONE = "DELETED"
Tell = Callable[[Connection, str, str, TemplateTold], Awaitable[None]]
"""A template of this channel cannot be used any more, or hardly: (conn, tenant id, channel id, what WhatsApp said)."""
_HOLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_URL = re.compile(r"https?://[^\s/]+\.\S+")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
_USES = Path(__file__).with_name("template_uses.yaml")


@dataclass(frozen=True)
class Kept:
    """A template as we keep it. `body` with WhatsApp's own variables; `holes`: variable → what fills it; `fillable`:
    whether we can fill it (no file, no variable in its header, no address with a variable on a button)."""

    channel_id: str
    name: str
    language: str
    category: str
    status: str
    quality: str
    body: str
    purposes: tuple[Purpose, ...]
    holes: Mapping[str, str]
    reason: str
    fillable: bool
    synced_at: datetime

    @property
    def variables(self) -> tuple[str, ...]:
        return cloud.variables(self.body)


@dataclass(frozen=True)
class Synced:
    """What a look at WhatsApp came to, by names: new ones, those that changed, those that are gone there."""

    total: int
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


class TemplateStore:
    """For people of the area "messaging", and for jobs."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        channels: Channels,
        clients: CloudClients,
        permissions: Permissions,
        jobs: Jobs,
        tell: Tell | None = None,
    ) -> None:
        """`tell`: how people hear of a template that was stopped."""
        self._db = db
        self._clock = clock
        self._channels = channels
        self._clients = clients
        self._jobs = jobs
        self._tell = tell
        self._rights = Rights(permissions, "messaging", "messaging_not_allowed")

    async def list(self, who: Identity, channel_id: str | None = None) -> list[Kept]:
        """All of a channel (None: the default one), by name. Refused("messaging_not_allowed"); ArgumentsWrong
        ("channel_unknown"), ("templates_no_channel") without a number of WhatsApp's own API."""
        self._rights.reads(who)
        channel = await self._channel(who.tenant_id, channel_id)
        async with self._db.tenant(who.tenant_id) as conn:
            return await _all(conn, channel.id)

    async def sync(self, tenant_id: str, channel_id: str | None = None) -> Synced:
        """Bring what WhatsApp has, and how much it allows the number to send (known.py reads that).

        What the account told about a template stays, unless its variables are others now.
        Errors as `list`, and those of the client.
        """
        channel = await self._channel(tenant_id, channel_id)
        client = await self._clients.of(channel)
        found = {(one.name, one.language): one for one in await client.templates(channel.account)}
        limits = await self._limits(client, channel)
        async with self._db.tenant(tenant_id) as conn:
            if limits:
                await conn.execute(
                    "UPDATE channels SET settings = settings || %s WHERE id = %s", [Jsonb({"told": limits}), channel.id]
                )
            before = {(one.name, one.language): one for one in await _all(conn, channel.id)}
            added, changed = [], []
            for key, one in found.items():
                old = before.get(key)
                purposes, holes = _uses(one, old)
                await self._keep(conn, channel, one, purposes, holes)
                if old is None:
                    added.append(one.name)
                elif (old.status, old.body, old.category) != (one.status, one.body, one.category):
                    changed.append(one.name)
                if old is not None:
                    await self._stopped(conn, channel, old, one)
            gone = [key for key, one in before.items() if key not in found and one.status != GONE]
            for name, language in gone:
                await conn.execute(
                    "UPDATE message_templates SET status = %s, synced_at = %s"
                    " WHERE channel_id = %s AND name = %s AND language = %s",
                    [GONE, self._clock.now(), channel.id, name, language],
                )
        return Synced(len(found), tuple(added), tuple(changed), tuple(name for name, _ in gone))

    async def run(self, tenant_id: str, channel_id: str) -> None:
        """The job: `sync`; a channel that is gone, or whose token is refused, is left as it is."""
        try:
            await self.sync(tenant_id, channel_id)
        except (ArgumentsWrong, Refused) as error:
            log.warning("templates_not_synced", tenant=tenant_id, channel=channel_id, reason=error.code)

    async def sync_all(self) -> None:
        """By the clock: one job for each number of WhatsApp's own API."""
        async with self._db.system() as conn:
            query = "SELECT tenant_id, channel_id FROM list_channels() WHERE provider = 'whatsapp_cloud'"
            rows = await fetch_all(conn, query)
        for row in rows:
            await self._jobs.defer(None, SYNC_TEMPLATES, tenant_id=row["tenant_id"], channel_id=row["channel_id"])

    async def told(self, conn: Connection, tenant_id: str, channel_id: str, told: TemplateTold) -> bool:
        """Write down what a webhook says of a template, for every number of its account. What cannot be written down so
        (an unknown one, other components) is looked up soon. Whether it became usable or ceased to be."""
        column = {"status": "status", "quality": "quality", "category": "category"}.get(told.what)
        touched = 0
        if column is not None and told.value:
            done = await conn.execute(
                f"""UPDATE message_templates SET {column} = %(value)s, synced_at = %(now)s,
                        reason = CASE WHEN %(what)s = 'status' THEN %(reason)s ELSE reason END
                    WHERE name = %(name)s AND (%(language)s::text IS NULL OR language = %(language)s)
                      AND channel_id IN (SELECT o.id FROM channels c JOIN channels o USING (tenant_id, account)
                                         WHERE c.id = %(channel)s)""".encode(),
                {
                    "value": told.value,
                    "what": told.what,
                    "reason": "" if told.reason == "NONE" else told.reason[:500],
                    "now": self._clock.now(),
                    "name": told.name,
                    "language": told.language,
                    "channel": channel_id,
                },
            )
            touched = done.rowcount
        if touched and told.value in STOPPED and self._tell is not None:
            await self._tell(conn, tenant_id, channel_id, told)
        if not touched:
            await self._jobs.defer(conn, SYNC_TEMPLATES, tenant_id=tenant_id, channel_id=channel_id)
        return bool(touched) and told.what == "status"

    async def use(
        self,
        who: Identity,
        name: str,
        language: str,
        purposes: Sequence[Purpose],
        holes: Mapping[str, str] | None = None,
        channel_id: str | None = None,
    ) -> Kept:
        """Say what a template is for (nothing: it is chosen for nothing) and what fills its variables.

        Refused("messaging_not_allowed"); ArgumentsWrong: template_unknown (name, language), template_not_fillable
        (name), template_holes (name, missing, extra).
        """
        self._rights.writes_all(who)
        channel = await self._channel(who.tenant_id, channel_id)
        async with self._db.tenant(who.tenant_id) as conn:
            kept = next(
                (one for one in await _all(conn, channel.id) if (one.name, one.language) == (name, language)), None
            )
            if kept is None:
                raise ArgumentsWrong(
                    "template_unknown", f"no template {name!r}", name=name[:80], language=language[:20]
                )
            if purposes and not kept.fillable:
                raise ArgumentsWrong("template_not_fillable", f"{name} wants a file or an address", name=name)
            fills = {**kept.holes, **(holes or {})}
            missing = [one for one in kept.variables if not fills.get(one)] if purposes else []
            extra = sorted(set(fills) - set(kept.variables))
            if missing or extra or not all(_NAME.fullmatch(one) for one in fills.values()):
                raise ArgumentsWrong(
                    "template_holes",
                    f"{name}: missing {missing}, extra {extra}",
                    name=name,
                    missing=", ".join(missing),
                    extra=", ".join(extra),
                )
            await conn.execute(
                "UPDATE message_templates SET purposes = %s, holes = %s"
                " WHERE channel_id = %s AND name = %s AND language = %s",
                [[str(one) for one in purposes], Jsonb(fills), channel.id, name, language],
            )
            await audit(conn, who, "template.used", name, {"for": [str(one) for one in purposes]})
            return next(one for one in await _all(conn, channel.id) if (one.name, one.language) == (name, language))

    async def create(
        self,
        who: Identity,
        definition: cloud.Definition,
        purposes: Sequence[Purpose] = (),
        holes: Mapping[str, str] | None = None,
        channel_id: str | None = None,
    ) -> Kept:
        """Hand a new template in at WhatsApp, which decides about it in minutes or days; a webhook or the next look
        tells. Errors as Definition.check, the client's create_template, `use`; what we could not fill is not made."""
        self._rights.writes_all(who)
        channel = await self._channel(who.tenant_id, channel_id)
        _check_parts(definition)
        template_id, status = await (await self._clients.of(channel)).create_template(channel.account, definition)
        one = cloud.Template(
            template_id, definition.name, definition.language, status, definition.category, definition.header, None,
            definition.body, definition.footer, definition.buttons, None, None,
        )  # fmt: skip
        async with self._db.tenant(who.tenant_id) as conn:
            await self._keep(conn, channel, one, *_uses(one, None))
            await audit(conn, who, "template.created", definition.name, {"language": definition.language})
        if purposes or holes:
            return await self.use(who, definition.name, definition.language, purposes, holes, channel.id)
        return next(
            kept
            for kept in await self.list(who, channel.id)
            if (kept.name, kept.language) == (definition.name, definition.language)
        )

    # --- inside -------------------------------------------------------------------------------

    async def _stopped(self, conn: Connection, channel: Channel, old: Kept, one: cloud.Template) -> None:
        """What a look finds that no webhook has told."""
        reason = one.reason if one.reason not in (None, "NONE") else ""
        for what, before, now, why in (
            ("status", old.status, one.status, reason or ""),
            ("quality", old.quality, one.quality or "UNKNOWN", ""),
        ):
            if now != before and now in STOPPED and self._tell is not None:
                found = TemplateTold(one.name, one.language, what, now, why)
                await self._tell(conn, channel.tenant_id, channel.id, found)

    async def _limits(self, client: WhatsAppCloud, channel: Channel) -> dict[str, int | None]:
        try:
            found = await client.limits(channel.number)
        except MutiraoError as error:  # templates are worth having without them
            log.warning("limits_not_told", channel=channel.id, reason=error.code)
            return {}
        return {"people": found.people, "per_second": found.per_second} if found is not None else {}

    async def _channel(self, tenant_id: str, channel_id: str | None) -> Channel:
        if channel_id is not None:
            channel = await self._channels.get(tenant_id, channel_id)
        else:
            mine = [one for one in await self._channels.of(tenant_id) if one.provider == "whatsapp_cloud"]
            channel = next(iter(sorted(mine, key=lambda one: one.state != "active")), None)  # type: ignore[assignment]
        if channel is None or channel.provider != "whatsapp_cloud" or not channel.account:
            raise ArgumentsWrong("templates_no_channel", "no number of WhatsApp's own API with its account")
        return channel

    async def _keep(
        self,
        conn: Connection,
        channel: Channel,
        one: cloud.Template,
        purposes: Sequence[Purpose],
        holes: Mapping[str, str],
    ) -> None:
        await conn.execute(
            """INSERT INTO message_templates (tenant_id, channel_id, name, language, category, status, quality, body,
                                              components, purposes, holes, template_id, reason, synced_at)
               VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
               ON CONFLICT (tenant_id, channel_id, name, language) DO UPDATE SET category = excluded.category,
                   status = excluded.status, quality = excluded.quality, body = excluded.body,
                   components = excluded.components, purposes = excluded.purposes, holes = excluded.holes,
                   template_id = excluded.template_id, reason = excluded.reason, synced_at = excluded.synced_at""",
            [
                channel.tenant_id, channel.id, one.name, one.language, one.category or "UTILITY", one.status,
                one.quality or "UNKNOWN", one.body, Jsonb(_components(one)), [str(p) for p in purposes],
                Jsonb(dict(holes)), one.id, one.reason or "", self._clock.now(),
            ],
        )  # fmt: skip


# --- for the policy and the wire ------------------------------------------------------------------


async def templates_of(conn: Connection, channel_id: str) -> tuple[Template, ...]:
    """A channel's templates as the policy knows them: their variables called by what fills them; one that we cannot
    fill is for nothing."""
    return tuple(_known(one) for one in await _all(conn, channel_id))


async def filled_of(conn: Connection, channel_id: str, name: str, language: str, values: Mapping[str, str]) -> Filled:
    """A template by its name with its values; one that is not there (any more) comes with the status GONE."""
    found = next(
        (one for one in await templates_of(conn, channel_id) if (one.name, one.language) == (name, language)), None
    )
    if found is None:
        found = Template(name, language, Category.MARKETING, "", GONE)
    return Filled(found, tuple((one, values.get(one, "")) for one in found.variables))


async def words_of(conn: Connection, channel_id: str, name: str, language: str) -> str:
    """A mark of everything that a template says, header, footer and buttons too: another one, other words. "" when
    there is none of this name."""
    query = """SELECT md5(components::text) AS mark FROM message_templates
               WHERE channel_id = %s AND name = %s AND language = %s"""
    row = await fetch_one(conn, query, [channel_id, name, language])
    return str(row["mark"]) if row else ""


async def content_of(conn: Connection, channel_id: str, filled: Filled) -> Content:
    """As it goes over WhatsApp's wire. ArgumentsWrong: whatsapp_template_unusable, whatsapp_template_values."""
    row = await fetch_one(
        conn,
        "SELECT * FROM message_templates WHERE channel_id = %s AND name = %s AND language = %s",
        [channel_id, filled.template.name, filled.template.language],
    )
    if row is None:
        raise ArgumentsWrong(
            "whatsapp_template_unusable", "it is gone", name=filled.template.name, status=filled.template.status
        )
    template = cloud.read({"id": row["template_id"] or "", **_told(row)})
    values, holes = dict(filled.values), row["holes"]
    return cloud.fill(template, {hole: values.get(holes.get(hole, hole), "") for hole in template.variables})


def _known(one: Kept) -> Template:
    body = _HOLE.sub(lambda hole: "{{" + str(one.holes.get(hole[1], hole[1])) + "}}", one.body)
    category = Category(one.category) if one.category in tuple(Category) else Category.MARKETING
    purposes = frozenset(one.purposes) if one.fillable else frozenset()
    return Template(one.name, one.language, category, body, one.status, one.quality, purposes, one.fillable)


async def _all(conn: Connection, channel_id: str) -> list[Kept]:
    rows = await fetch_all(
        conn, "SELECT * FROM message_templates WHERE channel_id = %s ORDER BY name, language", [channel_id]
    )
    return [
        Kept(
            row["channel_id"], row["name"], row["language"], row["category"], row["status"], row["quality"],
            row["body"], tuple(Purpose(one) for one in row["purposes"] if one in tuple(Purpose)), row["holes"],
            row["reason"], not wants_more(row), row["synced_at"],
        )
        for row in rows
    ]  # fmt: skip


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("name", "language", "status", "category", "components")}


def _check_parts(definition: cloud.Definition) -> None:
    if cloud.variables(definition.header or "") or any(button.variable for button in definition.buttons):
        name = definition.name
        raise ArgumentsWrong("template_not_fillable", f"{name}: variables in the text alone", name=name)
    for button in definition.buttons:
        if button.kind == "URL" and not _URL.fullmatch(button.url or ""):
            raise malformed("url", "url", "buttons[].url")
        if button.kind == "PHONE_NUMBER" and not _PHONE.fullmatch(button.phone_number or ""):
            raise malformed("phone", "phone", "buttons[].phone_number")


def wants_more(row: Mapping[str, Any]) -> str:
    """What a row of message_templates asks for that we cannot give: "file", "header", "button"; "" for nothing."""
    return _wants_more(cloud.read(_told(row)))


def _wants_more(one: cloud.Template) -> str:
    if one.header_media is not None:
        return "file"
    if one.header_variable is not None:
        return "header"
    return "button" if any(button.variable for button in one.buttons) else ""


def _components(one: cloud.Template) -> list[dict[str, Any]]:
    """As WhatsApp writes them, of what we read."""
    found: list[dict[str, Any]] = []
    if one.header is not None:
        found.append({"type": "HEADER", "format": "TEXT", "text": one.header})
    elif one.header_media is not None:
        found.append({"type": "HEADER", "format": one.header_media.upper()})
    found.append({"type": "BODY", "text": one.body})
    if one.footer is not None:
        found.append({"type": "FOOTER", "text": one.footer})
    if one.buttons:
        found.append(
            {
                "type": "BUTTONS",
                "buttons": [
                    {"type": b.kind, "text": b.text, "url": b.url, "phone_number": b.phone_number} for b in one.buttons
                ],
            }
        )
    return found


@dataclass(frozen=True)
class _Use:
    purposes: tuple[Purpose, ...] = ()
    holes: tuple[str, ...] = field(default=())


@cache
def _shipped() -> Mapping[str, _Use]:
    found = yaml.safe_load(_USES.read_text(encoding="utf-8"))
    return {name: _Use(tuple(map(Purpose, one["for"])), tuple(one["holes"])) for name, one in found.items()}


def _uses(one: cloud.Template, old: Kept | None) -> tuple[tuple[Purpose, ...], Mapping[str, str]]:
    """What it is for and what fills it: as the account told, else as its name says, else for nothing."""
    if old is not None and old.variables == one.variables:
        return old.purposes, old.holes
    use = _shipped().get(one.name)
    if use is None or len(use.holes) != len(one.variables) or _wants_more(one):
        return (), {}
    return use.purposes, dict(zip(one.variables, use.holes, strict=True))
