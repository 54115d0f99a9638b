"""A message as the inbox lays it out: its words and what is beside them, who said it, how far it came and why."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from business.messaging.conversation import Chat, Message
from business.messaging.model import Decision, Verdict, explained, said, why_from
from business.messaging.statuses import Status
from channels.inbox_files import file_of
from channels.inbox_look import Data, Look, author_of, kind_of, name_of
from core import formats
from integrations.whatsapp_cloud import errors

_HOPELESS = frozenset({"window", "template", "number"})
"""Rules by which a message cannot leave, whoever says yes to it."""
_ICONS = {
    Status.QUEUED: "clock",
    Status.ACCEPTED: "check",
    Status.HELD: "hold",
    Status.SENT: "check",
    Status.FAILED: "alert",
    Status.DELIVERED: "checks",
    Status.READ: "checks",
    Status.PLAYED: "checks",
}
_EMOJI_ONLY = re.compile(r"[\U0001F000-\U0001FAFF\u2600-\u27BF\u2B00-\u2BFF\uFE0F\u200D\u20E3\s]{1,12}")


def message_of(
    look: Look, chat: Chat, one: Message, outbox: Mapping[str, Any] | None, quoted: Mapping[str, Any] | None
) -> Data:
    """`outbox`: the row by which it leaves, of one of ours; `quoted`: the message that it answers."""
    side = "system" if one.author == "system" and one.direction == "note" else one.direction
    local = look.local(one.at)
    drawn: Data = {
        "id": one.id,
        "seq": one.seq,
        "side": side,
        "author": one.author,
        "name": author_of(look, one) or name_of(look, chat),
        "kind_label": kind_of(look, one),
        "text": "" if one.revoked_at is not None else one.text,
        "at": one.at.isoformat(),
        "clock": look.clock(one.at),
        "full_time": look.moment(one.at),
        "day": local.date().isoformat(),
        "day_label": look.day(one.at),
        "edited": one.edited_at is not None,
        "revoked": one.revoked_at is not None,
        "reaction": one.reaction,
        "our_reaction": one.kind == "reaction" and one.direction == "out",
        "big": bool(one.text and one.kind == "text" and _EMOJI_ONLY.fullmatch(one.text)),
        "forwarded": bool(one.content.get("forwarded")),
        "chosen": one.direction == "in" and one.kind in ("interactive", "button") and bool(one.text),
        **_shape(one),
    }
    if one.revoked_at is None and (file := file_of(look, one)):
        drawn["media"] = file
        # A file's name is told by the file itself; a caption is the words below it.
        if drawn["text"] == file["label"]:
            drawn["text"] = ""
    if quoted is not None:
        name = look.say("inbox.bot") if quoted["author"] == "bot" else look.user(quoted["author_id"])
        words = quoted["text"] or look.word(f"inbox.kind.{quoted['kind']}", look.say("inbox.kind.unknown"))
        drawn["quote"] = {"id": quoted["id"], "name": name or name_of(look, chat), "text": words[:200]}
    if side == "out":
        drawn |= _fate(look, one, outbox)
    return drawn


# --- its fate -------------------------------------------------------------------------------------


def _fate(look: Look, one: Message, outbox: Mapping[str, Any] | None) -> Data:
    """How far a message of ours came, and why it waits, needs a decision, failed or never leaves."""
    state = str(outbox["state"]) if outbox else ""
    decision = _decision(outbox["decision"]) if outbox and outbox["decision"] else None
    drawn: Data = {"template": (outbox or {}).get("template") or _template_name(one)}
    if one.status == "dropped" or state == "dropped":
        drawn |= {"state": "dropped", "why": _why_dropped(look, decision, str((outbox or {}).get("reason") or ""))}
        return drawn
    if one.status == "failed" or state == "failed":
        code = one.error or (outbox or {}).get("error")
        drawn |= {"state": "failed", "why": {"short": _why_failed(look, code, one.reason), "long": ""}}
        drawn["status"] = {"code": "failed", "icon": "alert", "label": look.say("inbox.status.failed")}
        return drawn
    if state == "ask" and outbox is not None:
        why = _explained(look, decision)
        short = why["short"] or look.say("inbox.asks")
        choice = _choice(decision, outbox["decision"])
        return drawn | {"state": "ask", "outbox": outbox["id"], "choice": choice, "why": {**why, "short": short}}
    if state == "unknown" and outbox is not None:
        why = {"short": look.say("inbox.unknown_outcome"), "long": ""}
        drawn |= {"state": "unknown", "outbox": outbox["id"], "choice": "again", "why": why}
    elif state == "waiting" and decision is not None and decision.verdict is Verdict.WAIT:
        drawn |= {"state": "waiting", "why": _explained(look, decision)}
    elif state == "waiting" and outbox is not None and (outbox["not_before"] or look.now) > look.now:
        leaves = look.say("inbox.leaves_at", when=look.moment(outbox["not_before"]))
        drawn |= {"state": "waiting", "why": {"short": leaves, "long": ""}}
    try:
        status = Status(one.status or "")
    except ValueError:
        return drawn
    label = look.say(f"inbox.status.{status}")
    if one.status_at is not None and status is not Status.QUEUED:
        label = look.say("inbox.status_at", status=label, when=look.when(one.status_at))
    if one.contradicted:
        label += " " + look.say("inbox.contradicted")
    drawn["status"] = {"code": str(status), "icon": _ICONS[status], "label": label}
    return drawn


def _choice(decision: Decision | None, record: Mapping[str, Any] | None) -> str:
    """What "send" would do with a message that waits for a decision: it goes as it is ("send"), as the template that
    the policy named ("template"), or it would be asked about again, so that it can only be dropped ("")."""
    if record and record.get("template"):
        return "template"
    return "" if decision is not None and decision.rule in _HOPELESS else "send"


def _template_name(one: Message) -> str:
    told = one.content.get("template")
    return str(told.get("name") or "") if isinstance(told, Mapping) else ""


def _decision(record: Mapping[str, Any]) -> Decision | None:
    """What the row keeps of the policy's word, for explaining it."""
    try:
        return Decision(
            Verdict(record["verdict"]),
            record["rule"],
            record["source"],
            why_from(record["why"]),
            datetime.fromisoformat(record["at"]),
            cautions=tuple(why_from(one) for one in record.get("cautions", ())),
        )
    except (KeyError, ValueError, TypeError):
        return None


def _explained(look: Look, decision: Decision | None) -> Data:
    if decision is None:
        return {"short": "", "long": ""}
    zone = look.who.time_zone
    try:
        whole = explained(decision, look.say, zone).split("\n")
    except KeyError:  # a rule whose words are not written yet
        return {"short": "", "long": ""}
    cautions = [said(one, look.say, zone) for one in decision.cautions]
    return {"short": whole[0], "long": "\n".join([whole[1], *cautions])}


def _why_dropped(look: Look, decision: Decision | None, reason: str) -> Data:
    """What made it out of date; the policy's last word may be older than that."""
    cadence = reason.removeprefix("cadence:") if reason.startswith("cadence:") else ""
    if cadence:
        words = look.say("inbox.dropped.cadence", why=look.word(f"outreach.why.{cadence}", cadence))
    else:
        words = look.word(f"inbox.dropped.{reason}", "") if reason else ""
    if not words and decision is not None and not decision.may_leave:
        return _explained(look, decision)
    return {"short": look.say("inbox.dropped", why=words).strip(), "long": ""}


def _why_failed(look: Look, code: int | None, reason: str) -> str:
    if code:
        told = errors.rule(code)
        key = f"error.{told.text}"
        if look.texts.has(key):
            words = look.say(key, detail=reason or told.meaning, wait=0, code=code)
            return look.say("inbox.failed", why=words, code=code)
    words = look.word(f"inbox.failure.{reason}", reason) if reason else look.say("inbox.failure.nameless")
    return look.say("inbox.failed", why=words, code=code or 0)


# --- beside its words ------------------------------------------------------------------------------


def _shape(one: Message) -> Data:
    """What a message has beside its words: place, cards, header, footer, buttons, a list of options."""
    content = one.content
    drawn: Data = {}
    payload = content.get(one.kind)
    told: Mapping[str, Any] = payload if isinstance(payload, Mapping) else content
    if one.kind == "location":
        where = (_number(told.get("latitude")), _number(told.get("longitude")))
        if None not in where:
            address = f"https://www.google.com/maps?q={where[0]},{where[1]}"
            name = str(told.get("name") or f"{where[0]}, {where[1]}")
            drawn["place"] = {"name": name, "address": str(told.get("address") or ""), "url": address}
            drawn["text"] = "" if one.text in (name, told.get("address")) else one.text
    elif one.kind == "contacts":
        cards = payload if isinstance(payload, list) else content.get("contacts") or content.get("cards") or []
        drawn["cards"] = [card for raw in cards if isinstance(raw, Mapping) and (card := _card(raw))]
        drawn["text"] = "" if drawn["cards"] else one.text
    elif one.kind == "interactive" and one.direction == "out":
        drawn |= _interactive(told)
    if referral := content.get("referral"):
        drawn["ad"] = (
            str(referral.get("headline") or referral.get("source_id") or "") if isinstance(referral, Mapping) else ""
        )
    return drawn


def _interactive(told: Mapping[str, Any]) -> Data:
    drawn: Data = {}
    if body := _text(told, "body", "text"):
        drawn["text"] = body  # the message's own text tells the options, too
    action = told.get("action")
    action = action if isinstance(action, Mapping) else {}
    for name in ("header", "footer"):
        part = told.get(name)
        if isinstance(part, Mapping) and isinstance(part.get("text"), str):
            drawn[name] = part["text"]
    kind = told.get("type")
    if kind == "button":
        titles = [_text(one, "reply", "title") for one in action.get("buttons", ())]
        drawn["buttons"] = [{"title": title} for title in titles if title]
    elif kind == "cta_url":
        title, url = _text(action, "parameters", "display_text"), _text(action, "parameters", "url")
        drawn["buttons"] = [{"title": title, "url": url if re.match(r"https?://", url) else ""}]
    elif kind == "list":
        sections = [one for one in action.get("sections", ()) if isinstance(one, Mapping)]
        drawn["list"] = {
            "label": str(action.get("button") or ""),
            "sections": [
                {
                    "title": str(one.get("title") or ""),
                    "rows": [
                        {"title": str(row.get("title") or ""), "note": str(row.get("description") or "")}
                        for row in one.get("rows", ())
                    ],
                }
                for one in sections
            ],
        }
    return drawn


def _card(raw: Mapping[str, Any]) -> Data | None:
    named = raw.get("name")
    name = named.get("formatted_name") if isinstance(named, Mapping) else named
    ways: list[str] = []
    for one in raw.get("phones") or ():
        given = one.get("phone") if isinstance(one, Mapping) else one
        if given:
            ways.append(formats.phone(str(given)))
    for one in raw.get("emails") or ():
        given = one.get("email") if isinstance(one, Mapping) else one
        if given:
            ways.append(str(given))
    return {"name": str(name or "?"), "ways": " · ".join(ways)} if name or ways else None


def _number(value: Any) -> float | None:
    try:
        return round(float(value), 6)
    except (TypeError, ValueError):
        return None


def _text(value: Any, *names: str) -> str:
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""
