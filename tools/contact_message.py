"""A message of ours to somebody whom the CRM has, as a change that a person approves: within the 24 hours after their
last message as it was written, else in the account's approved template for beginning a conversation.

It is planned, shown, edited, sent and taken back as a first message to a lead is (business/prospecting/contact.py,
tools/first_contact.py); the message rules (opt-outs, quiet hours …) are asked when it is shown and when it leaves.
"""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from business.approvals.model import Change, Preview
from business.crm.identity import KeyKind
from business.crm.model import Contact
from business.crm.service import Crm
from business.messaging.channels import WHATSAPP, Channel
from business.messaging.chats import AREA
from business.messaging.conversation import Chat
from business.messaging.known import has_window
from business.messaging.window import is_open
from business.prospecting.contact import (
    MOST_LETTERS,
    FirstContactHandler,
    Way,
    editable_of,
    opening_of,
    reads,
    simulated,
)
from core import formats
from core.db import fetch_one
from core.errors import ArgumentsWrong, Refused
from core.turn import Turn
from prompts.texts import Texts
from tools.crm_targets import CONTACTS, called, meant
from tools.first_contact import FirstContacts, address_of
from tools.leads import Leads
from tools.messages import MESSAGE_TOOLS, MessageDesk, pointed_at
from tools.spec import Effect, ProposedChange, ToolArgs, ToolContext, tool
from tools.taint import OTHERS, named_by_others

KIND = "contact_message"
_THEIR_LANGUAGE = "pt-BR"


class ContactMessage(FirstContactHandler):
    """Changes of kind "contact_message"."""

    kind = KIND
    area = AREA

    async def preview(self, tenant_id: str, change: Change) -> Preview:
        """To whom, by which number, when it may leave, and what they will read."""
        data, way = change.data, change.data["way"]
        outlook, warnings = await self._seen(tenant_id, data)
        templated = [("first_contact.template", way["template"]["name"])] if way.get("template") else []
        return Preview(
            title="contact_message.title",
            title_params={"name": data["name"]},
            lines=[
                ("first_contact.by", way["channel"]),
                *templated,
                ("first_contact.to", formats.phone(data["to"])),
                *([("first_contact.when", outlook.when)] if outlook else []),
                ("first_contact.reads", reads(data)),
            ],
            warnings=warnings,
            editable=editable_of(data),
        )

    def inverse(self, change: Change) -> Change | None:
        kept = super().inverse(change)
        assert kept is not None
        return Change(kept.kind, kept.target, {**kept.data, "about": change.data["about"]})

    async def _recheck(self, tenant_id: str, data: Mapping[str, Any]) -> None:
        """Refused: contact_gone, contact_blocked (name)."""
        async with self._db.tenant(tenant_id) as conn:
            if await fetch_one(conn, "SELECT 1 FROM crm_contacts WHERE id = %s", [data["contact"]]) is None:
                raise Refused("contact_gone", "the contact is not in the CRM any more", name=data["name"])
        if await self._blocked(tenant_id, [(kind, given) for kind, given in data["keys"]]):
            raise Refused("contact_blocked", "the contact is on the do-not-contact list", name=data["name"])


class MessageArgs(ToolArgs):
    targets = ("contact",)

    contact: Annotated[
        str,
        Field(
            max_length=200,
            description="Name, telephone, e-mail, number in the last list, or id of a contact or conversation.",
        ),
    ]
    text: Annotated[str, Field(max_length=MOST_LETTERS, description="What they shall read, in the user's words.")]


@tool(effect=Effect.SEND, area=AREA)
async def message_contact(ctx: ToolContext, args: MessageArgs) -> ProposedChange:
    """Propose a WhatsApp message to one contact of the CRM. A person reads, edits and approves it; nothing is sent by
    this call. Later than 24 hours after their last message it becomes the account's approved template, which says the
    text's main sentence. Several people with that name, or none: an error that says so."""
    crm, leads, desk, texts = ctx.service(Crm), ctx.service(Leads), ctx.service(MessageDesk), ctx.service(Texts)
    who = ctx.turn.identity
    shown = await pointed_at(ctx, args.contact)
    known = shown.contact_id if shown else None
    contact = await crm.contact(who, known or (await meant(ctx, args.contact, CONTACTS)).id)
    name, keys = called(contact), [(str(key.kind), key.given) for key in contact.keys]
    theirs = await desk.chats.of_contact(who, contact.id)
    if named_by_others(ctx.turn, args, each=True) and not _before_us(ctx.turn, {one.id for one in theirs}):
        # What a contact wrote ("tell everybody …") is read in this conversation: only the user says to whom we write.
        raise Refused("not_named_by_user", f"the user did not name {name!r}; ask first", value=name)
    if not args.text.strip():
        raise ArgumentsWrong("first_contact_text", "a message needs words", most=MOST_LETTERS)
    if await leads.blocked(who.tenant_id, keys):
        raise Refused("contact_blocked", "the contact is on the do-not-contact list", name=name)
    numbers = {
        one.id: one
        for one in await desk.channels.of(who.tenant_id)
        if one.provider in WHATSAPP and one.state == "active"
    }
    chats = [one for one in theirs if one.channel_id in numbers]
    talk = next((one for one in chats if one.messages_in), None)
    language = (talk.language if talk else "") or _THEIR_LANGUAGE
    say = partial(texts.say, language)
    async with desk.db.tenant(who.tenant_id) as conn:
        house = await fetch_one(conn, "SELECT name FROM tenants")
    ours = house["name"] if house else ""
    if talk is not None and _free(talk, numbers[talk.channel_id], ctx):
        channel = numbers[talk.channel_id]
        to, sandbox = f"+{talk.address.lstrip('+')}", channel.environment == "sandbox"
        way: Way | None = {
            "channel_id": channel.id, "channel": channel.name, "provider": channel.provider, "address": talk.address,
            "language": language,
        }  # fmt: skip
    else:
        to = _number(contact) if talk is None else f"+{talk.address.lstrip('+')}"
        # The simulator reaches nobody: whoever is in the CRM may be played there. Who is made up is never written to.
        world = desk.channels.environment("whatsapp_cloud") if talk is None else numbers[talk.channel_id].environment
        sandbox = world == "sandbox"
        if not sandbox and any(simulated(key.reference) for key in contact.keys):
            raise Refused("sandbox_never_sends", "the contact is of the sandbox")
        way = await ctx.service(FirstContacts).way(
            who.tenant_id, channel="phone", to=to, sandbox=sandbox, language=language,
            values={
                "name": name.split()[0], "sender": who.name, "house": ours, "opening": opening_of(args.text),
                "source": say("contact_message.source"),
            },
            talk=None if talk is None else (talk.channel_id, talk.address),
        )  # fmt: skip
    if way is None:
        raise Refused("no_door_to_send", "no WhatsApp number is connected")
    if "template" in way and way["template"] is None:
        raise Refused("first_contact_no_template", "no approved template for beginning a conversation")
    source, since = say("contact_message.source"), contact.created_at.date()
    data = {
        "contact": contact.id,
        "company": contact.company_id or "",
        "about": [one for one in (contact.id, contact.company_id) if one],
        "name": name,
        "channel": "whatsapp" if talk else "phone",
        "to": to,
        "keys": [list(key) for key in keys],
        "text": args.text.strip(),
        # To whom we talk already it was told, or they came by themselves.
        "notice": "" if talk else say("first_contact.lgpd", who=ours, source=source, at=since),
        "sandbox": sandbox,
        "way": way,
        "owner": contact.owner_id or who.user_id,
        "by": who.user_id,
        "cadence": None,
        "turn": ctx.turn.id,  # the same words may be said again another day
    }
    template = (way.get("template") or {}).get("name")
    return ProposedChange(
        change=Change(KIND, contact.id, data),
        told={"name": name, "template": template, "reads": reads(data), "free_text_hours": 24},
    )


def _before_us(turn: Turn, chat_ids: set[str]) -> bool:
    """Whether one of these conversations was shown last, and this turn has read nothing else that others wrote."""
    shown = (turn.session.get("focus") or {}).get("id")
    read = [record.result for record in turn.results if record.origin in OTHERS and record.result is not None]
    return shown in chat_ids and all((one.get("conversation") or {}).get("id") == shown for one in read)


def _free(chat: Chat, channel: Channel, ctx: ToolContext) -> bool:
    """Whether free text may be written to them now."""
    return not has_window(channel) or is_open(chat.last_from_contact, ctx.turn.now)


def _number(contact: Contact) -> str:
    """Refused("contact_no_phone", name)."""
    for kind in (KeyKind.WA_ID, KeyKind.PHONE):
        for key in contact.keys:
            number = f"+{key.value.lstrip('+')}"
            if key.kind is kind and "?" not in number and address_of("phone", number):  # without area code: nobody's
                return number
    raise Refused("contact_no_phone", "no telephone of the contact is known", name=called(contact))


MESSAGING_TOOLS = [*MESSAGE_TOOLS, message_contact]
