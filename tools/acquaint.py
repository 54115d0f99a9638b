"""Who writes to us becomes known to the CRM: one contact, its company when we know it by this number, an open deal, the
first line of the timeline, and the advertisement by which they came.

Done again it finds what it made. Conversations do not wait for it: where the CRM cannot say who somebody is (two people
share what is known of them), a conversation stays without a contact.
"""

from dataclasses import dataclass, replace
from typing import Any

import structlog

from business.crm.identity import KeyKind, is_landline, key
from business.crm.model import (
    Contact,
    ContactData,
    CustomField,
    FieldType,
    Outcome,
    Source,
    StageKind,
)
from business.crm.service import Crm
from business.messaging.changes import changed
from business.messaging.channels import Channel, Channels
from business.messaging.conversation import Chat, chat_of
from business.people.service import People
from core.db import Connection, Database, fetch_one
from core.errors import MutiraoError
from core.tenancy import Identity, Role
from prompts.texts import Texts

log = structlog.get_logger(__name__)

_AD_FIELDS = ("ad_source_id", "ctwa_clid")
"""Own fields of deals (business/crm/custom.py): by what Meta is told later which advertisement sold."""
_LONGEST = 300  # characters of what somebody wrote that stand in the timeline


@dataclass(frozen=True)
class Acquainted:
    """None where nothing is known, or it is not clear who is meant."""

    contact_id: str | None
    company_id: str | None
    deal_id: str | None


@dataclass
class Acquaintance:
    """Called with (tenant id, chat id): the body of the job "chat_acquaint", and of a turn's first step."""

    db: Database
    crm: Crm
    people: People
    channels: Channels
    texts: Texts

    async def __call__(self, tenant_id: str, chat_id: str) -> Acquainted:
        """Refused("chat_unknown") for a conversation that is not; nothing else is raised for what the CRM refuses."""
        async with self.db.lock(f"acquaint {chat_id}", timeout=20, brief=True):
            async with self.db.tenant(tenant_id) as conn:
                chat = await chat_of(conn, chat_id)
                channel = await self.channels.get(tenant_id, chat.channel_id, conn)
                first = await self._first_words(conn, chat_id)
                if chat.contact_id and (kept := await _kept(conn, chat.contact_id)) != chat.contact_id:
                    await conn.execute("UPDATE chats SET contact_id = %s WHERE id = %s", [kept, chat_id])
                    chat = replace(chat, contact_id=kept)
            if chat.contact_id and chat.deal_id:
                return Acquainted(chat.contact_id, chat.company_id, chat.deal_id)
            if not chat.messages_in:  # we wrote first, and nobody has answered: there is no person yet
                return Acquainted(chat.contact_id, chat.company_id, chat.deal_id)
            who = await self.people.identity_by_role(tenant_id, Role.ADMIN)
            found = await self._known(who, chat, channel, first)
            async with self.db.tenant(tenant_id) as conn:
                await conn.execute(
                    """UPDATE chats SET contact_id = coalesce(contact_id, %s), company_id = coalesce(company_id, %s),
                           deal_id = coalesce(deal_id, %s) WHERE id = %s""",
                    [found.contact_id, found.company_id, found.deal_id, chat_id],
                )
                await changed(conn, tenant_id, chat_id)
            return found

    async def _first_words(self, conn: Any, chat_id: str) -> str:
        query = "SELECT text FROM chat_messages WHERE chat_id = %s AND direction = 'in' ORDER BY seq LIMIT 1"
        row = await fetch_one(conn, query, [chat_id])
        return row["text"] if row else ""

    async def _known(self, who: Identity, chat: Chat, channel: Channel, first: str) -> Acquainted:
        if chat.company_id is None and chat.contact_id is None:
            chat = replace(chat, company_id=await self._company(who, chat, channel))
        contact, is_new = await self._contact(who, chat, channel)
        company_id = chat.company_id or (contact.company_id if contact else None)
        if contact is None:
            return Acquainted(None, company_id, chat.deal_id)
        deal_id = chat.deal_id or await self._deal(who, chat, contact, company_id)
        if is_new or chat.contact_id is None:
            text = self.texts.say(
                who.language, "acquaint.began", channel=channel.name, text=" ".join(first.split())[:_LONGEST]
            )
            await self.crm.write_activity(
                who, "message", text, contact_id=contact.id, deal_id=deal_id, at=chat.last_received_at
            )
        return Acquainted(contact.id, company_id, deal_id)

    async def _company(self, who: Identity, chat: Chat, channel: Channel) -> str | None:
        """The only company that has this telephone."""
        for kind, given in keys_of(chat, channel):
            if kind in (KeyKind.WA_ID, KeyKind.PHONE):
                found = await self.crm.companies_with(who, KeyKind.PHONE, f"+{given.lstrip('+')}")
                if len(found) == 1:
                    return found[0].id
        return None

    # --- the person -------------------------------------------------------------------------------

    async def _contact(self, who: Identity, chat: Chat, channel: Channel) -> tuple[Contact | None, bool]:
        """The contact, and whether it was made now."""
        if chat.contact_id is not None:
            return await self.crm.contact(who, chat.contact_id), False
        keys = keys_of(chat, channel)
        into = await self._one_with(who, keys)
        source = Source("whatsapp" if channel.provider not in ("email", "sms") else channel.provider, chat.id)
        data = ContactData(
            source,
            # What people call themselves on WhatsApp is seldom their whole name: it replaces none that we have.
            name=None if into is not None and into.name else (chat.name or None),
            company_id=None if into is not None and into.company_id else chat.company_id,
            keys=tuple(keys),
            owner_id=None if into is not None else (chat.owner_id or channel.owner_id),
        )
        try:
            made = await self.crm.upsert_contact(who, data, into=into.id if into else None)
            if made.outcome is Outcome.AMBIGUOUS:
                # Somebody has this telephone under another name. A mailbox or a landline is shared; a mobile on
                # WhatsApp answers for itself: whoever writes from it now is a person of their own.
                made = await self.crm.upsert_contact(who, data, as_new=True)
        except MutiraoError as error:
            log.warning("contact_not_known", chat=chat.id, code=error.code)
            return None, False
        if made.id is None:
            return None, False
        return await self.crm.contact(who, made.id), made.outcome is Outcome.CREATED

    async def _one_with(self, who: Identity, keys: list[tuple[KeyKind, str]]) -> Contact | None:
        """The only contact that has one of these keys of one's own: WhatsApp's ids, or a mobile (with or without its
        ninth digit). A landline is a place's: it leads to nobody unless it is somebody's WhatsApp number."""
        for kind, given in keys:
            compared = key(kind, given)
            if compared is None:
                continue
            found = await self.crm.contacts_with(who, kind, given)
            if is_landline(compared.value):
                found = [one for one in found if any(k.kind is KeyKind.WA_ID for k in one.keys)]
            if len(found) == 1:
                return found[0]
        return None

    # --- the deal ---------------------------------------------------------------------------------

    async def _deal(self, who: Identity, chat: Chat, contact: Contact, company_id: str | None) -> str | None:
        """The open deal of the contact, else of the company we wrote to, else a new one; the first advertisement stands
        on it."""
        try:
            found = await self.crm.deals(who, contact_id=contact.id, kind=StageKind.OPEN)
            if not found and company_id is not None:
                found = await self.crm.deals(who, company_id=company_id, kind=StageKind.OPEN)
                if found and found[0].contact_id is None:
                    await self.crm.change_deal(who, found[0].id, {"contact_id": contact.id})
            if found:
                deal = found[0]
            else:
                title = contact.name or contact.company_name or self.texts.say(who.language, "acquaint.deal")
                owner = chat.owner_id or contact.owner_id
                deal = await self.crm.create_deal(
                    who, title, contact_id=contact.id, company_id=company_id, owner_id=owner
                )
            await self._from_ad(who, chat, deal.id, deal.custom)
        except MutiraoError as error:
            log.warning("deal_not_opened", chat=chat.id, code=error.code)
            return None
        return deal.id

    async def _from_ad(self, who: Identity, chat: Chat, deal_id: str, custom: dict[str, Any]) -> None:
        """The first touch stays: what a deal has already is never overwritten."""
        referral = chat.referral or {}
        told = {"ad_source_id": referral.get("source_id"), "ctwa_clid": referral.get("ctwa_clid")}
        new = {name: str(value) for name, value in told.items() if value and not custom.get(name)}
        if not new or any(custom.get(name) for name in _AD_FIELDS):
            return
        known = {field.name for field in await self.crm.fields(who, "deal")}
        for name in new.keys() - known:
            label = self.texts.say(who.language, f"acquaint.field.{name}")
            await self.crm.define_field(who, CustomField("deal", name, label, FieldType.TEXT))
        await self.crm.change_deal(who, deal_id, {"custom": {**custom, **new}})


async def _kept(conn: Connection, contact_id: str) -> str:
    """The record that a contact was merged into, itself where it was not."""
    query = """WITH RECURSIVE m AS (
                   SELECT id, merged_into FROM crm_contacts WHERE id = %s
                   UNION SELECT r.id, r.merged_into FROM crm_contacts r JOIN m ON m.merged_into = r.id)
               SELECT id FROM m WHERE merged_into IS NULL"""
    row = await fetch_one(conn, query, [contact_id])
    return row["id"] if row else contact_id


def keys_of(chat: Chat, channel: Channel) -> list[tuple[KeyKind, str]]:
    """By what the CRM may know the person of a conversation, the surest first."""
    found: list[tuple[KeyKind, str]] = []
    for told in (chat.user_id, chat.address):
        if not told:
            continue
        if told.endswith("@lid"):
            found.append((KeyKind.LID, told))
        elif "@" in told:
            found.append((KeyKind.EMAIL, told))
        elif told.lstrip("+").isdecimal():
            kind = KeyKind.PHONE if channel.provider == "sms" else KeyKind.WA_ID
            found.append((kind, told))
        else:
            found.append((KeyKind.BSUID, told))
    return list(dict.fromkeys(found))
