"""What Meta's Cloud API said, as arrivals: both generations of its payloads (a contact may be a user id without a
telephone), and what nobody knows yet as a message of the kind "unknown", which a person can look at."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from business.messaging.arrivals import (
    Arrival,
    Attachment,
    Echoed,
    Edited,
    Incoming,
    Moved,
    Reacted,
    Seen,
    TemplateTold,
    Told,
    Who,
    Wished,
)
from core.errors import ArgumentsWrong
from integrations.whatsapp_cloud import webhooks as cloud

NO_MOMENT = datetime.fromtimestamp(0, UTC)
"""Stands where WhatsApp told no moment that can be one: the sorter takes that of the reception."""
_GRAVE = frozenset(
    {
        "DISABLED_UPDATE",
        "ACCOUNT_RESTRICTION",
        "ACCOUNT_VIOLATION",
        "ACCOUNT_DELETED",
        "PARTNER_REMOVED",
        "ACCOUNT_OFFBOARDED",
        "PHONE_NUMBER_REMOVED",
        "DOWNGRADE",
        "FLAGGED",
    }
)
"""Events of account_update, phone_number_quality_update and their like that stop or threaten a number."""


def read_cloud(kind: str, item: Mapping[str, Any]) -> Arrival:
    """`item` as webhooks.walk stored it. ArgumentsWrong: whatsapp_item_broken, whatsapp_item_unread (reason) for what
    cannot be understood."""
    found = cloud.reread(item)
    match found:
        case cloud.Message():
            return _message(found)
        case cloud.Echo():
            body = _read(found.kind, found.content)
            return Echoed(
                found.id, _who(found.to), _at(found.sent_at), body.kind, body.text, body.attachment, body.content
            )
        case cloud.Status():
            problem = found.problems[0] if found.problems else None
            to = Who(wa_id=found.recipient_wa_id, user_id=found.recipient_user_id)
            return Seen(
                found.message_id,
                found.status,
                _at(found.at),
                found.callback_data,
                problem.code if problem else None,
                (problem.details or problem.message or problem.title) if problem else "",
                to if to.address else None,
            )
        case cloud.Preference():
            if found.category != "marketing_messages":
                return Told(f"preference:{found.category}", detail=found.value)
            return Wished(_who(found.person), _at(found.at), found.value, found.detail or "")
        case cloud.TemplateUpdate():
            return TemplateTold(found.name, found.language, found.what, found.value, found.reason or "")
        case cloud.Failure():
            one = found.problem
            return Told(f"error:{one.code}", grave=True, detail=one.details or one.message or one.title)
        case cloud.Notice():
            what = f"{found.where.field}:{found.event}" if found.event else found.where.field
            return Told(what, grave=(found.event or "").upper() in _GRAVE, detail=_of_number(found.raw))
        case cloud.Unread():
            raise ArgumentsWrong("whatsapp_item_unread", found.reason, reason=found.reason)


def _of_number(raw: Mapping[str, Any]) -> str:
    """Why an account or a number is in trouble, in WhatsApp's own words, as far as it tells them."""
    told = [raw.get("current_limit")]
    for name, key in (("violation_info", "violation_type"), ("ban_info", "waba_ban_state")):
        one = raw.get(name)
        told.append(one.get(key) if isinstance(one, dict) else None)
    limits = raw.get("restriction_info")
    told += [one.get("restriction_type") for one in limits if isinstance(one, dict)] if isinstance(limits, list) else []
    return ", ".join(one for one in told if isinstance(one, str))[:200]


def _message(found: cloud.Message) -> Arrival:
    if found.raw.get("group_id"):
        return Told("group")  # said to a group: nobody there asked us alone
    who, at, content = _who(found.sender), _at(found.sent_at), found.content
    match content:
        case cloud.Edit():
            return Edited(found.id, content.original_id, who, at, _read("edit", content.content).text)
        case cloud.Revoke():
            return Edited(found.id, content.original_id, who, at, None)
        case cloud.Reaction():
            return Reacted(found.id, content.message_id, who, at, content.emoji or "")
        case cloud.System():
            return Moved(found.id, who, at, content.new_wa_id or content.new_user_id or "", content.body)
    body = _read(found.kind, content)
    if found.problems:
        body.content["problem"] = {"code": found.problems[0].code, "title": found.problems[0].title}
    referral = {name: told for name, told in asdict(found.referral).items() if told} if found.referral else None
    return Incoming(
        found.id,
        who,
        at,
        body.kind,
        body.text,
        body.choice,
        body.attachment,
        found.reply_to,
        referral,
        found.forwarded,
        body.content,
    )


class _Body:
    __slots__ = ("attachment", "choice", "content", "kind", "text")

    def __init__(self, kind: str, text: str = "", choice: str = "", **content: Any) -> None:
        self.kind, self.text, self.choice = kind, text, choice
        self.attachment: Attachment | None = None
        self.content: dict[str, Any] = {name: value for name, value in content.items() if value}


def _read(kind: str, content: cloud.Body) -> _Body:
    """What one reads of it, and the rest to show. A kind without words is told by its name in brackets."""
    match content:
        case cloud.Text():
            return _Body("text", content.body)
        case cloud.Media():
            body = _Body(content.kind, content.caption or "", animated=content.animated)
            name = content.filename or ""
            mime = (content.mime or "").partition(";")[0].strip()
            body.attachment = Attachment(content.kind, content.id, mime, name, content.voice, content.sha256 or "")
            return body
        case cloud.Place():
            where = f"{content.latitude:.6f}, {content.longitude:.6f}"
            named = ", ".join(one for one in (content.name, content.address) if one)
            return _Body(
                "location",
                f"{named} ({where})" if named else where,
                latitude=content.latitude,
                longitude=content.longitude,
                name=content.name,
                address=content.address,
                url=content.url,
            )
        case cloud.Contacts():
            told = [", ".join(one for one in (card.name, *card.phones, *card.emails) if one) for card in content.cards]
            return _Body("contacts", "\n".join(told), cards=[asdict(card) for card in content.cards])
        case cloud.Choice():
            told_as = "button" if content.source == "template" else "interactive"
            return _Body(
                told_as,
                content.title or content.id,
                content.id,
                source=content.source,
                id=content.id,
                description=content.description,
            )
        case cloud.FlowReply():
            return _Body("interactive", content.body or content.name or "[flow]", response=content.response[:20_000])
        case cloud.Order():
            items = [dict(item) for item in content.items[:50]]
            return _Body("order", content.text or f"[order: {len(items)}]", catalog=content.catalog_id, items=items)
        case cloud.Unsupported():
            return _Body("unsupported", f"[{content.what or 'unsupported'}]", what=content.what)
        case cloud.Unknown():
            return _Body("unknown", f"[{kind[:40] or 'unknown'}]", what=kind[:80], reason=content.reason[:200])
        case _:  # an edit within an edit and the like: nothing that one reads
            return _Body("unknown", f"[{kind[:40] or 'unknown'}]", what=kind[:80])


def _who(person: cloud.Person) -> Who:
    return Who(
        wa_id=person.wa_id,
        phone=person.phone,
        user_id=person.user_id,
        name=(person.name or person.username or "")[:200],
    )


def _at(moment: datetime | None) -> datetime:
    return moment or NO_MOMENT
