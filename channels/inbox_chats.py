"""A conversation as the inbox lays it out: as a line of the list, and as the head and the side of its page."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from business.messaging.channels import Channel
from business.messaging.chats import ChatLine
from business.messaging.consent import How, Standing
from business.messaging.conversation import Chat, Message
from business.messaging.known import has_window
from business.messaging.templates_store import wants_more
from business.messaging.window import EntryPoint, closes, free_until
from channels.inbox_look import Data, Look, author_of, kind_of, name_of
from core import formats

_SOON = timedelta(hours=1)  # before the window's end: it is told in a warmer colour
_LINE_ICONS = {"image": "picture", "video": "film", "audio": "mic", "document": "doc", "sticker": "picture",
               "location": "pin", "contacts": "person", "template": "form"}  # fmt: skip


# --- a line of the list ---------------------------------------------------------------------------


def line_of(look: Look, line: ChatLine, waiting: Mapping[str, Any]) -> Data:
    """`waiting`: what of it waits for a person's word, and when the next message leaves."""
    chat, last = line.chat, line.last
    ours = last is not None and last.direction == "out"
    return {
        "id": chat.id,
        "name": name_of(look, chat),
        "at": chat.last_at.isoformat(),
        "when": look.when(chat.last_at),
        "preview": _preview(look, last) if last else "",
        "preview_by": author_of(look, last, short=True) if last and ours else "",
        "preview_icon": ("close" if last.status == "dropped" else _LINE_ICONS.get(last.kind, "")) if last else "",
        "unread": chat.unread,
        "held": chat.held,
        "held_by": look.user(chat.held_by) or look.say("inbox.somebody"),
        "owner": look.user(chat.owner_id),
        "mine": look.who.user_id in (chat.owner_id, chat.held_by),
        "closed": chat.closed_at is not None,
        "waiting_since": chat.waiting_since.isoformat() if chat.waiting_since and chat.held != "bot" else "",
        "asks": waiting.get("asks", 0),
        "leaves": look.say("inbox.leaves", when=look.soon(leaves)) if (leaves := waiting.get("leaves")) else "",
        "failed": bool(ours and last and last.status == "failed"),
    }


def _preview(look: Look, last: Message) -> str:
    if last.revoked_at is not None:
        return look.say("inbox.word.revoked")
    words = last.text or str((last.media or {}).get("words") or "") or kind_of(look, last)
    return " ".join(words.split())[:140]


# --- its page --------------------------------------------------------------------------------------


def held_of(look: Look, chat: Chat) -> str:
    """In whose hand it is."""
    if chat.closed_at is not None:
        return look.say("inbox.closed")
    if chat.held == "person" and chat.held_by:
        mine = chat.held_by == look.who.user_id
        return look.say("inbox.with_you") if mine else look.say("inbox.with", name=look.user(chat.held_by))
    return look.say(f"messaging.held.{chat.held}")


def window_of(look: Look, chat: Chat, channel: Channel | None) -> Data | None:
    """The 24 hours in which text may be written; None where the channel knows none."""
    if channel is None or not has_window(channel):
        return None
    ends = closes(chat.last_from_contact, look.now)
    if ends is None or ends <= look.now:
        key = "inbox.window.never" if ends is None else "inbox.window.closed_hint"
        since = look.moment(ends) if ends else ""
        return {
            "open": False,
            "soon": False,
            "until": ends.isoformat() if ends else "",
            "label": look.say("inbox.window.closed"),
            "hint": look.say(key, since=since),
            "stopped": look.say(key, since=since) + " " + look.say("inbox.window.template_only"),
            "free": "",
        }
    entry = EntryPoint(chat.entry_at, chat.entry_answered_at) if chat.entry_at else None
    free = free_until(entry, look.now)
    today = look.local(ends).date() == look.local(look.now).date()
    return {
        "open": True,
        "soon": ends - look.now <= _SOON,
        "until": ends.isoformat(),
        "label": look.say("inbox.window.closes_at", time=look.clock(ends))
        if today
        else look.say("inbox.window.closes_on", day=look.day(ends), time=look.clock(ends)),
        "hint": look.say("inbox.window.hint"),
        "stopped": "",
        "free": look.say("inbox.window.free", until=look.moment(free)) if free else "",
    }


def consent_of(look: Look, standing: Standing) -> Data:
    """What the contact has agreed to, or wants no more."""
    if (listed := standing.stopped) is not None and listed.how is How.HOUSE:
        day = formats.day(look.local(listed.at).date(), look.who.language)
        hint = look.say("inbox.consent.listed_hint")
        return {"stopped": True, "label": look.say("inbox.consent.listed", day=day), "detail": hint}
    for entry, name in ((standing.stopped, "stopped"), (standing.marketing_stopped, "marketing_stopped")):
        if entry is not None:
            label = look.say(f"inbox.consent.{name}", day=formats.day(look.local(entry.at).date(), look.who.language))
            return {
                "stopped": name == "stopped",
                "label": label,
                "detail": f"“{entry.wording}”" if entry.wording else "",
            }
    if (given := standing.consent) is not None:
        day = formats.day(look.local(given.at).date(), look.who.language)
        label = look.say("inbox.consent.given", day=day, how=look.say(f"inbox.consent.how.{given.how}"))
        return {"stopped": False, "label": label, "detail": _quoted(given.wording)}
    return {"stopped": False, "label": look.say("inbox.consent.none"), "detail": look.say("inbox.consent.none_hint")}


def _quoted(words: str) -> str:
    return f"“{words}”" if words else ""


def may_be_heard(standing: Standing) -> Sequence[str]:
    """What a person of ours may write down that the contact said to them (inbox_acts.py); nothing where the house's own
    list says more."""
    if standing.stopped is not None and standing.stopped.how is How.HOUSE:
        return []
    if standing.stopped or standing.marketing_stopped:
        return ["resumed"] if standing.stopped else ["resumed", "stopped"]
    return ["stopped"] if standing.consent else ["gave", "stopped"]


def hint_of(look: Look, chat: Chat, standing: Standing) -> str:
    """What happens when one writes now: said before, not after."""
    if chat.closed_at is not None:
        return look.say("inbox.hint.closed")
    if standing.stopped is not None:
        return look.say("inbox.hint.opted_out")
    if chat.held == "person" and chat.held_by not in (None, look.who.user_id):
        return look.say("inbox.hint.other", name=look.user(chat.held_by))
    if chat.held == "bot":
        answering = chat.due_at is not None and chat.waiting_since is not None
        return look.say("inbox.hint.bot_answers" if answering else "inbox.hint.bot")
    return look.say("inbox.hint.fetching") if chat.held == "fetching" else ""


def ad_of(look: Look, chat: Chat) -> Data | None:
    """The advertisement that it began with."""
    told = chat.referral
    if not told:
        return None
    title = str(told.get("headline") or told.get("source_id") or look.say("inbox.ad"))
    source = look.word(f"inbox.ad.{told.get('source_type')}", look.say("inbox.ad"))
    since = look.moment(chat.entry_at) if chat.entry_at else ""
    id_ = str(told.get("source_id") or "")
    return {
        "title": title[:200],
        "text": str(told.get("body") or "")[:400],
        "note": " · ".join(part for part in (source, id_ if id_ != title else "", since) if part),
    }


def template_of(look: Look, chat: Chat, row: Mapping[str, Any]) -> Data:
    """A template of its channel, and what would fill it. `row`: of message_templates."""
    body = str(row["body"])
    holes = row.get("holes") or {}
    proposed = {"name": chat.name.split()[0] if chat.name.split() else "", "sender": look.who.name.split()[0]}
    variables = []
    for name in dict.fromkeys(re.findall(r"\{\{\s*(\w+)\s*\}\}", body)):
        meaning = str(holes.get(name, name)) if isinstance(holes, Mapping) else name
        label = look.word(f"inbox.hole.{meaning}", look.say("inbox.hole", name=name))
        variables.append({"name": name, "label": label, "value": proposed.get(meaning, "")})
    status, more = str(row["status"]).upper(), wants_more(row)
    why = (
        look.say(f"inbox.template_wants.{more}")
        if more
        else look.word(f"inbox.template_status.{status.lower()}", status)
    )
    return {
        "key": f"{row['name']}.{row['language']}",
        "name": row["name"],
        "language": row["language"],
        "category": look.word(f"inbox.category.{str(row['category']).lower()}", str(row["category"])),
        "status": why,
        "usable": status == "APPROVED" and not more,
        "body": body,
        "variables": variables,
    }
